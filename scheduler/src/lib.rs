//! The scheduler: what happens by the clock. It opens sweeps, sends lost signals again, and tidies up.
//!
//! Reading order: [`schedule`] (the table of ticks), [`slot`] (when a tick is due), `redrive`, [`leader`].
//!
//! Invariants:
//!
//! 1. Any number of schedulers may run; one leads, and another takes over within seconds.
//! 2. Every tick is idempotent by its slot, so two leaders for a moment do no harm.
//! 3. The scheduler decides nothing about orders: it opens, signals and tidies. Workers claim and act.

mod app;
pub mod faults;
pub mod leader;
mod redrive;
pub mod schedule;
pub mod slot;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use platform::Shutdown;

pub use app::{SchedulerApp, SchedulerOptions};

use crate::leader::Leadership;
use crate::schedule::Schedule;

/// The pause between two looks at the table; a tick is late by this much at most.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Runs a scheduler until the end is requested.
pub async fn run(app: SchedulerApp, shutdown: Shutdown) {
    tracing::info!(scheduler.name = app.options.name, "the scheduler is ready");
    let mut leadership = Leadership::new(app.store.clone(), app.options.name.clone());
    let mut schedule = None;
    while !shutdown.is_requested() {
        match leadership.keep().await {
            // A panic ends this pass; the leader goes on with the next one.
            Some(fence) => {
                let pass = AssertUnwindSafe(pass(&app, &mut schedule, fence)).catch_unwind();
                if Box::pin(pass).await.is_err() {
                    tracing::error!("a panic ended a pass over the ticks");
                }
            }
            // Whoever leads next asks the database what was done last.
            None => schedule = None,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = shutdown.requested() => {}
        }
    }
    leadership.hand_over().await;
}

/// One look at the table, after the schedule of a new leader was read.
async fn pass(app: &SchedulerApp, schedule: &mut Option<Schedule>, fence: i64) {
    if schedule.is_none() {
        match Schedule::resume(app).await {
            Ok(resumed) => *schedule = Some(resumed),
            Err(error) => tracing::warn!(%error, "cannot read which sweep was the last one"),
        }
    }
    if let Some(schedule) = schedule {
        schedule.pass(app, fence).await;
    }
}
