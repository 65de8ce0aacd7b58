//! Many asks in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::order::Side::{Buy, Sell};
use domain::order::TimeInForce::{Day, Gtc};
use domain::reconcile::Reported;
use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::time::Instant;

use super::Venue;
use super::faults::{BREAK_COMMIT, MEND_COMMIT, execute};
use super::races::{Dice, check_account};
use super::venue::{acknowledged, limit, market, refused, reports};
use crate::paper::Paper;
use crate::paper::asking::{Ask, Wish, take};
use crate::paper::connect::Pools;
use crate::{Broker, Connection, Found, Outcome, OutgoingOrder};

type Make = fn(&Connection, &OutgoingOrder) -> Ask;

/// A process whose statements are counted, BEGIN and COMMIT left out.
pub(super) async fn counted(venue: &Venue) -> (Paper, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let options = venue.options.clone();
    let pools = Pools::open(&options.database_url, 2)
        .await
        .unwrap()
        .counted(&count);
    let paper = Paper::on(pools, options.rules, options.clock).await.unwrap();
    (paper, count)
}

pub(super) fn submit(connection: &Connection, order: &OutgoingOrder) -> Ask {
    Ask::new(connection, Wish::Submit(order.clone()))
}

fn cancel(connection: &Connection, order: &OutgoingOrder) -> Ask {
    Ask::new(connection, Wish::Cancel(order.id))
}

pub(super) async fn batch(paper: &Paper, asks: Vec<Ask>) -> Vec<Outcome> {
    take(Arc::clone(&paper.house), asks).await
}

pub(super) async fn a_batch_has_as_many_statements_as_one_order(venue: &mut Venue) {
    let (paper, count) = counted(venue).await;
    let symbols = ["AAPL", "MSFT", "BTC/USD"];
    let quotes = symbols.map(|symbol| venue.quote(symbol, "99.90", "100", "100000"));
    paper.feed(&quotes).await.unwrap();
    let accounts: Vec<_> = (0..3).map(|_| Venue::account("1000000")).collect();
    for account in &accounts {
        paper.submit(account, &market(Buy, "AAPL", "1", Day)).await;
    }
    for size in [1_usize, 16, 64] {
        let filled: Vec<_> = (0..size).map(|n| market(Buy, symbols[n % 3], "1", Gtc)).collect();
        let rests: Vec<_> = (0..size)
            .map(|n| limit(Buy, symbols[n % 3], "1", "50", Gtc))
            .collect();
        let of = |n: usize| &accounts[n / 2 % 3];
        // Locks on instruments and on accounts, and what is written. Where old orders are named, these and their
        // instruments are read, too.
        for (orders, make, statements) in [
            (&filled, submit as Make, 3),
            (&rests, submit as Make, 3),
            (&rests, cancel as Make, 5),
        ] {
            let asks = orders
                .iter()
                .enumerate()
                .map(|(n, order)| make(of(n), order))
                .collect();
            let before = count.load(Ordering::Relaxed);
            let outcomes = batch(&paper, asks).await;
            assert_eq!(count.load(Ordering::Relaxed) - before, statements, "{size} asks");
            let expected: Vec<_> = orders.iter().map(|order| acknowledged(order, true)).collect();
            assert_eq!(outcomes, expected);
        }
    }
}

pub(super) async fn callers_go_together_while_a_transaction_is_in_flight(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "1000").await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (paper, connection) = (venue.paper.clone(), venue.connection.clone());
        tasks.spawn(async move { paper.submit(&connection, &market(Buy, "AAPL", "1", Day)).await });
    }
    while let Some(outcome) = tasks.join_next().await {
        assert!(matches!(outcome.unwrap(), Outcome::Acknowledged { .. }));
    }
    let (batches, asks) = venue.paper.asks.counts();
    assert_eq!(asks, 64);
    assert!(batches <= 16, "{batches} transactions for 64 orders");
    assert_eq!(venue.units("AAPL").await, "64");
    check_account(&venue.paper, &venue.connection, &BTreeSet::new()).await;
}

