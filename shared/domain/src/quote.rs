//! Quotes, and when a price may be believed.
//!
//! 1. A quote carries the provider's own time; its age is measured against that, never against the time of the fetch.
//! 2. Every reader says what it reads for, and that decides how old the quote may be ([`Purpose`]).
//! 3. A quote that is stale, crossed or absurd decides nothing.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::id::AssetId;
use crate::money::{Price, Quantity};

/// The best prices of an instrument at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The instrument.
    pub asset_id: AssetId,
    /// The best price someone pays, in quote currency.
    pub bid: Price,
    /// Units wanted at the bid.
    pub bid_size: Quantity,
    /// The best price someone asks, in quote currency.
    pub ask: Price,
    /// Units offered at the ask.
    pub ask_size: Quantity,
    /// The price of the last trade, in quote currency.
    pub last: Price,
    /// The lowest trade since the quote before this one, in quote currency.
    pub low: Price,
    /// The highest trade since the quote before this one, in quote currency.
    pub high: Price,
    /// The provider's time.
    pub at: DateTime<Utc>,
}

/// What a quote is read for; decides how old it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Shown to someone: 60 s.
    Display,
    /// Decides whether an order may leave: 15 s in session.
    Risk,
    /// Fires a stop: 5 s.
    Trigger,
    /// Fills a paper order: 5 s.
    Fill,
}

impl Purpose {
    /// The greatest age of a quote that still serves this purpose.
    pub const fn max_age(self) -> TimeDelta {
        match self {
            Self::Display => TimeDelta::seconds(60),
            Self::Risk => TimeDelta::seconds(15),
            Self::Trigger | Self::Fill => TimeDelta::seconds(5),
        }
    }
}

impl Purpose {
    /// The age from which a reader that can have a newer quote fetches it.
    ///
    /// What fires a stop or fills an order looks every second: it must not be told the same price for five, though one
    /// that is five seconds old may still decide where no newer one is to be had. Risk rules judge a quote some time after
    /// it was looked up, when the order's turn has come: it must not become too old in between.
    pub const fn refetch_after(self) -> TimeDelta {
        match self {
            Self::Display => self.max_age(),
            Self::Risk => TimeDelta::seconds(10),
            Self::Trigger | Self::Fill => TimeDelta::milliseconds(999),
        }
    }
}

/// Why a quote decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distrust {
    /// Older than its purpose allows.
    Stale,
    /// The bid is above the ask.
    Crossed,
    /// Further from the last trusted price than [`MAX_JUMP_PERCENT`], and not confirmed yet.
    Jump,
    /// The market is closed.
    OutOfSession,
}

/// A move of more than this many percent against the last trusted price needs a second quote that confirms it.
pub const MAX_JUMP_PERCENT: u32 = 20;

/// Providers' clocks may run ahead of ours by this much.
pub const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(2);

impl Quote {
    /// The middle between bid and ask, in quote currency.
    pub fn mid(&self) -> Decimal {
        (self.bid.get() + self.ask.get()) / Decimal::TWO
    }

    /// Whether the bid is above the ask.
    pub fn is_crossed(&self) -> bool {
        self.bid > self.ask
    }

    /// How old the quote is at `now`; never negative.
    pub fn age(&self, now: DateTime<Utc>) -> TimeDelta {
        (now - self.at).max(TimeDelta::zero())
    }

    /// Whether the quote may serve `purpose` at `now`.
    ///
    /// Out of session (`in_session` false), the session's last quote counts as fresh for risk and display, and never
    /// for triggers and fills. A quote from the future beyond [`CLOCK_TOLERANCE`] is not believed.
    pub fn trust(&self, purpose: Purpose, now: DateTime<Utc>, in_session: bool) -> Result<(), Distrust> {
        if self.is_crossed() {
            return Err(Distrust::Crossed);
        }
        let closed_is_fine = match purpose {
            Purpose::Display | Purpose::Risk => true,
            Purpose::Trigger | Purpose::Fill => false,
        };
        if !in_session {
            return if closed_is_fine {
                Ok(())
            } else {
                Err(Distrust::OutOfSession)
            };
        }
        if self.age(now) > purpose.max_age() || self.at > now + CLOCK_TOLERANCE {
            return Err(Distrust::Stale);
        }
        Ok(())
    }
}

/// The last price of an instrument that was believed, and one that still waits for a second quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceMark {
    /// The last trusted price, in quote currency.
    pub price: Price,
    /// The time of the quote it came from.
    pub at: DateTime<Utc>,
    /// A price far away that a later quote may confirm, with the time of its quote.
    pub suspect: Option<(Price, DateTime<Utc>)>,
}

/// Marks older than this say nothing about today's price.
pub const MARK_EXPIRES_AFTER: TimeDelta = TimeDelta::minutes(15);

