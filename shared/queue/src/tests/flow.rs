//! Jobs, outcomes, panics and shutdown, alike on both backends.

use crate::tests::support::{Consumer, Record, RedisServer, eventually, job, jobs};
use crate::{Job, OutcomeCounts, Queue};
use uuid::Uuid;

async fn on_both<F: Future<Output = ()>>(promise: impl Fn(Queue) -> F) {
    promise(Queue::memory()).await;
    let server = RedisServer::start().await;
    promise(server.queue()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_runs_once_and_every_outcome_is_counted() {
    on_both(|queue| async move {
        let record = Record::open();
        let first = Consumer::start(&queue, 4, &record);
        let second = Consumer::start(&queue, 4, &record);
        eventually("the push gets through", || async {
            queue.push(&[job(0)]).await;
            queue.metrics().pushed > 0
        })
        .await;
        queue.push(&jobs(1..500)).await;
        queue
            .push(&[
                Job::ReadReports {
                    connection_id: Uuid::from_u128(1),
                },
                job(1_000_003),
            ])
            .await;
        eventually("all ended", || async {
            let outcomes = queue.metrics().outcomes;
            outcomes
                == OutcomeCounts {
                    done: 500,
                    retry_at: 1,
                    dead: 1,
                }
        })
        .await;
        first.stop().await;
        second.stop().await;
        assert_eq!(record.repeated(), []);
        assert_eq!(queue.metrics().started, 502);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_its_own_attempt_only() {
    on_both(|queue| async move {
        let record = Record::open();
        let consumer = Consumer::start(&queue, 1, &record);
        queue.push(&[job(-1), job(1), job(-2), job(2)]).await;
        eventually("all ended", || async {
            let metrics = queue.metrics();
            (metrics.panicked, metrics.outcomes.done) == (2, 2)
        })
        .await;
        assert!(consumer.is_alive());
        consumer.stop().await;
        assert_eq!(record.repeated(), []);
        assert_eq!(queue.metrics().workers_rebuilt, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_handlers_run_at_once_than_were_asked_for() {
    on_both(|queue| async move {
        let record = Record::gated(0);
        let consumer = Consumer::start(&queue, 3, &record);
        queue.push(&jobs(0..10)).await;
        eventually("three run", || async { record.at_once() == 3 }).await;
        record.let_through(10);
        record.wait_for(0..10).await;
        consumer.stop().await;
        assert_eq!(record.at_once_max(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_waits_for_running_handlers_and_leaves_the_rest_to_the_next_consumer() {
    on_both(|queue| async move {
        let record = Record::gated(0);
        let consumer = Consumer::start(&queue, 2, &record);
        queue.push(&jobs(0..50)).await;
        eventually("two run", || async { record.at_once() == 2 }).await;
        assert_eq!(
            queue.waiting().await,
            Some(48),
            "a worker holds no job that it cannot start"
        );
        consumer.ask_to_stop();
        // Whoever is asked to stop starts nothing new: both slots are taken until the gate opens.
        assert!(consumer.is_alive());
        record.let_through(50);
        consumer.stop().await;
        assert_eq!(record.at_once(), 0, "drained");
        let ran = record.ran();
        assert!(ran < 50, "it stopped before the end: {ran}");
        assert_eq!(queue.metrics().outcomes.done, ran as u64);
        assert_eq!(
            queue.waiting().await,
            Some(50 - ran as u64),
            "the rest still waits"
        );

        let next = Consumer::start(&queue, 2, &record);
        record.wait_for(0..50).await;
        next.stop().await;
        assert_eq!(record.repeated(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_never_met_redis_stops_when_asked() {
    for url in [RedisServer::down().url(), "not an address".to_owned()] {
        let consumer = Consumer::start(&Queue::redis(&url), 1, &Record::open());
        assert!(consumer.is_alive());
        consumer.stop().await;
    }
}
