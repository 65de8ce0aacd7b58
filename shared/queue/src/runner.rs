//! Runs handlers apart from the worker that fetched their jobs.
//!
//! Invariants:
//!
//! 1. A handler that has started runs to its end, whatever becomes of the worker: it is a task of its own, and
//!    a worker that dies by a fault of the backend only stops waiting for it.
//! 2. No more handlers run at once than the consumer asked for, also across a rebuild of the worker.
//! 3. A panic ends its own attempt, is counted and logged, and nothing else.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::job::{Job, Signal};
use crate::metrics::{Cause, Counters};
use crate::outcome::Outcome;

/// Starts a handler for each job of one consumer.
#[derive(Debug)]
pub(crate) struct Runner<H> {
    handler: H,
    counters: Arc<Counters>,
    slots: Arc<Semaphore>,
    running: TaskTracker,
}

// By hand, because apalis clones it for every job.
impl<H: Clone> Clone for Runner<H> {
    fn clone(&self) -> Self {
        Runner {
            handler: self.handler.clone(),
            counters: Arc::clone(&self.counters),
            slots: Arc::clone(&self.slots),
            running: self.running.clone(),
        }
    }
}

impl<H, F> Runner<H>
where
    H: Fn(Job) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    /// A runner of at most `concurrency` handlers at once.
    pub(crate) fn new(handler: H, concurrency: usize, counters: Arc<Counters>) -> Runner<H> {
        Runner {
            handler,
            counters,
            slots: Arc::new(Semaphore::new(concurrency)),
            running: TaskTracker::new(),
        }
    }

    /// Runs the handler for one signal and returns when it has ended. When the returned future is dropped
    /// after the start, the handler goes on.
    pub(crate) async fn run(&self, signal: Signal, cause: Cause) {
        // The semaphore is never closed, so an error cannot happen; a job left out here is still in the database.
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return;
        };
        let counters = Arc::clone(&self.counters);
        let handler = self.handler.clone();
        let attempt = self.running.spawn(async move {
            let _slot = slot;
            counters.started(cause, signal.age_micros());
            let name = signal.job.name();
            let job = signal.job;
            match AssertUnwindSafe(async move { handler(job).await })
                .catch_unwind()
                .await
            {
                Ok(outcome) => counters.ended(outcome),
                Err(panic) => {
                    counters.panicked();
                    tracing::error!(
                        job.name = name,
                        panic = panic_text(panic.as_ref()),
                        "a job's handler panicked"
                    );
                }
            }
        });
        // An error would mean that the runtime is going away.
        let _ = attempt.await;
    }
}

impl<H> Runner<H> {
    /// Waits until no handler runs any more. New ones may still be started by whoever holds a clone.
    pub(crate) async fn drained(&self) {
        self.running.close();
        self.running.wait().await;
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }
}

/// The text of a panic, when it has one.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no text"
    }
}
