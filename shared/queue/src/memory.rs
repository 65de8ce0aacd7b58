//! The embedded queue: apalis' memory storage over a bounded list of our own.
//!
//! apalis' own list has no bound and one reader; ours is bounded by [`WAITING_MAX`] and outlives its readers, so
//! a consumer can end and another can begin.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use apalis::prelude::{
    Data, MemorySink, MemoryStorage, MemoryStorageError, Task, TaskBuilder, TaskId, WorkerBuilder,
    WorkerBuilderExt, WorkerContext,
};
use futures::{FutureExt, SinkExt, Stream};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::job::{Job, Signal};
use crate::metrics::{Cause, Counters};
use crate::outcome::Outcome;
use crate::runner::{Runner, panic_text};
use crate::{ConsumerOptions, WAITING_MAX};

/// The signals that wait inside this process. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryQueue {
    list: Arc<Mutex<List>>,
}

#[derive(Debug, Default)]
struct List {
    waiting: VecDeque<Signal>,
    /// The consumers that found the list empty.
    sleepers: Vec<Waker>,
}

impl MemoryQueue {
    pub(crate) fn new() -> MemoryQueue {
        MemoryQueue::default()
    }

    pub(crate) fn push(&self, signals: impl ExactSizeIterator<Item = Signal>, counters: &Counters) {
        let offered = signals.len();
        let mut list = self.lock();
        let taken = WAITING_MAX.saturating_sub(list.waiting.len()).min(offered);
        list.waiting.extend(signals.take(taken));
        let sleepers = std::mem::take(&mut list.sleepers);
        drop(list);
        for sleeper in sleepers {
            sleeper.wake();
        }
        counters.pushed(count(taken));
        counters.skipped_full(count(offered.saturating_sub(taken)));
    }

    pub(crate) fn waiting(&self) -> u64 {
        count(self.lock().waiting.len())
    }

    /// Runs a worker until `shutdown`. A worker that ends by itself is built anew.
    pub(crate) async fn consume<H, F>(
        &self,
        options: &ConsumerOptions,
        runner: &Runner<H>,
        shutdown: &CancellationToken,
    ) where
        H: Fn(Job) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        while !shutdown.is_cancelled() {
            let context = WorkerContext::new(&options.name);
            let worker = WorkerBuilder::new(context.clone())
                .backend(self.storage())
                .concurrency(options.concurrency)
                .data(runner.clone())
                .build(run_signal::<H, F>);
            let run = AssertUnwindSafe(worker.run()).catch_unwind();
            let mut run = std::pin::pin!(run);
            let ended = tokio::select! {
                ended = &mut run => ended,
                () = shutdown.cancelled() => {
                    if context.stop().is_err() {
                        return;
                    }
                    run.await
                }
            };
            if shutdown.is_cancelled() {
                return;
            }
            runner.counters().worker_rebuilt();
            match ended {
                Ok(result) => tracing::warn!(
                    worker.name = options.name,
                    ?result,
                    "a worker ended; building another"
                ),
                Err(panic) => tracing::error!(
                    worker.name = options.name,
                    panic = panic_text(panic.as_ref()),
                    "a worker panicked; building another"
                ),
            }
            tokio::task::yield_now().await;
        }
    }

    fn storage(&self) -> MemoryStorage<Signal> {
        // Pushes go into our list, so apalis' side of the pair is a sink that nobody uses.
        let unused = futures::sink::drain().sink_map_err(|never| match never {});
        let unused: Box<dyn futures::Sink<Task<Signal>, Error = MemoryStorageError> + Send + Sync + Unpin> =
            Box::new(unused);
        let sink = MemorySink::new(Arc::new(futures::lock::Mutex::new(unused)));
        MemoryStorage::new_with(sink, Box::pin(Waiting { queue: self.clone() }))
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        // Every change is one call on one of the two lists, so a panic elsewhere leaves both whole.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The list as the stream of tasks that apalis reads from.
struct Waiting {
    queue: MemoryQueue,
}

impl Stream for Waiting {
    type Item = Task<Signal>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut list = self.queue.lock();
        if let Some(signal) = list.waiting.pop_front() {
            let id = TaskId::from_string(Uuid::now_v7().to_string());
            return Poll::Ready(Some(TaskBuilder::new(signal).task_id(id).build()));
        }
        if !list
            .sleepers
            .iter()
            .any(|sleeper| sleeper.will_wake(context.waker()))
        {
            list.sleepers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

async fn run_signal<H, F>(signal: Signal, runner: Data<Runner<H>>)
where
    H: Fn(Job) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    runner.run(signal, Cause::WakeUp).await;
}

fn count(signals: usize) -> u64 {
    u64::try_from(signals).unwrap_or(u64::MAX)
}
