//! A worker: its parts, and what it remembers while it runs. Nothing of that is needed after a restart.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use chrono::TimeDelta;
use domain::id::OrderId;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::Shutdown;
use queue::{ConsumerOptions, Job, Outcome};
use store::StoreError;

use crate::app::WorkerApp;
use crate::batches::Batches;
use crate::due::DueTimes;
use crate::duties::Duty;
use crate::fed::Fed;
use crate::jobs;
use crate::jobs::feed_paper::Feeding;
use crate::judge::Marks;
use crate::metrics::{Counters, WorkerMetrics};
use crate::poll;
use crate::readers::Readers;
use crate::slots::Slots;

/// A worker.
pub struct Worker {
    pub(crate) app: WorkerApp,
    pub(crate) metrics: Counters,
    pub(crate) batches: Batches,
    pub(crate) fed: Fed,
    pub(crate) readers: Readers,
    pub(crate) marks: Marks,
    pub(crate) due: DueTimes,
    pub(crate) feeding: Feeding,
    pub(crate) slots: Slots,
}

impl Worker {
    /// A worker that does nothing yet. Within a Tokio runtime.
    pub fn new(app: WorkerApp) -> Worker {
        let slots = Slots::new(app.options.concurrency);
        Worker {
            batches: Batches::new(&app),
            fed: Fed::default(),
            app,
            metrics: Counters::default(),
            readers: Readers::default(),
            marks: Marks::default(),
            due: DueTimes::default(),
            feeding: Feeding::default(),
            slots,
        }
    }

    /// Works until the end is requested, and then until everything that had begun is done.
    pub async fn run(self: Arc<Self>, shutdown: &Shutdown) {
        tracing::info!(worker.name = self.app.options.name, "the worker is ready");
        // Without one of these a worker only seems to work: whatever ends one, ends the process.
        let spawn = |name: &'static str, task: BoxFuture<'static, ()>| {
            let end = shutdown.request_on_drop();
            shutdown.spawn(name, async move {
                let _end = end;
                task.await;
            })
        };
        let both = || (Arc::clone(&self), shutdown.clone());
        let mut tasks = Vec::new();
        let (worker, until) = both();
        tasks.push(spawn("worker-signals", worker.consume(until.token()).boxed()));
        let (worker, until) = both();
        tasks.push(spawn(
            "worker-poll",
            async move { poll::orders(worker, &until).await }.boxed(),
        ));
        let (worker, until) = both();
        tasks.push(spawn(
            "worker-sweeps",
            async move { poll::sweeps(&worker, &until).await }.boxed(),
        ));
        for duty in Duty::ALL {
            let (worker, until) = both();
            tasks.push(spawn(
                duty.name(),
                async move { duty.run(&worker, &until).await }.boxed(),
            ));
        }
        for task in tasks {
            // A panic was logged by the task's supervisor.
            let _ = task.await;
        }
    }

    async fn consume(self: Arc<Self>, token: tokio_util::sync::CancellationToken) {
        let options = ConsumerOptions::new(self.app.options.name.clone(), self.app.options.concurrency);
        let queue = self.app.queue.clone();
        let handler = move |job| {
            let worker = Arc::clone(&self);
            async move { worker.handle(job).await }
        };
        queue.consume(options, handler, token).await;
    }

    /// Does what a signal asks for.
    pub async fn handle(&self, job: Job) -> Outcome {
        // Boxed, as what a job awaits is large and deep.
        Box::pin(jobs::handle(self, job)).await
    }

    /// What was counted since the worker was made.
    pub fn metrics(&self) -> WorkerMetrics {
        self.metrics.snapshot()
    }

    /// The longest that a call to `broker` may take: the broker's own limit, or the configured one where that is less.
    pub(crate) fn call_limit(&self, broker: &dyn Broker) -> Duration {
        let configured = self.app.options.broker_timeout;
        broker.capabilities().call_timeout.min(configured)
    }

    /// Runs `work`; a panic ends that work and nothing else.
    pub(crate) async fn guarded<T>(&self, name: &'static str, work: impl Future<Output = T>) -> Option<T> {
        let result = AssertUnwindSafe(work).catch_unwind().await;
        if result.is_err() {
            self.metrics.panicked();
            tracing::error!(job.name = name, "a panic ended this attempt");
        }
        result.ok()
    }

    /// Wakes workers for these orders.
    pub(crate) async fn signal(&self, orders: impl IntoIterator<Item = OrderId>) {
        let jobs: Vec<Job> = orders
            .into_iter()
            .map(|order| Job::ExecuteOrder { order_id: order.0 })
            .collect();
        self.app.queue.push(&jobs).await;
    }

    /// The outcome of work that is due again after `pause`, and a look at that time.
    pub(crate) fn again_in(&self, pause: Duration) -> Outcome {
        self.due.look_in(pause);
        let pause = TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX);
        let now = self.app.clock.now();
        Outcome::RetryAt(now.checked_add_signed(pause).unwrap_or(now))
    }

    /// The outcome of work that the database did not let us do. Its claim runs out, and it is due again.
    pub(crate) fn failed(&self, what: &'static str, error: &StoreError) -> Outcome {
        match error {
            StoreError::Stale { .. } => Outcome::Done,
            error => {
                self.warn(what, error);
                self.again_in(self.app.options.lease)
            }
        }
    }

    /// The outcome of work whose batch broke, as the log says: its claim runs out, and it is due again.
    pub(crate) fn broken(&self) -> Outcome {
        self.again_in(self.app.options.lease)
    }

    /// Says what the database did not let us do.
    pub(crate) fn warn(&self, what: &'static str, error: &StoreError) {
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(%error, source, worker.name = self.app.options.name, "failed to {what}");
    }
}