pub(super) async fn one_order_is_refused_among_sixty_four(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100000").await;
    let orders: Vec<_> = (0..64)
        .map(|n| limit(Buy, "AAPL", if n == 40 { "990" } else { "10" }, "100", Gtc))
        .collect();
    let asks = orders
        .iter()
        .map(|order| submit(&venue.connection, order))
        .collect();
    for (n, (outcome, order)) in batch(&venue.paper, asks).await.iter().zip(&orders).enumerate() {
        if n == 40 {
            // Forty orders of 1 000 dollars came before, each with a fee of a basis point.
            let reason = "insufficient buying power: 99009.9 USD needed, 59996 available";
            assert_eq!(*outcome, refused(reason));
        } else {
            assert_eq!(*outcome, acknowledged(order, true), "order {n}");
        }
    }
    let told: Vec<_> = venue.reports_of(&venue.connection).await;
    let mut in_order: Vec<_> = told.iter().map(|report| report.order_id).collect();
    in_order.dedup();
    assert_eq!(in_order, orders.iter().map(|order| order.id).collect::<Vec<_>>());
    assert_eq!(venue.units("AAPL").await, "630");
    check_account(&venue.paper, &venue.connection, &BTreeSet::new()).await;
}

pub(super) async fn an_order_that_the_database_will_not_have_fails_alone(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100000").await;
    let orders: Vec<_> = (0..64).map(|_| market(Buy, "AAPL", "1", Day)).collect();
    let bad = orders[23].id.0.simple().to_string();
    let sqlite = format!(
        "CREATE TRIGGER refuses BEFORE INSERT ON paper_orders WHEN NEW.id = x'{bad}' \
         BEGIN SELECT RAISE(ABORT, 'not this one'); END;"
    );
    let postgres = format!(
        "CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN RAISE EXCEPTION ''not this one''; END'; \
         CREATE TRIGGER refuses BEFORE INSERT ON paper_orders FOR EACH ROW WHEN (NEW.id = '{bad}'::uuid) \
         EXECUTE FUNCTION refuses();"
    );
    let texts = [
        (DbBackend::Sqlite, sqlite.as_str()),
        (DbBackend::Postgres, postgres.as_str()),
    ];
    execute(venue, texts).await;
    let asks = orders
        .iter()
        .map(|order| submit(&venue.connection, order))
        .collect();
    for (n, (outcome, order)) in batch(&venue.paper, asks).await.iter().zip(&orders).enumerate() {
        if n == 23 {
            assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
        } else {
            assert_eq!(*outcome, acknowledged(order, true), "order {n}");
        }
    }
    let at = platform::Clock::now(&venue.clock);
    let found = venue
        .paper
        .find(&venue.connection, &orders[23], at)
        .await
        .unwrap();
    assert_eq!(found, Found::Absent);
    assert_eq!(venue.units("AAPL").await, "63");
    check_account(&venue.paper, &venue.connection, &BTreeSet::new()).await;
}

