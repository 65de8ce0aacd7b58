//! The life of an order: its facts, the phase they amount to, and the one table of legal moves.
//!
//! 1. [`Facts`] are what is stored. [`Phase`] is computed from them, and [`OrderStatus`] is what a phase shows to a
//!    reader: nothing is ever scheduled by a status.
//! 2. [`next`] is the whole table: a `match` on (phase, event) without a wildcard, so that a new phase or event does not
//!    compile until every pair is decided.
//! 3. Fills are facts: one that arrives after the end is recorded and raises an alarm; it is never refused.
//! 4. *Refused* is the broker's word, *canceled* was asked for, *expired* came by time.
//!
//! ```text
//! Held ─release─► Unsent ─send─► Sending ─ack─► VenueHolds ─► Working ─fill─► Closed(Filled)
//!                    ▲              │ unknown        │             ├─ cancel asked ─► CancelAsked ─► Closed(Canceled)
//!                    └─ not sent ───┴─► Unconfirmed ─┴─ack─►       └─ replace asked ► ReplaceAsked ► Closed(Replaced)
//! ```

mod apply;
mod event;
mod table;

use std::fmt;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::id::OrderId;
use crate::order::HeldBy;

/// How far the sending of an order got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Submission {
    /// No byte has left, for certain.
    Unsent,
    /// An attempt is under way.
    Sending,
    /// An attempt ended without a readable answer: it is looked up until it is known.
    Unconfirmed,
    /// The broker has it.
    Acknowledged,
}

impl Submission {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Unsent, Self::Sending, Self::Unconfirmed, Self::Acknowledged];

    /// The name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsent => "unsent",
            Self::Sending => "sending",
            Self::Unconfirmed => "unconfirmed",
            Self::Acknowledged => "acknowledged",
        }
    }
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Everything was filled.
    Filled,
    /// Someone asked for it.
    Canceled,
    /// Its time was over.
    Expired,
    /// The broker refused it.
    Rejected,
    /// Another order took its place.
    Replaced,
}

impl How {
    /// Every value.
    pub const ALL: [Self; 5] = [
        Self::Filled,
        Self::Canceled,
        Self::Expired,
        Self::Rejected,
        Self::Replaced,
    ];

    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
        }
    }
}

/// What has happened to an order. Stored; everything else is derived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How far the sending got.
    pub submission: Submission,
    /// Whether the venue's last word was that the order is at work (not only held for the session).
    pub is_working: bool,
    /// What it waits for before it may leave.
    pub held_by: Option<HeldBy>,
    /// When its cancel was asked for, while that is undecided.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// The order that shall take, or took, its place.
    pub replaced_by: Option<OrderId>,
    /// Units filled.
    pub filled_quantity: Decimal,
    /// Money for the units filled, in quote currency, without fees.
    pub filled_cost: Decimal,
    /// How and when it ended.
    pub closed: Option<(How, DateTime<Utc>)>,
    /// The broker's words, where it refused the order.
    pub reject_reason: Option<String>,
}

impl Facts {
    /// The facts of an order that has just been accepted.
    pub const fn accepted(held_by: Option<HeldBy>) -> Self {
        Self {
            submission: Submission::Unsent,
            is_working: false,
            held_by,
            cancel_requested_at: None,
            replaced_by: None,
            filled_quantity: Decimal::ZERO,
            filled_cost: Decimal::ZERO,
            closed: None,
            reject_reason: None,
        }
    }

    /// The phase that these facts amount to.
    pub const fn phase(&self) -> Phase {
        if let Some((how, _)) = self.closed {
            return Phase::Closed(how);
        }
        if self.held_by.is_some() {
            return Phase::Held;
        }
        if self.cancel_requested_at.is_some() {
            return Phase::CancelAsked;
        }
        if self.replaced_by.is_some() {
            return Phase::ReplaceAsked;
        }
        match self.submission {
            Submission::Unsent => Phase::Unsent,
            Submission::Sending => Phase::Sending,
            Submission::Unconfirmed => Phase::Unconfirmed,
            Submission::Acknowledged if self.is_working => Phase::Working,
            Submission::Acknowledged => Phase::VenueHolds,
        }
    }

    /// What a reader is shown.
    pub fn status(&self) -> OrderStatus {
        self.phase().status(!self.filled_quantity.is_zero())
    }
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Waits for something else to end before it may leave.
    Held,
    /// Accepted; nothing has left.
    Unsent,
    /// An attempt to send it is under way.
    Sending,
    /// Nobody knows whether the broker has it.
    Unconfirmed,
    /// The broker has it and waits (for the session, or for routing).
    VenueHolds,
    /// At work in the market.
    Working,
    /// Its cancel was asked for; the venue's word decides, and a fill may win.
    CancelAsked,
    /// Its replacement was asked for; the venue's word decides, and a fill may win.
    ReplaceAsked,
    /// Ended.
    Closed(How),
}

impl Phase {
    /// Every phase, in the order of an order's life.
    pub const ALL: [Self; 13] = [
        Self::Held,
        Self::Unsent,
        Self::Sending,
        Self::Unconfirmed,
        Self::VenueHolds,
        Self::Working,
        Self::CancelAsked,
        Self::ReplaceAsked,
        Self::Closed(How::Filled),
        Self::Closed(How::Canceled),
        Self::Closed(How::Expired),
        Self::Closed(How::Rejected),
        Self::Closed(How::Replaced),
    ];

    /// What this phase shows to a reader.
    pub const fn status(self, is_partly_filled: bool) -> OrderStatus {
        match self {
            Self::Held => OrderStatus::Held,
            Self::Unsent | Self::VenueHolds => OrderStatus::Accepted,
            Self::Sending | Self::Unconfirmed => OrderStatus::PendingNew,
            Self::Working if is_partly_filled => OrderStatus::PartiallyFilled,
            Self::Working => OrderStatus::New,
            Self::CancelAsked => OrderStatus::PendingCancel,
            Self::ReplaceAsked => OrderStatus::PendingReplace,
            Self::Closed(How::Filled) => OrderStatus::Filled,
            Self::Closed(How::Canceled) => OrderStatus::Canceled,
            Self::Closed(How::Expired) => OrderStatus::Expired,
            Self::Closed(How::Rejected) => OrderStatus::Rejected,
            Self::Closed(How::Replaced) => OrderStatus::Replaced,
        }
    }
}

/// The status that clients see, by Alpaca's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Accepted, not yet at work.
    Accepted,
    /// On its way to the broker.
    PendingNew,
    /// At work, nothing filled.
    New,
    /// At work, some filled.
    PartiallyFilled,
    /// Waits for something else to end.
    Held,
    /// Its cancel is undecided.
    PendingCancel,
    /// Its replacement is undecided.
    PendingReplace,
    /// Everything filled.
    Filled,
    /// Ended because someone asked.
    Canceled,
    /// Ended by time.
    Expired,
    /// Refused by the broker.
    Rejected,
    /// Another order took its place.
    Replaced,
}

impl OrderStatus {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::PendingNew => "pending_new",
            Self::New => "new",
            Self::PartiallyFilled => "partially_filled",
            Self::Held => "held",
            Self::PendingCancel => "pending_cancel",
            Self::PendingReplace => "pending_replace",
            Self::Filled => "filled",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
        }
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

pub use apply::{Transition, TransitionError};
pub use event::{EventKind, OrderEvent};
pub use table::{Next, next};

#[cfg(test)]
mod tests;
