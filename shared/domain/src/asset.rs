//! Instruments: their class, symbol, rules of size and price, and when they trade.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::calendar;
use crate::id::AssetId;

/// The namespace of asset ids, itself the version 5 UUID of `arbion.assets` in the URL namespace.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f3c_86a4_9a55_5d0c_8a3b_4f1d_27c9_0e61);

/// The kind of an instrument, by Alpaca's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetClass {
    /// A share that is listed in the United States.
    UsEquity,
    /// A pair of a coin and the quote currency.
    Crypto,
}

/// A text that names no asset class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown asset class")]
pub struct UnknownAssetClass;

impl AssetClass {
    /// The name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UsEquity => "us_equity",
            Self::Crypto => "crypto",
        }
    }

    /// Whether the regular session of this class is open at `at`.
    pub fn is_in_session(self, at: DateTime<Utc>, hours: MarketHours) -> bool {
        match (self, hours) {
            (Self::Crypto, _) | (Self::UsEquity, MarketHours::Ignore) => true,
            (Self::UsEquity, MarketHours::Real) => calendar::is_open(at),
        }
    }

    /// When an order for the day that is accepted at `at` is over, where it never left: at the close of the session in
    /// which it could have traded, or of that session's extended hours; where no hours are kept, with its date in New
    /// York.
    pub fn day_ends(
        self,
        at: DateTime<Utc>,
        extended_hours: bool,
        hours: MarketHours,
    ) -> Option<DateTime<Utc>> {
        match (self, hours) {
            (Self::UsEquity, MarketHours::Real) if extended_hours => {
                calendar::sessions(calendar::trading_date(at), NaiveDate::MAX)
                    .map(|session| session.extended_close)
                    .find(|close| *close > at)
            }
            (Self::UsEquity, MarketHours::Real) => calendar::next_close(at),
            (Self::Crypto, _) | (Self::UsEquity, MarketHours::Ignore) => {
                let midnight = calendar::trading_date(at).succ_opt()?.and_hms_opt(0, 0, 0)?;
                let midnight = midnight
                    .and_local_timezone(chrono_tz::America::New_York)
                    .earliest()?;
                Some(midnight.with_timezone(&Utc))
            }
        }
    }
}

impl fmt::Display for AssetClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AssetClass {
    type Err = UnknownAssetClass;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "us_equity" => Ok(Self::UsEquity),
            "crypto" => Ok(Self::Crypto),
            _ => Err(UnknownAssetClass),
        }
    }
}

/// Whether equities keep the exchange's hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarketHours {
    /// The exchange's calendar, holidays and early closes included.
    Real,
    /// Always open: for newcomers and tests, with paper accounts only.
    Ignore,
}

/// What an order keeps of its instrument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// Equal in every process: see [`Asset::id_of`].
    pub id: AssetId,
    /// `AAPL`, `BTC/USD`.
    pub symbol: String,
    /// The kind of instrument.
    pub class: AssetClass,
}

/// An instrument that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Equal in every process: see [`Asset::id_of`].
    pub id: AssetId,
    /// `AAPL`, `BTC/USD`.
    pub symbol: String,
    /// The kind of instrument.
    pub class: AssetClass,
    /// The listing exchange, by Alpaca's names (`NASDAQ`, `NYSE`, `ARCA`, `CRYPTO`).
    pub exchange: String,
    /// The issuer's or the pair's full name.
    pub name: String,
    /// Whether orders are accepted at all.
    pub tradable: bool,
    /// Whether parts of a unit can be traded.
    pub fractionable: bool,
    /// The smallest quantity of one order, in units.
    pub min_order_size: Decimal,
    /// Quantities are multiples of this, in units.
    pub min_trade_increment: Decimal,
    /// Prices are multiples of this, in quote currency; for equities see [`Asset::price_increment_at`].
    pub price_increment: Decimal,
}

impl Asset {
    /// The id of the instrument `symbol` of `class`.
    pub fn id_of(class: AssetClass, symbol: &str) -> AssetId {
        AssetId(Uuid::new_v5(&NAMESPACE, format!("{class}:{symbol}").as_bytes()))
    }

    /// The smallest step between two prices near `price`, in quote currency.
    ///
    /// Equities: a cent from one dollar up, a hundredth of a cent below (SEC Rule 612).
    pub fn price_increment_at(&self, price: Decimal) -> Decimal {
        match self.class {
            AssetClass::UsEquity if price < Decimal::ONE => Decimal::new(1, 4),
            AssetClass::UsEquity => Decimal::new(1, 2),
            AssetClass::Crypto => self.price_increment,
        }
    }

    /// What an order keeps of it.
    pub fn instrument(&self) -> Instrument {
        Instrument {
            id: self.id,
            symbol: self.symbol.clone(),
            class: self.class,
        }
    }

    /// The symbol without its slash, as some clients write pairs (`BTCUSD`).
    pub fn compact_symbol(&self) -> String {
        self.symbol.replace('/', "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_id_depends_on_class_and_symbol_alone() {
        let id = Asset::id_of(AssetClass::UsEquity, "AAPL");
        assert_eq!(id, Asset::id_of(AssetClass::UsEquity, "AAPL"));
        assert_ne!(id, Asset::id_of(AssetClass::Crypto, "AAPL"));
        assert_eq!(id.0.get_version_num(), 5);
    }

    #[test]
    fn an_order_for_the_day_ends_with_its_session_or_its_date() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let ends = |from: &str, hours| AssetClass::UsEquity.day_ends(at(from), false, hours);
        let cases = [
            (
                "in session",
                "2026-11-24T15:30:00Z",
                MarketHours::Real,
                "2026-11-24T21:00:00Z",
            ),
            (
                "after the close",
                "2026-11-24T22:00:00Z",
                MarketHours::Real,
                "2026-11-25T21:00:00Z",
            ),
            (
                "the day after Thanksgiving",
                "2026-11-27T15:30:00Z",
                MarketHours::Real,
                "2026-11-27T18:00:00Z",
            ),
            (
                "no hours",
                "2026-11-24T15:30:00Z",
                MarketHours::Ignore,
                "2026-11-25T05:00:00Z",
            ),
            (
                "no hours, late",
                "2026-11-25T04:59:59Z",
                MarketHours::Ignore,
                "2026-11-25T05:00:00Z",
            ),
        ];
        for (name, from, hours, end) in cases {
            assert_eq!(ends(from, hours), Some(at(end)), "{name}");
        }
        let late = AssetClass::UsEquity.day_ends(at("2026-11-24T21:30:00Z"), true, MarketHours::Real);
        assert_eq!(
            late,
            Some(at("2026-11-25T01:00:00Z")),
            "extended hours of the same day"
        );
        let night = AssetClass::UsEquity.day_ends(at("2026-11-25T01:00:00Z"), true, MarketHours::Real);
        assert_eq!(night, Some(at("2026-11-26T01:00:00Z")), "the next day's");
    }

    #[test]
    fn classes_are_written_and_read_alike() {
        for class in [AssetClass::UsEquity, AssetClass::Crypto] {
            assert_eq!(class.to_string().parse(), Ok(class));
        }
        assert_eq!("us_option".parse::<AssetClass>(), Err(UnknownAssetClass));
    }
}
