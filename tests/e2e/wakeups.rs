//! What Redis is for: signals start work at once, and prices are asked for once. Each test fails when that part is
//! switched off.

use std::sync::Arc;

use domain::asset::MarketHours;
use domain::quote::Purpose;
use market::counted::Counted;
use market::{CachedQuotes, MarketData, Sim};
use platform::redis::{RedisHandle, databases};
use platform::{SecretUrl, SystemClock};
use queue::{ConsumerOptions, Job, Outcome, Queue, QueueHealth};
use tokio_util::sync::CancellationToken;

use crate::support::books::Book;
use crate::support::client::market_order;
use crate::support::redis::Redis;
use crate::support::{SetUp, Site, eventually};

/// Orders that are placed one after the other.
const ORDERS: usize = 20;

/// The microseconds from acceptance to the call of the broker, of each order, in order of size.
async fn latencies(site: &Site) -> Vec<i64> {
    let client = site.client();
    for _ in 0..ORDERS {
        let id = client.place(&market_order("buy", "AAPL", "1")).await;
        client.order_in(&id, &["filled"]).await;
    }
    let book = Book::open(&site.place).await;
    let micros = "CAST(round(extract(epoch FROM a.started_at - o.submitted_at) * 1000000) AS TEXT)";
    let join = "orders o JOIN broker_attempts a ON a.order_id = o.id AND a.kind = 'submit' AND a.n = 1";
    let rows = book.rows::<1>(&format!("SELECT {micros} FROM {join}")).await;
    let mut latencies: Vec<i64> = rows.iter().map(|[micros]| micros.parse().unwrap()).collect();
    latencies.sort_unstable();
    assert_eq!(latencies.len(), ORDERS);
    latencies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_order_wakes_a_worker_of_another_process_before_its_poll_would() {
    let woken = {
        let site = Site::start(SetUp::Postgres).await;
        eventually("signals get through", async || {
            (site.client().get("/health/ready").await.json()["checks"]["queue"]["status"] == "ok")
                .then_some(())
        })
        .await;
        latencies(&site).await
    };
    // Without Redis an order waits for the poll, which comes every 250 ms at best: 125 ms more in the middle.
    let polled = latencies(&Site::plan(SetUp::Postgres).without_redis().start().await).await;
    assert!(
        woken[ORDERS / 2] < polled[ORDERS / 2],
        "woken {woken:?} us, polled {polled:?} us"
    );
}

/// How many of ten jobs were started by a wake-up, and how many by the poll.
async fn starts(wake_up: bool) -> (u64, u64) {
    let redis = Redis::start().await;
    let queue = Queue::redis(&redis.url());
    eventually("the queue is up", async || {
        (queue.health().await == QueueHealth::Up).then_some(())
    })
    .await;
    let token = CancellationToken::new();
    let options = ConsumerOptions {
        wake_up,
        ..ConsumerOptions::new("e2e", 4)
    };
    let (consumer, until) = (queue.clone(), token.clone());
    let running = tokio::spawn(async move {
        consumer.consume(options, async |_job| Outcome::Done, until).await;
    });
    for number in 0..10 {
        queue
            .push(&[Job::ExecuteOrder {
                order_id: uuid::Uuid::now_v7(),
            }])
            .await;
        eventually("the job is done", async || {
            (queue.metrics().outcomes.done > number).then_some(())
        })
        .await;
    }
    token.cancel();
    running.await.unwrap();
    let start = queue.metrics().start;
    (start.by_wake_up, start.by_poll)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_counts_what_woke_it() {
    let (by_wake_up, _) = starts(true).await;
    assert!(by_wake_up >= 6, "{by_wake_up} of 10");
    assert_eq!(starts(false).await.0, 0, "switched off");
}

/// The quotes of a process over this provider, as it sets them up.
async fn quotes(provider: &Arc<Counted>, redis: Option<&Redis>) -> CachedQuotes {
    let handle = redis.map(|redis| {
        let url: SecretUrl = redis.url().parse().unwrap();
        RedisHandle::connect(&url, databases::CACHE).unwrap()
    });
    if let Some(handle) = &handle {
        eventually("the cache is connected", async || handle.is_up().then_some(())).await;
    }
    let provider: Arc<dyn MarketData> = Arc::<Counted>::clone(provider);
    CachedQuotes::new(provider, SystemClock::shared(), MarketHours::Ignore, handle)
}

/// How often the provider is called when two processes show five instruments ten times each.
async fn provider_calls(redis: Option<&Redis>) -> u64 {
    let sim = Sim::new(1, SystemClock::shared()).with_hours(MarketHours::Ignore);
    let provider = Arc::new(Counted::new(Arc::new(sim)));
    let processes = [quotes(&provider, redis).await, quotes(&provider, redis).await];
    let assets: Vec<_> = market::catalog::assets().into_iter().take(5).collect();
    for _ in 0..10 {
        for process in &processes {
            assert_eq!(process.quotes(&assets, Purpose::Display).await.unwrap().len(), 5);
        }
    }
    provider.calls()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_one_call_of_the_provider_through_redis_and_each_calls_once_without() {
    assert_eq!(provider_calls(None).await, 2, "one call a process");
    let redis = Redis::start().await;
    assert_eq!(provider_calls(Some(&redis)).await, 1, "one call for both");
}
