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

use std::fmt;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::fill::Fill;
use crate::id::{BrokerOrderId, OrderId};
use crate::money::{self, Quantity};
use crate::order::{Amount, HeldBy, Order};

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

/// Where a legal event leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To this phase; equal to the present one for a fact that changes no phase.
    To(Phase),
    /// Back to where the venue's last word put it: [`Phase::Working`] or [`Phase::VenueHolds`].
    Resting,
    /// Nothing changes and nothing is recorded: the same word again, or one that came too late to matter.
    Nothing,
    /// A fact against our own book: recorded, with an alarm.
    Surprise(Phase),
}

/// The table: where `event` leads from `phase`; `None` where it is illegal.
#[expect(
    clippy::match_same_arms,
    clippy::too_many_lines,
    reason = "a table: one move a line"
)]
pub const fn next(phase: Phase, event: EventKind) -> Option<Next> {
    use EventKind as E;
    use How::{Canceled, Expired, Filled, Rejected, Replaced};
    use Next::{Nothing, Resting, Surprise, To};
    use Phase::{CancelAsked, Closed, Held, ReplaceAsked, Sending, Unconfirmed, Unsent, VenueHolds, Working};
    Some(match (phase, event) {
        (Held, E::Released) => To(Unsent),
        (Held, E::Restated) => To(Held),
        // The exit of a trigger is asked to end before it ever left.
        (Held | Unsent, E::CancelRequested) => To(Closed(Canceled)),
        (Held | Unsent, E::Expired) => To(Closed(Expired)),
        // We refuse on the broker's behalf what it could never take (no such account any more).
        (Held | Unsent, E::Refused) => To(Closed(Rejected)),
        // An attempt that we believed not to have left did leave.
        (Held | Unsent, E::PartialFill) => Surprise(Working),
        (Held | Unsent, E::FinalFill) => Surprise(Closed(Filled)),

        (Unsent, E::SendStarted) => To(Sending),
        // A stale attempt's word: the order is unsent already.
        (Unsent, E::NotSent) => Nothing,

        (Sending | Unconfirmed, E::NotSent) => To(Unsent),
        (Sending, E::OutcomeUnknown) => To(Unconfirmed),
        (Unconfirmed, E::OutcomeUnknown) => Nothing,
        (Sending | Unconfirmed, E::AcknowledgedHeld) => To(VenueHolds),
        (Sending | Unconfirmed | VenueHolds, E::AcknowledgedWorking) => To(Working),
        (VenueHolds, E::AcknowledgedHeld) => Nothing,
        // A venue may take an order off the market again (a halt): it rests.
        (Working, E::AcknowledgedHeld) => Nothing,
        (Working, E::AcknowledgedWorking) => Nothing,
        (Sending | Unconfirmed | VenueHolds | Working, E::Refused) => To(Closed(Rejected)),
        // A report may overtake the answer to the submission: a fill proves that the venue has the order.
        (Sending | Unconfirmed | VenueHolds | Working, E::PartialFill) => To(Working),
        (Sending | Unconfirmed | VenueHolds | Working, E::FinalFill) => To(Closed(Filled)),
        (Sending | Unconfirmed | VenueHolds | Working, E::CancelRequested) => To(CancelAsked),
        (Sending | Unconfirmed | VenueHolds | Working, E::Canceled) => To(Closed(Canceled)),
        (Sending | Unconfirmed | VenueHolds | Working, E::Expired) => To(Closed(Expired)),
        // Only what is at work can be replaced; before, the venue has nothing to put another order in place of.
        (Working, E::ReplaceRequested) => To(ReplaceAsked),
        // The answer to an earlier cancel or replace, sent again.
        (VenueHolds | Working, E::CancelRefused | E::ReplaceRefused) => Nothing,

        // Nothing left, and the owner wants no order: that is the end of it.
        (CancelAsked, E::NotSent) => To(Closed(Canceled)),
        (CancelAsked, E::SendStarted) => return None,
        (CancelAsked, E::OutcomeUnknown | E::AcknowledgedHeld | E::AcknowledgedWorking) => To(CancelAsked),
        (CancelAsked, E::Refused) => To(Closed(Rejected)),
        (CancelAsked, E::PartialFill) => To(CancelAsked),
        (CancelAsked, E::FinalFill) => To(Closed(Filled)),
        (CancelAsked, E::CancelRequested) => Nothing,
        (CancelAsked, E::Canceled) => To(Closed(Canceled)),
        (CancelAsked, E::CancelRefused) => Resting,
        (CancelAsked, E::Expired) => To(Closed(Expired)),

        (ReplaceAsked, E::AcknowledgedHeld | E::AcknowledgedWorking) => Nothing,
        (ReplaceAsked, E::Refused) => To(Closed(Rejected)),
        (ReplaceAsked, E::PartialFill) => To(ReplaceAsked),
        (ReplaceAsked, E::FinalFill) => To(Closed(Filled)),
        // The venue ended the old order by itself, or as the first half of a cancel-and-new.
        (ReplaceAsked, E::Canceled) => To(Closed(Canceled)),
        (ReplaceAsked, E::Expired) => To(Closed(Expired)),
        (ReplaceAsked, E::Replaced) => To(Closed(Replaced)),
        (ReplaceAsked, E::ReplaceRefused) => Resting,

        // Late and surplus fills move the position whatever the order's end was.
        (
            Closed(how @ (Filled | Canceled | Expired | Rejected | Replaced)),
            E::PartialFill | E::FinalFill,
        ) => Surprise(Closed(how)),
        // The venue repeats itself, or answers a question that the end has overtaken.
        (Closed(Canceled), E::Canceled) => Nothing,
        (Closed(Expired), E::Expired) => Nothing,
        (Closed(Rejected), E::Refused) => Nothing,
        (Closed(Replaced), E::Replaced) => Nothing,
        (
            Closed(Filled | Canceled | Expired | Rejected | Replaced),
            E::CancelRefused
            | E::ReplaceRefused
            | E::AcknowledgedHeld
            | E::AcknowledgedWorking
            | E::OutcomeUnknown
            | E::NotSent,
        ) => Nothing,
        // A replaced order is also reported as canceled by some venues.
        (Closed(Replaced), E::Canceled) => Nothing,

        (
            Held,
            E::SendStarted
            | E::NotSent
            | E::OutcomeUnknown
            | E::AcknowledgedHeld
            | E::AcknowledgedWorking
            | E::Canceled
            | E::CancelRefused
            | E::ReplaceRequested
            | E::Replaced
            | E::ReplaceRefused,
        )
        | (
            Unsent,
            E::Released
            | E::Restated
            | E::OutcomeUnknown
            | E::AcknowledgedHeld
            | E::AcknowledgedWorking
            | E::Canceled
            | E::CancelRefused
            | E::ReplaceRequested
            | E::Replaced
            | E::ReplaceRefused,
        )
        | (
            Sending | Unconfirmed,
            E::Released
            | E::Restated
            | E::SendStarted
            | E::CancelRefused
            | E::ReplaceRequested
            | E::Replaced
            | E::ReplaceRefused,
        )
        | (
            VenueHolds,
            E::Released
            | E::Restated
            | E::SendStarted
            | E::NotSent
            | E::OutcomeUnknown
            | E::ReplaceRequested
            | E::Replaced,
        )
        | (
            Working,
            E::Released | E::Restated | E::SendStarted | E::NotSent | E::OutcomeUnknown | E::Replaced,
        )
        | (CancelAsked, E::Released | E::Restated | E::ReplaceRequested | E::Replaced | E::ReplaceRefused)
        | (
            ReplaceAsked,
            E::Released
            | E::Restated
            | E::SendStarted
            | E::NotSent
            | E::OutcomeUnknown
            | E::CancelRequested
            | E::CancelRefused
            | E::ReplaceRequested,
        )
        | (
            Closed(Filled | Canceled | Expired | Rejected | Replaced),
            E::Released | E::Restated | E::SendStarted | E::CancelRequested | E::ReplaceRequested,
        )
        | (Closed(Filled), E::Refused | E::Canceled | E::Expired | E::Replaced)
        | (Closed(Canceled), E::Refused | E::Expired | E::Replaced)
        | (Closed(Expired), E::Refused | E::Canceled | E::Replaced)
        | (Closed(Rejected), E::Canceled | E::Expired | E::Replaced)
        | (Closed(Replaced), E::Refused | E::Expired) => return None,
    })
}

