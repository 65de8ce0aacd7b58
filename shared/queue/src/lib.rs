//! Job types and the queue port over apalis: signals that wake workers up.
//!
//! This crate is the one place that knows apalis. **The database is the backlog**: what has to be done, when,
//! and how often it was tried stands there. The queue only wakes workers, so that work starts within a
//! millisecond and not at the next look into the database.
//!
//! Invariants:
//!
//! 1. [`Queue::push`] never fails towards its caller and returns within [`PUSH_TIME`]; what it could not hand
//!    over is counted and found by the database's due times.
//! 2. About [`WAITING_MAX`] signals wait at most; more would say nothing new to workers that are busy.
//! 3. To apalis a handled job is always done. Retries and the end of attempts are the database's.
//! 4. [`Queue::consume`] outlives every fault of its backend. It ends only by its shutdown token.
//!
//! Reading order: [`Job`], [`Outcome`], [`Queue`], then `runner`, `memory` and `redis`.

mod job;
mod memory;
mod metrics;
mod outcome;
mod redis;
mod runner;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use crate::job::Job;
pub use crate::metrics::{OutcomeCounts, QueueMetrics, StartLatency};
pub use crate::outcome::Outcome;

use crate::job::Signal;
use crate::memory::MemoryQueue;
use crate::metrics::Counters;
use crate::redis::RedisQueue;
use crate::runner::Runner;

/// So many signals wait at most; a push beyond that is skipped.
pub const WAITING_MAX: usize = 1_000;

/// The longest that [`Queue::push`] keeps its caller.
pub const PUSH_TIME: Duration = Duration::from_millis(50);

/// The most handlers that one consumer runs at once; a larger wish is cut to this.
const CONCURRENCY_MAX: usize = 1_024;

/// How one consumer works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// The beginning of the names under which its workers register, for people who look into the queue.
    pub name: String,
    /// How many handlers run at once: at least 1.
    pub concurrency: usize,
    /// Whether a push wakes the consumer at once. Without it only the poll finds jobs, tens of milliseconds
    /// later. The embedded queue always wakes.
    pub wake_up: bool,
}

impl ConsumerOptions {
    /// A consumer of this name that runs so many handlers at once and is woken by pushes.
    pub fn new(name: impl Into<String>, concurrency: usize) -> ConsumerOptions {
        ConsumerOptions {
            name: name.into(),
            concurrency,
            wake_up: true,
        }
    }
}

/// Whether signals get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueHealth {
    /// Signals get through.
    Up,
    /// Signals are lost at present; work starts by the database's due times, that is later.
    Degraded {
        /// What was seen, for people.
        reason: String,
    },
    /// The queue lives inside this process; there is nothing that could be away.
    NotConfigured,
}

/// The signals between those who write work down and those who do it. Clones share everything.
#[derive(Clone, Debug)]
pub struct Queue {
    backend: Backend,
    counters: Arc<Counters>,
}

#[derive(Clone, Debug)]
enum Backend {
    Memory(MemoryQueue),
    Redis(Arc<RedisQueue>),
}

impl Queue {
    /// A queue in the Redis at `url`, or inside this process where there is none: then no other process hears the
    /// signals, and its workers find work by the database's due times.
    pub fn of(url: Option<&str>) -> Queue {
        url.map_or_else(Queue::memory, Queue::redis)
    }

    /// A queue inside this process. It forgets its signals when the process ends.
    pub fn memory() -> Queue {
        Queue {
            backend: Backend::Memory(MemoryQueue::new()),
            counters: Arc::default(),
        }
    }

    /// A queue in database 0 of the Redis at `url` (`redis://`, `rediss://`).
    ///
    /// Nothing is connected yet and nothing can fail here: a Redis that is away, and even a `url` that cannot be
    /// read, shows in [`Queue::health`] and the counters.
    pub fn redis(url: &str) -> Queue {
        Queue {
            backend: Backend::Redis(Arc::new(RedisQueue::new(url))),
            counters: Arc::default(),
        }
    }

    /// Wakes a worker for each of these jobs, if that is possible within [`PUSH_TIME`].
    ///
    /// Call it after the commit that wrote the work down. It has no answer on purpose: nothing that was accepted
    /// depends on it.
    pub async fn push(&self, jobs: &[Job]) {
        if jobs.is_empty() {
            return;
        }
        let signals = jobs.iter().cloned().map(Signal::now);
        match &self.backend {
            Backend::Memory(memory) => memory.push(signals, &self.counters),
            Backend::Redis(redis) => redis.push(signals, &self.counters).await,
        }
    }

    /// What was counted since the process started, by all clones of this queue.
    pub fn metrics(&self) -> QueueMetrics {
        self.counters.snapshot()
    }

    /// Whether signals get through right now. Answers within half a second.
    pub async fn health(&self) -> QueueHealth {
        match &self.backend {
            Backend::Memory(_) => QueueHealth::NotConfigured,
            Backend::Redis(redis) => redis.health().await,
        }
    }

    /// How many signals wait for a worker; `None` when that cannot be told now.
    pub async fn waiting(&self) -> Option<u64> {
        match &self.backend {
            Backend::Memory(memory) => Some(memory.waiting()),
            Backend::Redis(redis) => redis.waiting().await,
        }
    }

    /// Calls `handler` for each job until `shutdown`, then waits for the handlers that run and returns.
    ///
    /// Several consumers may run on one queue, in one process or in many; each signal goes to one of them. After
    /// a fault of the backend a signal may be handed out again.
    pub async fn consume<H, F>(&self, worker: ConsumerOptions, handler: H, shutdown: CancellationToken)
    where
        H: Fn(Job) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let options = ConsumerOptions {
            concurrency: worker.concurrency.clamp(1, CONCURRENCY_MAX),
            ..worker
        };
        let runner = Runner::new(handler, options.concurrency, Arc::clone(&self.counters));
        match &self.backend {
            Backend::Memory(memory) => memory.consume(&options, &runner, &shutdown).await,
            Backend::Redis(redis) => redis.consume(&options, &runner, &shutdown).await,
        }
        runner.drained().await;
    }
}
