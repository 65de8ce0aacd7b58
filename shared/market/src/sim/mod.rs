//! Simulated prices: a step function of (seed, symbol, whole second).
//!
//! Nothing is stored and nothing is drawn: the quote of a second is computed from a hash, so it is the same in every
//! process, after every restart, and however often it is asked for.
//!
//! Invariants:
//! 1. Each second is a new quote that carries that second as its time.
//! 2. A price stays between half and double its starting price, on the grid of its instrument, with the bid below the
//!    ask and the last trade within both.
//! 3. While equities keep the exchange's hours and the market is closed, their quote is that of the closing second.
//! 4. `low` and `high` span the last trades of this second and the one before, within the session.

#[cfg(test)]
mod tests;
mod walk;

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
use domain::asset::{Asset, AssetClass, MarketHours};
use domain::calendar::{self, Session};
use domain::id::AssetId;
use domain::money::{Price, Quantity};
use domain::quote::Quote;
use platform::SharedClock;
use rust_decimal::Decimal;

use crate::catalog::{self, Listing};
use crate::{MarketData, MarketError, ticks};
use walk::{Stream, UNIT, Walk};

/// The spread of a second is the usual one times 50 to 150 percent.
const SPREAD_PERCENT: (i64, i64) = (50, 150);

/// The size of a second is the usual one times 20 to 200 percent.
const SIZE_PERCENT: (i64, i64) = (20, 200);

/// Decimals of a coin's quoted size.
const CRYPTO_SIZE_DECIMALS: u32 = 4;

/// Twice the basis points in one: half a spread on each side of the middle.
const HALVES: Decimal = Decimal::from_parts(20_000, 0, 0, false, 0);

/// A provider that invents plausible prices for the whole [`catalog`].
#[derive(Debug, Clone)]
pub struct Sim {
    clock: SharedClock,
    hours: MarketHours,
    instruments: HashMap<AssetId, Instrument>,
}

#[derive(Debug, Clone)]
struct Instrument {
    listing: &'static Listing,
    walk: Walk,
}

/// Bid, ask and last trade of one second.
struct Prices {
    bid: Price,
    ask: Price,
    last: Price,
}

impl Sim {
    /// Simulates under `seed` at the time of `clock`, with the exchange's hours.
    pub fn new(seed: u64, clock: SharedClock) -> Sim {
        let instruments = catalog::listings()
            .iter()
            .map(|listing| {
                let Asset {
                    id, symbol, class, ..
                } = &listing.asset;
                let walk = Walk::new(seed, symbol, *class, listing.annual_volatility_percent);
                (*id, Instrument { listing, walk })
            })
            .collect();
        Sim {
            clock,
            hours: MarketHours::Real,
            instruments,
        }
    }

    /// The same simulation with other hours.
    #[must_use]
    pub fn with_hours(self, hours: MarketHours) -> Sim {
        Sim { hours, ..self }
    }

    /// The newest quote of an asset at `at`; `None` for what is not in the catalogue, and for equities outside the
    /// years that the calendar knows.
    pub fn quote_at(&self, asset: AssetId, at: DateTime<Utc>) -> Option<Quote> {
        let instrument = self.instruments.get(&asset)?;
        let at = at.trunc_subsecs(0);
        match (instrument.listing.asset.class, self.hours) {
            (AssetClass::Crypto, _) | (AssetClass::UsEquity, MarketHours::Ignore) => {
                instrument.quote(at, None)
            }
            (AssetClass::UsEquity, MarketHours::Real) => {
                let session = calendar::latest_session(at)?;
                instrument.quote(at.min(session.close), Some(session))
            }
        }
    }
}

#[async_trait]
impl MarketData for Sim {
    fn name(&self) -> &'static str {
        "sim"
    }

    async fn quotes(&self, assets: &[Asset]) -> Result<Vec<Quote>, MarketError> {
        let now = self.clock.now();
        Ok(assets
            .iter()
            .filter_map(|asset| self.quote_at(asset.id, now))
            .collect())
    }
}

impl Instrument {
    fn quote(&self, at: DateTime<Utc>, session: Option<Session>) -> Option<Quote> {
        let second = at.timestamp();
        let Prices { bid, ask, last } = self.prices(second)?;
        let is_first = session.is_some_and(|session| at <= session.open);
        let before = if is_first {
            last
        } else {
            self.prices(second - 1)?.last
        };
        Some(Quote {
            asset_id: self.listing.asset.id,
            bid,
            bid_size: self.size(Stream::BidSize, second)?,
            ask,
            ask_size: self.size(Stream::AskSize, second)?,
            last,
            low: last.min(before),
            high: last.max(before),
            at,
        })
    }

    fn prices(&self, second: i64) -> Option<Prices> {
        let asset = &self.listing.asset;
        let middle = self.middle(second)?;
        let wobble = self
            .walk
            .pick(Stream::Spread, second, SPREAD_PERCENT.0, SPREAD_PERCENT.1);
        let half = middle
            .checked_mul(self.listing.spread_bps)?
            .checked_mul(Decimal::new(wobble, 2))?
            .checked_div(HALVES)?;
        let bid = ticks::floor(asset, middle.checked_sub(half)?)?;
        let ask = ticks::ceil(asset, middle.checked_add(half)?)?;
        let ask = if ask > bid { ask } else { ticks::next(asset, bid)? };
        let last = match self.walk.pick(Stream::Last, second, 0, 2) {
            0 => bid,
            1 => ask,
            _ => ticks::nearest(asset, middle)?,
        };
        Some(Prices { bid, ask, last })
    }

    /// The middle between bid and ask before both are put on the grid.
    ///
    /// A deviation of *d* upwards multiplies the starting price by 1 + *d*, the same downwards divides it by that: so
    /// it stays positive without an exponential, and halving is as likely as doubling.
    fn middle(&self, second: i64) -> Option<Decimal> {
        let start = self.listing.start_price.get();
        let deviation = self.walk.deviation(second);
        let factor = Decimal::new(UNIT + deviation.abs(), 9);
        let middle = if deviation < 0 {
            start.checked_div(factor)?
        } else {
            start.checked_mul(factor)?
        };
        Some(middle.round_dp(9))
    }

    fn size(&self, stream: Stream, second: i64) -> Option<Quantity> {
        let percent = self.walk.pick(stream, second, SIZE_PERCENT.0, SIZE_PERCENT.1);
        let size = self
            .listing
            .quoted_size
            .get()
            .checked_mul(Decimal::new(percent, 2))?;
        let size = match self.listing.asset.class {
            AssetClass::UsEquity => size.round().max(Decimal::ONE),
            AssetClass::Crypto => size.round_dp(CRYPTO_SIZE_DECIMALS),
        };
        Quantity::new(size).ok()
    }
}
