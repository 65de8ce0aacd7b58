//! What must hold after a series: nothing lost, nothing doubled, everything in balance, every fault felt.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::caller::Asked;
use crate::support::books::audit_ledger;
use crate::support::client::text;
use crate::support::{Role, audit};
use crate::world::World;

/// How long the last orders may take after the last fault.
pub(crate) const DRAINED_WITHIN: Duration = Duration::from_mins(1);

/// How many acknowledged orders are read again by each api, the earliest and the latest among them.
const READ_AGAIN: usize = 200;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) orders: u64,
    pub(crate) acknowledged: u64,
    pub(crate) fills: u64,
    /// Acknowledged, and not there or not done.
    pub(crate) lost: Vec<String>,
    /// There, sent or filled more often than asked for.
    pub(crate) doubled: Vec<String>,
    /// Everything else that is wrong.
    pub(crate) wrong: Vec<String>,
    /// How often each fault was felt.
    pub(crate) bites: BTreeMap<&'static str, u64>,
    /// The longest that an order at the market was open, in milliseconds.
    pub(crate) longest_order_ms: u64,
    /// What happened to the orders at the market that took longest.
    pub(crate) slowest: Vec<String>,
}

/// An order as our database has it.
#[derive(Debug)]
struct Row {
    client_order_id: String,
    account: String,
    broker: String,
    filled: Decimal,
    closed_how: String,
    is_exit: bool,
    /// Whether the venue knew of it.
    was_acknowledged: bool,
}

const ORDERS: &str =
    "SELECT o.id::text, o.client_order_id, o.account_id::text, c.broker, o.filled_quantity::text,
        o.closed_how, (e.order_id IS NOT NULL)::text, (o.submission = 'acknowledged')::text
    FROM orders o JOIN accounts a ON a.id = o.account_id
    JOIN broker_connections c ON c.id = a.broker_connection_id
    LEFT JOIN trigger_exits e ON e.order_id = o.id";

/// All checks.
pub(crate) async fn all(world: &World) -> Found {
    let mut found = Found::default();
    let orders = orders(world).await;
    found.orders = u64::try_from(orders.len()).unwrap();
    found.fills = world.database.count("fills", "true").await;
    acceptance(world, &orders, &mut found);
    read_again(world, &mut found).await;
    once_by_the_broker(world, &orders, &mut found);
    endings(world, &orders, &mut found).await;
    balance(world, &mut found).await;
    bites(world, &mut found).await;
    found.wrong.extend(world.shared.lock().wrong.clone());
    found
}

/// What the checks of orders and sends find at this moment; used where a fault was planted.
pub(crate) async fn verdict(world: &World) -> Vec<String> {
    let mut found = Found::default();
    let orders = orders(world).await;
    acceptance(world, &orders, &mut found);
    once_by_the_broker(world, &orders, &mut found);
    exits(world, &mut found).await;
    found.wrong.extend(world.shared.lock().wrong.clone());
    [found.lost, found.doubled, found.wrong].concat()
}

/// How often the broker was asked to take an order that it had already.
pub(crate) fn repeated(world: &World) -> usize {
    let journal = world.broker.written();
    journal.iter().filter(|line| line["what"] == "repeated").count()
}

async fn orders(world: &World) -> BTreeMap<String, Row> {
    let rows = world.database.rows::<8>(ORDERS).await;
    rows.into_iter()
        .map(
            |[
                id,
                client_order_id,
                account,
                broker,
                filled,
                closed_how,
                exit,
                acknowledged,
            ]| {
                let row = Row {
                    client_order_id,
                    account,
                    broker,
                    filled: filled.parse().unwrap(),
                    closed_how,
                    is_exit: exit == "true",
                    was_acknowledged: acknowledged == "true",
                };
                (id, row)
            },
        )
        .collect()
}

/// Each acknowledged id is there; each that is there was asked for, once.
fn acceptance(world: &World, orders: &BTreeMap<String, Row>, found: &mut Found) {
    let memory = world.shared.lock();
    let mut by_key: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, row) in orders {
        if !row.is_exit {
            by_key.entry(&row.client_order_id).or_default().push(id);
        }
    }
    for (key, ids) in &by_key {
        match memory.asked.get(*key) {
            None => found.wrong.push(format!("{ids:?}: nobody has asked for {key}")),
            Some(_) if ids.len() > 1 => found.doubled.push(format!("{key} made {ids:?}")),
            Some(asked) => agree(key, asked, ids[0], found),
        }
    }
    for (key, asked) in &memory.asked {
        if let Some(id) = &asked.acknowledged {
            found.acknowledged += 1;
            if !orders.contains_key(id) {
                found
                    .lost
                    .push(format!("{key} was acknowledged as {id}, which is not there"));
            }
        }
    }
}

