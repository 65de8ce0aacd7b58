//! A request that is sent twice, or sixty-four times at once, is carried out once.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::json;

use crate::support::books::Book;
use crate::support::client::{limit_order, market_order, text};
use crate::support::{Answer, Client, SetUp, Site, audit, on_both};

async fn place(client: &Client, key: &str, body: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    client
        .send("POST", "/v2/orders", &headers, body.as_bytes().to_vec())
        .await
}

on_both! {
    async fn a_repeated_request_gets_the_first_answer_to_the_byte(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let body = market_order("buy", "AAPL", "1").to_string();
        let first = place(&client, "a key", &body).await;
        first.expect(200);
        assert_eq!(first.header("idempotency-replayed"), None);
        client.order_in(text(&first.json()["id"]), &["filled"]).await;
        let second = place(&client, "a key", &body).await;
        assert_eq!((second.status, &second.body), (200, &first.body), "also when the order has moved on");
        assert_eq!(second.header("idempotency-replayed"), Some("true"));
        let other = place(&client, "another key", &body).await;
        assert_ne!(other.expect(200)["id"], first.json()["id"]);
        client.order_in(text(&other.json()["id"]), &["filled"]).await;
        audit(&site.place).await;
    }

    async fn another_body_under_a_used_key_is_a_conflict_and_a_refused_request_uses_no_key_up(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let refused = place(&client, "key", &limit_order("buy", "AAPL", "1", "10.001").to_string()).await;
        assert_eq!(refused.problem(422), "price_increment");
        let refused = place(&client, "key", &limit_order("buy", "AAPL", "99999", "10").to_string()).await;
        assert_eq!(refused.problem(403), "order_notional_limit");
        let body = limit_order("buy", "AAPL", "1", "10").to_string();
        let placed = place(&client, "key", &body).await.expect(200);
        let conflict = place(&client, "key", &limit_order("buy", "AAPL", "2", "10").to_string()).await;
        assert_eq!(conflict.problem(409), "idempotency_key_reused");
        assert_eq!(conflict.json()["code"], json!(40_910_000));
        let conflict = place(&client, "key", "{}").await;
        assert_eq!(conflict.problem(409), "idempotency_key_reused", "the key is looked at before the shape");
        assert_eq!(place(&client, "key", &body).await.expect(200), placed);
        let bad = place(&client, &"k".repeat(256), &body).await;
        assert_eq!(bad.problem(422), "invalid_idempotency_key");
    }
}

/// Sixty-four equal requests at once over these clients: one order.
async fn sixty_four_at_once(site: &Site) {
    let clients = site.clients();
    let body = limit_order("buy", "AAPL", "1", "10").to_string();
    let requests = (0..64).map(|number| place(&clients[number % clients.len()], "one", &body));
    let answers = join_all(requests).await;
    let bodies: BTreeSet<_> = answers
        .iter()
        .map(|answer| (answer.status, answer.text()))
        .collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(answers[0].status, 200);
    let fresh = answers
        .iter()
        .filter(|answer| answer.header("idempotency-replayed").is_none());
    assert_eq!(fresh.count(), 1, "the others are replays");
    let book = Book::open(&site.place).await;
    assert_eq!(
        (
            book.count("orders", "1 = 1").await,
            book.count("idempotency_keys", "1 = 1").await
        ),
        (1, 1)
    );
    audit(&site.place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_equal_requests_at_once_make_one_order_on_sqlite() {
    sixty_four_at_once(&Site::start(SetUp::Sqlite).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_equal_requests_at_once_make_one_order_on_postgres() {
    sixty_four_at_once(&Site::plan(SetUp::Postgres).processes(2, 1, 1).start().await).await;
}
