//! Which quotes may fire stops, and why the others may not. Pure but for the marks that it keeps.
//!
//! 1. A quote that is stale, crossed or out of session is left out, each time with its reason.
//! 2. A quote that jumped is left out until a later quote confirms it ([`domain::quote::confirm`]).
//! 3. An instrument without a quote is unprotected, and is said to be.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use domain::asset::{Asset, MarketHours};
use domain::id::AssetId;
use domain::money::Price;
use domain::quote::{Distrust, PriceMark, Purpose, Quote, confirm};

/// Why an instrument's stops were not compared with a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// The provider has no quote.
    NoQuote,
    /// The quote is too old.
    Stale,
    /// The bid is above the ask.
    Crossed,
    /// The price is far away and not confirmed yet.
    Jump,
    /// The market is closed.
    OutOfSession,
    /// A trigger of it can be neither read nor fired.
    Stuck,
}

impl Skip {
    /// Its name in the log and in the record of a sweep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Skip::NoQuote => "no_quote",
            Skip::Stale => "stale",
            Skip::Crossed => "crossed",
            Skip::Jump => "jump",
            Skip::OutOfSession => "out_of_session",
            Skip::Stuck => "stuck",
        }
    }

    /// Whether somebody should look: a closed market is no fault.
    pub const fn is_alarming(self) -> bool {
        match self {
            Skip::NoQuote | Skip::Stale | Skip::Crossed | Skip::Jump | Skip::Stuck => true,
            Skip::OutOfSession => false,
        }
    }
}

impl From<Distrust> for Skip {
    fn from(distrust: Distrust) -> Skip {
        match distrust {
            Distrust::Stale => Skip::Stale,
            Distrust::Crossed => Skip::Crossed,
            Distrust::Jump => Skip::Jump,
            Distrust::OutOfSession => Skip::OutOfSession,
        }
    }
}

/// The instruments that were skipped, by reason.
pub(crate) type Skipped = BTreeMap<Skip, Vec<AssetId>>;

/// A round of quotes, judged.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Those that may fire.
    pub(crate) believed: Vec<Quote>,
    /// The instruments without such a quote.
    pub(crate) skipped: Skipped,
}

/// The last believed prices, against which new ones are compared.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Of the last trade, the bid and the ask.
    by_asset: Mutex<HashMap<AssetId, [Option<PriceMark>; 3]>>,
}

impl Marks {
    /// Judges the quotes of `assets` at `now`.
    pub(crate) fn judge(
        &self,
        assets: &[Asset],
        quotes: &HashMap<AssetId, Quote>,
        now: DateTime<Utc>,
        hours: MarketHours,
    ) -> Judged {
        let mut judged = Judged::default();
        for asset in assets {
            let verdict = quotes.get(&asset.id).ok_or(Skip::NoQuote).and_then(|quote| {
                quote.trust(Purpose::Trigger, now, asset.class.is_in_session(now, hours))?;
                self.confirm(quote)?;
                Ok(quote)
            });
            match verdict {
                Ok(quote) => judged.believed.push(quote.clone()),
                Err(skip) => judged.skipped.entry(skip).or_default().push(asset.id),
            }
        }
        judged
    }

    /// Those of `assets` that have no mark yet.
    pub(crate) fn unmarked(&self, assets: &[Asset]) -> Vec<AssetId> {
        let by_asset = self.lock();
        assets
            .iter()
            .map(|asset| asset.id)
            .filter(|id| !by_asset.contains_key(id))
            .collect()
    }

    /// Takes marks of the time before this process; those that it has made itself stay.
    pub(crate) fn recall(&self, stored: HashMap<AssetId, PriceMark>) {
        let mut by_asset = self.lock();
        for (asset, mark) in stored {
            by_asset.entry(asset).or_insert([Some(mark); 3]);
        }
    }

