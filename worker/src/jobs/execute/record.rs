//! The end of an attempt: what the answer means, written under the claim's fence, and what follows from it.

use std::time::{Duration, Instant};

use broker::Outcome as Called;
use queue::Outcome;
use store::{AttemptOutcome, LookUp, StoreError};

use super::Answered;
use super::call::Answer;
use crate::backoff;
use crate::jobs::read_reports;

/// The pause between two tries to record an answer, while the database is away.
const RECORD_AGAIN: Duration = Duration::from_millis(250);

/// How the work goes on once an answer is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// It is done; the broker's reports tell the rest.
    Reports,
    /// It has ended by the broker's word.
    Refused,
    /// It is due again after this time.
    Again(Duration),
}

impl Answered<'_> {
    /// Records the answer, and reads what else the broker reports about the connection.
    pub(super) async fn record(self) -> Outcome {
        let follow = follow(&self.answer, earlier(self.dispatch.n));
        if let Err(error) = self.write(follow).await {
            return match error {
                // The claim ran out and another worker has the work: what it finds out counts.
                StoreError::Stale { .. } => Outcome::Done,
                error => self.worker.failed("record an attempt", &error),
            };
        }
        self.count();
        if let Answer::LookedUp(LookUp::Absent) = self.answer {
            // Seen absent twice, the order is to be sent again at once.
            self.worker.signal([self.dispatch.order.id]).await;
        }
        match follow {
            Follow::Again(pause) => self.worker.again_in(pause),
            Follow::Reports => {
                read_reports::read(self.worker, &self.dispatch.connection).await;
                Outcome::Done
            }
            Follow::Refused => {
                read_reports::read(self.worker, &self.dispatch.connection).await;
                Outcome::Dead("refused_by_broker")
            }
        }
    }

    /// Writes the answer down; again and again while the database is away and the claim lasts, because what is not
    /// recorded has to be looked up.
    async fn write(&self, follow: Follow) -> Result<(), StoreError> {
        loop {
            let error = match self.write_once(follow).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let has_time = Instant::now() < self.dispatch.claim.deadline;
            if !(may_pass(&error) && has_time) {
                return Err(error);
            }
            tokio::time::sleep(RECORD_AGAIN).await;
        }
    }

    async fn write_once(&self, follow: Follow) -> Result<(), StoreError> {
        let (store, now) = (&self.worker.app.store, self.worker.app.clock.now());
        match &self.answer {
            Answer::Called(called) => {
                store
                    .finish_attempt(&self.dispatch, attempt_outcome(called, follow), now)
                    .await
            }
            Answer::LookedUp(found) => {
                let next = match follow {
                    Follow::Again(pause) => pause,
                    Follow::Reports | Follow::Refused => Duration::ZERO,
                };
                store
                    .finish_lookup(&self.dispatch, found.clone(), next, now)
                    .await
            }
        }
    }

    fn count(&self) {
        let metrics = &self.worker.metrics;
        match &self.answer {
            Answer::Called(Called::Acknowledged { .. }) => metrics.acknowledged(),
            Answer::Called(Called::Refused { .. }) => metrics.refused(),
            Answer::Called(Called::NotSent { .. }) => metrics.not_sent(),
            Answer::Called(Called::Unknown { .. }) => metrics.unknown(),
            Answer::LookedUp(_) => metrics.looked_up(),
        }
    }
}

/// What follows from an answer after `attempts` calls before this one.
fn follow(answer: &Answer, attempts: u32) -> Follow {
    match answer {
        Answer::Called(Called::Acknowledged { .. }) | Answer::LookedUp(LookUp::Present(_)) => Follow::Reports,
        Answer::Called(Called::Refused { .. }) => Follow::Refused,
        Answer::Called(Called::NotSent { .. }) => Follow::Again(backoff::resend(attempts)),
        Answer::Called(Called::Unknown { .. }) => Follow::Again(backoff::look_up(0)),
        Answer::LookedUp(LookUp::Absent) => Follow::Again(backoff::absence(attempts)),
        Answer::LookedUp(LookUp::Ambiguous | LookUp::Failed { .. }) => {
            Follow::Again(backoff::look_up(attempts))
        }
    }
}

/// The answer in the store's words.
fn attempt_outcome(called: &Called, follow: Follow) -> AttemptOutcome {
    let pause = match follow {
        Follow::Again(pause) => pause,
        Follow::Reports | Follow::Refused => Duration::ZERO,
    };
    match called.clone() {
        Called::Acknowledged {
            broker_order_id,
            is_working,
        } => AttemptOutcome::Acknowledged {
            broker_order_id,
            is_working,
        },
        Called::Refused { reason } => AttemptOutcome::Refused { reason },
        Called::NotSent { reason } => AttemptOutcome::NotSent {
            reason,
            retry_in: pause,
        },
        Called::Unknown { reason } => AttemptOutcome::Unknown {
            reason,
            check_in: pause,
        },
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
        | StoreError::Url { .. }
        | StoreError::Database(_) => false,
    }
}

/// The calls before number `n`. Claims would count too much: one that only waited is no failure.
fn earlier(n: i32) -> u32 {
    u32::try_from(n).unwrap_or(0).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> String {
        "words".to_owned()
    }

    #[test]
    fn only_what_certainly_did_not_leave_is_sent_again_and_what_is_unknown_is_looked_up() {
        let called = |called| follow(&Answer::Called(called), 3);
        let acknowledged = Called::Acknowledged {
            broker_order_id: None,
            is_working: true,
        };
        assert_eq!(called(acknowledged), Follow::Reports);
        assert_eq!(called(Called::Refused { reason: words() }), Follow::Refused);
        assert_eq!(
            called(Called::NotSent { reason: words() }),
            Follow::Again(Duration::from_secs(2))
        );
        assert_eq!(
            called(Called::Unknown { reason: words() }),
            Follow::Again(Duration::from_secs(1))
        );
    }

    #[test]
    fn a_look_up_goes_on_with_growing_pauses_until_the_order_is_found() {
        let again = |found, attempts| follow(&Answer::LookedUp(found), attempts);
        assert_eq!(again(LookUp::Absent, 0), Follow::Again(Duration::from_secs(3)));
        assert_eq!(
            again(LookUp::Ambiguous, 4),
            Follow::Again(Duration::from_secs(16))
        );
        assert_eq!(
            again(LookUp::Failed { reason: words() }, 900),
            Follow::Again(Duration::from_mins(1))
        );
    }

    #[test]
    fn the_pause_travels_with_the_outcome_that_needs_it() {
        let called = Called::NotSent { reason: words() };
        let outcome = attempt_outcome(&called, Follow::Again(Duration::from_secs(4)));
        let expected = AttemptOutcome::NotSent {
            reason: words(),
            retry_in: Duration::from_secs(4),
        };
        assert_eq!(outcome, expected);
    }
}
