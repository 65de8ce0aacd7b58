//! After a call: what it means for the order.

use std::time::Duration;

use domain::id::OrderId;
use domain::lifecycle::{OrderEvent, Phase};

use super::{AMBIGUOUS, AfterLookUp, AttemptOutcome, Dispatch, End, Ended, LookUp, MISSED_CHECK, follow};
use crate::cause::Cause;
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::work::{Claim, WorkKind};

/// A venue that took a cancel or a replace is asked again when it has not reported after this long.
const ANSWER_EXPECTED_WITHIN: Duration = Duration::from_secs(10);

/// How the order of a call goes on, and when its work is due again where it stays.
pub(super) fn finish(
    ledger: &mut Ledger,
    ended: &Ended,
) -> Result<(AfterLookUp, Option<Duration>), StoreError> {
    let dispatch = ended.dispatch.as_ref();
    let claim = &dispatch.claim;
    let outcome = match &ended.end {
        End::LookedUp { found, next_check } => {
            let after = finish_look(ledger, dispatch, found, *next_check)?;
            let due_in = match after {
                AfterLookUp::Again { due_in } => Some(due_in),
                AfterLookUp::Settled | AfterLookUp::SendAgain => None,
            };
            return Ok((after, due_in));
        }
        End::Called(outcome) => outcome,
    };
    let cause = Cause::Worker {
        reason: format!("{} answered", claim.kind.as_str()),
    };
    let due_in = match claim.kind {
        WorkKind::Submit => finish_submit(ledger, claim, outcome, &cause)?,
        WorkKind::Cancel => finish_cancel(ledger, claim, outcome, &cause)?,
        WorkKind::Replace => finish_replace(ledger, dispatch, outcome, &cause)?,
        WorkKind::Reconcile => None,
    };
    Ok((AfterLookUp::Settled, due_in))
}

/// An end in the words of the call's row.
pub(super) fn outcome_of(end: &End) -> AttemptOutcome {
    match end {
        End::Called(outcome) => outcome.clone(),
        End::LookedUp { found, next_check } => look_up_outcome(found, *next_check),
    }
}

/// A look-up in the words of the attempt's row.
fn look_up_outcome(found: &LookUp, next_check: Duration) -> AttemptOutcome {
    let unknown = |reason: &str| AttemptOutcome::Unknown {
        reason: reason.to_owned(),
        check_in: next_check,
    };
    match found {
        LookUp::Present(_) => AttemptOutcome::Acknowledged {
            broker_order_id: None,
            is_working: true,
        },
        LookUp::Absent => AttemptOutcome::Missed,
        LookUp::Ambiguous => unknown(AMBIGUOUS),
        LookUp::Failed { reason } => unknown(reason),
    }
}

fn finish_look(
    ledger: &mut Ledger,
    dispatch: &Dispatch,
    found: &LookUp,
    next_check: Duration,
) -> Result<AfterLookUp, StoreError> {
    let id = dispatch.claim.order_id;
    let cause = Cause::Worker {
        reason: "looked up".into(),
    };
    let event = match found {
        LookUp::Present(venue) => venue.event(),
        LookUp::Absent if dispatch.was_missed => OrderEvent::NotSent,
        LookUp::Absent => return Ok(AfterLookUp::Again { due_in: MISSED_CHECK }),
        LookUp::Ambiguous | LookUp::Failed { .. } => return Ok(AfterLookUp::Again { due_in: next_check }),
    };
    follow(ledger, id, &event, &cause)?;
    ledger.end_work(id, WorkKind::Reconcile);
    if event == OrderEvent::NotSent && is_unsent(ledger, id) {
        ledger.add_work(id, WorkKind::Submit, Duration::ZERO);
        return Ok(AfterLookUp::SendAgain);
    }
    Ok(AfterLookUp::Settled)
}

