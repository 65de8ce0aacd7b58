//! What follows from a transition: work, the ends of others, and what the event's row keeps.

use super::{ApplyError, Ledger};
use crate::cause::Cause;
use crate::work::WorkKind;
use domain::id::{BrokerOrderId, OrderId};
use domain::lifecycle::{EventKind, How, OrderEvent, Phase, Submission, Transition};
use domain::order::{Order, Side};
use serde_json::{Value as Json, json};
use std::time::Duration;

impl Ledger {
    /// Work that a transition ends or begins.
    pub(super) fn follow_work(&mut self, order: &Order, step: Transition) {
        let submit_is_settled = order.facts.submission == Submission::Acknowledged;
        let has_ended = order.facts.closed.is_some();
        for kind in WorkKind::ALL {
            let is_done = match kind {
                WorkKind::Submit | WorkKind::Reconcile => submit_is_settled || has_ended,
                WorkKind::Cancel => has_ended || order.facts.cancel_requested_at.is_none(),
                WorkKind::Replace => has_ended || order.facts.replaced_by.is_none(),
            };
            if is_done {
                self.new_work.remove(&(order.id, kind));
                self.done_work.insert((order.id, kind));
            }
        }
        let is_known_now = matches!(
            step.event,
            EventKind::AcknowledgedHeld | EventKind::AcknowledgedWorking
        );
        match step.to {
            // The venue has it now, so it can be asked.
            Phase::CancelAsked if step.from != Phase::CancelAsked || is_known_now => {
                self.add_work(order.id, WorkKind::Cancel, Duration::ZERO);
            }
            Phase::ReplaceAsked if step.from != Phase::ReplaceAsked => {
                self.add_work(order.id, WorkKind::Replace, Duration::ZERO);
            }
            Phase::Held
            | Phase::Unsent
            | Phase::Sending
            | Phase::Unconfirmed
            | Phase::VenueHolds
            | Phase::Working
            | Phase::CancelAsked
            | Phase::ReplaceAsked
            | Phase::Closed(_) => {}
        }
    }

    pub(crate) fn add_work(&mut self, order: OrderId, kind: WorkKind, due_in: Duration) {
        self.done_work.remove(&(order, kind));
        self.new_work.insert((order, kind), due_in);
    }

    pub(crate) fn end_work(&mut self, order: OrderId, kind: WorkKind) {
        self.new_work.remove(&(order, kind));
        self.done_work.insert((order, kind));
    }

    /// What an order's end means for others: its exit's trigger, and the order that was to take its place.
    pub(super) fn follow_end(
        &mut self,
        order: &Order,
        how: How,
        pending_replacement: Option<OrderId>,
    ) -> Result<(), ApplyError> {
        if order.terms.side == Side::Sell {
            self.closed_sells.insert(order.id);
        }
        let Some(replacement) = pending_replacement.filter(|_| how != How::Replaced) else {
            return Ok(());
        };
        let Some(next) = self.order(replacement) else {
            return Ok(());
        };
        // An order that reached the venue has a life of its own.
        if next.facts.closed.is_some() || next.facts.submission == Submission::Acknowledged {
            return Ok(());
        }
        let cause = Cause::Order { order_id: order.id };
        let reason = "the order to replace ended first".to_owned();
        self.record(
            order,
            "order_replace_rejected",
            &cause,
            json!({ "reason": reason }),
        );
        self.apply(replacement, &OrderEvent::Refused { reason }, &cause)
            .map(|_| ())
    }
}

/// What an event's row keeps beside its kind.
pub(super) fn data_of(event: &OrderEvent, order: &Order, step: Transition) -> Json {
    let mut data = match event {
        OrderEvent::Filled(fill) => json!({
            "price": fill.price.get(),
            "qty": fill.quantity.get(),
            "fee": fill.fee.normalize(),
            "execution_id": fill.broker_fill_id,
            "filled_qty": order.facts.filled_quantity.normalize(),
        }),
        OrderEvent::Refused { reason }
        | OrderEvent::CancelRefused { reason }
        | OrderEvent::ReplaceRefused { reason } => json!({ "reason": reason }),
        OrderEvent::Restated { quantity } => json!({ "qty": quantity.get() }),
        OrderEvent::ReplaceRequested { replaced_by } => json!({ "replaced_by": replaced_by }),
        OrderEvent::Acknowledged { broker_order_id, .. } => {
            json!({ "broker_order_id": broker_order_id.as_ref().map(|BrokerOrderId(id)| id) })
        }
        OrderEvent::Released
        | OrderEvent::SendStarted
        | OrderEvent::NotSent
        | OrderEvent::OutcomeUnknown
        | OrderEvent::CancelRequested
        | OrderEvent::Canceled
        | OrderEvent::Expired
        | OrderEvent::Replaced => json!({}),
    };
    if step.is_surprise
        && let Some(fields) = data.as_object_mut()
    {
        fields.insert("surprise".into(), Json::Bool(true));
    }
    data
}
