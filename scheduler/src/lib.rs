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
pub mod setup;
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
    let mut schedule = Schedule::default();
    while !shutdown.is_requested() {
        if let Some(fence) = leadership.keep().await {
            // A panic ends this pass; the leader goes on with the next one.
            let pass = AssertUnwindSafe(schedule.pass(&app, fence)).catch_unwind().await;
            if pass.is_err() {
                tracing::error!("a panic ended a pass over the ticks");
            }
        } else {
            // Whoever leads next begins with every tick: nobody knows what the last leader missed.
            schedule = Schedule::default();
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = shutdown.requested() => {}
        }
    }
    leadership.hand_over().await;
}
