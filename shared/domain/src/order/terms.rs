//! What an order says, and the rules that need nothing but the instrument.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::asset::{Asset, AssetClass};
use crate::money::{Notional, Price, Quantity};

macro_rules! wire_names {
    ($type:ident, $unknown:ident: $($variant:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = TermsError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(TermsError::$unknown),
                }
            }
        }
    };
}

/// The side of the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Pays money for units.
    Buy,
    /// Gives units for money.
    Sell,
}
wire_names!(Side, UnknownSide: Buy = "buy", Sell = "sell");

/// How long an order stays alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// Until the close of the session in which it can trade.
    Day,
    /// Until it is canceled.
    Gtc,
    /// Fills at once what can be filled, and cancels the rest.
    Ioc,
    /// Fills at once and whole, or not at all.
    Fok,
}
wire_names!(TimeInForce, UnknownTimeInForce: Day = "day", Gtc = "gtc", Ioc = "ioc", Fok = "fok");

/// What the caller means the order to do to the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionIntent {
    /// Opens or adds to a long position.
    BuyToOpen,
    /// Closes a short position.
    BuyToClose,
    /// Opens or adds to a short position.
    SellToOpen,
    /// Closes a long position.
    SellToClose,
}
wire_names!(PositionIntent, UnknownPositionIntent:
    BuyToOpen = "buy_to_open", BuyToClose = "buy_to_close", SellToOpen = "sell_to_open", SellToClose = "sell_to_close");

impl PositionIntent {
    /// The only side that fits.
    pub const fn side(self) -> Side {
        match self {
            Self::BuyToOpen | Self::BuyToClose => Side::Buy,
            Self::SellToOpen | Self::SellToClose => Side::Sell,
        }
    }
}

/// The kind of an order, with the prices that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OrderKind {
    /// At the best price there is.
    Market,
    /// At `limit_price` (quote currency) or better.
    Limit {
        /// The worst acceptable price, in quote currency.
        limit_price: Price,
    },
}

impl OrderKind {
    /// The name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Limit { .. } => "limit",
        }
    }

    /// The limit price, where the kind has one.
    pub const fn limit_price(self) -> Option<Price> {
        match self {
            Self::Market => None,
            Self::Limit { limit_price } => Some(limit_price),
        }
    }
}

/// How much to trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// This many units.
    Quantity(Quantity),
    /// Units worth this much money.
    Notional(Notional),
}

impl Amount {
    /// The number, in units or in quote currency.
    pub const fn get(self) -> Decimal {
        match self {
            Self::Quantity(quantity) => quantity.get(),
            Self::Notional(notional) => notional.get(),
        }
    }

    /// The quantity, where the amount is one.
    pub const fn quantity(self) -> Option<Quantity> {
        match self {
            Self::Quantity(quantity) => Some(quantity),
            Self::Notional(_) => None,
        }
    }

    /// The notional, where the amount is one.
    pub const fn notional(self) -> Option<Notional> {
        match self {
            Self::Quantity(_) => None,
            Self::Notional(notional) => Some(notional),
        }
    }
}

/// What an order says, apart from who places it and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTerms {
    /// Buy or sell.
    pub side: Side,
    /// How much.
    pub amount: Amount,
    /// Market or limit, with its price.
    pub kind: OrderKind,
    /// How long it stays alive.
    pub time_in_force: TimeInForce,
    /// Whether it may trade before the open and after the close.
    pub extended_hours: bool,
    /// What it is meant to do to the position, if the caller says so.
    pub position_intent: Option<PositionIntent>,
}

