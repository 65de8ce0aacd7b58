//! Before a call: whether and how a piece of work goes on, decided on the ledger.

use std::time::Duration;

use chrono::TimeDelta;
use domain::asset::MarketHours;
use domain::lifecycle::{OrderEvent, Phase, Submission};
use domain::order::{Amount, Order};
use domain::trigger;

use super::follow;
use crate::cause::Cause;
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::orders::cancel::ask;
use crate::orders::expire::is_over;
use crate::work::Claim;

/// An exit looks again after this long whether the sells that hold its quantity have ended.
const HOLD_CHECK: Duration = Duration::from_millis(100);

/// An exit that has waited this long looks less often, and raises an alarm each time.
const HOLD_ALARM: TimeDelta = TimeDelta::seconds(10);

/// How often an exit looks that has waited for longer than [`HOLD_ALARM`].
const LONG_HOLD_CHECK: Duration = Duration::from_secs(1);

/// A cancel whose order the venue may not know is made due by what settles the submission; this is the net.
const SUBMISSION_CHECK: Duration = Duration::from_secs(10);

/// Whether and how a piece of work goes on.
pub(super) enum Step {
    Go,
    Later { due_in: Duration, reason: &'static str },
    Gone,
    LookUp,
}

/// What becomes of work that is to send an order.
pub(super) fn begin_submit(
    ledger: &mut Ledger,
    claim: &Claim,
    holding: &[Order],
    hours: MarketHours,
) -> Result<Step, StoreError> {
    let Some(order) = ledger.order(claim.order_id).cloned() else {
        return Ok(Step::Gone);
    };
    // An order for the day must not leave a day late, also when the worker comes before the tick.
    if is_over(&order, ledger.now, hours) {
        let cause = Cause::Tick {
            name: "expire_unsent".into(),
        };
        follow(ledger, order.id, &OrderEvent::Expired, &cause)?;
        return Ok(Step::Gone);
    }
    let cause = Cause::Worker {
        reason: "submit".into(),
    };
    match order.facts.phase() {
        Phase::Held => match release_exit(ledger, &order, holding)? {
            Some(Step::Go) | None => {}
            Some(other) => return Ok(other),
        },
        Phase::Unsent => {}
        // The worker before us may have sent it.
        Phase::Sending => {
            follow(ledger, order.id, &OrderEvent::OutcomeUnknown, &cause)?;
            return Ok(Step::LookUp);
        }
        Phase::Unconfirmed => return Ok(Step::LookUp),
        Phase::CancelAsked if order.facts.submission == Submission::Sending => {
            follow(ledger, order.id, &OrderEvent::OutcomeUnknown, &cause)?;
            return Ok(Step::LookUp);
        }
        Phase::CancelAsked if order.facts.submission == Submission::Unconfirmed => return Ok(Step::LookUp),
        Phase::VenueHolds | Phase::Working | Phase::CancelAsked | Phase::ReplaceAsked | Phase::Closed(_) => {
            return Ok(Step::Gone);
        }
    }
    follow(ledger, claim.order_id, &OrderEvent::SendStarted, &cause)?;
    Ok(Step::Go)
}

/// Settles how much an exit sells, once no other sell holds its quantity.
fn release_exit(ledger: &mut Ledger, order: &Order, holding: &[Order]) -> Result<Option<Step>, StoreError> {
    let holds = |sell: &&Order| (sell.account_id, sell.asset_id) == (order.account_id, order.asset_id);
    let holding: Vec<&Order> = holding.iter().filter(holds).collect();
    if !holding.is_empty() {
        return Ok(Some(await_holding_sells(ledger, order, &holding)));
    }
    let position = ledger.position(order.account_id, order.asset_id);
    let cause = Cause::Worker {
        reason: "release the exit".into(),
    };
    match trigger::exit_quantity(
        order.terms.amount.quantity(),
        position.quantity,
        position.reserved,
    ) {
        None => {
            follow(ledger, order.id, &OrderEvent::CancelRequested, &cause)?;
            Ok(Some(Step::Gone))
        }
        Some(quantity) => {
            if order.terms.amount != Amount::Quantity(quantity) {
                follow(ledger, order.id, &OrderEvent::Restated { quantity }, &cause)?;
            }
            follow(ledger, order.id, &OrderEvent::Released, &cause)?;
            Ok(None)
        }
    }
}

/// Asks for the end of the sells that hold what an exit has to sell, those that came after it fired included.
fn await_holding_sells(ledger: &mut Ledger, exit: &Order, holding: &[&Order]) -> Step {
    let cause = Cause::Order { order_id: exit.id };
    for sell in holding {
        // One that was accepted since the locks were planned is not in the ledger: the next look asks for it.
        ask(ledger, sell.id, &cause);
    }
    let reason = "sells hold the quantity";
    if ledger.now - exit.submitted_at < HOLD_ALARM {
        return Step::Later {
            due_in: HOLD_CHECK,
            reason,
        };
    }
    tracing::warn!(order.id = %exit.id, account.id = %exit.account_id, sells = holding.len(),
        "a stop's exit still waits for the sells that hold its quantity");
    Step::Later {
        due_in: LONG_HOLD_CHECK,
        reason,
    }
}

/// What becomes of work that is to ask for an order's end.
pub(super) fn begin_cancel(ledger: &Ledger, claim: &Claim) -> Step {
    let Some(order) = ledger.order(claim.order_id) else {
        return Step::Gone;
    };
    match (order.facts.phase(), order.facts.submission) {
        (Phase::CancelAsked, Submission::Acknowledged) => Step::Go,
        (Phase::CancelAsked, Submission::Unsent | Submission::Sending | Submission::Unconfirmed) => {
            Step::Later {
                due_in: SUBMISSION_CHECK,
                reason: "the submission is not known yet",
            }
        }
        (
            Phase::Held
            | Phase::Unsent
            | Phase::Sending
            | Phase::Unconfirmed
            | Phase::VenueHolds
            | Phase::Working
            | Phase::ReplaceAsked
            | Phase::Closed(_),
            _,
        ) => Step::Gone,
    }
}

/// What becomes of work that is to ask for another order in its place.
pub(super) fn begin_replace(ledger: &mut Ledger, claim: &Claim) -> Result<Step, StoreError> {
    let Some(order) = ledger.order(claim.order_id).cloned() else {
        return Ok(Step::Gone);
    };
    let Some(replacement) = order.facts.replaced_by.and_then(|id| ledger.order(id)).cloned() else {
        return Ok(Step::Gone);
    };
    if order.facts.phase() != Phase::ReplaceAsked {
        return Ok(Step::Gone);
    }
    let cause = Cause::Worker {
        reason: "replace".into(),
    };
    match replacement.facts.phase() {
        Phase::Unsent => {
            follow(ledger, replacement.id, &OrderEvent::SendStarted, &cause)?;
            Ok(Step::Go)
        }
        Phase::Sending | Phase::Unconfirmed => Ok(Step::Go),
        // Its owner took the replacement back before it left.
        Phase::Closed(_) => {
            let reason = "the replacement ended first".to_owned();
            follow(ledger, order.id, &OrderEvent::ReplaceRefused { reason }, &cause)?;
            Ok(Step::Gone)
        }
        Phase::CancelAsked | Phase::Held | Phase::VenueHolds | Phase::Working | Phase::ReplaceAsked => {
            Ok(Step::Go)
        }
    }
}

/// What becomes of work that is to look an order up.
pub(super) fn begin_reconcile(ledger: &Ledger, claim: &Claim) -> Step {
    match ledger.order(claim.order_id) {
        Some(order) if order.facts.closed.is_none() && order.facts.submission == Submission::Unconfirmed => {
            Step::Go
        }
        Some(_) | None => Step::Gone,
    }
}
