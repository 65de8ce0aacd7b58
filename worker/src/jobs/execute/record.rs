//! The end of an attempt: what the answer means, written under the claim's fence, and what follows from it.

use std::time::{Duration, Instant};

use broker::Outcome as Called;
use queue::Outcome;
use store::{AfterLookUp, AttemptOutcome, End, Ended, MISSED_CHECK, StoreError};

use super::call::Answer;
use super::{Answered, TRY_AGAIN, may_pass};
use crate::jobs::{Death, read_reports};
use crate::recorder::{ToRecord, Written, has_reports_at_hand};
use crate::{backoff, faults};

/// How the work goes on once an answer is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// It is done; the broker's reports tell the rest.
    Reports,
    /// It has ended by the broker's word.
    Refused,
    /// It is due again after this time.
    Again(Duration),
    /// Its sending is due again at once.
    AtOnce,
}

impl Answered<'_> {
    /// Records the answer, and reads what else the broker reports about the connection.
    pub(super) async fn record(self) -> Outcome {
        let earlier = earlier(self.dispatch.n);
        let (end, follow) = end_of(&self.answer, earlier);
        let broker = self.worker.app.brokers.get(&self.dispatch.connection.broker);
        let is_at_hand = broker.is_some_and(|broker| has_reports_at_hand(broker.as_ref()));
        let reads = follow.reads_reports() && is_at_hand;
        let Some(written) = self.write(&end, reads).await else {
            return self.worker.broken();
        };
        let follow = match written.after {
            Ok(after) => follow.after(after),
            // The claim ran out and another worker has the work: what it finds out counts.
            Err(StoreError::Stale { .. }) => return Outcome::Done,
            Err(error) => return self.worker.failed("record an attempt", &error),
        };
        self.count();
        if follow.reads_reports() && (!reads || written.has_more) {
            read_reports::read(self.worker, &self.dispatch.connection).await;
        }
        match follow {
            Follow::Again(pause) => self.worker.again_in(pause),
            Follow::AtOnce => {
                self.worker.signal([self.dispatch.order.id]).await;
                Outcome::Done
            }
            Follow::Reports => Outcome::Done,
            Follow::Refused => Death::RefusedByBroker.into(),
        }
    }

    /// Writes the answer down; again and again while the database is away and the claim lasts, because what is not
    /// recorded has to be looked up. `None` when the batch broke.
    async fn write(&self, end: &End, reads: bool) -> Option<Written> {
        loop {
            let ended = Ended {
                dispatch: self.dispatch.clone(),
                end: end.clone(),
            };
            let asked = ToRecord {
                ended: Some(ended),
                read: reads.then(|| self.dispatch.connection.clone()),
            };
            let written = self.worker.batches.record(asked).await?;
            let has_time = Instant::now() < self.dispatch.claim.deadline;
            match &written.after {
                Err(error) if may_pass(error) && has_time => tokio::time::sleep(TRY_AGAIN).await,
                Ok(_) | Err(_) => return Some(written),
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
            Answer::Missed | Answer::LookedUp(_) => metrics.looked_up(),
        }
    }
}

impl Follow {
    /// Whether the broker's reports tell more.
    const fn reads_reports(self) -> bool {
        match self {
            Follow::Reports | Follow::Refused => true,
            Follow::Again(_) | Follow::AtOnce => false,
        }
    }

    /// How it goes on once the store has recorded it: how often an order has to be missed is the store's rule.
    const fn after(self, recorded: AfterLookUp) -> Follow {
        match recorded {
            AfterLookUp::Settled => self,
            AfterLookUp::Again { due_in } => Follow::Again(due_in),
            AfterLookUp::SendAgain => Follow::AtOnce,
        }
    }
}

/// An answer in the store's words, and what follows from it, after `earlier` calls before this one, unless the store
/// says otherwise.
fn end_of(answer: &Answer, earlier: u32) -> (End, Follow) {
    match answer {
        Answer::Called(called) => {
            let (outcome, follow) = after_call(called, earlier);
            (End::Called(outcome), follow)
        }
        Answer::Missed => (End::Called(AttemptOutcome::Missed), Follow::Again(MISSED_CHECK)),
        Answer::LookedUp(found) => {
            let next_check = backoff::look_up(earlier);
            let found = found.clone();
            (End::LookedUp { found, next_check }, Follow::Reports)
        }
    }
}

/// A call's outcome in the store's words, and what follows from it after `earlier` calls before this one.
fn after_call(called: &Called, earlier: u32) -> (AttemptOutcome, Follow) {
    match called.clone() {
        Called::Acknowledged {
            broker_order_id,
            is_working,
        } => {
            let outcome = AttemptOutcome::Acknowledged {
                broker_order_id,
                is_working,
            };
            (outcome, Follow::Reports)
        }
        Called::Refused { reason } => (AttemptOutcome::Refused { reason }, Follow::Refused),
        Called::NotSent { reason, retry_after } => {
            let retry_in = backoff::resend(earlier).max(retry_after.unwrap_or_default());
            let outcome = AttemptOutcome::NotSent { reason, retry_in };
            (outcome, Follow::Again(retry_in))
        }
        Called::Unknown { reason } if faults::is_planted(faults::BLIND_RESEND) => {
            let retry_in = backoff::resend(earlier);
            (
                AttemptOutcome::NotSent { reason, retry_in },
                Follow::Again(retry_in),
            )
        }
        Called::Unknown { reason } => {
            let check_in = backoff::look_up(0);
            let outcome = AttemptOutcome::Unknown { reason, check_in };
            (outcome, Follow::Again(check_in))
        }
    }
}

/// The calls before number `n`. Claims would count too much: one that only waited is no failure.
fn earlier(n: i32) -> u32 {
    u32::try_from(n).unwrap_or(0).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_certainly_did_not_leave_is_sent_again_and_what_is_unknown_is_looked_up() {
        let seconds = Duration::from_secs;
        let acknowledged = Called::Acknowledged {
            broker_order_id: None,
            is_working: true,
        };
        let as_stored = AttemptOutcome::Acknowledged {
            broker_order_id: None,
            is_working: true,
        };
        assert_eq!(after_call(&acknowledged, 3), (as_stored, Follow::Reports));
        let reason = "words".to_owned();
        let called = Called::Refused {
            reason: reason.clone(),
        };
        let refused = AttemptOutcome::Refused {
            reason: reason.clone(),
        };
        assert_eq!(after_call(&called, 3), (refused, Follow::Refused));
        for (retry_after, waits) in [(None, 2), (Some(1), 2), (Some(7), 7)] {
            let called = Called::NotSent {
                reason: reason.clone(),
                retry_after: retry_after.map(seconds),
            };
            let not_sent = AttemptOutcome::NotSent {
                reason: reason.clone(),
                retry_in: seconds(waits),
            };
            assert_eq!(after_call(&called, 3), (not_sent, Follow::Again(seconds(waits))));
        }
        let called = Called::Unknown {
            reason: reason.clone(),
        };
        let unknown = AttemptOutcome::Unknown {
            reason,
            check_in: seconds(1),
        };
        assert_eq!(after_call(&called, 3), (unknown, Follow::Again(seconds(1))));
    }

    #[test]
    fn a_first_call_has_none_before_it() {
        assert_eq!([0, 1, 2, 9].map(earlier), [0, 0, 1, 8]);
    }
}
