//! A broker over HTTP that drops, delays, lies and dies: each accepted order reaches it exactly once, and the books are
//! those of the broker.

use serde_json::{Value, json};

use crate::support::books::Book;
use crate::support::broker::{TestBroker, WITH_IDS, WITHOUT_IDS};
use crate::support::client::{limit_order, market_order, text};
use crate::support::{Client, SetUp, Site, audit, eventually, on_both};

/// Ways of answering from which nobody can tell what became of an order that was taken, each for one instrument.
fn ambiguous() -> [(&'static str, Value); 8] {
    let status = |status: u16| json!({"answer": {"kind": "status", "status": status}});
    let late = json!({"answer": {"kind": "status", "status": 400}, "course": {"kind": "fills_late", "after_ms": 1500}});
    [
        ("AAPL", json!({"answer": {"kind": "drop"}})),
        ("MSFT", json!({"answer": {"kind": "cut"}})),
        ("NVDA", json!({"answer": {"kind": "half"}})),
        ("AMZN", json!({"answer": {"kind": "hang"}})),
        ("GOOGL", json!({"answer": {"kind": "garbage"}})),
        ("META", status(504)),
        ("TSLA", json!({"after_ms": 4000})),
        // It says no, and fills the order all the same.
        ("JPM", late),
    ]
}

/// Waits until the order is shown as sent with an unknown outcome.
async fn is_unconfirmed(client: &Client, id: &str) -> Value {
    eventually(&format!("order {id} is unconfirmed"), async || {
        let order = client.order(id).await;
        (order["status"] == "pending_new" && order["submission"]["state"] == "unconfirmed").then_some(order)
    })
    .await
}

/// Every order is done, and nothing is left to do.
async fn nothing_is_left(site: &Site) {
    let book = Book::open(&site.place).await;
    eventually("no work is left", async || {
        (book.count("order_work", "1 = 1").await == 0).then_some(())
    })
    .await;
    audit(&site.place).await;
}

async fn rule_for(broker: &TestBroker, symbol: &str, behaviour: Value) {
    broker
        .rule(json!({"on": "submit", "symbol": symbol, "times": 1, "do": behaviour}))
        .await;
}

on_both! {
    async fn an_answer_that_proves_nothing_leaves_an_order_unconfirmed_until_a_look_finds_it(set_up: SetUp) {
        let broker = TestBroker::start().await;
        let site = broker.site(Site::plan(set_up), WITH_IDS).await;
        let client = site.client();
        // Reports would settle an order before it can be seen.
        broker.no_reports().await;
        let mut orders = Vec::new();
        for (symbol, behaviour) in ambiguous() {
            rule_for(&broker, symbol, behaviour).await;
            orders.push(client.place(&market_order("buy", symbol, "1")).await);
        }
        broker.rule(json!({"on": "find", "do": {"answer": {"kind": "status", "status": 503}}})).await;
        for id in &orders {
            let order = is_unconfirmed(&client, id).await;
            assert_eq!(order["filled_qty"], "0", "{order}");
            assert_ne!(text(&order["submission"]["reason"]), "", "{order}");
        }
        broker.no_rules().await;
        for (id, (symbol, _)) in orders.iter().zip(ambiguous()) {
            client.order_in(id, &["filled"]).await;
            assert_eq!(broker.sends(id).await, (1, 1), "{symbol}");
        }
        let book = Book::open(&site.place).await;
        let unknown = book.count("broker_attempts", "kind = 'submit' AND outcome = 'unknown' AND n = 1").await;
        assert_eq!(unknown, ambiguous().len() as u64, "every fault bit");
        assert_eq!(book.count("broker_attempts", "kind = 'submit' AND n > 1").await, 0, "nothing was sent again");
        broker.agrees(&site).await;
        nothing_is_left(&site).await;
    }

    async fn what_the_broker_did_not_take_is_sent_again_after_two_looks(set_up: SetUp) {
        let broker = TestBroker::start().await;
        let site = broker.site(Site::plan(set_up), WITH_IDS).await;
        let client = site.client();
        rule_for(&broker, "AAPL", json!({"act": false, "answer": {"kind": "drop"}})).await;
        let dropped = client.place(&market_order("buy", "AAPL", "2")).await;
        is_unconfirmed(&client, &dropped).await;
        client.order_in(&dropped, &["filled"]).await;
        assert_eq!(broker.sends(&dropped).await, (2, 1));
        let book = Book::open(&site.place).await;
        assert_eq!(book.count("broker_attempts", "kind = 'reconcile' AND detail = 'absent'").await, 2);
        broker.agrees(&site).await;
        nothing_is_left(&site).await;
    }

    async fn a_broker_that_asks_for_a_pause_gets_it(set_up: SetUp) {
        let broker = TestBroker::start().await;
        let site = broker.site(Site::plan(set_up), WITH_IDS).await;
        let client = site.client();
        let busy = json!({"act": false, "answer": {"kind": "status", "status": 429, "retry_after": 2}});
        rule_for(&broker, "AAPL", busy).await;
        let id = client.place(&market_order("buy", "AAPL", "1")).await;
        client.order_in(&id, &["filled"]).await;
        assert_eq!(broker.sends(&id).await, (2, 1));
        let asked = broker.lines("received", json!({"op": "submit"})).await;
        let times: Vec<_> = asked.iter().map(|line| line["at_ms"].as_i64().unwrap()).collect();
        assert!(times[1] - times[0] >= 2000, "{times:?}");
        let book = Book::open(&site.place).await;
        assert_eq!(book.count("broker_attempts", "outcome = 'not_sent' AND n = 1").await, 1);
        nothing_is_left(&site).await;
    }

    async fn a_broker_that_is_away_gets_the_order_once_when_it_is_back(set_up: SetUp) {
        let mut broker = TestBroker::start().await;
        let site = broker.site(Site::plan(set_up), WITH_IDS).await;
        let client = site.client();
        // One that it took and did not answer, and one that cannot reach it.
        broker.no_reports().await;
        rule_for(&broker, "MSFT", json!({"answer": {"kind": "drop"}})).await;
        let taken = client.place(&market_order("buy", "MSFT", "1")).await;
        is_unconfirmed(&client, &taken).await;
        broker.kill();
        let waiting = client.place(&market_order("buy", "AAPL", "1")).await;
        let book = Book::open(&site.place).await;
        eventually("two attempts did not leave", async || {
            (book.count("broker_attempts", "outcome = 'not_sent' AND kind = 'submit'").await >= 2).then_some(())
        })
        .await;
        assert_eq!(client.order(&waiting).await["status"], "accepted");
        let written = broker.written();
        broker.revive().await;
        assert_eq!(broker.journal().await[..written.len()], written, "it remembers what it wrote");
        for id in [&taken, &waiting] {
            client.order_in(id, &["filled"]).await;
            assert_eq!(broker.sends(id).await, (1, 1));
        }
        broker.agrees(&site).await;
        nothing_is_left(&site).await;
    }

    async fn what_the_broker_changes_its_mind_about_is_recorded_and_the_money_adds_up(set_up: SetUp) {
        let broker = TestBroker::start().await;
        let site = broker.site(Site::plan(set_up), WITH_IDS).await;
        let client = site.client();
        let course = |course: Value| json!({"course": course});
        let part = json!({"kind": "fills_in_part", "quantity": "1", "rest_after_ms": 1500});
        let late_no = json!({"kind": "refused_late", "after_ms": 500, "reason": "not today"});
        rule_for(&broker, "AAPL", course(part)).await;
        rule_for(&broker, "MSFT", course(late_no)).await;
        let parts = client.place(&market_order("buy", "AAPL", "3")).await;
        let refused = client.place(&market_order("buy", "MSFT", "3")).await;
        assert_eq!(client.order_in(&parts, &["partially_filled"]).await["filled_qty"], "1");
        assert_eq!(client.order_in(&parts, &["filled"]).await["filled_qty"], "3");
        assert_eq!(client.order_in(&refused, &["rejected"]).await["filled_qty"], "0");
        // Two that rest; the broker fills the one instead of ending it, and the other after it has ended.
        let courses = [
            ("NVDA", json!({"kind": "fills_instead", "after_ms": 500})),
            ("AMZN", json!({"kind": "fills_afterwards", "after_ms": 500, "quantity": "2"})),
        ];
        let mut resting = Vec::new();
        for (symbol, course) in courses {
            broker.rule(json!({"on": "cancel", "symbol": symbol, "times": 1, "do": {"cancel": course}})).await;
            let id = client.place(&limit_order("buy", symbol, "4", "10")).await;
            client.order_in(&id, &["new"]).await;
            assert_eq!(client.delete(&format!("/v2/orders/{id}")).await.status, 204);
            resting.push(id);
        }
        assert_eq!(client.order_in(&resting[0], &["filled"]).await["filled_qty"], "4");
        let canceled = client.order_in(&resting[1], &["canceled"]).await;
        assert_eq!(canceled["id"], json!(resting[1]));
        broker.agrees(&site).await;
        assert_eq!(client.order(&resting[1]).await["filled_qty"], "2", "a late fill is a fact");
        let position = client.get("/v2/positions/AMZN").await.expect(200);
        assert_eq!(position["qty"], "2");
        nothing_is_left(&site).await;
    }

    async fn reports_that_come_twice_and_backwards_are_counted_once(set_up: SetUp) {
        let broker = TestBroker::start().await;
        let site = broker.site(Site::plan(set_up), WITH_IDS).await;
        let client = site.client();
        broker.no_reports().await;
        let part = json!({"kind": "fills_in_part", "quantity": "1", "rest_after_ms": 10});
        let mut orders = Vec::new();
        for symbol in ["AAPL", "MSFT", "NVDA"] {
            rule_for(&broker, symbol, json!({"course": part})).await;
            orders.push(client.place(&market_order("buy", symbol, "5")).await);
        }
        eventually("the broker has filled everything", async || {
            (broker.lines("reported", json!({"kind": "filled"})).await.len() == 6).then_some(())
        })
        .await;
        broker.no_rules().await;
        broker.rule(json!({"on": "reports", "do": {"duplicate": true, "reverse": true}})).await;
        for id in &orders {
            client.order_in(id, &["filled"]).await;
        }
        broker.agrees(&site).await;
        nothing_is_left(&site).await;
    }

    async fn without_ids_an_order_whose_answer_is_lost_is_found_by_its_facts_and_never_sent_twice(set_up: SetUp) {
        let broker = TestBroker::start().await;
        let site = broker.site(Site::plan(set_up), WITHOUT_IDS).await;
        let client = site.client();
        client.buy("AAPL", "1").await;
        rule_for(&broker, "AAPL", json!({"answer": {"kind": "drop"}})).await;
        // The same facts as the one before, which is known: what is there and not known can only be this one.
        let lost = client.place(&market_order("buy", "AAPL", "1")).await;
        is_unconfirmed(&client, &lost).await;
        client.order_in(&lost, &["filled"]).await;
        assert_eq!(broker.all_sends().await, (2, 2));
        assert_eq!(client.get("/v2/positions/AAPL").await.expect(200)["qty"], "2");
        // What never arrived looks the same as what arrives late: only a person may send it again.
        rule_for(&broker, "MSFT", json!({"act": false, "answer": {"kind": "drop"}})).await;
        let gone = client.place(&market_order("buy", "MSFT", "1")).await;
        let book = Book::open(&site.place).await;
        eventually("it was looked for twice", async || {
            let missed = "kind = 'reconcile' AND detail LIKE '%a person has to look%'";
            (book.count("broker_attempts", missed).await >= 2).then_some(())
        })
        .await;
        let shown = is_unconfirmed(&client, &gone).await;
        let reason = "not seen at a broker that takes no ids of ours: a person has to look";
        assert_eq!(shown["submission"]["reason"], reason);
        assert_eq!(broker.all_sends().await, (3, 2), "it was not sent again");
        audit(&site.place).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_ids_two_equal_orders_with_lost_answers_stay_unconfirmed_for_a_person() {
    let broker = TestBroker::start().await;
    let site = broker.site(Site::plan(SetUp::Postgres), WITHOUT_IDS).await;
    let client = site.client();
    broker
        .rule(json!({"on": "submit", "do": {"answer": {"kind": "drop"}}}))
        .await;
    let mut twins = Vec::new();
    for _ in 0..2 {
        twins.push(client.place(&market_order("buy", "AAPL", "1")).await);
    }
    let book = Book::open(&site.place).await;
    eventually("both are ambiguous", async || {
        let waiting = "kind = 'reconcile' AND last_error = 'ambiguous'";
        (book.count("order_work", waiting).await == 2).then_some(())
    })
    .await;
    for id in &twins {
        let shown = is_unconfirmed(&client, id).await;
        let reason = "several orders at the venue could be this one: a person has to look";
        assert_eq!(shown["submission"]["reason"], reason);
    }
    assert_eq!(broker.all_sends().await, (2, 2), "each was sent once");
    assert_eq!(text(&client.order(&twins[0]).await["filled_qty"]), "0");
    audit(&site.place).await;
}
