//! The scheduler: what happens by the clock. It opens sweeps, sends lost signals again, tidies up,
//! and seals the logs.
//!
//! Reading order: [`schedule`] (the tables of ticks), [`slot`] (when a tick is due), `redrive`, [`sealing`].
//!
//! Invariants:
//!
//! 1. Any number of schedulers may run; one leads, and another takes over within seconds.
//! 2. Every tick is idempotent by its slot, so two leaders for a moment do no harm.
//! 3. Protection never waits for housekeeping, nor for sealing: each has its own loop.
//! 4. The scheduler decides nothing about orders: it opens, signals and tidies. Workers claim and act.

mod app;
pub mod faults;
mod redrive;
pub mod schedule;
pub mod sealing;
pub mod slot;
#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::Shutdown;
use store::{LEASE, LeaseKeeper};
use tokio::sync::watch;

pub use app::{SchedulerApp, SchedulerOptions};

use crate::schedule::Schedule;

/// The lease that the leader has.
pub const LEASE_NAME: &str = "scheduler-leader";

/// The pause between two looks at a table; a tick is late by this much at most.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Runs a scheduler until the end is requested.
///
/// Boxed: so all that a tick may become is compiled with this crate, once, and not with each program.
pub fn run(app: SchedulerApp, shutdown: Shutdown) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        tracing::info!(scheduler.name = app.options.name, "the scheduler is ready");
        let (leads, led) = watch::channel(None);
        let protecting = Box::pin(protect(&app, &shutdown, &leads));
        let tidying = Box::pin(tidy(&app, &shutdown, &led));
        let sealing = Box::pin(sealing::seal(&app, &shutdown, &led));
        tokio::join!(protecting, tidying, sealing);
    })
}

/// Keeps the lease, and protects while this process has it.
async fn protect(app: &SchedulerApp, shutdown: &Shutdown, leads: &watch::Sender<Option<i64>>) {
    let name = app.options.name.clone();
    let mut lease = LeaseKeeper::new(app.store.clone(), LEASE_NAME, name, LEASE);
    let mut schedule = None;
    while !shutdown.is_requested() {
        let kept = lease.keep().await;
        leads.send_replace(kept.fence);
        if kept.has_begun {
            tracing::info!(
                scheduler.name = app.options.name,
                fence = kept.fence,
                "leading from now on"
            );
        }
        match kept.fence {
            Some(fence) => guarded(pass(app, &mut schedule, fence)).await,
            // Whoever leads next asks the database what was done last.
            None => schedule = None,
        }
        pause(shutdown).await;
    }
    leads.send_replace(None);
    lease.hand_over().await;
}

/// Tidies up while this process leads.
async fn tidy(app: &SchedulerApp, shutdown: &Shutdown, led: &watch::Receiver<Option<i64>>) {
    let mut schedule = Schedule::of_housekeeping();
    while !shutdown.is_requested() {
        let fence = *led.borrow();
        if let Some(fence) = fence {
            guarded(schedule.pass(app, fence)).await;
        }
        pause(shutdown).await;
    }
}

/// One look at the table of protection, after the schedule of a new leader was read.
async fn pass(app: &SchedulerApp, schedule: &mut Option<Schedule>, fence: i64) {
    if schedule.is_none() {
        match Schedule::of_protection(app).await {
            Ok(resumed) => *schedule = Some(resumed),
            Err(error) => tracing::warn!(%error, "cannot read which sweep was the last one"),
        }
    }
    if let Some(schedule) = schedule {
        schedule.pass(app, fence).await;
    }
}

/// A panic ends this pass; the leader goes on with the next one.
async fn guarded(pass: impl Future<Output = ()>) {
    if Box::pin(AssertUnwindSafe(pass).catch_unwind()).await.is_err() {
        tracing::error!("a panic ended a pass over the ticks");
    }
}

async fn pause(shutdown: &Shutdown) {
    tokio::select! {
        () = tokio::time::sleep(LOOK_EVERY) => {}
        () = shutdown.requested() => {}
    }
}
