//! The worker: sends orders to brokers, records what became of them, and fires stops.
//!
//! Reading order:
//!
//! 1. [`app`]: what a worker needs; [`worker`]: how it runs;
//! 2. `jobs/execute`: the way of one order, stage by stage;
//! 3. `batches` and `recorder`: what the orders under way do together; `jobs/read_reports`: what the broker says afterwards;
//! 4. `jobs/sweep_stops`, `jobs/watch_triggers` and `firing`: from a price to an exit; `judge`: which price is believed;
//! 5. `poll` and `duties`: what starts all this when no signal does.
//!
//! Invariants:
//!
//! 1. The database is the truth. A signal, a poll and a duty are three ways to the same claim.
//! 2. An attempt is committed before a byte leaves, and no broker is called inside a transaction.
//! 3. What has no known outcome is looked up, for as long as it takes, and never sent again blindly.
//! 4. A panic ends one attempt; the process goes on.

// A job's future holds all that it may await; optimised, the compiler looks deeper into it than it does by default.
#![recursion_limit = "256"]

pub mod app;
mod backoff;
mod batches;
mod due;
mod duties;
pub mod faults;
mod fed;
mod firing;
mod jobs;
mod judge;
pub mod metrics;
mod name;
mod poll;
mod readers;
mod recorder;
#[cfg(feature = "fault-points")]
mod scripted;
pub mod setup;
mod slots;
pub mod worker;

use std::sync::Arc;

use futures::future::BoxFuture;
use platform::Shutdown;

pub use app::{Assets, Brokers, WorkerApp, WorkerOptions};
pub use judge::Skip;
pub use metrics::{Latency, WorkerMetrics};
pub use worker::Worker;

/// Runs a worker until the end is requested, and then until what it had begun is done.
///
/// Boxed: so all that a job may become is compiled with this crate, once, and not with each program.
pub fn run(app: WorkerApp, shutdown: Shutdown) -> BoxFuture<'static, ()> {
    Box::pin(async move { Arc::new(Worker::new(app)).run(&shutdown).await })
}