pub(super) async fn an_order_twice_in_a_batch_is_taken_once_and_answered_alike(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100").await;
    let (order, rests) = (market(Buy, "AAPL", "1", Day), limit(Buy, "AAPL", "1", "50", Gtc));
    let new = limit(Buy, "AAPL", "1", "51", Gtc);
    let (ours, other) = (&venue.connection, Venue::account("1000"));
    let asks = vec![
        submit(ours, &order),
        submit(ours, &order),
        submit(ours, &rests),
        submit(&other, &order),
        Ask::new(ours, Wish::Replace(rests.id, new.clone())),
        cancel(ours, &rests),
        cancel(&other, &new),
        cancel(ours, &new),
        cancel(ours, &new),
        submit(ours, &new),
        cancel(ours, &market(Buy, "AAPL", "1", Day)),
    ];
    let expected = [
        acknowledged(&order, true),
        acknowledged(&order, true),
        acknowledged(&rests, true),
        refused("client order id must be unique"),
        acknowledged(&new, true),
        refused("order is already replaced"),
        refused("unknown order"),
        acknowledged(&new, true),
        acknowledged(&new, true),
        acknowledged(&new, true),
        refused("unknown order"),
    ];
    assert_eq!(batch(&venue.paper, asks).await, expected);
    assert_eq!(
        venue.told(&order).await,
        ["working", "filled 1 @ 100.05 fee 0.010005 done"]
    );
    assert_eq!(venue.told(&new).await, ["working", "canceled"]);
    assert_eq!(venue.units("AAPL").await, "1");
}

pub(super) async fn an_order_of_before_is_answered_again_among_new_ones(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100").await;
    let orders: Vec<_> = (0..16).map(|_| market(Buy, "AAPL", "1", Day)).collect();
    venue.submit(&orders[7]).await;
    let asks = orders
        .iter()
        .map(|order| submit(&venue.connection, order))
        .collect();
    let expected: Vec<_> = orders.iter().map(|order| acknowledged(order, true)).collect();
    assert_eq!(batch(&venue.paper, asks).await, expected);
    assert_eq!(venue.units("AAPL").await, "16");
    check_account(&venue.paper, &venue.connection, &BTreeSet::new()).await;
}

pub(super) async fn a_batch_that_is_not_committed_leaves_nothing(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100").await;
    execute(venue, BREAK_COMMIT).await;
    let orders: Vec<_> = (0..16).map(|_| market(Buy, "AAPL", "1", Day)).collect();
    let asks = || {
        orders
            .iter()
            .map(|order| submit(&venue.connection, order))
            .collect()
    };
    let outcomes = batch(&venue.paper, asks()).await;
    assert_eq!(outcomes.len(), 16);
    for outcome in outcomes {
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    }
    execute(venue, MEND_COMMIT).await;
    let at = platform::Clock::now(&venue.clock);
    for order in &orders {
        let found = venue.paper.find(&venue.connection, order, at).await.unwrap();
        assert_eq!(found, Found::Absent);
    }
    assert_eq!(venue.cash().await, "100000");
    assert_eq!(venue.units("AAPL").await, "0");
    assert!(venue.reports_of(&venue.connection).await.is_empty());
    let expected: Vec<_> = orders.iter().map(|order| acknowledged(order, true)).collect();
    assert_eq!(batch(&venue.paper, asks()).await, expected);
    check_account(&venue.paper, &venue.connection, &BTreeSet::new()).await;
}

pub(super) async fn an_ask_that_waited_too_long_is_not_tried(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100").await;
    let (late, prompt) = (market(Buy, "AAPL", "1", Day), market(Buy, "AAPL", "1", Day));
    let mut ask = submit(&venue.connection, &late);
    ask.at = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
    let outcomes = batch(&venue.paper, vec![ask, submit(&venue.connection, &prompt)]).await;
    assert!(matches!(outcomes[0], Outcome::NotSent { .. }), "{outcomes:?}");
    assert_eq!(outcomes[1..], [acknowledged(&prompt, true)]);
    assert_eq!(venue.told(&late).await, Vec::<String>::new());
}

