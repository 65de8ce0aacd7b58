//! A worker that stands still is overtaken by another one, and goes on: it can write nothing, and what it can still send
//! makes no second order.
//!
//! It is stopped by SIGSTOP on either side of its look at the lease. Behind that look lies the one window that no fence
//! closes: the call leaves late. Where our ids travel, the broker knows it for the same order; where they do not, nobody
//! has sent the order a second time.

use serde_json::json;

use crate::support::books::Book;
use crate::support::broker::{TestBroker, WITH_IDS, WITHOUT_IDS};
use crate::support::client::market_order;
use crate::support::{Client, Role, SetUp, Site, audit, eventually};

/// Two workers, of which the first stands still at `point` with the only order, and the second has begun to look for it.
struct Overtaken {
    broker: TestBroker,
    site: Site,
    order: String,
}

impl Overtaken {
    async fn at(point: &str, kind: &str) -> Self {
        let broker = TestBroker::start().await;
        // Long enough to be stopped there, short enough to be over when it goes on.
        let plan = Site::plan(SetUp::Postgres)
            .processes(1, 2, 1)
            .fault(Role::Worker, &format!("{point}=1*sleep(3000)"));
        let mut site = broker.site(plan, kind).await;
        site.processes(Role::Worker)[1].kill();
        let order = site.client().place(&market_order("buy", "AAPL", "3")).await;
        site.processes(Role::Worker)[0].says("at a fault point").await;
        site.processes(Role::Worker)[0].signal("STOP");
        assert_eq!(
            broker.all_sends().await,
            (0, 0),
            "stopped before it sent anything"
        );
        site.revive().await;
        let book = Book::open(&site.place).await;
        eventually("the second worker has looked for the order", async || {
            let looked = "kind = 'reconcile' AND ended_at IS NOT NULL";
            (book.count("broker_attempts", looked).await > 0).then_some(())
        })
        .await;
        Self { broker, site, order }
    }

    fn client(&self) -> Client {
        self.site.client()
    }

    /// Lets the first worker go on until it has tried to write what it knows.
    async fn goes_on(&mut self, says: &str) {
        let mut workers = self.site.processes(Role::Worker);
        workers[0].signal("CONT");
        workers[0].says(says).await;
    }

    /// What stands of the first attempt is what the second worker wrote when it took over.
    async fn the_first_wrote_nothing(&self) {
        let book = Book::open(&self.site.place).await;
        let first = "kind = 'submit' AND n = 1 AND outcome = 'unknown' AND detail = 'taken over'";
        assert_eq!(book.count("broker_attempts", first).await, 1);
    }

    async fn is_filled_once(&self) {
        self.client().order_in(&self.order, &["filled"]).await;
        let position = self.client().get("/v2/positions/AAPL").await.expect(200);
        assert_eq!(position["qty"], "3");
        let book = Book::open(&self.site.place).await;
        eventually("no work is left", async || {
            (book.count("order_work", "1 = 1").await == 0).then_some(())
        })
        .await;
        audit(&self.site.place).await;
    }
}

const BEFORE_THE_CHECK: &str = "worker::after_begin";
const AFTER_THE_CHECK: &str = "worker::before_send";
const NO_TIME: &str = "the claim was too old for a call";
const SENT: &str = "the broker has it";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_before_its_look_at_the_lease_it_sends_nothing() {
    let mut overtaken = Overtaken::at(BEFORE_THE_CHECK, WITH_IDS).await;
    overtaken.is_filled_once().await;
    overtaken.goes_on(NO_TIME).await;
    overtaken.the_first_wrote_nothing().await;
    assert_eq!(
        overtaken.broker.all_sends().await,
        (1, 1),
        "the second worker's send"
    );
    overtaken.is_filled_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_after_its_look_at_the_lease_its_late_call_is_the_same_order() {
    let mut overtaken = Overtaken::at(AFTER_THE_CHECK, WITH_IDS).await;
    overtaken.is_filled_once().await;
    overtaken.goes_on(SENT).await;
    overtaken.the_first_wrote_nothing().await;
    let order = &overtaken.order;
    assert_eq!(
        overtaken.broker.sends(order).await,
        (2, 1),
        "two calls, one order"
    );
    assert_eq!(overtaken.broker.lines("repeated", json!({})).await.len(), 1);
    overtaken.is_filled_once().await;
    overtaken.broker.agrees(&overtaken.site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_ids_stopped_before_its_look_at_the_lease_nobody_sends() {
    let mut overtaken = Overtaken::at(BEFORE_THE_CHECK, WITHOUT_IDS).await;
    overtaken.goes_on(NO_TIME).await;
    overtaken.the_first_wrote_nothing().await;
    assert_eq!(overtaken.broker.all_sends().await, (0, 0));
    let order = overtaken.client().order(&overtaken.order).await;
    assert_eq!(
        (&order["status"], &order["submission"]["state"]),
        (&json!("pending_new"), &json!("unconfirmed"))
    );
    audit(&overtaken.site.place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_ids_stopped_after_its_look_at_the_lease_its_late_call_is_the_only_one() {
    let mut overtaken = Overtaken::at(AFTER_THE_CHECK, WITHOUT_IDS).await;
    overtaken.goes_on(SENT).await;
    overtaken.the_first_wrote_nothing().await;
    overtaken.is_filled_once().await;
    assert_eq!(overtaken.broker.all_sends().await, (1, 1));
}
