//! Workers over apalis-redis, and what keeps them going.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use apalis::prelude::{BackendExt, Data, TaskId, WorkerBuilder, WorkerBuilderExt, WorkerContext};
use apalis_redis::{Config, RedisStorage};
use futures::FutureExt;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::ConsumerOptions;
use crate::job::{Job, Signal};
use crate::metrics::Counters;
use crate::outcome::Outcome;
use crate::runner::{Runner, panic_text};

use super::connection::{Line, LinkError};
use super::net::{Bell, LastCause, Net, POLL_TIME};
use super::{QUEUE, RedisQueue, scripts, wake};

/// Workers tell this often that they live.
const HEARTBEAT_TIME: Duration = Duration::from_secs(5);

/// After so many missed heartbeats another worker takes the jobs of a process that died.
const MISSED_HEARTBEATS: usize = 3;

/// Finished jobs are removed from Redis this often.
const CLEAN_TIME: Duration = Duration::from_millis(500);

/// The pause before a worker is built anew grows from the first to the second.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A worker that lived this long ended by a new fault, not by the last one.
const HEALTHY_TIME: Duration = Duration::from_secs(5);

/// So long a worker may take to say goodbye to Redis after its handlers have ended.
const GOODBYE_TIME: Duration = Duration::from_secs(1);

/// So many started jobs are remembered per worker, to know them when the worker dies before Redis learnt of
/// their end. More than can be under way at once.
const STARTED_MAX: usize = 2_048;

impl RedisQueue {
    /// Runs workers, one after another, until `shutdown`.
    pub(crate) async fn consume<H, F>(
        &self,
        options: &ConsumerOptions,
        runner: &Runner<H>,
        shutdown: &CancellationToken,
    ) where
        H: Fn(Job) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let helpers = TaskTracker::new();
        let helpers_end = CancellationToken::new();
        // Also when the caller drops this future, the subscriber ends.
        let _end_with_us = helpers_end.clone().drop_guard();
        let bell = options.wake_up.then(|| {
            let bell = Arc::new(Bell::default());
            let (url, end, rung) = (self.url.clone(), helpers_end.clone(), Arc::clone(&bell));
            helpers.spawn(async move { wake::ring_for_each_push(&url, rung, end).await });
            bell
        });
        let stopped = CancellationToken::new();
        let workers = async {
            self.run_workers(options, runner, bell, shutdown).await;
            stopped.cancel();
        };
        tokio::join!(workers, self.clean_until(&stopped, runner.counters()));
        helpers_end.cancel();
        helpers.close();
        helpers.wait().await;
    }

    async fn run_workers<H, F>(
        &self,
        options: &ConsumerOptions,
        runner: &Runner<H>,
        bell: Option<Arc<Bell>>,
        shutdown: &CancellationToken,
    ) where
        H: Fn(Job) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut dead: Option<Shift<H>> = None;
        let mut pause = PAUSE_MIN;
        while !shutdown.is_cancelled() {
            let shift = Shift::new(&options.name, runner);
            let end = tokio::select! {
                biased;
                line = self.ready_line(dead.as_ref()) => match line {
                    Ok(mut line) => {
                        let began = Instant::now();
                        let end = shift.work(line.clone(), options.concurrency, bell.clone(), shutdown).await;
                        if shutdown.is_cancelled() {
                            shift.sign_off(&mut line).await;
                            return;
                        }
                        runner.counters().worker_rebuilt();
                        if began.elapsed() >= HEALTHY_TIME {
                            pause = PAUSE_MIN;
                        }
                        dead = Some(shift);
                        end
                    }
                    Err(error) => error.to_string(),
                },
                () = shutdown.cancelled() => break,
            };
            // While an outage lasts, its first lines say it all.
            if pause < PAUSE_MAX {
                tracing::warn!(
                    worker.name = options.name,
                    reason = end,
                    "a worker ended; building another"
                );
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = sleep(pause) => pause = pause.saturating_mul(2).min(PAUSE_MAX),
            }
        }
        if let Some(shift) = &dead {
            // Its jobs are given back if Redis is there; else the orphan window does.
            let _ = timeout(GOODBYE_TIME, self.ready_line(Some(shift))).await;
        }
    }

    /// A connection for the next worker, after the last one has been signed off on it.
    async fn ready_line<H>(&self, dead: Option<&Shift<H>>) -> Result<Line, LinkError> {
        let mut line = self.link.for_worker().await?;
        if let Some(shift) = dead {
            shift.retire(&mut line).await?;
        }
        Ok(line)
    }

    /// Removes finished jobs every now and then until `end`, and once more at the end.
    async fn clean_until(&self, end: &CancellationToken, counters: &Counters) {
        let mut ticks = interval(CLEAN_TIME);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = end.cancelled() => break,
            }
            if let Err(error) = self.clean(counters).await {
                tracing::debug!(%error, "finished jobs not removed; trying again");
            }
        }
        // Best effort: whoever consumes next removes what is left.
        let _ = timeout(GOODBYE_TIME, self.clean(counters)).await;
    }

    /// Removes all finished jobs, a bounded number a call.
    async fn clean(&self, counters: &Counters) -> Result<(), LinkError> {
        loop {
            let mut connection = self.link.admit()?;
            let mut call = scripts::CLEAN.prepare_invoke();
            call.key(scripts::done())
                .key(scripts::dead())
                .key(scripts::data())
                .key(scripts::meta());
            call.arg(scripts::CLEAN_AT_ONCE);
            let answer = timeout(GOODBYE_TIME, call.invoke_async::<u64>(&mut connection)).await;
            let removed = self.link.judge(answer)?;
            counters.cleaned(removed);
            if removed < super::count(scripts::CLEAN_AT_ONCE) {
                return Ok(());
            }
        }
    }
}