    /// The marks of the last trades of `quotes`, to be stored.
    pub(crate) fn of_last_trades(&self, quotes: &[Quote]) -> HashMap<AssetId, PriceMark> {
        let by_asset = self.lock();
        let last = |asset: AssetId| {
            by_asset
                .get(&asset)
                .and_then(|[last, ..]| *last)
                .map(|mark| (asset, mark))
        };
        quotes.iter().filter_map(|quote| last(quote.asset_id)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AssetId, [Option<PriceMark>; 3]>> {
        // Marks are replaced one by one, so a panic elsewhere leaves each whole.
        self.by_asset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether each price that a trigger may refer to is near its mark, or was confirmed.
    fn confirm(&self, quote: &Quote) -> Result<(), Distrust> {
        let mut by_asset = self.lock();
        let marks = by_asset.entry(quote.asset_id).or_default();
        let mut verdict = Ok(());
        let prices: [Price; 3] = [quote.last, quote.bid, quote.ask];
        for (mark, price) in marks.iter_mut().zip(prices) {
            let (next, believed) = confirm(*mark, price, quote.at);
            *mark = Some(next);
            verdict = verdict.and(believed);
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use domain::asset::AssetClass;
    use domain::money::Quantity;

    use super::*;

    fn asset(symbol: &str, class: AssetClass) -> Asset {
        market::catalog::asset(symbol)
            .filter(|asset| asset.class == class)
            .unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn price(text: &str) -> Price {
        Price::new(text.parse().unwrap()).unwrap()
    }

    fn quote(asset: &Asset, bid: &str, last: &str, ask: &str, at: DateTime<Utc>) -> Quote {
        let size = Quantity::new("5".parse().unwrap()).unwrap();
        let [bid, last, ask] = [bid, last, ask].map(price);
        Quote {
            asset_id: asset.id,
            bid,
            bid_size: size,
            ask,
            ask_size: size,
            last,
            low: last,
            high: last,
            at,
        }
    }

    fn judge(marks: &Marks, quote: &Quote, asset: &Asset, now: DateTime<Utc>) -> Result<(), Skip> {
        let quotes = HashMap::from([(quote.asset_id, quote.clone())]);
        let judged = marks.judge(std::slice::from_ref(asset), &quotes, now, MarketHours::Real);
        match judged.skipped.keys().next() {
            Some(skip) => Err(*skip),
            None => Ok(()),
        }
    }

    const OPEN: &str = "2026-11-24T15:00:00Z";
    const CLOSED: &str = "2026-11-24T23:00:00Z";

    #[test]
    fn each_reason_to_skip_is_told_apart() {
        let marks = Marks::default();
        let apple = asset("AAPL", AssetClass::UsEquity);
        let now = at(OPEN);
        let fine = quote(&apple, "100", "100.01", "100.02", now);
        assert_eq!(judge(&marks, &fine, &apple, now), Ok(()));
        assert_eq!(
            judge(&marks, &fine, &apple, at("2026-11-24T15:00:06Z")),
            Err(Skip::Stale)
        );
        let crossed = quote(&apple, "100.03", "100.01", "100.02", now);
        assert_eq!(judge(&marks, &crossed, &apple, now), Err(Skip::Crossed));
        let late = at(CLOSED);
        let closed = quote(&apple, "100", "100.01", "100.02", late);
        assert_eq!(judge(&marks, &closed, &apple, late), Err(Skip::OutOfSession));
        let judged = marks.judge(
            std::slice::from_ref(&apple),
            &HashMap::new(),
            now,
            MarketHours::Real,
        );
        assert_eq!(judged.skipped, Skipped::from([(Skip::NoQuote, vec![apple.id])]));
    }

    #[test]
    fn crypto_is_judged_at_any_hour() {
        let (marks, bitcoin, night) = (Marks::default(), asset("BTC/USD", AssetClass::Crypto), at(CLOSED));
        let quote = quote(&bitcoin, "60000", "60001", "60002", night);
        assert_eq!(judge(&marks, &quote, &bitcoin, night), Ok(()));
    }

    #[test]
    fn a_jump_of_any_price_that_a_trigger_may_refer_to_waits_for_a_second_quote() {
        for (bid, last, ask) in [
            ("50", "100", "100.02"),
            ("99.99", "50", "100.02"),
            ("99.99", "100", "150"),
        ] {
            let (marks, apple) = (Marks::default(), asset("AAPL", AssetClass::UsEquity));
            let seconds = |seconds| at(OPEN) + chrono::TimeDelta::seconds(seconds);
            let calm = quote(&apple, "99.99", "100", "100.02", seconds(0));
            assert_eq!(judge(&marks, &calm, &apple, seconds(0)), Ok(()));
            let jump = quote(&apple, bid, last, ask, seconds(1));
            assert_eq!(judge(&marks, &jump, &apple, seconds(1)), Err(Skip::Jump));
            assert_eq!(
                judge(&marks, &jump, &apple, seconds(1)),
                Err(Skip::Jump),
                "the same quote again"
            );
            let second = quote(&apple, bid, last, ask, seconds(2));
            assert_eq!(
                judge(&marks, &second, &apple, seconds(2)),
                Ok(()),
                "{bid} {last} {ask}"
            );
        }
    }

    #[test]
    fn marks_outlive_a_restart_so_that_a_bad_first_tick_fires_nothing() {
        let (before, apple) = (Marks::default(), asset("AAPL", AssetClass::UsEquity));
        let seconds = |seconds| at(OPEN) + chrono::TimeDelta::seconds(seconds);
        let calm = quote(&apple, "99.99", "100", "100.02", seconds(0));
        assert_eq!(judge(&before, &calm, &apple, seconds(0)), Ok(()));

        let after = Marks::default();
        assert_eq!(after.unmarked(std::slice::from_ref(&apple)), [apple.id]);
        after.recall(before.of_last_trades(&[calm]));
        assert_eq!(after.unmarked(std::slice::from_ref(&apple)), []);
        let bad = quote(&apple, "10", "10", "10.01", seconds(60));
        assert_eq!(judge(&after, &bad, &apple, seconds(60)), Err(Skip::Jump));
    }

    #[test]
    fn a_single_bad_tick_fires_nothing_and_is_forgotten() {
        let (marks, apple) = (Marks::default(), asset("AAPL", AssetClass::UsEquity));
        let seconds = |seconds| at(OPEN) + chrono::TimeDelta::seconds(seconds);
        let calm = |second| quote(&apple, "99.99", "100", "100.02", seconds(second));
        assert_eq!(judge(&marks, &calm(0), &apple, seconds(0)), Ok(()));
        let bad = quote(&apple, "10", "10", "10.01", seconds(1));
        assert_eq!(judge(&marks, &bad, &apple, seconds(1)), Err(Skip::Jump));
        assert_eq!(judge(&marks, &calm(2), &apple, seconds(2)), Ok(()));
    }
}
