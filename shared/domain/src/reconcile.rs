//! What a broker tells about an order, and what that means for ours.
//!
//! 1. A [`Report`] is one thing that happened at the venue, in the venue's order; each becomes one event of ours.
//! 2. A look-up ([`VenueOrder`]) answers only whether the venue has the order. Fills and ends come by reports, so that
//!    none is counted twice and none overtakes its fills.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::fill::Fill;
use crate::id::{BrokerOrderId, OrderId};
use crate::lifecycle::OrderEvent;

/// One thing that happened to an order at the venue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Our id, which travelled to the venue as its client id.
    pub order_id: OrderId,
    /// The venue's id.
    pub broker_order_id: Option<BrokerOrderId>,
    /// The venue's time.
    pub at: DateTime<Utc>,
    /// What happened.
    pub what: Reported,
}

/// What happened to an order at the venue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reported {
    /// The venue has it.
    Acknowledged {
        /// Whether it is at work, not only held for the session.
        is_working: bool,
    },
    /// Units changed hands.
    Filled(Fill),
    /// It was canceled.
    Canceled,
    /// It was not canceled.
    CancelRefused {
        /// The venue's words.
        reason: String,
    },
    /// Its time was over.
    Expired,
    /// It was refused, at once or later.
    Refused {
        /// The venue's words.
        reason: String,
    },
    /// Another order took its place.
    Replaced,
    /// No other order took its place.
    ReplaceRefused {
        /// The venue's words.
        reason: String,
    },
}

impl Report {
    /// The event that this report is for our order.
    pub fn event(&self) -> OrderEvent {
        match &self.what {
            Reported::Acknowledged { is_working } => OrderEvent::Acknowledged {
                broker_order_id: self.broker_order_id.clone(),
                is_working: *is_working,
            },
            Reported::Filled(fill) => OrderEvent::Filled(fill.clone()),
            Reported::Canceled => OrderEvent::Canceled,
            Reported::CancelRefused { reason } => OrderEvent::CancelRefused {
                reason: reason.clone(),
            },
            Reported::Expired => OrderEvent::Expired,
            Reported::Refused { reason } => OrderEvent::Refused {
                reason: reason.clone(),
            },
            Reported::Replaced => OrderEvent::Replaced,
            Reported::ReplaceRefused { reason } => OrderEvent::ReplaceRefused {
                reason: reason.clone(),
            },
        }
    }
}

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VenueOrder {
    /// The venue's id.
    pub broker_order_id: BrokerOrderId,
    /// Whether it is (or was) at work.
    pub is_working: bool,
    /// The venue's words, where it refused the order.
    pub refused: Option<String>,
}

impl VenueOrder {
    /// The event that finding it is for our order.
    pub fn event(&self) -> OrderEvent {
        match &self.refused {
            Some(reason) => OrderEvent::Refused {
                reason: reason.clone(),
            },
            None => OrderEvent::Acknowledged {
                broker_order_id: Some(self.broker_order_id.clone()),
                is_working: self.is_working,
            },
        }
    }
}
