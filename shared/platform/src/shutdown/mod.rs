//! Ending in order: one request to stop, which every task hears, and a wait for those that still work.
//!
//! SIGTERM or Ctrl-C asks for the end; a second signal ends the process at once. Work that must not be cut is
//! spawned through [`Shutdown::spawn`], so that [`Shutdown::drain`] waits for it.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The request to stop, shared by all parts of a process. Clones are the same request.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tracker: TaskTracker,
    running: Arc<Running>,
}

/// The names of the tasks that have not ended, for the log line of an incomplete drain.
#[derive(Debug, Default)]
struct Running {
    next: AtomicU64,
    names: Mutex<BTreeMap<u64, &'static str>>,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, &'static str>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the name off the list when the task ends in whatever way, abort included.
struct Listed {
    running: Arc<Running>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.running.lock().remove(&self.number);
    }
}

impl Shutdown {
    /// A request that nobody has made yet.
    pub fn new() -> Shutdown {
        Shutdown::default()
    }

    /// Makes SIGTERM and Ctrl-C request the end; a second signal exits at once with 128 + its number.
    ///
    /// Fails if the operating system refuses the handlers. Needs a tokio runtime.
    pub fn listen_for_signals(&self) -> io::Result<()> {
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut terminations = signal(SignalKind::terminate())?;
        let token = self.token.clone();
        tokio::spawn(async move {
            let first = next_signal(&mut interrupts, &mut terminations).await;
            tracing::info!(
                signal = first.0,
                "shutting down; a second signal ends the process at once"
            );
            token.cancel();
            let second = next_signal(&mut interrupts, &mut terminations).await;
            tracing::warn!(signal = second.0, "ending at once");
            std::process::exit(second.1);
        });
        Ok(())
    }

    /// Asks every part to stop.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// Whether the end was requested.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until the end is requested.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// The token, for libraries that take one.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// A guard that requests the end when it is dropped; a test holds it, or a part without which nothing goes on.
    pub fn request_on_drop(&self) -> DropGuard {
        self.token.clone().drop_guard()
    }

    /// Runs a task that [`Shutdown::drain`] waits for. A panic is logged with the task's name, once, and shows in
    /// the handle, too.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let number = self.running.next.fetch_add(1, Ordering::Relaxed);
        self.running.lock().insert(number, name);
        let listed = Listed {
            running: Arc::clone(&self.running),
            number,
        };
        let span = tracing::info_span!("task", task.name = name);
        let supervised = async move {
            let _listed = listed;
            match AssertUnwindSafe(task).catch_unwind().await {
                Ok(output) => output,
                Err(panic) => {
                    tracing::error!(task.name = name, "a task panicked");
                    resume_unwind(panic)
                }
            }
        };
        self.tracker.spawn(supervised.instrument(span))
    }

    /// Requests the end and waits for the tracked tasks, at most `grace`. Answers whether all ended; the names of
    /// those that did not are logged.
    pub async fn drain(&self, grace: Duration) -> bool {
        self.request();
        self.tracker.close();
        let all_ended = tokio::time::timeout(grace, self.tracker.wait()).await.is_ok();
        if !all_ended {
            let names: Vec<&str> = self.running.lock().values().copied().collect();
            tracing::warn!(tasks = names.join(", "), "some tasks did not end in time");
        }
        all_ended
    }
}

/// The next signal's name and the exit status that a shell expects of it.
async fn next_signal(interrupts: &mut Signal, terminations: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = interrupts.recv() => ("SIGINT", 130),
        _ = terminations.recv() => ("SIGTERM", 143),
    }
}

#[cfg(test)]
mod tests;
