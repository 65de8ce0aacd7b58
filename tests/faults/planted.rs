//! The checks notice what they are for: five faults are planted, and each is found by the same code that finds nothing
//! before.
//!
//! Four are switched on in the processes by `FAILPOINTS` and exist in builds for tests alone; the fifth is a unique key
//! that is taken out of the database.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::checks::{repeated, verdict};
use crate::people::Kind;
use crate::requests::Requests;
use crate::support::client::{limit_order, market_order, text};
use crate::support::eventually;
use crate::world::World;

/// Who is needed: somebody at the paper venue, at the broker, at the broker without ids; and two accounts of one user with
/// a limit.
const PEOPLE: [Kind; 5] = [
    kind("paper", "superadmin", false),
    kind("scripted", "superadmin", false),
    kind("scripted_blind", "superadmin", false),
    kind("paper", "standard", false),
    kind("paper", "standard", true),
];

const PAPER: usize = 0;
const SCRIPTED: usize = 1;
const BLIND: usize = 2;
const LIMITED: usize = 3;

const fn kind(broker: &'static str, role: &'static str, is_sibling: bool) -> Kind {
    Kind {
        broker,
        role,
        is_sibling,
    }
}

/// Longer than another worker needs to take an order over, look for it twice, and send it.
const OVERTAKEN: Duration = Duration::from_secs(14);

/// How long a stop has to fire a second time.
const FIRES_WITHIN: Duration = Duration::from_secs(4);

/// Plants one fault after the other; panics where one is not noticed, or where something is found before.
pub(crate) async fn all_are_caught() {
    let mut world = World::start([2, 2, 1], &PEOPLE).await;
    early_answer(&mut world).await;
    stale_limit(&mut world).await;
    blind_resend(&mut world).await;
    second_exit(&mut world).await;
    stale_claim(&mut world).await;
}

/// What the checks find more than `before`.
async fn news(world: &World, before: &[String]) -> Vec<String> {
    let mut found = verdict(world).await;
    found.retain(|one| !before.contains(one));
    found
}

fn assert_clean(what: &str, news: &[String]) {
    assert!(news.is_empty(), "{what}: found before it was planted: {news:?}");
}

fn assert_caught(what: &str, news: &[String]) {
    assert!(!news.is_empty(), "not noticed: {what}");
    println!("caught: {what}: {}", news[0]);
}

/// An order is acknowledged before it is committed, and the api dies in between.
async fn early_answer(world: &mut World) {
    let before = verdict(world).await;
    for points in [None, Some("plant::ack_before_commit=return")] {
        world.fronts.replant(points).await;
        let caller = world.caller(PAPER);
        for _ in 0..5 {
            let order = limit_order("buy", "AAPL", "1", "10");
            caller.place_at(0, &Caller::new_key(), &order).await;
        }
        world.fronts.replant(None).await;
        let news = news(world, &before).await;
        match points {
            None => assert_clean("acknowledged before the commit", &news),
            Some(_) => assert_caught("acknowledged before the commit", &news),
        }
    }
}

/// Two apis judge one user's limit by what they have read some time ago.
async fn stale_limit(world: &mut World) {
    let before = verdict(world).await;
    for points in [None, Some("plant::limit_outside_lock=return")] {
        world.fronts.replant(points).await;
        let requests = Requests {
            callers: Vec::new(),
            limited: [world.caller(LIMITED), world.caller(LIMITED + 1)],
            database: world.database.clone(),
            limited_user: LIMITED,
        };
        // One for each api: each judges it by what it remembers, however fast the other one is.
        requests.limit(2).await;
        let news = news(world, &before).await;
        match points {
            None => assert_clean("a limit read outside the lock", &news),
            Some(_) => assert_caught("a limit read outside the lock", &news),
        }
    }
    world.fronts.replant(None).await;
}

