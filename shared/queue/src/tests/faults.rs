//! Faults of Redis while a consumer works: it stays alive, and what is pushed after the fault runs.

use std::time::Duration;

use crate::tests::support::{Consumer, Record, RedisServer, eventually, job, jobs, up};
use crate::{Queue, QueueHealth};

/// What is pushed now runs, and the consumer is alive.
async fn works(queue: &Queue, consumer: &Consumer, record: &Record, numbers: std::ops::Range<i64>) {
    up(queue).await;
    queue.push(&jobs(numbers.clone())).await;
    record.wait_for(numbers).await;
    assert!(consumer.is_alive());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_starts_before_redis_works_when_redis_comes() {
    let mut server = RedisServer::down();
    let queue = server.queue();
    let record = Record::open();
    let consumer = Consumer::start(&queue, 4, &record);
    queue.push(&[job(0)]).await;
    assert!(matches!(queue.health().await, QueueHealth::Degraded { .. }));
    server.start_again().await;
    works(&queue, &consumer, &record, 1..50).await;
    consumer.stop().await;
    assert_eq!(queue.metrics().push_failed, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_outlives_kills_of_redis() {
    let mut server = RedisServer::start().await;
    let queue = server.queue();
    let record = Record::open();
    let consumer = Consumer::start(&queue, 4, &record);
    works(&queue, &consumer, &record, 0..50).await;
    for round in 1..=2 {
        server.kill().await;
        eventually("the fault is seen", || async {
            queue.health().await != QueueHealth::Up
        })
        .await;
        server.start_again().await;
        works(&queue, &consumer, &record, round * 100..round * 100 + 50).await;
    }
    consumer.stop().await;
    assert!(queue.metrics().workers_rebuilt >= 2, "{:?}", queue.metrics());
    assert_eq!(record.repeated(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_outlives_the_loss_of_all_keys_and_scripts() {
    let server = RedisServer::start().await;
    let queue = server.queue();
    let record = Record::open();
    let consumer = Consumer::start(&queue, 4, &record);
    works(&queue, &consumer, &record, 0..50).await;
    server.ask::<()>(&["SCRIPT", "FLUSH"]).await;
    works(&queue, &consumer, &record, 100..150).await;
    assert_eq!(
        queue.metrics().workers_rebuilt,
        0,
        "scripts are loaded again in passing"
    );
    server.ask::<()>(&["FLUSHALL"]).await;
    works(&queue, &consumer, &record, 200..250).await;
    eventually("the worker that lost its registration was replaced", || async {
        queue.metrics().workers_rebuilt == 1
    })
    .await;
    works(&queue, &consumer, &record, 300..350).await;
    consumer.stop().await;
    assert_eq!(record.repeated(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_of_two_seconds_costs_no_worker_and_no_job() {
    let server = RedisServer::start().await;
    let queue = server.queue();
    let record = Record::open();
    let consumer = Consumer::start(&queue, 4, &record);
    works(&queue, &consumer, &record, 0..50).await;
    queue.push(&jobs(50..500)).await;
    server.ask::<()>(&["CLIENT", "PAUSE", "2000", "ALL"]).await;
    record.wait_for(50..500).await;
    works(&queue, &consumer, &record, 1_000..1_050).await;
    consumer.stop().await;
    assert_eq!(queue.metrics().workers_rebuilt, 0);
    assert_eq!(record.repeated(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_longer_than_the_patience_of_a_worker_repeats_no_job() {
    let server = RedisServer::start().await;
    let queue = server.queue();
    let record = Record::gated(50);
    let consumer = Consumer::start(&queue, 4, &record);
    works(&queue, &consumer, &record, 0..50).await;
    queue.push(&jobs(50..100)).await;
    eventually("four run", || async { record.at_once() == 4 }).await;
    server.signal("STOP").await;
    record.let_through(50);
    eventually("the worker gave up", || async {
        queue.metrics().workers_rebuilt > 0
    })
    .await;
    server.signal("CONT").await;
    record.wait_for(50..100).await;
    consumer.stop().await;
    assert_eq!(record.repeated(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_run_on_when_their_worker_dies_and_their_jobs_are_not_repeated() {
    let server = RedisServer::start().await;
    let queue = server.queue();
    let record = Record::gated(0);
    let consumer = Consumer::start(&queue, 3, &record);
    queue.push(&jobs(0..20)).await;
    eventually("three run", || async { record.at_once() == 3 }).await;
    server.ask::<i64>(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    eventually("the worker was replaced", || async {
        queue.metrics().workers_rebuilt > 0
    })
    .await;
    record.let_through(1);
    eventually("a slot was used again", || async { record.ran() == 4 }).await;
    record.let_through(19);
    record.wait_for(0..20).await;
    eventually("all ended", || async { queue.metrics().outcomes.done == 20 }).await;
    consumer.stop().await;
    assert_eq!(record.repeated(), []);
    assert_eq!(record.at_once_max(), 3, "the limit holds across the rebuild");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crashed_process_held_is_run_by_another() {
    let server = RedisServer::start().await;
    let queue = server.queue();
    let held = Record::gated(0);
    let crashing = Consumer::start(&queue, 3, &held);
    queue.push(&jobs(0..3)).await;
    eventually("three run", || async { held.at_once() == 3 }).await;
    crashing.crash().await;

    let record = Record::open();
    let consumer = Consumer::start(&queue, 3, &record);
    works(&queue, &consumer, &record, 100..101).await;
    assert_eq!(
        record.ran(),
        1,
        "the crashed worker counts as alive for some heartbeats"
    );
    let workers: Vec<String> = server.ask(&["ZRANGE", "arbion:jobs:workers", "0", "-1"]).await;
    for worker in workers {
        if server
            .ask::<bool>(&["EXISTS", &format!("arbion:jobs:inflight:{worker}")])
            .await
        {
            server
                .ask::<i64>(&["ZADD", "arbion:jobs:workers", "1", &worker])
                .await;
        }
    }
    record.wait_for(0..3).await;
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_handlers_are_all_busy_still_tells_that_it_lives() {
    let server = RedisServer::start().await;
    let queue = server.queue();
    let record = Record::gated(0);
    let consumer = Consumer::start(&queue, 1, &record);
    queue.push(&jobs(0..3)).await;
    eventually("one runs", || async { record.at_once() == 1 }).await;
    let workers: Vec<String> = server.ask(&["ZRANGE", "arbion:jobs:workers", "0", "-1"]).await;
    let [worker] = workers.as_slice() else {
        panic!("one worker, not {workers:?}")
    };
    // Aged by one hour, which is long beyond the orphan window.
    let (seconds, _): (i64, i64) = server.ask(&["TIME"]).await;
    let aged = (seconds - 3_600).to_string();
    server
        .ask::<i64>(&["ZADD", "arbion:jobs:workers", &aged, worker])
        .await;
    eventually("the next heartbeat", || async {
        server
            .ask::<i64>(&["ZSCORE", "arbion:jobs:workers", worker])
            .await
            >= seconds
    })
    .await;
    record.let_through(3);
    record.wait_for(0..3).await;
    consumer.stop().await;
    assert_eq!(record.repeated(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_that_cannot_be_read_stops_nobody() {
    let server = RedisServer::start().await;
    let queue = server.queue();
    up(&queue).await;
    for (id, data, meta) in [
        (
            "other-version",
            Some(r#"{"job":{"fly_to_the_moon":{}},"pushed_at_micros":1}"#),
            true,
        ),
        ("no-json", Some("{{{"), true),
        ("no-data", None, true),
        (
            "no-meta",
            Some(r#"{"job":{"sweep_stops":{"slot":1,"shard":0}},"pushed_at_micros":1}"#),
            false,
        ),
    ] {
        if let Some(data) = data {
            server.ask::<i64>(&["HSET", "arbion:jobs:data", id, data]).await;
        }
        if meta {
            let key = format!("arbion:jobs:meta:{id}");
            let fields = [
                "attempts",
                "0",
                "max_attempts",
                "1",
                "status",
                "Pending",
                "idempotency_key",
                "",
            ];
            server
                .ask::<i64>(&[&["HSET", key.as_str()], &fields[..]].concat())
                .await;
        }
        server.ask::<i64>(&["RPUSH", "arbion:jobs:active", id]).await;
    }
    queue.push(&jobs(0..20)).await;
    let record = Record::open();
    let consumer = Consumer::start(&queue, 2, &record);
    record.wait_for(0..20).await;
    consumer.stop().await;
    assert_eq!(queue.metrics().unreadable, 4);
    assert_eq!(server.ask::<u64>(&["HLEN", "arbion:jobs:data"]).await, 0);
    assert_eq!(record.repeated(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_stops_in_time_while_redis_hangs() {
    let server = RedisServer::start().await;
    let queue = server.queue();
    let record = Record::open();
    let consumer = Consumer::start(&queue, 2, &record);
    works(&queue, &consumer, &record, 0..10).await;
    server.signal("STOP").await;
    let began = tokio::time::Instant::now();
    consumer.stop().await;
    let took = began.elapsed();
    server.signal("CONT").await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}