/// A batch of all kinds of asks, some of them for accounts that nobody has opened yet.
fn any_batch(
    dice: &mut Dice,
    accounts: &[Connection],
    known: &mut Vec<(Connection, OutgoingOrder)>,
) -> Vec<Ask> {
    let pick = |dice: &mut Dice, count: usize| usize::try_from(dice.roll(count as u64)).unwrap();
    let mut asks = Vec::new();
    for _ in 0..=dice.roll(12) {
        let account = accounts[pick(dice, accounts.len())].clone();
        let symbol = ["AAPL", "MSFT", "BTC/USD"][pick(dice, 3)];
        let price = ["99", "100", "101"][pick(dice, 3)];
        let order = limit(
            if dice.roll(4) == 0 { Sell } else { Buy },
            symbol,
            "1",
            price,
            Gtc,
        );
        match (dice.roll(4), known.len()) {
            (0, 1..) => {
                let (account, order) = known[pick(dice, known.len())].clone();
                asks.push(cancel(&account, &order));
            }
            (1, 1..) => {
                let (account, old) = known[pick(dice, known.len())].clone();
                asks.push(Ask::new(&account, Wish::Replace(old.id, order.clone())));
                known.push((account, order));
            }
            _ => {
                asks.push(submit(&account, &order));
                known.push((account, order));
            }
        }
    }
    asks
}

pub(super) async fn overlapping_batches_of_two_processes_never_wait_in_a_circle(venue: &mut Venue) {
    let processes = [venue.another_process().await, venue.another_process().await];
    let mut dice = Dice(0x2545_F491_4F6C_DD1D);
    let (mut accounts, mut known, mut sells) = (Vec::new(), Vec::new(), BTreeSet::new());
    for round in 0..100 {
        if round % 5 == 0 {
            accounts.push(Venue::account("100000"));
        }
        venue.wait(1);
        let quotes: Vec<_> = ["AAPL", "MSFT", "BTC/USD"]
            .map(|symbol| venue.quote(symbol, "99.50", if round % 2 == 0 { "100" } else { "101" }, "5"))
            .into();
        let batches = [0, 1].map(|_| any_batch(&mut dice, &accounts, &mut known));
        let [first, second] = batches;
        let (one, other, fed, fed_too) = tokio::join!(
            batch(&processes[0], first),
            batch(&processes[1], second),
            processes[0].feed(&quotes[..2]),
            processes[1].feed(&quotes[1..]),
        );
        fed.unwrap();
        fed_too.unwrap();
        for outcome in one.iter().chain(&other) {
            assert!(
                matches!(outcome, Outcome::Acknowledged { .. } | Outcome::Refused { .. }),
                "{outcome:?}"
            );
        }
    }
    sells.extend(
        known
            .iter()
            .filter(|(_, order)| order.terms.side == Sell)
            .map(|(_, order)| order.id),
    );
    let mut units: BTreeMap<_, Decimal> = BTreeMap::new();
    let mut fills = 0;
    for account in &accounts {
        check_account(&processes[0], account, &sells).await;
        for report in reports(&processes[1], account).await {
            if let Reported::Filled(fill) = report.what {
                fills += 1;
                let (_, order) = known
                    .iter()
                    .find(|(_, order)| order.id == report.order_id)
                    .unwrap();
                let sign = if order.terms.side == Buy {
                    Decimal::ONE
                } else {
                    -Decimal::ONE
                };
                *units.entry((account.id, order.asset_id)).or_default() += sign * fill.quantity.get();
            }
        }
        for position in processes[0].positions(account).await.unwrap() {
            assert_eq!(
                units.remove(&(account.id, position.asset_id)),
                Some(position.quantity)
            );
        }
    }
    assert!(units.values().all(Decimal::is_zero), "{units:?}");
    assert!(fills > 100, "the test has seen {fills} fills only");
    for process in processes {
        process.close().await.unwrap();
    }
    assert_eq!(deadlocks(venue).await, 0);
}

/// How many circles the server has found and broken, after which a transaction runs again; SQLite has one writer.
async fn deadlocks(venue: &Venue) -> i64 {
    let raw = venue.raw().await;
    let backend = raw.get_database_backend();
    if backend == DbBackend::Sqlite {
        return 0;
    }
    let text = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let row = raw
        .query_one_raw(Statement::from_string(backend, text))
        .await
        .unwrap();
    row.unwrap().try_get("", "deadlocks").unwrap()
}
