//! `kill -9` between accept, claim, send and record loses nothing and doubles nothing.
//!
//! Each test holds a process up at a fault point, sees in the databases that it is there, kills it, and starts it again.

use serde_json::{Value, json};

use crate::support::books::Book;
use crate::support::client::{limit_order, market_order, text};
use crate::support::{Client, Role, SetUp, Site, audit, eventually, on_both};

/// The one order of the account, filled, and everything in balance.
async fn filled_exactly_once(site: &Site, quantity: &str) {
    let client = site.client();
    let all = client.get("/v2/orders?status=all").await.expect(200);
    let [order] = all.as_array().unwrap().as_slice() else {
        panic!("one order: {all}")
    };
    let order = client.order_in(text(&order["id"]), &["filled"]).await;
    assert_eq!(order["filled_qty"], quantity);
    assert_eq!(
        client.get("/v2/positions/AAPL").await.expect(200)["qty"],
        quantity
    );
    let book = Book::open_paper(&site.place).await;
    assert_eq!(
        book.paper_count("paper_orders", "1 = 1").await,
        1,
        "sent exactly once"
    );
    eventually("the venue's reports are all read", async || {
        let book = Book::open(&site.place).await;
        (book.count("order_work", "1 = 1").await == 0).then_some(())
    })
    .await;
    audit(&site.place).await;
}

/// An installation whose worker waits at `point`, with one order on its way.
async fn held_up_at(set_up: SetUp, point: &str) -> Site {
    let site = Site::plan(set_up)
        .fault(Role::Worker, &format!("{point}=pause"))
        .start()
        .await;
    site.client().place(&market_order("buy", "AAPL", "3")).await;
    site
}

/// Waits until `table` has a row that fulfils `condition`.
async fn there_is(book: &Book, table: &str, condition: &str) {
    eventually(&format!("{table}: {condition}"), async || {
        (book.count(table, condition).await > 0).then_some(())
    })
    .await;
}

on_both! {
    async fn an_api_killed_between_the_commit_and_the_answer_has_accepted_the_order_once(set_up: SetUp) {
        let mut site = Site::plan(set_up).fault(Role::Api, "api::after_commit=pause").start().await;
        let client = site.client();
        let body = market_order("buy", "AAPL", "3").to_string();
        let send = |client: Client, body: String| async move {
            let headers = [("content-type", "application/json"), ("idempotency-key", "the same")];
            client.try_send("POST", "/v2/orders", &headers, body.into_bytes()).await
        };
        let waiting = tokio::spawn(send(client, body.clone()));
        let book = Book::open(&site.place).await;
        there_is(&book, "orders", "1 = 1").await;
        site.kill(Role::Api);
        assert!(waiting.await.unwrap().is_err(), "no answer came");
        site.revive().await;
        let again = send(site.client(), body).await.unwrap();
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert!(again.expect(200)["id"].is_string());
        filled_exactly_once(&site, "3").await;
    }

    async fn a_worker_killed_after_its_claim_is_followed_by_one_that_sends(set_up: SetUp) {
        let mut site = held_up_at(set_up, "worker::after_claim").await;
        let book = Book::open(&site.place).await;
        there_is(&book, "order_work", "claimed_by IS NOT NULL").await;
        assert_eq!(book.count("broker_attempts", "1 = 1").await, 0, "no attempt is written down");
        site.kill(Role::Worker);
        site.revive().await;
        filled_exactly_once(&site, "3").await;
    }

    async fn a_worker_killed_before_the_first_byte_leaves_is_followed_by_one_that_asks_and_sends(set_up: SetUp) {
        let mut site = held_up_at(set_up, "worker::after_begin").await;
        let book = Book::open(&site.place).await;
        there_is(&book, "broker_attempts", "ended_at IS NULL").await;
        assert_eq!(Book::open_paper(&site.place).await.paper_count("paper_orders", "1 = 1").await, 0);
        site.kill(Role::Worker);
        site.revive().await;
        filled_exactly_once(&site, "3").await;
    }

    async fn a_worker_killed_between_the_venue_s_answer_and_its_record_sends_nothing_twice(set_up: SetUp) {
        let mut site = held_up_at(set_up, "worker::after_send").await;
        let paper = Book::open_paper(&site.place).await;
        eventually("the venue has it", async || {
            (paper.paper_count("paper_orders", "1 = 1").await == 1).then_some(())
        })
        .await;
        let book = Book::open(&site.place).await;
        assert_eq!(book.count("broker_attempts", "ended_at IS NULL").await, 1);
        site.kill(Role::Worker);
        site.revive().await;
        filled_exactly_once(&site, "3").await;
    }

    async fn everything_killed_at_once_goes_on_with_resting_orders_positions_and_armed_stops(set_up: SetUp) {
        let mut site = Site::plan(set_up).set("MARKET_DATA", "replay").set("REPLAY_SPEED", "0").start().await;
        let row = site.place.data_dir().join("replay.row");
        std::fs::write(&row, "2008-09-26").unwrap();
        let client = site.client();
        client.buy("AAPL", "10").await;
        let resting = client.place(&limit_order("buy", "MSFT", "5", "26")).await;
        client.order_in(&resting, &["new"]).await;
        let trigger = client.post("/v2/triggers", &json!({"symbol": "AAPL", "stop_price": "120"})).await.expect(201);
        for role in [Role::Api, Role::Worker, Role::Scheduler] {
            site.kill(role);
        }
        // While nobody runs comes Monday, 29 September 2008: Apple opens at 119.62, below its stop; Microsoft at 26.94,
        // above its limit, which it meets on 6 October (25.63).
        std::fs::write(&row, "2008-09-29").unwrap();
        site.revive().await;
        let client = site.client();
        assert_eq!(client.order(&resting).await["status"], "new");
        let fired = eventually("the stop is done", async || {
            let found = client.get(&format!("/v2/triggers/{}", text(&trigger["id"]))).await.expect(200);
            (found["state"] == "done").then_some(found)
        })
        .await;
        let exit = client.order_in(text(&fired["exit_order_id"]), &["filled"]).await;
        assert_eq!(exit["filled_qty"], "10");
        std::fs::write(&row, "2008-10-06").unwrap();
        assert_eq!(client.order_in(&resting, &["filled"]).await["filled_qty"], "5");
        let sells: Value = client.get("/v2/orders?status=all&side=sell").await.expect(200);
        assert_eq!(sells.as_array().unwrap().len(), 1, "sold exactly once");
        audit(&site.place).await;
    }
}