fn agree(key: &str, asked: &Asked, id: &str, found: &mut Found) {
    if let Some(refusal) = &asked.refused {
        found
            .wrong
            .push(format!("{key} was refused ({refusal}), and {id} is there"));
    }
    if asked
        .acknowledged
        .as_ref()
        .is_some_and(|acknowledged| acknowledged != id)
    {
        found
            .doubled
            .push(format!("{key} was acknowledged under another id than {id}"));
    }
}

/// Some acknowledged orders, read by every api.
async fn read_again(world: &World, found: &mut Found) {
    let acknowledged: Vec<(usize, String)> = {
        let memory = world.shared.lock();
        let asked = memory.asked.values();
        asked
            .filter_map(|asked| Some((asked.person, asked.acknowledged.clone()?)))
            .collect()
    };
    let step = acknowledged.len() / READ_AGAIN + 1;
    for (person, id) in acknowledged.iter().step_by(step) {
        let caller = world.caller(*person);
        for turn in 0..caller.person.clients.len() {
            let answer = caller
                .once(turn, "GET", &format!("/v2/orders/{id}"), None, &Value::Null)
                .await;
            if answer.is_none_or(|answer| answer.status != 200) {
                found
                    .lost
                    .push(format!("{id} cannot be read from process {turn}"));
            }
        }
    }
}

/// Exactly once by the broker's own journal.
fn once_by_the_broker(world: &World, orders: &BTreeMap<String, Row>, found: &mut Found) {
    let (mut taken, mut filled) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, Decimal>::new());
    let mut nameless = 0;
    for line in world.broker.written() {
        let Some(id) = line["client_order_id"].as_str() else {
            nameless += u64::from(line["what"] == "taken");
            continue;
        };
        if line["what"] == "taken" {
            *taken.entry(id.to_owned()).or_default() += 1;
        }
        if line["what"] == "reported" && line["kind"] == "filled" {
            let quantity: Decimal = text(&line["quantity"]).parse().unwrap();
            *filled.entry(id.to_owned()).or_default() += quantity;
        }
    }
    for (id, times) in &taken {
        match orders.get(id) {
            None => found
                .wrong
                .push(format!("the broker took {id}, which nobody knows")),
            Some(_) if *times > 1 => found.doubled.push(format!("the broker took {id} {times} times")),
            Some(_) => {}
        }
    }
    let blind = orders.values().filter(|row| row.broker == "scripted_blind");
    if nameless > u64::try_from(blind.count()).unwrap() {
        found
            .doubled
            .push(format!("the broker took {nameless} orders without ids"));
    }
    for (id, row) in orders.iter().filter(|(_, row)| row.broker == "scripted") {
        let theirs = filled.get(id).copied().unwrap_or_default();
        if row.filled > theirs {
            found.doubled.push(format!(
                "{id} is filled by {}, at the broker by {theirs}",
                row.filled
            ));
        }
        if row.filled < theirs {
            found.lost.push(format!(
                "{id} is filled by {}, at the broker by {theirs}",
                row.filled
            ));
        }
        if row.was_acknowledged && !taken.contains_key(id) {
            found.lost.push(format!(
                "{id} is said to be at the broker, which does not have it"
            ));
        }
    }
}

/// Every order is at its end, and stops have exited once.
async fn endings(world: &World, orders: &BTreeMap<String, Row>, found: &mut Found) {
    for (id, row) in orders.iter().filter(|(_, row)| row.closed_how.is_empty()) {
        found
            .lost
            .push(format!("{id} of {} at {} is still open", row.account, row.broker));
    }
    let work = "SELECT order_id::text, kind, last_error FROM order_work";
    for [order, kind, error] in world.database.rows::<3>(work).await {
        found
            .wrong
            .push(format!("work is left: {kind} of {order}: {error}"));
    }
    exits(world, found).await;
    let short = world.database.count("positions", "quantity < 0").await;
    if short > 0 {
        found.doubled.push(format!("{short} positions are below zero"));
    }
    let longest = "SELECT coalesce(max(extract(epoch FROM closed_at - submitted_at) * 1000), 0)::bigint::text
        FROM orders WHERE kind = 'market'";
    found.longest_order_ms = world.database.number(longest).await;
    found.slowest = slowest(world).await;
}

