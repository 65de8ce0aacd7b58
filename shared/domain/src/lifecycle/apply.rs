//! Letting an event happen: the table decides, the facts follow.

use super::{EventKind, Next, OrderEvent, Phase, Submission, next};

use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::fill::Fill;
use crate::order::{Amount, Order};

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
                facts.filled_quantity += fill.quantity.get();
                facts.filled_cost += fill.cost();
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