/// One worker from its registration to its end.
struct Shift<H> {
    name: String,
    runner: Runner<H>,
    cause: LastCause,
    started: Arc<Mutex<VecDeque<String>>>,
}

// By hand, because apalis clones it for every job.
impl<H: Clone> Clone for Shift<H> {
    fn clone(&self) -> Self {
        Shift {
            name: self.name.clone(),
            runner: self.runner.clone(),
            cause: self.cause.clone(),
            started: Arc::clone(&self.started),
        }
    }
}

impl<H, F> Shift<H>
where
    H: Fn(Job) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    /// Works until the worker ends by a fault, which is told, or by `shutdown` with all its handlers ended.
    async fn work(
        &self,
        line: Line,
        concurrency: usize,
        bell: Option<Arc<Bell>>,
        shutdown: &CancellationToken,
    ) -> String {
        let context = WorkerContext::new(&self.name);
        let net = Net::new(bell, POLL_TIME, line.under_way(), self.cause.clone());
        let storage = RedisStorage::<Value, Line>::new(line)
            .with_config(config())
            .poll_with_strategy(net);
        let worker = WorkerBuilder::new(context.clone())
            .backend(storage)
            .concurrency(concurrency)
            .data(self.clone())
            .build(run_value::<H, F>);
        let run = AssertUnwindSafe(worker.run()).catch_unwind();
        let mut run = std::pin::pin!(run);
        let end = tokio::select! {
            end = &mut run => end,
            () = shutdown.cancelled() => {
                // An error says that the worker has not begun, so it holds nothing.
                if context.stop().is_err() {
                    return String::new();
                }
                tokio::select! {
                    end = &mut run => end,
                    () = self.overdue() => return String::new(),
                }
            }
        };
        match end {
            Ok(Ok(())) => "it stopped by itself".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("it panicked: {}", panic_text(panic.as_ref())),
        }
    }

    /// Ends when the handlers have ended and the worker should have said goodbye since.
    async fn overdue(&self) {
        self.runner.drained().await;
        sleep(GOODBYE_TIME).await;
    }
}

impl<H> Shift<H> {
    /// A worker that has not begun. No two workers of the world share a name: apalis refuses a name that was
    /// alive a moment ago.
    fn new(prefix: &str, runner: &Runner<H>) -> Shift<H>
    where
        H: Clone,
    {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "{prefix}-{}-{}-{number}-{}",
            HOST.as_str(),
            std::process::id(),
            BOOT.as_str()
        );
        Shift {
            name,
            runner: runner.clone(),
            cause: LastCause::default(),
            started: Arc::default(),
        }
    }

    /// Gives back what the worker still holds, if Redis is there; else the orphan window does.
    async fn sign_off(&self, line: &mut Line) {
        match timeout(GOODBYE_TIME, self.retire(line)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(worker.name = self.name, %error, "a worker could not sign off from the queue");
            }
            Err(_) => tracing::warn!(
                worker.name = self.name,
                "Redis did not answer a worker that signed off"
            ),
        }
    }

    /// Signs the worker off, on this connection.
    async fn retire(&self, line: &mut Line) -> Result<(), LinkError> {
        let mut call = scripts::RETIRE.prepare_invoke();
        call.key(scripts::inflight(&self.name))
            .key(scripts::active())
            .key(scripts::workers());
        call.key(scripts::worker_metadata(&self.name))
            .key(scripts::data())
            .key(scripts::meta());
        call.arg(&self.name);
        for id in self.started.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            call.arg(id);
        }
        let (given_back, unreadable): (u64, u64) = call.invoke_async(line).await?;
        self.runner.counters().unreadable(unreadable);
        if given_back > 0 || unreadable > 0 {
            tracing::info!(
                worker.name = self.name,
                given_back,
                unreadable,
                "a worker signed off from the queue"
            );
        }
        Ok(())
    }

    /// Remembers that this job was started, so that it is not given back when the worker dies.
    fn remember(&self, id: &TaskId) {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if started.len() >= STARTED_MAX {
            started.pop_front();
        }
        started.push_back(id.to_string());
    }
}

/// The handler as apalis sees it. It takes any JSON: content that it could not decode would end the worker.
async fn run_value<H, F>(value: Value, id: TaskId, shift: Data<Shift<H>>)
where
    H: Fn(Job) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    shift.remember(&id);
    match serde_json::from_value::<Signal>(value) {
        Ok(signal) => shift.runner.run(signal, shift.cause.get()).await,
        Err(error) => {
            shift.runner.counters().unreadable(1);
            tracing::warn!(%error, "a signal that this version cannot read; dropped");
        }
    }
}

fn config() -> Config {
    Config::default()
        .queue(QUEUE)
        .batch_size(1)
        .heartbeat_interval(HEARTBEAT_TIME)
        .missed_heartbeats(MISSED_HEARTBEATS)
        // A lock is a second round trip that only checks what the in-flight set already says.
        .lock_tasks(false)
        .emit_events(false)
        // Without it jobs are never acknowledged.
        .persist_results(true)
}

/// The machine's name, where it can be read.
static HOST: LazyLock<String> = LazyLock::new(|| {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "host".to_owned(), |name| name.trim().to_owned())
});

/// Tells two processes apart that share host name and process id, as containers do after a restart.
static BOOT: LazyLock<String> = LazyLock::new(|| {
    let mut id = Uuid::new_v4().simple().to_string();
    id.truncate(8);
    id
});
