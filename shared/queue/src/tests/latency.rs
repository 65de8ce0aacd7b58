//! How soon a pushed job starts, with and without the wake-up.

use crate::tests::support::{Consumer, Record, RedisServer, job, up};
use crate::{ConsumerOptions, StartLatency};

struct Measured {
    median_micros: u64,
    start: StartLatency,
}

/// Pushes jobs one by one, each after the start of the one before.
async fn measure(wake_up: bool, pushes: i64) -> Measured {
    let server = RedisServer::start().await;
    let queue = server.queue();
    up(&queue).await;
    let record = Record::open();
    let options = ConsumerOptions {
        wake_up,
        ..ConsumerOptions::new("test", 4)
    };
    let consumer = Consumer::with(&queue, options, &record);
    // The first jobs meet a worker and a subscriber that are still connecting.
    let warm_up = 20;
    let mut latencies = Vec::new();
    let mut before = StartLatency::default();
    for number in 0..warm_up + pushes {
        if number == warm_up {
            latencies.clear();
            before = queue.metrics().start;
        }
        queue.push(&[job(number)]).await;
        record.wait_for(number..number + 1).await;
        latencies.push(queue.metrics().start.last_micros);
    }
    consumer.stop().await;
    latencies.sort_unstable();
    let mut start = queue.metrics().start;
    start.by_wake_up -= before.by_wake_up;
    start.by_poll -= before.by_poll;
    let median_micros = latencies[latencies.len() / 2];
    Measured { median_micros, start }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_up_starts_jobs_at_once_and_without_it_they_wait_for_the_poll() {
    let woken = measure(true, 200).await;
    let polled = measure(false, 40).await;
    // How fast is the machine's matter; that the poll's interval is not waited for is ours.
    assert!(
        woken.median_micros < polled.median_micros,
        "woken {} us, polled {} us",
        woken.median_micros,
        polled.median_micros
    );
    assert!(
        woken.start.by_wake_up >= 120,
        "started by the wake-up: {:?}",
        woken.start
    );
    assert_eq!((polled.start.by_wake_up, polled.start.by_poll), (0, 40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_lost_its_connection_wakes_again() {
    let server = RedisServer::start().await;
    let queue = server.queue();
    let record = Record::open();
    let consumer = Consumer::start(&queue, 1, &record);
    queue.push(&[job(0)]).await;
    record.wait_for(0..1).await;
    let killed: i64 = server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    assert_eq!(killed, 1, "the subscriber's connection");
    let mut number = 1;
    crate::tests::support::eventually("a start by the wake-up", || {
        let (queue, record) = (queue.clone(), record.clone());
        let next = number;
        number += 1;
        async move {
            let before = queue.metrics().start.by_wake_up;
            queue.push(&[job(next)]).await;
            record.wait_for(next..next + 1).await;
            queue.metrics().start.by_wake_up > before
        }
    })
    .await;
    consumer.stop().await;
}
