//! Bounds: what waits, what stays behind, what a push costs while Redis is away.

use std::time::Duration;

use tokio::time::Instant;

use crate::job::Signal;
use crate::redis::RedisQueue;
use crate::tests::support::{Consumer, Record, RedisServer, eventually, job, jobs, up};
use crate::{PUSH_TIME, Queue, QueueHealth, WAITING_MAX};

/// The limit of a push, and what a busy machine may add to it.
const PUSH_TIME_SEEN: Duration = PUSH_TIME.saturating_mul(20);

async fn only_a_thousand_signals_wait(queue: Queue) {
    queue.push(&jobs(0..700)).await;
    queue.push(&jobs(700..1_400)).await;
    queue.push(&jobs(0..5_000)).await;
    assert_eq!(queue.waiting().await, Some(1_000));
    let metrics = queue.metrics();
    assert_eq!(
        (metrics.pushed, metrics.skipped_full, metrics.push_failed),
        (1_000, 5_400, 0)
    );

    let record = Record::open();
    let consumer = Consumer::start(&queue, 8, &record);
    record.wait_for(0..1_000).await;
    consumer.stop().await;
    assert_eq!(record.ran(), WAITING_MAX);
    queue.push(&[job(5_000)]).await;
    assert_eq!(queue.waiting().await, Some(1), "there is room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_redis_only_a_thousand_signals_wait() {
    let server = RedisServer::start().await;
    let queue = server.queue();
    up(&queue).await;
    only_a_thousand_signals_wait(queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory_only_a_thousand_signals_wait() {
    only_a_thousand_signals_wait(Queue::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_waiting_jobs_all_run_and_nothing_of_them_stays_in_redis() {
    let server = RedisServer::start().await;
    let pusher = RedisQueue::new(&server.url());
    for from in (0..20_000).step_by(2_000) {
        let signals = jobs(from..from + 2_000).into_iter().map(Signal::now).collect();
        assert_eq!(
            pusher
                .push_at_most(signals, usize::MAX >> 12, Duration::from_secs(10))
                .await
                .unwrap(),
            2_000
        );
    }
    assert_eq!(pusher.waiting().await, Some(20_000));

    let queue = server.queue();
    let record = Record::open();
    let consumer = Consumer::start(&queue, 16, &record);
    // Progress is watched, not the whole: how long 20 000 jobs take depends on the machine.
    for share in 1..=20 {
        eventually("a twentieth more has run", || async {
            record.ran() >= share * 1_000
        })
        .await;
    }
    assert_eq!(record.repeated(), []);
    eventually("the traces are gone", || async {
        server.ask::<u64>(&["HLEN", "arbion:jobs:data"]).await == 0
    })
    .await;
    consumer.stop().await;
    let metrics = queue.metrics();
    assert_eq!(
        (metrics.cleaned, metrics.outcomes.done, metrics.workers_rebuilt),
        (20_000, 20_000, 0)
    );
    let keys: Vec<String> = server.ask(&["KEYS", "*"]).await;
    assert_eq!(
        keys,
        ["core:apalis:queues:list"],
        "what apalis keeps once per queue"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_returns_in_time_while_redis_is_down_hangs_or_was_never_there() {
    let mut server = RedisServer::start().await;
    let running = server.queue();
    up(&running).await;
    let never = RedisServer::down().queue();
    let unreadable = Queue::redis("not an address");

    server.signal("STOP").await;
    for (queue, name) in [
        (&running, "hangs"),
        (&never, "never there"),
        (&unreadable, "unreadable"),
    ] {
        for number in 0..20 {
            let began = Instant::now();
            queue.push(&jobs(number..number + 3)).await;
            let took = began.elapsed();
            assert!(took < PUSH_TIME_SEEN, "{name}, push {number}: {took:?}");
        }
        assert_eq!(queue.metrics().push_failed, 60, "{name}");
        assert!(
            matches!(queue.health().await, QueueHealth::Degraded { .. }),
            "{name}"
        );
        assert_eq!(queue.waiting().await, None, "{name}");
    }

    server.signal("CONT").await;
    up(&running).await;
    server.kill().await;
    let began = Instant::now();
    running.push(&[job(1)]).await;
    assert!(began.elapsed() < PUSH_TIME_SEEN, "killed: {:?}", began.elapsed());
    server.start_again().await;
    eventually("pushes get through again", || async {
        running.push(&[job(2)]).await;
        running.metrics().pushed > 0
    })
    .await;
    assert_eq!(running.health().await, QueueHealth::Up);
}

#[tokio::test]
async fn most_pushes_to_a_redis_that_is_away_cost_nothing() {
    let queue = RedisServer::down().queue();
    let began = Instant::now();
    for number in 0..1_000 {
        queue.push(&[job(number)]).await;
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "1 000 pushes: {:?}",
        began.elapsed()
    );
    assert_eq!(queue.metrics().push_failed, 1_000);
}

#[tokio::test]
async fn the_embedded_queue_has_nothing_that_could_be_away() {
    assert_eq!(Queue::memory().health().await, QueueHealth::NotConfigured);
}
