//! Redis servers for tests, a handler that keeps a record, and waiting without sleeping.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::{ConsumerOptions, Job, Outcome, Queue, QueueHealth};

/// Whatever a test waits for must come within this time.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
pub(super) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let began = Instant::now();
    let mut looks = interval(Duration::from_millis(5));
    loop {
        looks.tick().await;
        if condition().await {
            return;
        }
        assert!(began.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
    }
}

/// A redis-server on a free loopback port, in a directory of its own.
pub(super) struct RedisServer {
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl RedisServer {
    pub(super) async fn start() -> RedisServer {
        let mut server = RedisServer::down();
        server.start_again().await;
        server
    }

    /// A server that does not run yet, with its address.
    pub(super) fn down() -> RedisServer {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        RedisServer {
            directory: TempDir::new().unwrap(),
            port,
            process: None,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn queue(&self) -> Queue {
        Queue::redis(&self.url())
    }

    pub(super) async fn start_again(&mut self) {
        let process = Command::new("redis-server")
            .args([
                "--bind",
                "127.0.0.1",
                "--port",
                &self.port.to_string(),
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .arg("--dir")
            .arg(self.directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let client = redis::Client::open(self.url()).unwrap();
        eventually("redis-server answers", || async {
            client.get_multiplexed_async_connection().await.is_ok()
        })
        .await;
    }

    /// Ends the server as a power cut does; its memory is lost.
    pub(super) async fn kill(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    /// Sends the server process a signal by its name.
    pub(super) async fn signal(&self, name: &str) {
        let id = self.process.as_ref().unwrap().id().unwrap().to_string();
        assert!(
            Command::new("kill")
                .args([format!("-{name}"), id])
                .status()
                .await
                .unwrap()
                .success()
        );
    }

    /// Sends one command and returns the answer.
    pub(super) async fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut call = redis::cmd(command[0]);
        for argument in &command[1..] {
            call.arg(*argument);
        }
        call.query_async(&mut connection).await.unwrap()
    }
}

/// A job with a number, so that runs can be counted by it.
pub(super) fn job(number: i64) -> Job {
    Job::SweepStops {
        slot: number,
        shard: 0,
    }
}

pub(super) fn jobs(numbers: std::ops::Range<i64>) -> Vec<Job> {
    numbers.map(job).collect()
}

/// What handlers did, by the numbers of their jobs.
#[derive(Clone)]
pub(super) struct Record {
    runs: Arc<Mutex<BTreeMap<i64, usize>>>,
    at_once: Arc<AtomicUsize>,
    at_once_max: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Record {
    /// Handlers end at once.
    pub(super) fn open() -> Record {
        Record::gated(Semaphore::MAX_PERMITS)
    }

    /// Handlers wait until they are let through; `ahead` of them need not.
    pub(super) fn gated(ahead: usize) -> Record {
        Record {
            runs: Arc::default(),
            at_once: Arc::default(),
            at_once_max: Arc::default(),
            gate: Arc::new(Semaphore::new(ahead)),
        }
    }

    pub(super) fn let_through(&self, handlers: usize) {
        self.gate.add_permits(handlers);
    }

    /// The handler. A job with a negative number panics, one divisible by 1 000 003 is tried again.
    async fn handle(self, job: Job) -> Outcome {
        let Job::SweepStops { slot, .. } = job else {
            return Outcome::Dead("unknown_job");
        };
        *self.runs.lock().unwrap().entry(slot).or_default() += 1;
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.at_once_max.fetch_max(at_once, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        assert!(slot >= 0, "a job that panics");
        if slot == 1_000_003 {
            Outcome::RetryAt(DateTime::UNIX_EPOCH)
        } else {
            Outcome::Done
        }
    }

    /// How many different jobs ran.
    pub(super) fn ran(&self) -> usize {
        self.runs.lock().unwrap().len()
    }

    /// The jobs that ran more than once.
    pub(super) fn repeated(&self) -> Vec<(i64, usize)> {
        self.runs
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, runs)| **runs > 1)
            .map(|(job, runs)| (*job, *runs))
            .collect()
    }

    pub(super) fn has_run(&self, numbers: std::ops::Range<i64>) -> bool {
        let runs = self.runs.lock().unwrap();
        numbers.into_iter().all(|number| runs.contains_key(&number))
    }

    pub(super) fn at_once(&self) -> usize {
        self.at_once.load(Ordering::SeqCst)
    }

    pub(super) fn at_once_max(&self) -> usize {
        self.at_once_max.load(Ordering::SeqCst)
    }

    pub(super) async fn wait_for(&self, numbers: std::ops::Range<i64>) {
        eventually(&format!("jobs {numbers:?} ran"), || async {
            self.has_run(numbers.clone())
        })
        .await;
    }
}

/// A consumer that runs in the background.
pub(super) struct Consumer {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Consumer {
    pub(super) fn start(queue: &Queue, concurrency: usize, record: &Record) -> Consumer {
        Consumer::with(queue, ConsumerOptions::new("test", concurrency), record)
    }

    pub(super) fn with(queue: &Queue, options: ConsumerOptions, record: &Record) -> Consumer {
        let (queue, record, shutdown) = (queue.clone(), record.clone(), CancellationToken::new());
        let token = shutdown.clone();
        let task = tokio::spawn(async move {
            queue
                .consume(options, move |job| record.clone().handle(job), token)
                .await;
        });
        Consumer { shutdown, task }
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.task.is_finished()
    }

    pub(super) fn ask_to_stop(&self) {
        self.shutdown.cancel();
    }

    /// Stops it and waits for its end.
    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        timeout(DEADLINE, self.task)
            .await
            .expect("the consumer ends")
            .unwrap();
    }

    /// Ends it without a goodbye, as a crash of its process would; its handlers are not ended by this.
    pub(super) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Waits until pushes get through.
pub(super) async fn up(queue: &Queue) {
    eventually("the queue is up", || async {
        queue.health().await == QueueHealth::Up
    })
    .await;
}
