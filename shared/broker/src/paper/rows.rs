//! The venue's rows: what its book keeps, in the domain's types.

use chrono::{DateTime, Utc};
use domain::fill_model::{Asking, Step};
use domain::id::{AssetId, BrokerOrderId, ConnectionId, OrderId};
use domain::money::{Notional, Quantity};
use domain::order::{Amount, OrderKind, Side, TimeInForce};
use domain::quote::Quote;
use domain::reconcile::{Report, Reported, VenueOrder};
use domain::trigger::{Direction, PriceKey};
use rust_decimal::Decimal;

use super::hours::Phase;
use crate::Outcome;

/// An instrument: its last quote, and what orders have left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AssetRow {
    pub(super) asset_id: AssetId,
    /// `None` until the first quote.
    pub(super) quoted: Option<Quoted>,
}

/// A quote that the venue was fed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quoted {
    pub(super) quote: Quote,
    pub(super) step: Step,
    /// The phase in which resting orders have met it.
    pub(super) matched_in: Phase,
}

impl Quoted {
    /// The price that orders on `side` meet, as an integer that [their keys](OrderRow::price_key) are compared with.
    pub(super) fn price_key(&self, side: Side) -> i64 {
        match side {
            Side::Buy => PriceKey::rounded(self.quote.ask.get(), Direction::Rising).0,
            Side::Sell => PriceKey::rounded(self.quote.bid.get(), Direction::Falling).0,
        }
    }
}

/// What the resting orders of one side must reach to fill at a quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) asset_id: AssetId,
    pub(super) side: Side,
    /// The greatest key of sells, the least of buys.
    pub(super) key: i64,
    /// Whether orders trade that are not for extended hours.
    pub(super) is_regular: bool,
}

/// An account at the venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccountRow {
    pub(super) connection_id: ConnectionId,
    /// Money, in quote currency, what is held included.
    pub(super) cash: Decimal,
    /// Money that open buys hold.
    pub(super) held: Decimal,
    /// The number of the last journal row.
    pub(super) last_seq: i64,
}

/// Units that an account owns of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PositionRow {
    pub(super) quantity: Decimal,
    /// Units that open sells hold.
    pub(super) held: Decimal,
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Filled,
    Canceled,
    Expired,
    Refused,
    Replaced,
}

impl Ended {
    const ALL: [Self; 5] = [
        Self::Filled,
        Self::Canceled,
        Self::Expired,
        Self::Refused,
        Self::Replaced,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Replaced => "replaced",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ended| ended.as_str() == text)
    }
}

/// An order at the venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrderRow {
    pub(super) id: OrderId,
    pub(super) connection_id: ConnectionId,
    pub(super) asset_id: AssetId,
    pub(super) replaces: Option<OrderId>,
    pub(super) side: Side,
    pub(super) kind: OrderKind,
    pub(super) time_in_force: TimeInForce,
    pub(super) amount: Amount,
    pub(super) extended_hours: bool,
    pub(super) entered_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    /// When time alone does something to it.
    pub(super) due_at: DateTime<Utc>,
    pub(super) is_working: bool,
    pub(super) filled_quantity: Decimal,
    pub(super) filled_cost: Decimal,
    pub(super) fills: i64,
    /// What it holds for its rest: money (buy) or units (sell).
    pub(super) held: Decimal,
    pub(super) ended: Option<Ended>,
    pub(super) reason: Option<String>,
    pub(super) closed_at: Option<DateTime<Utc>>,
}

impl OrderRow {
    pub(super) const fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    /// What is still to fill; `None` when there is nothing.
    pub(super) fn remaining(&self) -> Option<Amount> {
        match self.amount {
            Amount::Quantity(quantity) => Quantity::new(quantity.get() - self.filled_quantity)
                .ok()
                .map(Amount::Quantity),
            Amount::Notional(notional) => Notional::new(notional.get() - self.filled_cost)
                .ok()
                .map(Amount::Notional),
        }
    }

    /// The order as the fill model sees it.
    pub(super) fn asking(&self) -> Option<Asking> {
        Some(Asking {
            side: self.side,
            kind: self.kind,
            time_in_force: self.time_in_force,
            remaining: self.remaining()?,
            was_tried: false,
        })
    }

    /// Orders as integers which a quote's keys are compared with: a buy meets an ask up to its key, a sell a bid from its
    /// key on.
    pub(super) fn price_key(&self) -> i64 {
        match (self.kind, self.side) {
            (OrderKind::Limit { limit_price }, _) => PriceKey::exact(limit_price).0,
            (OrderKind::Market, Side::Buy) => i64::MAX,
            (OrderKind::Market, Side::Sell) => i64::MIN,
        }
    }

    /// The venue's own id for the order.
    pub(super) fn broker_order_id(&self) -> BrokerOrderId {
        broker_order_id(self.id)
    }

    /// What its sender is told, the first time and every time.
    pub(super) fn outcome(&self) -> Outcome {
        match self.refusal() {
            Some(reason) => Outcome::Refused { reason },
            None => Outcome::Acknowledged {
                broker_order_id: Some(self.broker_order_id()),
                is_working: self.is_working,
            },
        }
    }

    /// What a look-up finds.
    pub(super) fn found(&self) -> VenueOrder {
        VenueOrder {
            broker_order_id: self.broker_order_id(),
            is_working: self.is_working,
            refused: self.refusal(),
        }
    }

    fn refusal(&self) -> Option<String> {
        (self.ended == Some(Ended::Refused)).then(|| self.reason.clone().unwrap_or_default())
    }
}

/// One row of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JournalRow {
    pub(super) connection_id: ConnectionId,
    pub(super) seq: i64,
    pub(super) order_id: OrderId,
    pub(super) at: DateTime<Utc>,
    pub(super) what: Reported,
}

impl JournalRow {
    pub(super) fn report(self) -> Report {
        Report {
            order_id: self.order_id,
            broker_order_id: Some(broker_order_id(self.order_id)),
            at: self.at,
            what: self.what,
        }
    }
}

fn broker_order_id(id: OrderId) -> BrokerOrderId {
    BrokerOrderId(format!("paper-{id}"))
}