/// A rule that the terms of an order break, whoever places it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TermsError {
    /// Neither `buy` nor `sell`.
    #[error("invalid side")]
    UnknownSide,
    /// No time in force that Arbion knows.
    #[error("invalid time_in_force")]
    UnknownTimeInForce,
    /// No position intent that Arbion knows.
    #[error("invalid position_intent")]
    UnknownPositionIntent,
    /// The position intent needs the other side.
    #[error("position_intent {intent} contradicts side {side}")]
    IntentContradictsSide {
        /// What was meant.
        intent: PositionIntent,
        /// What was asked.
        side: Side,
    },
    /// The instrument takes no orders.
    #[error("asset {symbol} is not tradable")]
    NotTradable {
        /// The instrument.
        symbol: String,
    },
    /// The class does not know this time in force.
    #[error("invalid crypto time_in_force")]
    CryptoTimeInForce,
    /// A part of a unit of an instrument that trades whole.
    #[error("asset {symbol} is not fractionable")]
    NotFractionable {
        /// The instrument.
        symbol: String,
    },
    /// Fractional and notional orders of equities end with the day.
    #[error("fractional orders must be DAY orders")]
    FractionalNotDay,
    /// Money amounts are for market orders.
    #[error("notional orders must be market orders")]
    NotionalNotMarket,
    /// Below the smallest order.
    #[error("order size must be >= {minimum} {symbol}")]
    BelowMinimum {
        /// The instrument.
        symbol: String,
        /// The smallest quantity, in units.
        minimum: Decimal,
    },
    /// Between two steps of quantity.
    #[error("qty must be a multiple of {increment}")]
    QuantityIncrement {
        /// The step, in units.
        increment: Decimal,
    },
    /// A notional with parts of a cent.
    #[error("notional value must be limited to 2 decimal places")]
    NotionalIncrement,
    /// Between two steps of price (SEC Rule 612 for equities).
    #[error("invalid limit_price {price}. sub-penny increment does not fulfill minimum pricing criteria")]
    PriceIncrement {
        /// What was asked, in quote currency.
        price: Price,
        /// The step, in quote currency.
        increment: Decimal,
    },
    /// Extended hours are for limit orders of the day (or until canceled).
    #[error("extended hours order must be DAY or GTC limit orders")]
    ExtendedHours,
    /// Price × quantity leaves the range that is kept exactly.
    #[error("the order's notional must be < 10000000000")]
    NotionalTooLarge,
}

impl OrderTerms {
    /// Checks every rule that needs nothing but the instrument; the first one that is broken is the answer.
    pub fn check(&self, asset: &Asset) -> Result<(), TermsError> {
        if !asset.tradable {
            return Err(TermsError::NotTradable {
                symbol: asset.symbol.clone(),
            });
        }
        if let Some(intent) = self.position_intent.filter(|intent| intent.side() != self.side) {
            return Err(TermsError::IntentContradictsSide {
                intent,
                side: self.side,
            });
        }
        self.check_times(asset)?;
        self.check_amount(asset)?;
        self.check_price(asset)
    }

    fn check_times(&self, asset: &Asset) -> Result<(), TermsError> {
        let for_crypto = matches!(self.time_in_force, TimeInForce::Gtc | TimeInForce::Ioc);
        if asset.class == AssetClass::Crypto && !for_crypto {
            return Err(TermsError::CryptoTimeInForce);
        }
        let resting = matches!(self.time_in_force, TimeInForce::Day | TimeInForce::Gtc);
        if self.extended_hours && !(resting && self.kind.limit_price().is_some()) {
            return Err(TermsError::ExtendedHours);
        }
        Ok(())
    }

    fn check_amount(&self, asset: &Asset) -> Result<(), TermsError> {
        let quantity = match self.amount {
            Amount::Notional(notional) => {
                if self.kind != OrderKind::Market {
                    return Err(TermsError::NotionalNotMarket);
                }
                if notional.get().scale() > 2 {
                    return Err(TermsError::NotionalIncrement);
                }
                return self.check_fraction(asset, true);
            }
            Amount::Quantity(quantity) => quantity.get(),
        };
        self.check_fraction(asset, !quantity.is_integer())?;
        if quantity < asset.min_order_size {
            let symbol = asset.symbol.clone();
            return Err(TermsError::BelowMinimum {
                symbol,
                minimum: asset.min_order_size,
            });
        }
        if !is_multiple(quantity, asset.min_trade_increment) {
            return Err(TermsError::QuantityIncrement {
                increment: asset.min_trade_increment,
            });
        }
        Ok(())
    }

    fn check_fraction(&self, asset: &Asset, is_fraction: bool) -> Result<(), TermsError> {
        if !is_fraction {
            return Ok(());
        }
        if !asset.fractionable {
            return Err(TermsError::NotFractionable {
                symbol: asset.symbol.clone(),
            });
        }
        if asset.class == AssetClass::UsEquity && self.time_in_force != TimeInForce::Day {
            return Err(TermsError::FractionalNotDay);
        }
        Ok(())
    }

    fn check_price(&self, asset: &Asset) -> Result<(), TermsError> {
        let Some(price) = self.kind.limit_price() else {
            return Ok(());
        };
        let increment = asset.price_increment_at(price.get());
        if !is_multiple(price.get(), increment) {
            return Err(TermsError::PriceIncrement { price, increment });
        }
        crate::money::cost(price.get(), self.amount.get()).map_err(|_| TermsError::NotionalTooLarge)?;
        Ok(())
    }
}

fn is_multiple(value: Decimal, step: Decimal) -> bool {
    value.checked_rem(step).is_some_and(|rest| rest.is_zero())
}