/// An event that makes no sense where the order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an order that is {from:?} does not take {event:?}")]
pub struct TransitionError {
    /// Where the order stands.
    pub from: Phase,
    /// What was to happen.
    pub event: EventKind,
}

/// What an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Where the order stood.
    pub from: Phase,
    /// Where it stands now.
    pub to: Phase,
    /// What happened, as the table knows it.
    pub event: EventKind,
    /// Whether anything changed at all.
    pub is_change: bool,
    /// Whether the fact contradicts our own book: someone must look.
    pub is_surprise: bool,
}

impl Transition {
    /// The name under which it enters `order_events`; `None` where an attempt's row is the record.
    pub const fn recorded_as(&self) -> Option<&'static str> {
        if !self.is_change {
            return None;
        }
        self.event.recorded_as(self.to)
    }
}

impl Order {
    /// What kind of event `event` is for this order, as the table knows it.
    pub fn kind_of(&self, event: &OrderEvent) -> EventKind {
        match event {
            OrderEvent::Released => EventKind::Released,
            OrderEvent::Restated { .. } => EventKind::Restated,
            OrderEvent::SendStarted => EventKind::SendStarted,
            OrderEvent::NotSent => EventKind::NotSent,
            OrderEvent::OutcomeUnknown => EventKind::OutcomeUnknown,
            OrderEvent::Acknowledged {
                is_working: false, ..
            } => EventKind::AcknowledgedHeld,
            OrderEvent::Acknowledged { is_working: true, .. } => EventKind::AcknowledgedWorking,
            OrderEvent::Refused { .. } => EventKind::Refused,
            OrderEvent::Filled(fill) if self.is_completed_by(fill) => EventKind::FinalFill,
            OrderEvent::Filled(_) => EventKind::PartialFill,
            OrderEvent::CancelRequested => EventKind::CancelRequested,
            OrderEvent::Canceled => EventKind::Canceled,
            OrderEvent::CancelRefused { .. } => EventKind::CancelRefused,
            OrderEvent::Expired => EventKind::Expired,
            OrderEvent::ReplaceRequested { .. } => EventKind::ReplaceRequested,
            OrderEvent::Replaced => EventKind::Replaced,
            OrderEvent::ReplaceRefused { .. } => EventKind::ReplaceRefused,
        }
    }

