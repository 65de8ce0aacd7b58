//! Executes what is due for an order: submit, cancel, replace, or look up what became of it.
//!
//! ```text
//! Claim ──begin──► Begun ──call──► Answered ──record──► outcome, then the connection's reports
//! ```
//!
//! Each stage is a type, so that no step can be left out or taken twice:
//!
//! 1. A [`Claim`] is the right to act on one piece of work, for the time of a lease. Nothing is written but that.
//! 2. [`Begun`]: the attempt's row is committed, and only then does a byte leave.
//! 3. [`Answered`]: the broker's word, or that there was none. No answer is *unknown*, never *refused*.
//! 4. The answer is recorded under the claim's fence. Whoever took the work over meanwhile wins; the late one ends quietly.
//!
//! A process that dies between two stages leaves a claim that runs out. What it had begun is looked up at the broker
//! before anything is sent again.

mod call;
mod record;

use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::Broker;
use chrono::{DateTime, Utc};
use domain::id::OrderId;
use queue::Outcome;
use store::{Begin, Claim, Dispatch, NewAttempt, StoreError};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::jobs::{Death, both};
use crate::worker::Worker;
use crate::{backoff, faults};

use self::call::Answer;

/// The pause between two tries to write something down that must not be lost, while the database is away.
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// An attempt that is written down; nothing has left yet.
struct Begun<'a> {
    worker: &'a Worker,
    dispatch: Box<Dispatch>,
    broker: Arc<dyn Broker>,
}

/// An attempt whose end is known here and not yet in the database.
struct Answered<'a> {
    worker: &'a Worker,
    dispatch: Box<Dispatch>,
    answer: Answer,
}

/// Executes what is due for `order`; nothing, if nothing is due or another worker has it.
pub(crate) async fn by_signal(worker: &Worker, order: OrderId) -> Outcome {
    let _slot = worker.slots.one().await;
    let claims = match worker.batches.claim(order).await {
        Some(Ok(claims)) => claims,
        Some(Err(error)) => return worker.failed("claim an order's work", &error),
        None => return worker.broken(),
    };
    let mut outcome = Outcome::Done;
    for claim in claims {
        outcome = both(outcome, execute(worker, claim).await);
    }
    outcome
}

/// Executes one claimed piece of work.
pub(crate) async fn execute(worker: &Worker, claim: Claim) -> Outcome {
    let span = tracing::info_span!(
        "execute",
        order.id = %claim.order_id,
        account.id = %claim.account_id,
        job.kind = claim.kind.as_str(),
    );
    stages(worker, claim).instrument(span).await
}

async fn stages(worker: &Worker, claim: Claim) -> Outcome {
    faults::pass(faults::AFTER_CLAIM);
    match begin(worker, claim).await {
        Ok(begun) => {
            faults::pass(faults::AFTER_BEGIN);
            let answered = begun.call().await;
            faults::pass(faults::AFTER_SEND);
            answered.record().await
        }
        Err(outcome) => outcome,
    }
}

/// Writes the attempt down, if it still makes sense; else says how the work ends for now.
async fn begin(worker: &Worker, claim: Claim) -> Result<Begun<'_>, Outcome> {
    if !has_time(worker, &claim, worker.app.options.broker_timeout) {
        return Err(give_back(worker, &claim, Duration::ZERO).await);
    }
    let wish = NewAttempt {
        claim: claim.clone(),
        correlation_id: Uuid::now_v7().to_string(),
    };
    let dispatch = match worker.batches.begin(wish).await {
        Some(Ok(Begin::Go(dispatch))) => dispatch,
        Some(Ok(Begin::Gone)) => return Err(Outcome::Done),
        Some(Ok(Begin::LookUp)) => {
            worker.signal([claim.order_id]).await;
            return Err(Outcome::Done);
        }
        Some(Ok(Begin::Later { due_in, reason })) => {
            tracing::debug!(reason, "not yet");
            return Err(worker.again_in(due_in));
        }
        Some(Err(error)) => {
            worker.warn("begin an attempt", &error);
            return Err(give_back(worker, &claim, pause_after(&error, claim.attempts)).await);
        }
        None => return Err(worker.broken()),
    };
    let Some(broker) = worker.app.brokers.get(&dispatch.connection.broker) else {
        // Another version of the worker may know it: the work stays, and somebody has to look.
        tracing::error!(
            broker.name = dispatch.connection.broker,
            "this worker does not know the broker"
        );
        return Err(Death::UnknownBroker.into());
    };
    let broker = Arc::clone(broker);
    Ok(Begun {
        worker,
        dispatch,
        broker,
    })
}

/// Gives work back that could not begin, so that it waits for a moment and not for the end of its lease. Nothing has left:
/// where the beginning was committed all the same, the next claim finds it and looks the order up.
async fn give_back(worker: &Worker, claim: &Claim, pause: Duration) -> Outcome {
    loop {
        let store = &worker.app.store;
        match store.release_claim(claim, pause, "it could not begin").await {
            Ok(()) => return worker.again_in(pause),
            Err(error) if may_pass(&error) && Instant::now() < claim.deadline => {
                tokio::time::sleep(TRY_AGAIN).await;
            }
            Err(error) => return worker.failed("give work back", &error),
        }
    }
}

/// Whether `claim` lasts for a call of at most `limit` and for recording its answer. One that waited for too long is given
/// back, as another worker may own the work before the call would end.
fn has_time(worker: &Worker, claim: &Claim, limit: Duration) -> bool {
    let left = claim.deadline.saturating_duration_since(Instant::now());
    left >= backoff::time_needed(worker.app.options.lease, limit)
        || faults::is_planted(faults::NO_LEASE_CHECK)
}

/// The pause after an attempt that could not begin: short while the database is away, growing where it says no.
fn pause_after(error: &StoreError, claims: i32) -> Duration {
    if may_pass(error) {
        backoff::resend(0)
    } else {
        backoff::resend(u32::try_from(claims).unwrap_or(0).saturating_sub(1))
    }
}

/// Whether the same write may succeed in a moment. One whose COMMIT had no answer finds its fence gone, if it was kept.
const fn may_pass(error: &StoreError) -> bool {
    match error {
        StoreError::Unavailable(_) | StoreError::CommitUnknown(_) => true,
        StoreError::NotFound { .. }
        | StoreError::Conflict { .. }
        | StoreError::Stale { .. }
        | StoreError::Inconsistent { .. }
        | StoreError::Ended
        | StoreError::Url { .. }
        | StoreError::Database(_) => false,
    }
}

/// How long ago `then` was, in milliseconds, for the log; 0 when it lies ahead.
fn millis_since(then: DateTime<Utc>, now: DateTime<Utc>) -> u64 {
    u64::try_from((now - then).num_milliseconds()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_waits_a_moment_for_a_database_that_is_away_and_longer_for_one_that_says_no() {
        let away = StoreError::CommitUnknown(sea_orm::DbErr::Custom(String::new()));
        let no = StoreError::NotFound { table: "orders" };
        let millis = |error: &StoreError| [1, 2, 99].map(|claims| pause_after(error, claims).as_millis());
        assert_eq!(millis(&away), [250, 250, 250]);
        assert_eq!(millis(&no), [250, 500, 30_000]);
    }
}
