//! Two schedulers: whoever dies, stops or stands still, the other leads within seconds, and no slot is opened twice.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::support::books::Book;
use crate::support::client::text;
use crate::support::wait::within;
use crate::support::{Role, SetUp, Site, audit, eventually};

/// The lease of the leader lasts six seconds; what another needs to see that it is over, on a busy machine, is added.
const SECONDS: Duration = Duration::from_secs(10);

/// A leader that goes in good order says so; nobody waits for its lease.
const AT_ONCE: Duration = Duration::from_secs(4);

/// Two schedulers with a sweep every second, and which of them leads.
async fn two_schedulers() -> (Site, usize) {
    let mut site = Site::plan(SetUp::Postgres).processes(1, 1, 2).start().await;
    let leader = eventually("one leads", async || leads(&mut site, 0)).await;
    let other = site.processes(Role::Scheduler)[1 - leader].log();
    assert!(!other.contains(LEADS), "one leader");
    (site, leader)
}

const LEADS: &str = "leading from now on";

/// Which process has said more than `before` times that it leads.
fn leads(site: &mut Site, before: usize) -> Option<usize> {
    let schedulers = site.processes(Role::Scheduler);
    let mut said = schedulers
        .iter()
        .map(|process| process.log().matches(LEADS).count());
    said.position(|times| times > before)
}

/// The other one leads within `time`, and opens slots.
async fn is_followed_by(site: &mut Site, other: usize, time: Duration) {
    within(time, "the other one leads", async || {
        site.processes(Role::Scheduler)[other]
            .log()
            .contains(LEADS)
            .then_some(())
    })
    .await;
    opens_slots(site, 2).await;
}

/// Waits until `more` slots were opened and done.
async fn opens_slots(site: &Site, more: u64) {
    let book = Book::open(&site.place).await;
    let before = book.count("sweeps", "state = 'done'").await;
    eventually("more slots are swept", async || {
        (book.count("sweeps", "state = 'done'").await >= before + more).then_some(())
    })
    .await;
}

/// Every slot of the database was opened by one of the schedulers, and once.
async fn each_slot_was_opened_once(site: &mut Site) {
    let book = Book::open(&site.place).await;
    eventually("the logs say what the database says", async || {
        let logs = site.processes(Role::Scheduler).iter().fold(0, |sum, process| {
            sum + process.log().matches("opened a sweep").count()
        });
        (book.count("sweeps", "1 = 1").await == logs as u64).then_some(())
    })
    .await;
    audit(&site.place).await;
}

/// The slots of the sweeps, in order.
async fn slots(book: &Book) -> Vec<i64> {
    let rows = book.rows::<1>("SELECT CAST(slot AS TEXT) FROM sweeps ORDER BY slot");
    let slots: BTreeSet<i64> = rows.await.iter().map(|[slot]| slot.parse().unwrap()).collect();
    slots.into_iter().collect()
}

/// Waits until the clock of the database has gone on by `seconds`.
async fn the_clock_goes_on(book: &Book, seconds: u32) {
    let now = "SELECT CAST(clock_timestamp() AS TEXT)";
    let [[then]] = book.rows::<1>(now).await.try_into().unwrap();
    let is_over = format!("clock_timestamp() >= '{then}'::timestamptz + interval '{seconds} seconds'");
    eventually("the clock goes on", async || {
        (book.count("(SELECT 1) AS x", &is_over).await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_is_followed_within_seconds() {
    let (mut site, leader) = two_schedulers().await;
    opens_slots(&site, 2).await;
    site.processes(Role::Scheduler)[leader].kill();
    is_followed_by(&mut site, 1 - leader, SECONDS).await;
    each_slot_was_opened_once(&mut site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_ends_in_good_order_is_followed_at_once() {
    let (mut site, leader) = two_schedulers().await;
    site.processes(Role::Scheduler)[leader].signal("TERM");
    is_followed_by(&mut site, 1 - leader, AT_ONCE).await;
    each_slot_was_opened_once(&mut site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stood_still_and_goes_on_opens_no_slot_again() {
    let (mut site, leader) = two_schedulers().await;
    opens_slots(&site, 2).await;
    site.processes(Role::Scheduler)[leader].signal("STOP");
    is_followed_by(&mut site, 1 - leader, SECONDS).await;
    // It wakes up in the belief that it leads.
    let mut schedulers = site.processes(Role::Scheduler);
    schedulers[leader].signal("CONT");
    schedulers[leader]
        .says("the lease has lapsed: it was not renewed in time")
        .await;
    opens_slots(&site, 3).await;
    each_slot_was_opened_once(&mut site).await;
    let book = Book::open(&site.place).await;
    let later_by_the_old = "sweeps AS a JOIN sweeps AS b ON b.slot > a.slot AND b.fence < a.fence";
    assert_eq!(book.count(later_by_the_old, "1 = 1").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_nobody_opened_are_made_up_for_by_one_sweep() {
    let mut site = Site::start(SetUp::Postgres).await;
    opens_slots(&site, 2).await;
    let book = Book::open(&site.place).await;
    site.processes(Role::Scheduler)[0].signal("STOP");
    let before = slots(&book).await;
    the_clock_goes_on(&book, 5).await;
    let mut schedulers = site.processes(Role::Scheduler);
    schedulers[0].signal("CONT");
    schedulers[0].says("one sweep makes up for all").await;
    opens_slots(&site, 2).await;
    let last = before[before.len() - 1];
    let after: Vec<i64> = slots(&book)
        .await
        .into_iter()
        .filter(|slot| *slot > last)
        .collect();
    assert!(
        after[0] >= last + 4,
        "nothing is opened for the past: {last}, {after:?}"
    );
    each_slot_was_opened_once(&mut site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_fires_while_a_clock_that_was_set_back_by_an_hour_comes_round_again() {
    let site = Site::start(SetUp::Postgres).await;
    let client = site.client();
    client.buy("AAPL", "2").await;
    let armed = client
        .post("/v2/triggers", &json!({"symbol": "AAPL", "stop_price": "1"}))
        .await
        .expect(201);
    opens_slots(&site, 1).await;
    // As if the scheduler had swept for an hour with a clock that was an hour ahead: nothing is left to open.
    let book = Book::open(&site.place).await;
    let swept = "INSERT INTO sweeps
            (slot, shard, shards, fence, state, symbols, fired, skipped, created_at, started_at, finished_at)
        SELECT slot, 0, 1, 1, 'done', 0, 0, '{}', clock_timestamp(), clock_timestamp(), clock_timestamp()
        FROM generate_series((SELECT max(slot) + 2 FROM sweeps), (SELECT max(slot) + 3600 FROM sweeps)) AS slot
        ON CONFLICT DO NOTHING";
    book.change(swept).await;
    the_clock_goes_on(&book, 4).await;
    let before = book.count("sweeps", "1 = 1").await;
    book.change("UPDATE triggers SET stop_price = 9000, price_key = 9000000000000")
        .await;
    let path = format!("/v2/triggers/{}", text(&armed["id"]));
    let done = eventually("the stop is done", async || {
        let trigger = client.get(&path).await.expect(200);
        (trigger["state"] == "done").then_some(trigger)
    })
    .await;
    client.order_in(text(&done["exit_order_id"]), &["filled"]).await;
    assert_eq!(
        book.count("sweeps", "1 = 1").await,
        before,
        "no slot was opened meanwhile"
    );
    audit(&site.place).await;
}