fn finish_submit(
    ledger: &mut Ledger,
    claim: &Claim,
    outcome: &AttemptOutcome,
    cause: &Cause,
) -> Result<Option<Duration>, StoreError> {
    let id = claim.order_id;
    match outcome {
        AttemptOutcome::Acknowledged {
            broker_order_id,
            is_working,
        } => {
            let event = OrderEvent::Acknowledged {
                broker_order_id: broker_order_id.clone(),
                is_working: *is_working,
            };
            follow(ledger, id, &event, cause)?;
            ledger.end_work(id, WorkKind::Submit);
            Ok(None)
        }
        AttemptOutcome::Refused { reason } => {
            follow(
                ledger,
                id,
                &OrderEvent::Refused {
                    reason: reason.clone(),
                },
                cause,
            )?;
            Ok(None)
        }
        AttemptOutcome::NotSent { retry_in, .. } => {
            follow(ledger, id, &OrderEvent::NotSent, cause)?;
            Ok(is_unsent(ledger, id).then_some(*retry_in))
        }
        AttemptOutcome::Unknown { check_in, .. } => {
            look_up_after(ledger, id, *check_in, cause)?;
            Ok(None)
        }
        AttemptOutcome::Missed => {
            look_up_after(ledger, id, MISSED_CHECK, cause)?;
            Ok(None)
        }
    }
}

fn look_up_after(
    ledger: &mut Ledger,
    id: OrderId,
    check_in: Duration,
    cause: &Cause,
) -> Result<(), StoreError> {
    follow(ledger, id, &OrderEvent::OutcomeUnknown, cause)?;
    ledger.end_work(id, WorkKind::Submit);
    ledger.add_work(id, WorkKind::Reconcile, check_in);
    Ok(())
}

fn is_unsent(ledger: &Ledger, id: OrderId) -> bool {
    ledger
        .order(id)
        .is_some_and(|order| order.facts.phase() == Phase::Unsent)
}

fn finish_cancel(
    ledger: &mut Ledger,
    claim: &Claim,
    outcome: &AttemptOutcome,
    cause: &Cause,
) -> Result<Option<Duration>, StoreError> {
    match outcome {
        AttemptOutcome::Acknowledged { .. } => Ok(Some(ANSWER_EXPECTED_WITHIN)),
        AttemptOutcome::Refused { reason } => {
            let event = OrderEvent::CancelRefused {
                reason: reason.clone(),
            };
            follow(ledger, claim.order_id, &event, cause)?;
            ledger.end_work(claim.order_id, WorkKind::Cancel);
            Ok(None)
        }
        // Asking twice for an end does no harm.
        AttemptOutcome::NotSent { retry_in, .. } => Ok(Some(*retry_in)),
        AttemptOutcome::Unknown { check_in, .. } => Ok(Some(*check_in)),
        AttemptOutcome::Missed => Ok(Some(MISSED_CHECK)),
    }
}

fn finish_replace(
    ledger: &mut Ledger,
    dispatch: &Dispatch,
    outcome: &AttemptOutcome,
    cause: &Cause,
) -> Result<Option<Duration>, StoreError> {
    let old = dispatch.order.id;
    let Some(new) = dispatch.replacement.as_ref().map(|order| order.id) else {
        return Ok(None);
    };
    match outcome {
        AttemptOutcome::Acknowledged { .. } => Ok(Some(ANSWER_EXPECTED_WITHIN)),
        AttemptOutcome::Refused { reason } => {
            follow(
                ledger,
                old,
                &OrderEvent::ReplaceRefused {
                    reason: reason.clone(),
                },
                cause,
            )?;
            follow(
                ledger,
                new,
                &OrderEvent::Refused {
                    reason: reason.clone(),
                },
                cause,
            )?;
            ledger.end_work(old, WorkKind::Replace);
            Ok(None)
        }
        AttemptOutcome::NotSent { retry_in, .. } => {
            // This time nothing left; what an earlier attempt did is as unknown as before.
            if !dispatch.is_repeat {
                follow(ledger, new, &OrderEvent::NotSent, cause)?;
            }
            Ok(Some(*retry_in))
        }
        AttemptOutcome::Unknown { check_in, .. } => {
            follow(ledger, new, &OrderEvent::OutcomeUnknown, cause)?;
            Ok(Some(*check_in))
        }
        AttemptOutcome::Missed => {
            follow(ledger, new, &OrderEvent::OutcomeUnknown, cause)?;
            Ok(Some(MISSED_CHECK))
        }
    }
}
