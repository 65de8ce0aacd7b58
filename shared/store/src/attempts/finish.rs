//! After a call: what it came to.

use super::row::{end_attempt, finish_overtaken, reason_of};
use super::{AfterLookUp, AttemptOutcome, Dispatch, LookUp, MISSED_CHECK, follow, open_claimed};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::id::OrderId;
use domain::lifecycle::{OrderEvent, Phase};

use crate::Store;
use crate::book::{self};
use crate::cause::Cause;
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::work::{Claim, WorkKind, postpone};

/// A venue that took a cancel or a replace is asked again when it has not reported after this long.
const ANSWER_EXPECTED_WITHIN: Duration = Duration::from_secs(10);

impl Store {
    /// Records what a call came to. [`StoreError::Stale`] when the claim is no longer ours.
    pub async fn finish_attempt(
        &self,
        dispatch: &Dispatch,
        outcome: AttemptOutcome,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let claim = &dispatch.claim;
        self.transaction("finish_attempt", async |tx| {
            let tx = &*tx;
            let opened = open_claimed(tx, claim, now).await?;
            let Some(mut ledger) = opened else {
                return finish_overtaken(tx, dispatch, &outcome, now).await;
            };
            end_attempt(tx, dispatch, &outcome, now).await?;
            let cause = Cause::Worker {
                reason: format!("{} answered", claim.kind.as_str()),
            };
            let due_in = match claim.kind {
                WorkKind::Submit => finish_submit(&mut ledger, claim, &outcome, &cause)?,
                WorkKind::Cancel => finish_cancel(&mut ledger, claim, &outcome, &cause)?,
                WorkKind::Replace => finish_replace(&mut ledger, dispatch, &outcome, &cause)?,
                WorkKind::Reconcile => None,
            };
            if let Some(due_in) = due_in {
                postpone(self, tx, claim, due_in, reason_of(&outcome)).await?;
            }
            book::write(self, tx, &ledger, None).await
        })
        .await
    }

    /// Records what a look-up came to, and answers how the order goes on; where the venue could not tell, with another
    /// look after `next_check`. [`StoreError::Stale`] when the claim is no longer ours.
    pub async fn finish_lookup(
        &self,
        dispatch: &Dispatch,
        found: LookUp,
        next_check: Duration,
        now: DateTime<Utc>,
    ) -> Result<AfterLookUp, StoreError> {
        let claim = &dispatch.claim;
        self.transaction("finish_lookup", async |tx| {
            let tx = &*tx;
            let outcome = look_up_outcome(&found, next_check);
            let Some(mut ledger) = open_claimed(tx, claim, now).await? else {
                finish_overtaken(tx, dispatch, &outcome, now).await?;
                return Ok(AfterLookUp::Settled);
            };
            end_attempt(tx, dispatch, &outcome, now).await?;
            let after = finish_look(&mut ledger, dispatch, &found, next_check)?;
            if let AfterLookUp::Again { due_in } = after {
                postpone(self, tx, claim, due_in, reason_of(&outcome)).await?;
            }
            book::write(self, tx, &ledger, None).await?;
            Ok(after)
        })
        .await
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
        LookUp::Ambiguous => unknown("ambiguous"),
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