    /// A quantity is complete by its sum, unless the venue says that more is to come; a notional by the venue's word.
    fn is_completed_by(&self, fill: &Fill) -> bool {
        match (self.terms.amount, fill.venue_done) {
            (_, Some(done)) => done,
            (Amount::Quantity(quantity), None) => {
                self.facts.filled_quantity + fill.quantity.get() >= quantity.get()
            }
            (Amount::Notional(_), None) => false,
        }
    }

    /// Lets `event` happen at `at`: changes the facts as the table says, or nothing at all.
    pub fn apply(&mut self, event: &OrderEvent, at: DateTime<Utc>) -> Result<Transition, TransitionError> {
        let from = self.facts.phase();
        let kind = self.kind_of(event);
        let next = next(from, kind).ok_or(TransitionError { from, event: kind })?;
        let (to, is_surprise) = match next {
            Next::Nothing => {
                self.learn_broker_order_id(event);
                return Ok(Transition {
                    from,
                    to: from,
                    event: kind,
                    is_change: false,
                    is_surprise: false,
                });
            }
            Next::To(to) => (to, false),
            Next::Surprise(to) => (to, true),
            Next::Resting if self.facts.is_working => (Phase::Working, false),
            Next::Resting => (Phase::VenueHolds, false),
        };
        self.learn_broker_order_id(event);
        self.take(event, at);
        self.enter(to, at);
        self.updated_at = at;
        Ok(Transition {
            from,
            to,
            event: kind,
            is_change: true,
            is_surprise,
        })
    }

    fn learn_broker_order_id(&mut self, event: &OrderEvent) {
        if let OrderEvent::Acknowledged {
            broker_order_id: Some(id),
            ..
        } = event
        {
            self.broker_order_id = Some(id.clone());
        }
    }

    /// The facts that the event itself carries.
    fn take(&mut self, event: &OrderEvent, at: DateTime<Utc>) {
        let facts = &mut self.facts;
        match event {
            OrderEvent::Released => facts.held_by = None,
            OrderEvent::Restated { quantity } => self.terms.amount = Amount::Quantity(*quantity),
            OrderEvent::SendStarted => facts.submission = Submission::Sending,
            OrderEvent::NotSent => facts.submission = Submission::Unsent,
            OrderEvent::OutcomeUnknown => facts.submission = Submission::Unconfirmed,
            OrderEvent::Acknowledged { is_working, .. } => {
                facts.submission = Submission::Acknowledged;
                facts.is_working |= is_working;
            }
            OrderEvent::Filled(fill) => {
                let cost = money::round(fill.price.get() * fill.quantity.get());
                facts.filled_quantity += fill.quantity.get();
                facts.filled_cost += cost;
                facts.submission = Submission::Acknowledged;
                facts.is_working = true;
                facts.held_by = None;
            }
            OrderEvent::CancelRequested => facts.cancel_requested_at = Some(at),
            // A venue that refuses to end an order has it.
            OrderEvent::CancelRefused { .. } => {
                facts.cancel_requested_at = None;
                facts.submission = Submission::Acknowledged;
            }
            OrderEvent::ReplaceRequested { replaced_by } => facts.replaced_by = Some(*replaced_by),
            OrderEvent::ReplaceRefused { .. } => facts.replaced_by = None,
            OrderEvent::Refused { reason } => facts.reject_reason = Some(reason.clone()),
            OrderEvent::Canceled | OrderEvent::Expired | OrderEvent::Replaced => {}
        }
    }

    /// The facts that entering `to` adds.
    fn enter(&mut self, to: Phase, at: DateTime<Utc>) {
        if let Phase::Closed(how) = to
            && self.facts.closed.is_none()
        {
            self.facts.closed = Some((how, at));
        }
    }
}

#[cfg(test)]
mod tests;
