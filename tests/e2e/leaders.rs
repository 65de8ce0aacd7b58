//! Two schedulers, two workers: whoever dies in the middle of a sweep, each stop exits once and the slot is done.

use std::time::Duration;

use serde_json::json;

use crate::support::books::Book;
use crate::support::client::text;
use crate::support::{Role, SetUp, Site, audit, eventually};

/// How many triggers are armed on one position.
const TRIGGERS: usize = 7;

/// A position of which each share has a stop of its own, all far below the market.
async fn protected(site: &Site) {
    let client = site.client();
    client.buy("AAPL", &TRIGGERS.to_string()).await;
    for _ in 0..TRIGGERS {
        let body = json!({"symbol": "AAPL", "stop_price": "1", "qty": "1"});
        client.post("/v2/triggers", &body).await.expect(201);
    }
}

/// Gives the watch between the sweeps, which would be quicker, to nobody: only the sweep fires from now on.
async fn keep_the_watch_away(site: &mut Site) {
    let says = async |site: &mut Site, words: &str| {
        eventually(&format!("the worker says {words:?} of the watch"), async || {
            let log = site.processes(Role::Worker)[0].log();
            let mut lines = log.lines();
            lines
                .any(|line| line.contains(words) && line.contains("trigger-watch"))
                .then_some(())
        })
        .await;
    };
    says(site, "this worker does the duty now").await;
    let taken = "UPDATE leases SET holder = 'nobody', fence = fence + 1,
        expires_at = clock_timestamp() + interval '1 hour' WHERE name = 'trigger-watch'";
    Book::open(&site.place).await.change(taken).await;
    says(site, "another has the lease now").await;
}

/// Nobody has watched since.
async fn the_watch_stayed_away(site: &Site) {
    let book = Book::open(&site.place).await;
    let taken = "name = 'trigger-watch' AND holder = 'nobody'";
    assert_eq!(book.count("leases", taken).await, 1, "the watch stayed away");
}

/// Puts every stop above the market.
async fn let_them_fall_through(site: &Site) {
    let book = Book::open(&site.place).await;
    book.change("UPDATE triggers SET stop_price = 9000, price_key = 9000000000000 WHERE state = 'armed'")
        .await;
}

/// Each trigger has one exit, which sold its share.
async fn each_has_exited_once(site: &Site) {
    let client = site.client();
    eventually("every stop is done", async || {
        let done = client.get("/v2/triggers?state=done").await.expect(200);
        (done.as_array().unwrap().len() == TRIGGERS).then_some(())
    })
    .await;
    let sells = client.get("/v2/orders?status=all&side=sell").await.expect(200);
    let sells = sells.as_array().unwrap();
    assert_eq!(sells.len(), TRIGGERS, "{sells:?}");
    for sell in sells {
        assert_eq!(
            (text(&sell["status"]), text(&sell["filled_qty"])),
            ("filled", "1")
        );
    }
    assert_eq!(client.get("/v2/positions").await.expect(200), json!([]));
    audit(&site.place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_killed_between_the_row_of_a_slot_and_its_signal_leaves_a_sweep_that_is_done_all_the_same() {
    // The leader opens five slots, time enough to keep the watch away, and hangs in the sixth before it tells anybody.
    let mut site = Site::plan(SetUp::Postgres)
        .processes(1, 1, 2)
        .set("SWEEP_INTERVAL_SECONDS", "2")
        .fault(Role::Scheduler, "scheduler::between_slot_and_signal=5*off->pause")
        .start()
        .await;
    protected(&site).await;
    keep_the_watch_away(&mut site).await;
    let book = Book::open(&site.place).await;
    // The first process has the fault point, and leads if it was the first to ask. If it was not, the other one steps
    // down: it is stopped until its lease is over.
    let leads = async |site: &mut Site| {
        site.processes(Role::Scheduler)[0]
            .log()
            .contains("leading from now on")
    };
    if !leads(&mut site).await {
        site.processes(Role::Scheduler)[1].signal("STOP");
        eventually("the first one leads", async || {
            leads(&mut site).await.then_some(())
        })
        .await;
        site.processes(Role::Scheduler)[1].signal("CONT");
    }
    eventually("the sweeps before the last are done", async || {
        let opened = site.processes(Role::Scheduler)[0]
            .log()
            .matches("opened a sweep")
            .count();
        (opened == 5 && book.count("sweeps", "state <> 'done'").await == 0).then_some(())
    })
    .await;
    let [[last]] = book
        .rows::<1>("SELECT CAST(max(slot) AS TEXT) FROM sweeps")
        .await
        .try_into()
        .unwrap();
    let_them_fall_through(&site).await;
    let stuck = eventually("the leader waits at the next slot", async || {
        // The slot is there; nobody was told, and until the poll finds it nobody has begun.
        let next = format!("SELECT CAST(slot AS TEXT) FROM sweeps WHERE slot > {last}");
        book.rows::<1>(&next).await.into_iter().next().map(|[slot]| slot)
    })
    .await;
    site.processes(Role::Scheduler)[0].kill();
    eventually("the other one leads", async || {
        site.processes(Role::Scheduler)[1]
            .log()
            .contains("leading from now on")
            .then_some(())
    })
    .await;
    eventually("the slot is done", async || {
        let condition = format!("slot = {stuck} AND state <> 'done'");
        (book.count("sweeps", &condition).await == 0).then_some(())
    })
    .await;
    each_has_exited_once(&site).await;
    let by_it = format!("slot = {stuck} AND fired = {TRIGGERS}");
    assert_eq!(
        book.count("sweeps", &by_it).await,
        1,
        "that sweep fired every stop"
    );
    let later = format!("slot > {stuck} AND state = 'done'");
    eventually("the new leader opens slots", async || {
        (book.count("sweeps", &later).await > 0).then_some(())
    })
    .await;
    the_watch_stayed_away(&site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_between_two_fired_stops_is_followed_by_one_that_fires_the_rest() {
    let mut site = Site::plan(SetUp::Postgres)
        .processes(1, 1, 1)
        .fault(Role::Worker, "worker::between_fired_triggers=return")
        .start()
        .await;
    protected(&site).await;
    keep_the_watch_away(&mut site).await;
    let_them_fall_through(&site).await;
    // It ends itself at the point as `kill -9` would: no destructor runs.
    let end = site.processes(Role::Worker)[0]
        .ended(Duration::from_secs(30))
        .await;
    assert!(!end.success(), "{end}");
    let book = Book::open(&site.place).await;
    let fired = book.count("trigger_exits", "1 = 1").await;
    assert!(
        fired >= 1 && fired < TRIGGERS as u64,
        "{fired} of {TRIGGERS} had fired: the fault bit in the middle"
    );
    site.revive().await;
    each_has_exited_once(&site).await;
    eventually("every begun sweep is done", async || {
        let begun = "state <> 'done' AND started_at IS NOT NULL AND claimed_until < clock_timestamp()";
        (book.count("sweeps", begun).await == 0).then_some(())
    })
    .await;
    the_watch_stayed_away(&site).await;
}
