//! Orders that wait while nobody works, and a queue that forgets them or remembers them twice: each is executed once.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::iter;
use serde_json::{Value, json};

use crate::support::books::Book;
use crate::support::client::market_order;
use crate::support::wait::within;
use crate::support::{Role, SetUp, Site, audit, eventually};

/// More orders than the 8 000 jobs at which a queue of apalis breaks for good.
const MANY: usize = 8_500;

/// More than twice as many.
const A_DAY_S_WORK: usize = 20_000;

/// Orders whose signals a queue loses or repeats.
const SOME: usize = 60;

/// Requests under way at once, over all API processes.
const CALLERS: usize = 64;

/// How long a debug build on a busy machine may take for all of [`A_DAY_S_WORK`].
const PATIENCE: Duration = Duration::from_mins(3);

/// An installation whose workers are dead, with money and limits for many orders.
async fn without_a_worker(apis: usize) -> Site {
    let mut site = Site::plan(SetUp::Postgres)
        .processes(apis, 1, 1)
        .set("PAPER_STARTING_CASH", "1000000000")
        .set("RISK_SUPERADMIN_DAY_NOTIONAL", "1000000000")
        .set("RUST_LOG", "warn,arbion_scheduler=info,arbion_worker=info")
        .start()
        .await;
    site.kill(Role::Worker);
    site
}

/// Places orders through all API processes at once.
async fn place(site: &Site, orders: usize) {
    let (clients, order) = (site.clients(), market_order("buy", "AAPL", "1"));
    let places = (0..orders).map(|number| {
        let (client, order) = (clients[number % clients.len()].clone(), order.clone());
        async move {
            eventually("the order is accepted", async || {
                let answer = client.post("/v2/orders", &order).await;
                // A machine that is too busy may be late with a price, and says so. Neither answer has changed anything.
                if answer.status == 403 {
                    assert_eq!(answer.problem(403), "unusable_quote");
                }
                (![403, 503].contains(&answer.status)).then(|| answer.expect(200))
            })
            .await;
        }
    });
    iter(places).for_each_concurrent(CALLERS, |placed| placed).await;
}

/// Each order was sent once, and filled once, and the books say so.
async fn each_is_filled_once(site: &Site, orders: usize) {
    let book = Book::open(&site.place).await;
    within(PATIENCE, "no work is left", async || {
        (book.count("order_work", "1 = 1").await == 0).then_some(())
    })
    .await;
    let orders = u64::try_from(orders).unwrap();
    within(PATIENCE, "every order is filled", async || {
        (book.count("orders", "closed_how = 'filled'").await == orders).then_some(())
    })
    .await;
    let paper = Book::open_paper(&site.place).await;
    assert_eq!(paper.paper_count("paper_orders", "1 = 1").await, orders);
    let taken_twice =
        "(SELECT order_id FROM broker_attempts WHERE kind = 'submit' AND outcome = 'acknowledged'
        GROUP BY order_id HAVING count(*) > 1) AS twice";
    assert_eq!(book.count(taken_twice, "1 = 1").await, 0);
    let position = site.client().get("/v2/positions/AAPL").await.expect(200);
    assert_eq!(position["qty"], Value::from(orders.to_string()));
    audit(&site.place).await;
}

/// What the queue of the site is asked, in Redis' own words.
fn ask(site: &Site, question: &str) -> String {
    site.place.redis.as_ref().unwrap().ask(question)
}

/// Two API processes take `orders` while nobody executes them, and then one worker starts.
async fn a_worker_executes_what_waited(orders: usize) {
    let mut site = without_a_worker(2).await;
    place(&site, orders).await;
    let book = Book::open(&site.place).await;
    assert_eq!(book.count("order_work", "1 = 1").await, orders as u64);
    site.revive().await;
    each_is_filled_once(&site, orders).await;
    // Whoever comes afterwards is served as ever.
    site.client().buy("MSFT", "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_orders_that_were_taken_while_no_worker_ran_are_executed_once_by_the_first_one() {
    a_worker_executes_what_waited(MANY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: `./test --long` runs it"]
async fn twenty_thousand_orders_that_were_taken_while_no_worker_ran_are_executed_once_by_the_first_one() {
    a_worker_executes_what_waited(A_DAY_S_WORK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_whose_signals_are_lost_with_everything_in_redis_are_executed_all_the_same() {
    let mut site = without_a_worker(2).await;
    place(&site, SOME).await;
    assert_ne!(ask(&site, "LLEN arbion:jobs:active"), ":0", "signals waited");
    assert_eq!(ask(&site, "FLUSHALL"), "+OK");
    site.revive().await;
    each_is_filled_once(&site, SOME).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_whose_signals_come_again_from_an_old_snapshot_of_redis_are_not_executed_again() {
    let mut site = without_a_worker(2).await;
    place(&site, SOME).await;
    assert_eq!(ask(&site, "SAVE"), "+OK");
    site.revive().await;
    each_is_filled_once(&site, SOME).await;
    let redis = site.place.redis.as_mut().unwrap();
    redis.kill();
    // It reads what it saved, and so rings for every order that is done.
    redis.revive().await;
    eventually("the old signals are worked off", async || {
        (ask(&site, "HLEN arbion:jobs:data") == ":0").then_some(())
    })
    .await;
    eventually("the queue is up again", async || {
        let ready = site.client().get("/health/ready").await.expect(200);
        (ready["checks"]["queue"]["status"] == json!("ok")).then_some(())
    })
    .await;
    each_is_filled_once(&site, SOME).await;
    site.client().buy("MSFT", "1").await;
}
