//! Orders: what someone asks for ([`OrderTerms`]), and what Arbion holds on to ([`Order`]).
//!
//! 1. Illegal shapes do not compile: a kind carries its own prices, an amount is a quantity *or* a notional.
//! 2. [`OrderTerms::check`] is the one place for rules that need the instrument only. It answers with the first rule
//!    that is broken, in a fixed order.
//! 3. What an order *is* at a moment is decided by its facts: see [`crate::lifecycle`].

mod terms;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::asset::{AssetClass, Instrument};
use crate::id::{AccountId, AssetId, BrokerOrderId, ClientOrderId, GroupId, OrderId, TriggerId, UserId};
use crate::lifecycle::Facts;

pub use terms::{Amount, OrderKind, OrderTerms, PositionIntent, Side, TermsError, TimeInForce};

/// What makes an order wait before it may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// The exit of a fired trigger, until the sells that hold its quantity have ended.
    Trigger(TriggerId),
}

/// An order that asks to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// Its id, made by the caller.
    pub id: OrderId,
    /// Whose limits count, over all accounts.
    pub user_id: UserId,
    /// Where money and positions move.
    pub account_id: AccountId,
    /// The caller's name for it.
    pub client_order_id: ClientOrderId,
    /// The instrument.
    pub instrument: Instrument,
    /// What it says.
    pub terms: OrderTerms,
    /// The exit of a trigger waits for other sells.
    pub held_by: Option<HeldBy>,
    /// When it was asked for; becomes the time of acceptance.
    pub submitted_at: DateTime<Utc>,
}

/// An accepted order: its terms, its book-keeping and its facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Whose limits count.
    pub user_id: UserId,
    /// Where money and positions move.
    pub account_id: AccountId,
    /// Shares one reservation with the orders of the same group.
    pub group_id: GroupId,
    /// The caller's name for it, and the id that travels to the broker is derived from [`Order::id`].
    pub client_order_id: ClientOrderId,
    /// The instrument.
    pub asset_id: AssetId,
    /// The instrument's symbol, as shown.
    pub symbol: String,
    /// The instrument's class.
    pub asset_class: AssetClass,
    /// What it says.
    pub terms: OrderTerms,
    /// What is reserved for each unit of its amount: money for a buy, units for a sell (see [`crate::account`]).
    pub reserve_rate: Decimal,
    /// What each unit of its amount counts against daily limits, in quote currency; zero for an exit.
    pub exposure_rate: Decimal,
    /// The day whose limits it counted against: the date in New York.
    pub trading_date: NaiveDate,
    /// The order that this one replaces.
    pub replaces: Option<OrderId>,
    /// When it was accepted; never changes.
    pub submitted_at: DateTime<Utc>,
    /// When anything about it last changed.
    pub updated_at: DateTime<Utc>,
    /// The broker's id for it, once known.
    pub broker_order_id: Option<BrokerOrderId>,
    /// What has happened to it.
    pub facts: Facts,
}

impl Order {
    /// How much of the amount is filled, in its own unit (units, or quote currency for a notional).
    pub fn filled_amount(&self) -> Decimal {
        match self.terms.amount {
            Amount::Quantity(_) => self.facts.filled_quantity,
            Amount::Notional(_) => self.facts.filled_cost,
        }
    }

    /// How much of the amount is still to fill, in its own unit; never negative.
    pub fn remaining_amount(&self) -> Decimal {
        (self.terms.amount.get() - self.filled_amount()).max(Decimal::ZERO)
    }

    /// The average price of its fills, in quote currency.
    pub fn filled_average_price(&self) -> Option<Decimal> {
        crate::money::average(self.facts.filled_cost, self.facts.filled_quantity)
    }
}

#[cfg(test)]
mod tests;