/// Each stop has exited once.
async fn exits(world: &World, found: &mut Found) {
    let sql = "SELECT trigger_id::text, count(*)::text FROM trigger_exits
        GROUP BY trigger_id, generation HAVING count(*) > 1";
    for [trigger, count] in world.database.rows::<2>(sql).await {
        found.doubled.push(format!("stop {trigger} has {count} exits"));
    }
}

/// What happened to the orders at the market that took longest, attempt by attempt.
async fn slowest(world: &World) -> Vec<String> {
    let sql = "SELECT o.id::text, o.submitted_at::text, (o.closed_at - o.submitted_at)::text, a.kind, a.n::text,
            (a.started_at - o.submitted_at)::text, (a.ended_at - a.started_at)::text, a.outcome, a.detail
        FROM (SELECT * FROM orders WHERE kind = 'market' ORDER BY closed_at - submitted_at DESC NULLS FIRST LIMIT 3) o
        LEFT JOIN broker_attempts a ON a.order_id = o.id ORDER BY o.id, a.started_at";
    let rows = world.database.rows::<9>(sql).await;
    rows.into_iter().map(|row| row.join(" | ")).collect()
}

/// The ledger, recomputed from its events and fills; and the fills by the paper venue's journal.
async fn balance(world: &World, found: &mut Found) {
    let (code, report) = audit_ledger(&world.place);
    if code != Some(0) {
        found
            .wrong
            .push(format!("the audit ended with {code:?}: {report}"));
        return;
    }
    let agreed = AssertUnwindSafe(audit(&world.place)).catch_unwind().await;
    if agreed.is_err() {
        found
            .doubled
            .push("our fills are not those of the paper venue's journal".to_owned());
    }
}

/// How often the faults were felt.
async fn bites(world: &World, found: &mut Found) {
    let database = &world.database;
    let attempts = async |condition: &str| database.count("broker_attempts", condition).await;
    let mut bites = world.shared.lock().counts.clone();
    bites.insert("claims taken over", attempts("detail = 'taken over'").await);
    bites.insert(
        "outcomes unknown",
        attempts("outcome = 'unknown' AND kind = 'submit'").await,
    );
    bites.insert("calls that did not leave", attempts("outcome = 'not_sent'").await);
    bites.insert(
        "look-ups of unknown outcomes",
        attempts("kind = 'reconcile'").await,
    );
    bites.insert(
        "orders sent again after two look-ups",
        attempts("kind = 'submit' AND n > 1").await,
    );
    bites.insert(
        "changes of the leader",
        database
            .number("SELECT coalesce(max(fence), 0)::text FROM leases WHERE name LIKE '%scheduler%'")
            .await,
    );
    bites.insert(
        "stops fired",
        database.count("triggers", "fired_at IS NOT NULL").await,
    );
    let (workers, schedulers) = (
        world.workers.logs(Role::Worker),
        world.fronts.logs(Role::Scheduler),
    );
    bites.insert(
        "late calls that the broker knew again",
        u64::try_from(repeated(world)).unwrap(),
    );
    let says = |log: &str, words: &str| u64::try_from(log.matches(words).count()).unwrap();
    bites.insert("orders re-driven", says(&schedulers, "re-drove"));
    let lost = "the answer to a COMMIT was lost";
    bites.insert(
        "commits without an answer",
        says(&world.fronts.logs(Role::Api), lost) + says(&workers, lost),
    );
    bites.insert(
        "stale claims noticed before a call",
        says(&workers, "too old for a call"),
    );
    let journal = world.broker.written();
    let kinds: BTreeSet<String> = journal
        .iter()
        .map(|line| line["what"].as_str().unwrap_or_default().to_owned())
        .collect();
    if !kinds.contains("silent") {
        found.wrong.push("the broker was never silent".to_owned());
    }
    found.bites = bites;
}