/// Whether `price` (of a quote at `at`) is believed next to `mark`; answers the mark to keep, too.
///
/// A far jump is believed when a *later* quote stays within [`MAX_JUMP_PERCENT`] of the suspect price.
pub fn confirm(
    mark: Option<PriceMark>,
    price: Price,
    at: DateTime<Utc>,
) -> (PriceMark, Result<(), Distrust>) {
    let trusted = PriceMark {
        price,
        at,
        suspect: None,
    };
    let Some(mark) = mark else {
        return (trusted, Ok(()));
    };
    if at - mark.at > MARK_EXPIRES_AFTER || is_near(mark.price, price) {
        return (trusted, Ok(()));
    }
    match mark.suspect {
        Some((suspect, seen)) if at > seen && is_near(suspect, price) => (trusted, Ok(())),
        Some((suspect, seen)) if at == seen && suspect == price => (mark, Err(Distrust::Jump)),
        Some(_) | None => (
            PriceMark {
                suspect: Some((price, at)),
                ..mark
            },
            Err(Distrust::Jump),
        ),
    }
}

fn is_near(from: Price, to: Price) -> bool {
    let distance = (to.get() - from.get()).abs();
    distance * Decimal::from(100) <= from.get() * Decimal::from(MAX_JUMP_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asset::{Asset, AssetClass};

    #[test]
    fn what_was_looked_up_may_still_decide_some_seconds_later() {
        for purpose in [Purpose::Risk, Purpose::Trigger, Purpose::Fill] {
            let oldest = quote("10", "11");
            let looked_up = oldest.at + purpose.refetch_after();
            let decided = looked_up + TimeDelta::seconds(4);
            assert_eq!(oldest.trust(purpose, decided, true), Ok(()), "{purpose:?}");
        }
    }

    fn price(text: &str) -> Price {
        Price::new(text.parse().unwrap()).unwrap()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn quote(bid: &str, ask: &str) -> Quote {
        let size = Quantity::new(Decimal::from(100)).unwrap();
        Quote {
            asset_id: Asset::id_of(AssetClass::UsEquity, "AAPL"),
            bid: price(bid),
            bid_size: size,
            ask: price(ask),
            ask_size: size,
            last: price(bid),
            low: price(bid),
            high: price(ask),
            at: at(0),
        }
    }

    #[test]
    fn the_purpose_decides_how_old_a_quote_may_be() {
        let quote = quote("100", "100.02");
        for (purpose, oldest) in [
            (Purpose::Display, 60),
            (Purpose::Risk, 15),
            (Purpose::Trigger, 5),
            (Purpose::Fill, 5),
        ] {
            assert_eq!(quote.trust(purpose, at(oldest), true), Ok(()), "{purpose:?}");
            assert_eq!(
                quote.trust(purpose, at(oldest + 1), true),
                Err(Distrust::Stale),
                "{purpose:?}"
            );
        }
        assert_eq!(
            quote.trust(Purpose::Trigger, at(-3), true),
            Err(Distrust::Stale),
            "from the future"
        );
    }

    #[test]
    fn out_of_session_a_quote_serves_risk_but_fires_and_fills_nothing() {
        let quote = quote("100", "100.02");
        assert_eq!(quote.trust(Purpose::Risk, at(36_000), false), Ok(()));
        assert_eq!(
            quote.trust(Purpose::Trigger, at(0), false),
            Err(Distrust::OutOfSession)
        );
        assert_eq!(
            quote.trust(Purpose::Fill, at(0), false),
            Err(Distrust::OutOfSession)
        );
    }

    #[test]
    fn a_crossed_quote_is_never_believed() {
        assert_eq!(
            quote("100.03", "100.02").trust(Purpose::Display, at(0), true),
            Err(Distrust::Crossed)
        );
    }

    #[test]
    fn a_far_jump_waits_for_a_second_later_quote() {
        let (mark, verdict) = confirm(None, price("100"), at(0));
        assert_eq!(verdict, Ok(()));
        let (mark, verdict) = confirm(Some(mark), price("80"), at(1));
        assert_eq!(verdict, Ok(()), "exactly twenty percent is near");
        let (mark, verdict) = confirm(Some(mark), price("50"), at(2));
        assert_eq!(verdict, Err(Distrust::Jump));
        let (mark, verdict) = confirm(Some(mark), price("50"), at(2));
        assert_eq!(
            verdict,
            Err(Distrust::Jump),
            "the same quote read twice confirms nothing"
        );
        let (mark, verdict) = confirm(Some(mark), price("51"), at(3));
        assert_eq!(verdict, Ok(()));
        assert_eq!(
            mark,
            PriceMark {
                price: price("51"),
                at: at(3),
                suspect: None
            }
        );
    }

    #[test]
    fn a_single_bad_tick_is_forgotten() {
        let (mark, _) = confirm(None, price("100"), at(0));
        let (mark, verdict) = confirm(Some(mark), price("10"), at(1));
        assert_eq!(verdict, Err(Distrust::Jump));
        let (mark, verdict) = confirm(Some(mark), price("99"), at(2));
        assert_eq!((mark.suspect, verdict), (None, Ok(())));
    }

    #[test]
    fn a_mark_of_yesterday_forbids_nothing() {
        let (mark, _) = confirm(None, price("100"), at(0));
        let (_, verdict) = confirm(Some(mark), price("50"), at(3_600));
        assert_eq!(verdict, Ok(()));
    }
}