/// An order whose answer was lost is sent again at a broker that knows no ids.
async fn blind_resend(world: &mut World) {
    let before = verdict(world).await;
    for points in [None, Some("plant::blind_resend=return")] {
        world.workers.replant(points).await;
        let dropped = json!({"on": "submit", "times": 1, "do": {"answer": {"kind": "drop"}}});
        world.broker.rule(dropped).await;
        let caller = world.caller(BLIND);
        let placed = caller
            .place(&Caller::new_key(), &market_order("buy", "AAPL", "1"))
            .await;
        caller.ended(&placed.unwrap(), Duration::from_secs(30)).await;
        world.broker.no_rules().await;
        let news = news(world, &before).await;
        match points {
            None => assert_clean("a blind resend after a time-out", &news),
            Some(_) => assert_caught("a blind resend after a time-out", &news),
        }
    }
    world.workers.replant(None).await;
}

/// A stop that somebody sees as armed after it has fired.
async fn second_exit(world: &mut World) {
    let before = verdict(world).await;
    let caller = world.caller(PAPER);
    let bought = caller
        .place(&Caller::new_key(), &market_order("buy", "MSFT", "3"))
        .await;
    caller.ended(&bought.unwrap(), Duration::from_secs(30)).await;
    let stop = json!({"symbol": "MSFT", "stop_price": "1", "qty": "1"});
    let armed = caller.once(0, "POST", "/v2/triggers", None, &stop).await.unwrap();
    let id = text(&armed.expect(201)["id"]).to_owned();
    let through = "stop_price = 9000, price_key = 9000000000000";
    let change = async |sql: String| world.database.change(&sql).await.unwrap();
    change(format!("UPDATE triggers SET {through} WHERE id = '{id}'")).await;
    let path = format!("/v2/triggers/{id}");
    eventually("the stop has fired", async || {
        let stop = caller.once(0, "GET", &path, None, &Value::Null).await?.json();
        (stop["state"] == "done").then_some(())
    })
    .await;
    let exits = format!("trigger_id = '{id}'");
    for is_planted in [false, true] {
        if is_planted {
            change("ALTER TABLE trigger_exits DROP CONSTRAINT trigger_exits_pkey".to_owned()).await;
        }
        change(format!("UPDATE triggers SET state = 'armed' WHERE id = '{id}'")).await;
        let begun = Instant::now();
        while begun.elapsed() < FIRES_WITHIN && world.database.count("trigger_exits", &exits).await == 1 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let news = news(world, &before).await;
        if is_planted {
            assert_caught("no unique key on the exit order", &news);
        } else {
            assert_clean("no unique key on the exit order", &news);
        }
    }
}

/// A worker stands still before it looks at its claim, is overtaken, and goes on.
async fn stale_claim(world: &mut World) {
    let sleep = OVERTAKEN.as_millis();
    for plant in ["", ";plant::no_lease_check=return"] {
        let before = repeated(world);
        let points = format!("worker::after_begin=1*sleep({sleep}){plant}");
        world.workers.kill(0);
        world.workers.kill(1);
        world.workers.start(0, Some(&points));
        let caller = world.caller(SCRIPTED);
        let placed = caller
            .place(&Caller::new_key(), &market_order("buy", "AAPL", "1"))
            .await;
        let id = placed.unwrap();
        let begun = format!("order_id = '{id}' AND ended_at IS NULL");
        eventually("the first worker has begun", async || {
            (world.database.count("broker_attempts", &begun).await == 1).then_some(())
        })
        .await;
        let stands_still = Instant::now();
        world.workers.start(1, None);
        let ended = caller.ended(&id, OVERTAKEN).await;
        assert_eq!(
            ended.as_deref(),
            Some("filled"),
            "the second worker takes it over"
        );
        tokio::time::sleep((OVERTAKEN + Duration::from_secs(1)).saturating_sub(stands_still.elapsed())).await;
        let news = repeated(world) - before;
        if plant.is_empty() {
            assert_eq!(news, 0, "a stale claim was used before it was planted");
        } else {
            assert!(news > 0, "not noticed: no lease check");
            println!(
                "caught: no lease check: the broker got the order {} times",
                news + 1
            );
        }
    }
    world.workers.replant(None).await;
}
