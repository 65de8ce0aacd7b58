//! One file per job: what a signal, a due time or a duty makes a worker do. Each ends in a queue [`Outcome`].

pub(crate) mod execute;
pub(crate) mod feed_paper;
pub(crate) mod read_reports;
pub(crate) mod sweep_stops;
pub(crate) mod watch_triggers;

use std::time::Instant;

use domain::id::{ConnectionId, OrderId};
use queue::{Job, Outcome};
use tracing::Instrument as _;

use crate::worker::Worker;

/// Does what a signal asks for.
pub(crate) async fn handle(worker: &Worker, job: Job) -> Outcome {
    let started = Instant::now();
    let span = tracing::info_span!("job", job.name = job.name());
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

/// Milliseconds since `started`, for the log.
pub(crate) fn millis(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
