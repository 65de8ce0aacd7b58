//! The net under the signals: looks into the database for due work.
//!
//! While signals get through, a look every few seconds finds what one of them missed. While they do not (no Redis, a
//! dead one), the looks are the way in which work starts, and come every 250 ms. A backlog is drained batch by batch
//! without a pause, however many orders wait.

use std::sync::Arc;
use std::time::Duration;

use platform::Shutdown;
use queue::QueueHealth;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::duties::sleep;
use crate::jobs::{self, execute, sweep_stops};
use crate::slots::Slot;
use crate::worker::Worker;

/// Between two looks while no signal arrives.
const WITHOUT_SIGNALS: Duration = Duration::from_millis(250);

/// Between two looks while signals arrive.
const WITH_SIGNALS: Duration = Duration::from_secs(3);

/// Between two questions whether signals get through.
const HEALTH_EVERY: Duration = Duration::from_secs(1);

/// Between two looks for sweeps that are due.
const SWEEPS_EVERY: Duration = Duration::from_secs(1);

/// Looks for due work of orders until the end is requested, and waits for what it started.
pub(crate) async fn orders(worker: Arc<Worker>, shutdown: &Shutdown) {
    let token = shutdown.token();
    let started = TaskTracker::new();
    while !token.is_cancelled() {
        worker.due.clear();
        let more = tokio::select! {
            slots = worker.slots.all_free() => {
                worker.guarded("poll", look(&worker, &started, slots)).await.unwrap_or(false)
            }
            () = token.cancelled() => break,
        };
        if more {
            continue;
        }
        tokio::select! {
            () = pause(&worker) => {}
            () = token.cancelled() => {}
        }
    }
    started.close();
    started.wait().await;
}

/// Looks for due sweeps until the end is requested. Apart from the orders, so that no backlog of theirs delays a stop.
pub(crate) async fn sweeps(worker: &Worker, shutdown: &Shutdown) {
    let token = shutdown.token();
    while !token.is_cancelled() {
        worker
            .guarded("sweep_stops", Box::pin(sweep_stops::due(worker)))
            .await;
        sleep(SWEEPS_EVERY, &token).await;
    }
}

/// Starts what is due, one piece of work for each slot. Answers whether more may wait.
async fn look(worker: &Arc<Worker>, started: &TaskTracker, slots: Vec<Slot>) -> bool {
    let options = &worker.app.options;
    let limit = u64::try_from(slots.len()).unwrap_or(u64::MAX);
    let claims = match worker
        .app
        .store
        .claim_due(&options.name, options.lease, limit)
        .await
    {
        Ok(claims) => claims,
        Err(error) => {
            worker.failed("claim due work", &error);
            return false;
        }
    };
    let is_full = claims.len() == slots.len();
    for (claim, slot) in claims.into_iter().zip(slots) {
        let worker = Arc::clone(worker);
        started.spawn(async move {
            let _slot: Slot = slot;
            let work = Box::pin(execute::execute(&worker, claim).instrument(jobs::span("execute_order")));
            worker.guarded("execute", work).await;
        });
    }
    is_full
}

/// Waits until it is time to look again: the regular pause, cut short by work that is due before, and by signals that
/// stop to arrive.
async fn pause(worker: &Worker) {
    let mut waited = Duration::ZERO;
    while waited < WITH_SIGNALS {
        let step = match worker.app.queue.health().await {
            QueueHealth::Up => HEALTH_EVERY,
            QueueHealth::Degraded { .. } | QueueHealth::NotConfigured => {
                worker.due.wait(WITHOUT_SIGNALS.saturating_sub(waited)).await;
                return;
            }
        };
        if worker.due.wait(step).await {
            return;
        }
        waited += step;
    }
}
