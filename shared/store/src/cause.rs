//! Why something happened: stored beside what happened.

use chrono::{DateTime, Utc};
use domain::id::{CredentialId, OrderId, TriggerId};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Who or what made an order move; the `cause` of an `order_events` row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Cause {
    /// Someone asked over the API.
    Request {
        /// The id that the answer carried.
        request_id: String,
        /// How they proved who they are.
        credential_id: Option<CredentialId>,
    },
    /// A price trigger fired.
    Trigger {
        /// Which one.
        trigger_id: TriggerId,
        /// The reference price, in quote currency.
        price: Decimal,
        /// The time of the quote.
        quote_at: DateTime<Utc>,
    },
    /// The venue reported it.
    Venue {
        /// Which broker.
        broker: String,
        /// The venue's time.
        at: DateTime<Utc>,
    },
    /// A worker found it out while sending.
    Worker {
        /// What it saw.
        reason: String,
    },
    /// It follows from what happened to another order.
    Order {
        /// Which one.
        order_id: OrderId,
    },
    /// The clock.
    Tick {
        /// Which tick.
        name: String,
    },
}

impl Cause {
    /// As it stands in the row: ids, numbers and words, which are always valid JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self)
            .unwrap_or_else(|error| serde_json::json!({ "unreadable": error.to_string() }))
    }
}
