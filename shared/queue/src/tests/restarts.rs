//! Redis that forgets, that remembers too much, and that must not fill up; workers that come back under their name.

use std::time::Duration;

use crate::QueueHealth;
use crate::job::Signal;
use crate::redis::RedisQueue;
use crate::tests::support::{Consumer, Record, RedisServer, eventually, job, jobs, up};

/// Longer than a silent worker keeps its jobs, in seconds: what another takes from it is taken by then.
const ORPHAN_WINDOW_OVER: i64 = 18;

/// The seconds of the server's clock.
async fn seconds(server: &RedisServer) -> i64 {
    server.ask::<(i64, i64)>(&["TIME"]).await.0
}

/// Waits until nothing of any job is left in Redis.
async fn no_traces_are_left(server: &RedisServer) {
    eventually("the traces are gone", || async {
        server.ask::<u64>(&["HLEN", "arbion:jobs:data"]).await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_handlers_with_jobs_behind_them_run_each_job_once_beside_a_worker_that_could_take_them() {
    let server = RedisServer::start().await;
    let queue = server.queue();
    up(&queue).await;
    let record = Record::gated(0);
    let first = Consumer::start(&queue, 2, &record);
    let second = Consumer::start(&server.queue(), 2, &record);
    queue.push(&jobs(0..40)).await;
    eventually("all four slots are busy", || async { record.at_once() == 4 }).await;
    let began = seconds(&server).await;
    eventually("a silent worker would have lost its jobs", || async {
        seconds(&server).await >= began + ORPHAN_WINDOW_OVER
    })
    .await;
    record.let_through(40);
    record.wait_for(0..40).await;
    no_traces_are_left(&server).await;
    first.stop().await;
    second.stop().await;
    assert_eq!(record.repeated(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_comes_back_under_its_old_name_works_at_once() {
    let server = RedisServer::start().await;
    let record = Record::open();
    for round in 0..4 {
        // A process of its own each time, and the one before has not said goodbye.
        let queue = server.queue();
        up(&queue).await;
        let consumer = Consumer::start(&queue, 2, &record);
        let numbers = round * 10..round * 10 + 10;
        queue.push(&jobs(numbers.clone())).await;
        record.wait_for(numbers).await;
        assert_eq!(queue.metrics().workers_rebuilt, 0, "round {round}");
        consumer.crash().await;
    }
    assert_eq!(record.repeated(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_emptied_takes_the_waiting_jobs_with_it_and_nothing_else() {
    let server = RedisServer::start().await;
    let queue = server.queue();
    up(&queue).await;
    let record = Record::gated(0);
    let consumer = Consumer::start(&queue, 2, &record);
    queue.push(&jobs(0..50)).await;
    eventually("two run", || async { record.at_once() == 2 }).await;
    server.ask::<()>(&["FLUSHALL"]).await;
    record.let_through(1_000);
    eventually("both have ended", || async { queue.metrics().outcomes.done == 2 }).await;
    queue.push(&jobs(100..150)).await;
    record.wait_for(100..150).await;
    no_traces_are_left(&server).await;
    assert!(consumer.is_alive());
    consumer.stop().await;
    assert_eq!(record.ran(), 52, "the two that ran, and what came afterwards");
    assert_eq!(record.repeated(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_snapshot_of_redis_repeats_jobs_and_stops_nobody() {
    let mut server = RedisServer::start().await;
    let queue = server.queue();
    up(&queue).await;
    let record = Record::gated(0);
    let consumer = Consumer::start(&queue, 2, &record);
    queue.push(&jobs(0..100)).await;
    eventually("two run", || async { record.at_once() == 2 }).await;
    // Two jobs under way, and 98 that wait, as the next server will remember them.
    server.ask::<()>(&["SAVE"]).await;
    record.let_through(10_000);
    record.wait_for(0..100).await;
    no_traces_are_left(&server).await;
    server.kill().await;
    eventually("the fault is seen", || async {
        queue.health().await != QueueHealth::Up
    })
    .await;
    server.start_again().await;
    eventually("what waited then has run again", || async {
        record.repeated().len() >= 98
    })
    .await;
    up(&queue).await;
    queue.push(&[job(200)]).await;
    record.wait_for(200..201).await;
    no_traces_are_left(&server).await;
    assert!(consumer.is_alive());
    consumer.stop().await;
    // A job only names an order: whoever runs it again finds nothing to claim.
    let repeated = record.repeated();
    assert_eq!(repeated.len(), 98, "those that had started by then are known");
    assert!(repeated.iter().all(|(_, runs)| *runs == 2), "{repeated:?}");
}

/// Runs this many thousand jobs, and looks how much Redis needs after each five.
async fn memory_stays_flat(thousands: i64) {
    let server = RedisServer::start().await;
    let queue = server.queue();
    up(&queue).await;
    let record = Record::open();
    let consumer = Consumer::start(&queue, 64, &record);
    let pusher = RedisQueue::new(&server.url());
    let mut sizes = Vec::new();
    for share in 1..=thousands / 5 {
        let numbers = (share - 1) * 5_000..share * 5_000;
        let signals = jobs(numbers).into_iter().map(Signal::now).collect();
        let offer = pusher.push_at_most(signals, usize::MAX >> 12, Duration::from_secs(10));
        assert_eq!(offer.await.unwrap(), 5_000);
        let end = usize::try_from(share * 5_000).unwrap();
        eventually("they have run", || async { record.ran() == end }).await;
        no_traces_are_left(&server).await;
        sizes.push(memory(&server).await);
    }
    consumer.stop().await;
    assert_eq!(record.repeated(), []);
    assert_eq!(queue.metrics().workers_rebuilt, 0);
    // What stays of a job is 500 bytes and more: one job of twenty would show.
    let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
    let kept_max = u64::try_from(thousands).unwrap() * 1_000 / 20 * 500;
    assert!(last < first + kept_max, "bytes after each 5 000 jobs: {sizes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_five_thousand_jobs_leave_the_memory_of_redis_as_it_was() {
    memory_stays_flat(25).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: `./test --long` runs it"]
async fn a_hundred_thousand_jobs_leave_the_memory_of_redis_as_it_was() {
    memory_stays_flat(100).await;
}

/// The bytes that Redis uses.
async fn memory(server: &RedisServer) -> u64 {
    let told: String = server.ask(&["INFO", "memory"]).await;
    let used = told.lines().find_map(|line| line.strip_prefix("used_memory:"));
    used.unwrap().trim().parse().unwrap()
}
