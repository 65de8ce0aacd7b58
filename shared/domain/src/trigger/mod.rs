//! Price triggers: a stop that the server fires by itself.
//!
//! 1. SQL finds candidates by [`PriceKey`]; [`decide`] has the last word, on the exact decimal.
//! 2. A stale, crossed, absurd or out-of-session quote fires nothing.
//! 3. `armed → firing` happens once per generation, together with the exit order; a new generation starts only when the
//!    last exit is final with quantity left.
//! 4. An exit never sells more than is owned: its quantity is settled when it is released.

use std::fmt;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::asset::AssetClass;
use crate::id::{AccountId, AssetId, OrderId, TriggerId, UserId};
use crate::money::{Price, Quantity};
use crate::quote::{Distrust, Purpose, Quote};

/// Which price of a quote is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The last trade.
    Last,
    /// The best price someone pays.
    Bid,
    /// The best price someone asks.
    Ask,
    /// The middle between bid and ask.
    Mid,
}

impl Reference {
    /// Every reference.
    pub const ALL: [Self; 4] = [Self::Last, Self::Bid, Self::Ask, Self::Mid];

    /// The name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Bid => "bid",
            Self::Ask => "ask",
            Self::Mid => "mid",
        }
    }

    /// The price that this reference reads from `quote`, in quote currency.
    pub fn of(self, quote: &Quote) -> Decimal {
        match self {
            Self::Last => quote.last.get(),
            Self::Bid => quote.bid.get(),
            Self::Ask => quote.ask.get(),
            Self::Mid => quote.mid(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which way the price has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Fires at or below the trigger price: protects a long position.
    Falling,
    /// Fires at or above the trigger price: takes profit of a long position.
    Rising,
}

impl Direction {
    /// Both directions.
    pub const ALL: [Self; 2] = [Self::Falling, Self::Rising];

    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Falling => "falling",
            Self::Rising => "rising",
        }
    }
}

/// Where a trigger stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerState {
    /// Watches the price.
    Armed,
    /// Has fired; its exit order is on its way.
    Firing,
    /// Its exit has ended, or its position has.
    Done,
    /// Its owner took it back.
    Canceled,
}

impl TriggerState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Armed, Self::Firing, Self::Done, Self::Canceled];

    /// The name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Armed => "armed",
            Self::Firing => "firing",
            Self::Done => "done",
            Self::Canceled => "canceled",
        }
    }

    /// Whether it may still sell something.
    pub const fn is_live(self) -> bool {
        match self {
            Self::Armed | Self::Firing => true,
            Self::Done | Self::Canceled => false,
        }
    }
}

/// Price × 10⁹ as an integer that sorts as prices do: what an index can compare on every database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PriceKey(pub i64);

impl PriceKey {
    /// The key of a trigger's price; exact, since prices have at most nine decimals and stay below 9·10⁹.
    pub fn exact(price: Price) -> Self {
        Self::rounded(price.get(), Direction::Falling)
    }

    /// The key of a reference price, rounded towards firing, so that no candidate is missed.
    pub fn rounded(price: Decimal, direction: Direction) -> Self {
        let scaled = price * Decimal::from(1_000_000_000);
        let whole = match direction {
            Direction::Falling => scaled.floor(),
            Direction::Rising => scaled.ceil(),
        };
        Self(i64::try_from(whole).unwrap_or(i64::MAX))
    }
}

/// A protection of a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its id.
    pub id: TriggerId,
    /// Whose position it is.
    pub user_id: UserId,
    /// Where the position is.
    pub account_id: AccountId,
    /// The instrument.
    pub asset_id: AssetId,
    /// The instrument's symbol, as shown.
    pub symbol: String,
    /// The instrument's class.
    pub asset_class: AssetClass,
    /// Which way the price has to go.
    pub direction: Direction,
    /// Which price is compared.
    pub reference: Reference,
    /// The price at which it fires, in quote currency.
    pub stop_price: Price,
    /// How much it sells; `None` is the whole position.
    pub quantity: Option<Quantity>,
    /// Where it stands.
    pub state: TriggerState,
    /// How often it has been armed; starts at 1.
    pub generation: i32,
    /// The exit of the present generation.
    pub exit_order_id: Option<OrderId>,
    /// The price that fired it, in quote currency.
    pub fired_price: Option<Decimal>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When anything about it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it fired.
    pub fired_at: Option<DateTime<Utc>>,
    /// Why it ended, in a word (`exit_filled`, `position_closed`, `canceled`).
    pub ended_because: Option<String>,
}

/// Why a trigger cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TriggerError {
    /// Nothing to protect.
    #[error("position does not exist")]
    NoPosition,
    /// Short positions are not protected yet.
    #[error("only long positions can be protected")]
    ShortPosition,
    /// More than is owned.
    #[error("quantity {requested} exceeds the position of {owned}")]
    ExceedsPosition {
        /// What was asked, in units.
        requested: Decimal,
        /// What is owned, in units.
        owned: Decimal,
    },
    /// It would fire at once.
    #[error("stop price must be less than current price")]
    ThroughAlready {
        /// The price that fires, in quote currency.
        stop_price: Decimal,
        /// The price now, in quote currency.
        market_price: Decimal,
    },
    /// The position is protected already by as much.
    #[error("the position is protected already")]
    AlreadyProtected {
        /// The trigger that protects it.
        existing: TriggerId,
    },
}

/// What a quote means for a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The price is through: sell.
    Fire {
        /// The reference price, in quote currency.
        price: Decimal,
    },
    /// The price is not through.
    Hold,
    /// The quote is not to be believed.
    Distrusted(Distrust),
}

/// Whether `trigger` fires at `quote`. Jumps between quotes are judged before, once per instrument
/// ([`crate::quote::confirm`]).
pub fn decide(trigger: &Trigger, quote: &Quote, now: DateTime<Utc>, in_session: bool) -> Decision {
    if let Err(distrust) = quote.trust(Purpose::Trigger, now, in_session) {
        return Decision::Distrusted(distrust);
    }
    let price = trigger.reference.of(quote);
    let is_through = match trigger.direction {
        Direction::Falling => price <= trigger.stop_price.get(),
        Direction::Rising => price >= trigger.stop_price.get(),
    };
    if is_through {
        Decision::Fire { price }
    } else {
        Decision::Hold
    }
}

/// How much the exit sells when it is released, in units; `None` where nothing is left to sell.
///
/// `wanted` is what the trigger was to sell (`None`: everything), `owned` the position, `committed` what other live
/// exits sell already.
pub fn exit_quantity(wanted: Option<Quantity>, owned: Decimal, committed: Decimal) -> Option<Quantity> {
    let free = owned - committed;
    let quantity = wanted.map_or(free, |wanted| wanted.get().min(free));
    Quantity::new(quantity).ok()
}

#[cfg(test)]
mod tests;
