//! Without a Redis, and with one that dies, orders fill and stops fire; and `/health/ready` names what is down.

use serde_json::json;

use crate::support::books::Book;
use crate::support::client::{limit_order, market_order, text};
use crate::support::redis::free_port;
use crate::support::{Client, Role, SetUp, Site, audit, checksums, eventually};

/// A protected position whose price falls through the stop.
async fn an_order_fills_and_a_stop_fires(site: &Site) {
    let client = site.client();
    client.buy("AAPL", "10").await;
    // At once below the market, so that the simulation need not fall far: the stop is moved above it behind the
    // back of the processes, which no client could do.
    let trigger = client
        .post("/v2/triggers", &json!({"symbol": "AAPL", "stop_price": "1"}))
        .await
        .expect(201);
    let book = Book::open(&site.place).await;
    book.change("UPDATE triggers SET stop_price = 9000, price_key = 9000000000000")
        .await;
    let done = eventually("the stop is done", async || {
        let trigger = client
            .get(&format!("/v2/triggers/{}", text(&trigger["id"])))
            .await
            .expect(200);
        (trigger["state"] == "done").then_some(trigger)
    })
    .await;
    client.order_in(text(&done["exit_order_id"]), &["filled"]).await;
    audit(&site.place).await;
}

/// What readiness says: its status, and the status and detail of one check.
async fn ready(client: &Client, status: u16, check: &str) -> (String, String, String) {
    eventually(&format!("/health/ready answers {status}"), async || {
        let answer = client.get("/health/ready").await;
        let body = answer.json();
        let of_check = &body["checks"][check];
        (answer.status == status && of_check["status"] != "ok").then(|| {
            let detail = of_check["detail"].as_str().unwrap_or_default().to_owned();
            (
                text(&body["status"]).to_owned(),
                text(&of_check["status"]).to_owned(),
                detail,
            )
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_without_a_redis_fill_an_order_and_fire_a_stop() {
    let site = Site::plan(SetUp::Postgres).without_redis().start().await;
    an_order_fills_and_a_stop_fires(&site).await;
    let ready = site.client().get("/health/ready").await.expect(200);
    assert_eq!(
        (&ready["status"], &ready["checks"]["queue"]["status"]),
        (&json!("ok"), &json!("ok"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_stops_no_order_and_no_stop_and_is_named_until_it_is_back() {
    let mut site = Site::start(SetUp::Postgres).await;
    let client = site.client();
    client.buy("MSFT", "1").await;
    let resting = client.place(&limit_order("buy", "MSFT", "1", "10")).await;
    client.order_in(&resting, &["new"]).await;
    site.place.redis.as_mut().unwrap().kill();
    an_order_fills_and_a_stop_fires(&site).await;
    let (status, of_queue, detail) = ready(&client, 200, "queue").await;
    assert_eq!((status.as_str(), of_queue.as_str()), ("degraded", "degraded"));
    assert!(detail.contains("signals are lost"), "{detail}");
    assert_eq!(client.delete(&format!("/v2/orders/{resting}")).await.status, 204);
    client.order_in(&resting, &["canceled"]).await;

    site.place.redis.as_mut().unwrap().revive().await;
    eventually("the queue is up again", async || {
        let ready = client.get("/health/ready").await.expect(200);
        (ready["status"] == "ok").then_some(())
    })
    .await;
    client.buy("AAPL", "1").await;
    audit(&site.place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_dead_from_the_start_stops_no_start_no_order_and_no_stop() {
    // A port that nobody listens on.
    let url = format!("redis://127.0.0.1:{}", free_port());
    let plan = Site::plan(SetUp::Postgres).without_redis();
    let site = plan.set("REDIS_URL", &url).start().await;
    an_order_fills_and_a_stop_fires(&site).await;
    let (status, of_queue, detail) = ready(&site.client(), 200, "queue").await;
    assert_eq!((status.as_str(), of_queue.as_str()), ("degraded", "degraded"));
    assert!(detail.contains("signals are lost"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_stops_no_order_and_is_named_until_it_answers() {
    let site = Site::start(SetUp::Postgres).await;
    let client = site.client();
    client.buy("MSFT", "1").await;
    let redis = site.place.redis.as_ref().unwrap();
    // Connections stay open, and new ones are taken by the system: only nobody ever answers.
    redis.signal("STOP");
    client.buy("AAPL", "1").await;
    let (status, of_queue, detail) = ready(&client, 200, "queue").await;
    assert_eq!((status.as_str(), of_queue.as_str()), ("degraded", "degraded"));
    assert!(detail.contains("signals are lost"), "{detail}");
    client.buy("AAPL", "1").await;

    redis.signal("CONT");
    eventually("the queue is up again", async || {
        let ready = client.get("/health/ready").await.expect(200);
        (ready["status"] == "ok").then_some(())
    })
    .await;
    client.buy("AAPL", "1").await;
    audit(&site.place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_down_is_named_and_every_request_says_503_and_nothing_is_half_done() {
    let site = Site::plan(SetUp::Postgres).with_own_server().start().await;
    let client = site.client();
    client.buy("AAPL", "1").await;
    let resting = client.place(&limit_order("buy", "MSFT", "1", "10")).await;
    client.order_in(&resting, &["new"]).await;
    let order = format!("/v2/orders/{resting}");
    let trigger = json!({"symbol": "AAPL", "stop_price": "1"});
    let before = checksums(&site.place).await;
    let server = site.place.server.as_ref().unwrap();
    server.stop();
    let (status, of_database, detail) = ready(&client, 503, "database").await;
    assert_eq!(
        (status.as_str(), of_database.as_str()),
        ("unavailable", "unavailable")
    );
    assert!(detail.contains("database"), "{detail}");
    assert_eq!(
        client.get("/health/live").await.status,
        200,
        "a database that is down restarts no process"
    );
    for answer in [
        client.post("/v2/orders", &market_order("buy", "AAPL", "1")).await,
        client.get("/v2/orders").await,
        client.delete("/v2/orders").await,
        client.patch(&order, &json!({"qty": "2"})).await,
        client.post("/v2/triggers", &trigger).await,
        client.delete("/v2/positions").await,
        client.delete("/v2/positions/AAPL").await,
    ] {
        assert_eq!(answer.problem(503), "service_unavailable");
        assert!(answer.header("retry-after").is_some());
    }
    server.resume();
    eventually("the API is ready again", async || {
        (client.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(
        checksums(&site.place).await,
        before,
        "no refused request left a trace"
    );
    // The same requests are taken now: nothing but the database was in their way.
    client.patch(&order, &json!({"qty": "2"})).await.expect(200);
    client.post("/v2/triggers", &trigger).await.expect(201);
    assert_eq!(client.delete("/v2/positions").await.status, 207);
    audit(&site.place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_is_held_back_is_named() {
    let site = Site::start(SetUp::Postgres).await;
    let book = Book::open(&site.place).await;
    // As if the database were one that a newer program has to migrate first.
    book.change("DELETE FROM arbion_migrations").await;
    let (status, of_migrations, detail) = ready(&site.client(), 503, "migrations").await;
    assert_eq!(
        (status.as_str(), of_migrations.as_str()),
        ("unavailable", "unavailable")
    );
    assert!(detail.starts_with("pending: m2026"), "{detail}");
}

/// The first worker is stopped at `point` for longer than its lease, while the second one takes the order over.
async fn one_order_is_sent_once_although_its_worker_is_stopped_at(point: &str) {
    let plan = Site::plan(SetUp::Postgres).processes(1, 2, 1);
    let mut site = plan
        .fault(Role::Worker, &format!("{point}=1*sleep(1500)->off"))
        .start()
        .await;
    let client = site.client();
    let signal = |site: &mut Site, worker: usize, signal| site.processes(Role::Worker)[worker].signal(signal);
    signal(&mut site, 1, "STOP");
    let id = client.place(&market_order("buy", "AAPL", "3")).await;
    let book = Book::open(&site.place).await;
    let is_there = if point == "worker::after_claim" {
        ("order_work", "claimed_by IS NOT NULL")
    } else {
        ("broker_attempts", "ended_at IS NULL")
    };
    eventually("the first worker is at the point", async || {
        (book.count(is_there.0, is_there.1).await == 1).then_some(())
    })
    .await;
    signal(&mut site, 0, "STOP");
    signal(&mut site, 1, "CONT");
    client.order_in(&id, &["filled"]).await;
    let sent = |site: &mut Site, worker: usize| site.processes(Role::Worker)[worker].log().contains(&id);
    assert!(sent(&mut site, 1), "the second worker took it over");
    signal(&mut site, 0, "CONT");
    // Both work on: what the first one wakes up with is refused, and nothing else is.
    for _ in 0..3 {
        client.buy("AAPL", "1").await;
    }
    eventually("no work is left", async || {
        (book.count("order_work", "1 = 1").await == 0).then_some(())
    })
    .await;
    assert_eq!(client.get("/v2/positions/AAPL").await.expect(200)["qty"], "6");
    let paper = Book::open_paper(&site.place).await;
    assert_eq!(
        paper.paper_count("paper_orders", "1 = 1").await,
        4,
        "each was sent once"
    );
    audit(&site.place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_after_its_claim_sends_nothing_when_it_wakes_after_its_lease() {
    one_order_is_sent_once_although_its_worker_is_stopped_at("worker::after_claim").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_before_its_send_sends_nothing_when_it_wakes_after_its_lease() {
    one_order_is_sent_once_although_its_worker_is_stopped_at("worker::after_begin").await;
}
