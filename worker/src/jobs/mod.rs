//! One file per job: what a signal, a due time or a duty makes a worker do. Each ends in a queue [`Outcome`].
//!
//! Every job runs in a span with an id of its own, so that its lines can be told from those of the jobs beside it.

pub(crate) mod execute;
pub(crate) mod feed_paper;
pub(crate) mod read_reports;
pub(crate) mod sweep_stops;
pub(crate) mod watch_triggers;

use std::time::Instant;

use domain::id::{ConnectionId, OrderId};
use queue::{Job, Outcome};
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use crate::worker::Worker;

/// Does what a signal asks for.
pub(crate) async fn handle(worker: &Worker, job: Job) -> Outcome {
    let started = Instant::now();
    let span = span(job.name());
    async {
        let outcome = match job {
            Job::ExecuteOrder { order_id } => execute::by_signal(worker, OrderId(order_id)).await,
            Job::SweepStops { slot, shard } => sweep_stops::by_signal(worker, slot, shard).await,
            Job::ReadReports { connection_id } => {
                read_reports::by_signal(worker, ConnectionId(connection_id)).await
            }
        };
        tracing::debug!(duration_ms = millis(started), ?outcome, "job done");
        outcome
    }
    .instrument(span)
    .await
}

/// The span of one job.
pub(crate) fn span(name: &'static str) -> Span {
    tracing::info_span!("job", job.name = name, job.id = %Uuid::now_v7())
}

/// Why a job has ended without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// The order goes to a broker that this worker does not know.
    UnknownBroker,
    /// The broker does not want the order.
    RefusedByBroker,
}

impl Death {
    /// Its name in the metrics.
    const fn code(self) -> &'static str {
        match self {
            Death::UnknownBroker => "unknown_broker",
            Death::RefusedByBroker => "refused_by_broker",
        }
    }
}

impl From<Death> for Outcome {
    fn from(death: Death) -> Outcome {
        Outcome::Dead(death.code())
    }
}

/// What a job came to that did two things: work that is due again comes first, the earlier one at that, then an end
/// without success.
pub(crate) fn both(one: Outcome, other: Outcome) -> Outcome {
    match (one, other) {
        (Outcome::RetryAt(one), Outcome::RetryAt(other)) => Outcome::RetryAt(one.min(other)),
        (again @ Outcome::RetryAt(_), _) | (_, again @ Outcome::RetryAt(_)) => again,
        (dead @ Outcome::Dead(_), _) | (_, dead @ Outcome::Dead(_)) => dead,
        (Outcome::Done, Outcome::Done) => Outcome::Done,
    }
}

/// Milliseconds since `started`, for the log.
pub(crate) fn millis(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    #[test]
    fn of_two_outcomes_the_earliest_retry_counts_and_then_a_death() {
        let at = |text: &str| Outcome::RetryAt(text.parse::<DateTime<Utc>>().unwrap());
        let (soon, late) = (at("2026-11-24T15:00:00Z"), at("2026-11-24T15:00:01Z"));
        let dead = Outcome::from(Death::RefusedByBroker);
        for (one, other, expected) in [
            (Outcome::Done, Outcome::Done, Outcome::Done),
            (Outcome::Done, dead, dead),
            (dead, late, late),
            (soon, late, soon),
        ] {
            assert_eq!(both(one, other), expected);
            assert_eq!(both(other, one), expected);
        }
    }
}
