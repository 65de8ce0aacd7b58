//! Orders that come at once cannot together pass a limit that one of them would break.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::books::Book;
use crate::support::client::limit_order;
use crate::support::{Answer, Client, SetUp, Site, audit, eventually};

/// Orders sent at once; a hundred of them fit under the limit.
const ORDERS: usize = 300;

/// Places an order as a client does that is told to come again: 503 says that nothing has happened.
async fn place(client: &Client, order: &Value) -> Answer {
    eventually("the order is decided", async || {
        Some(client.post("/v2/orders", order).await).filter(|answer| answer.status != 503)
    })
    .await
}

/// Three hundred orders of a hundredth of the day's limit, over all api processes.
async fn exactly_a_hundred_pass(set_up: SetUp, apis: usize) {
    let site = Site::plan(set_up)
        .processes(apis, 1, 1)
        .set("RISK_SUPERADMIN_DAY_NOTIONAL", "10000")
        .start()
        .await;
    let clients = site.clients();
    let order = limit_order("buy", "AAPL", "10", "10");
    let requests = (0..ORDERS).map(|number| place(&clients[number % clients.len()], &order));
    let mut outcomes: BTreeMap<(u16, String), usize> = BTreeMap::new();
    for answer in join_all(requests).await {
        let error = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        *outcomes.entry((answer.status, error)).or_default() += 1;
    }
    let expected = [
        ((200, String::new()), 100),
        ((403, "day_notional_limit".to_owned()), ORDERS - 100),
    ];
    assert_eq!(outcomes, BTreeMap::from(expected));
    assert_eq!(Book::open(&site.place).await.count("orders", "1 = 1").await, 100);
    let blocked = clients[0].post("/v2/orders", &order).await.expect(403);
    assert_eq!(
        (&blocked["code"], &blocked["limit"], &blocked["attempted"]),
        (&json!(40_310_000), &json!("10000"), &json!("10100"))
    );
    audit(&site.place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_hundred_orders_of_a_hundredth_of_the_limit_exactly_a_hundred_pass_on_sqlite() {
    exactly_a_hundred_pass(SetUp::Sqlite, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_hundred_orders_of_a_hundredth_of_the_limit_exactly_a_hundred_pass_on_postgres() {
    exactly_a_hundred_pass(SetUp::Postgres, 2).await;
}
