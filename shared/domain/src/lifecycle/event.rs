//! What can happen to an order.

use super::Phase;

use serde::{Deserialize, Serialize};

use crate::fill::Fill;
use crate::id::{BrokerOrderId, OrderId};
use crate::money::Quantity;

/// Something that happens to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderEvent {
    /// What held it has ended.
    Released,
    /// The exit of a trigger learns how much there is to sell.
    Restated {
        /// The new quantity, in units.
        quantity: Quantity,
    },
    /// An attempt to send it begins.
    SendStarted,
    /// The attempt ended, and nothing left for certain.
    NotSent,
    /// The attempt ended without a readable answer.
    OutcomeUnknown,
    /// The broker has it.
    Acknowledged {
        /// The broker's id, where it gives one at once.
        broker_order_id: Option<BrokerOrderId>,
        /// Whether it is at work already.
        is_working: bool,
    },
    /// The broker does not want it.
    Refused {
        /// The broker's words.
        reason: String,
    },
    /// Units changed hands.
    Filled(Fill),
    /// Its owner (or the server) asks for its end.
    CancelRequested,
    /// The venue says that it is canceled.
    Canceled,
    /// The venue says that it can't be canceled.
    CancelRefused {
        /// The broker's words.
        reason: String,
    },
    /// Its time is over.
    Expired,
    /// Its owner asks for another order in its place.
    ReplaceRequested {
        /// The order that shall take its place.
        replaced_by: OrderId,
    },
    /// The venue says that the other order is in place.
    Replaced,
    /// The venue says that it can't be replaced.
    ReplaceRefused {
        /// The broker's words.
        reason: String,
    },
}

/// An event without its data, as the table knows it: a fill is partial or final by its quantities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// What held it has ended.
    Released,
    /// Its quantity was set.
    Restated,
    /// An attempt begins.
    SendStarted,
    /// Nothing left, for certain.
    NotSent,
    /// Nobody knows.
    OutcomeUnknown,
    /// The broker has it and holds it.
    AcknowledgedHeld,
    /// The broker has it at work.
    AcknowledgedWorking,
    /// The broker does not want it.
    Refused,
    /// Some units changed hands; more are to come.
    PartialFill,
    /// The last units changed hands.
    FinalFill,
    /// Its end is asked for.
    CancelRequested,
    /// The venue ended it.
    Canceled,
    /// The venue did not end it.
    CancelRefused,
    /// Its time is over.
    Expired,
    /// Another order shall take its place.
    ReplaceRequested,
    /// Another order took its place.
    Replaced,
    /// The venue did not replace it.
    ReplaceRefused,
}

impl EventKind {
    /// Every kind, in the order of the table.
    pub const ALL: [Self; 17] = [
        Self::Released,
        Self::Restated,
        Self::SendStarted,
        Self::NotSent,
        Self::OutcomeUnknown,
        Self::AcknowledgedHeld,
        Self::AcknowledgedWorking,
        Self::Refused,
        Self::PartialFill,
        Self::FinalFill,
        Self::CancelRequested,
        Self::Canceled,
        Self::CancelRefused,
        Self::Expired,
        Self::ReplaceRequested,
        Self::Replaced,
        Self::ReplaceRefused,
    ];

    /// The name in `order_events`, by Alpaca's trade events where one fits; `None` for what an attempt's row records.
    pub const fn recorded_as(self, to: Phase) -> Option<&'static str> {
        match self {
            Self::SendStarted | Self::NotSent | Self::OutcomeUnknown => match to {
                Phase::Closed(_) => Some("canceled"),
                Phase::Held
                | Phase::Unsent
                | Phase::Sending
                | Phase::Unconfirmed
                | Phase::VenueHolds
                | Phase::Working
                | Phase::CancelAsked
                | Phase::ReplaceAsked => None,
            },
            Self::Released => Some("released"),
            Self::Restated => Some("restated"),
            Self::AcknowledgedHeld => Some("accepted"),
            Self::AcknowledgedWorking => Some("new"),
            Self::Refused => Some("rejected"),
            Self::PartialFill => Some("partial_fill"),
            Self::FinalFill => Some("fill"),
            Self::CancelRequested => match to {
                Phase::Closed(_) => Some("canceled"),
                Phase::Held
                | Phase::Unsent
                | Phase::Sending
                | Phase::Unconfirmed
                | Phase::VenueHolds
                | Phase::Working
                | Phase::CancelAsked
                | Phase::ReplaceAsked => Some("pending_cancel"),
            },
            Self::Canceled => Some("canceled"),
            Self::CancelRefused => Some("order_cancel_rejected"),
            Self::Expired => Some("expired"),
            Self::ReplaceRequested => Some("pending_replace"),
            Self::Replaced => Some("replaced"),
            Self::ReplaceRefused => Some("order_replace_rejected"),
        }
    }
}
