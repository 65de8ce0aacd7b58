//! Several processes at once, and what is conserved through all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::id::OrderId;
use domain::money;
use domain::order::Side::{Buy, Sell};
use domain::order::TimeInForce::{Day, Fok, Gtc, Ioc};
use domain::reconcile::{Report, Reported};
use rust_decimal::Decimal;

use super::venue::{id_of, limit, market, notional, reference, reports, words};
use super::{Venue, decimal};
use crate::paper::Paper;
use crate::{Broker, Connection, Outcome, OutgoingOrder};

/// A small generator of the same numbers in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64* (Vigna 2016)
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }

    fn decimal(&mut self, from: u64, to: u64, scale: u32) -> String {
        let units = i64::try_from(from + self.roll(to - from)).unwrap();
        Decimal::new(units, scale).to_string()
    }
}

fn fills(reports: &[Report]) -> impl Iterator<Item = &domain::fill::Fill> {
    reports.iter().filter_map(|report| match &report.what {
        Reported::Filled(fill) => Some(fill),
        _ => None,
    })
}

fn sum(quantities: impl Iterator<Item = Decimal>) -> Decimal {
    quantities.sum::<Decimal>().normalize()
}

pub(super) async fn one_step_is_consumed_once_by_two_processes(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "110", "1").await;
    for _ in 0..10 {
        venue.submit(&limit(Buy, "AAPL", "20", "100", Gtc)).await;
    }
    let processes = [venue.another_process().await, venue.another_process().await];
    for round in 1_u64..=5 {
        venue.wait(1);
        let quote = [venue.quote("AAPL", "99.90", "100", "30")];
        let (one, other) = tokio::join!(processes[0].feed(&quote), processes[1].feed(&quote));
        assert_eq!(
            one.unwrap().len() + other.unwrap().len(),
            1,
            "the step fills in one process"
        );
        let reports = venue.reports_of(&venue.connection).await;
        let filled = sum(fills(&reports).map(|fill| fill.quantity.get()));
        assert_eq!(filled, Decimal::from(round * 30));
    }
}

pub(super) async fn many_processes_never_overfill_and_the_journal_has_no_gaps(venue: &mut Venue) {
    let processes = [venue.another_process().await, venue.another_process().await];
    let accounts: Vec<Connection> = (0..3).map(|_| Venue::account("1000000")).collect();
    let symbols = ["AAPL", "MSFT", "BTC/USD"];
    let quotes: Vec<_> = symbols
        .map(|symbol| venue.quote(symbol, "99.90", "100", "40"))
        .into();
    processes[0].feed(&quotes).await.unwrap();
    venue.wait(1);
    let next: Vec<_> = symbols
        .map(|symbol| venue.quote(symbol, "99.90", "100", "40"))
        .into();
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..6_usize {
        let paper = processes[worker % 2].clone();
        let accounts = accounts.clone();
        let next = next.clone();
        tasks.spawn(async move {
            for round in 0..8_usize {
                let account = &accounts[(worker + round) % accounts.len()];
                let order = market(Buy, symbols[(worker * 2 + round) % symbols.len()], "3", Gtc);
                let outcome = paper.submit(account, &order).await;
                assert!(matches!(outcome, Outcome::Acknowledged { .. }), "{outcome:?}");
                if round % 3 == worker % 3 {
                    paper.cancel(account, &reference(&order)).await;
                }
                if round == 4 {
                    paper.feed(&next).await.unwrap();
                }
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    let mut bought: BTreeMap<_, Decimal> = BTreeMap::new();
    for account in &accounts {
        check_account(&processes[0], account, &BTreeSet::new()).await;
        for report in reports(&processes[0], account).await {
            if let Reported::Filled(fill) = report.what {
                *bought
                    .entry(report.broker_order_id.unwrap().to_string())
                    .or_default() += fill.quantity.get();
            }
        }
    }
    assert!(bought.values().all(|quantity| *quantity <= decimal("3")));
    let total = sum(bought.values().copied());
    // Two steps of 40 units of three instruments; 144 units were wanted, some of them canceled.
    assert!(total <= decimal("240") && total > decimal("60"), "{total}");
    for symbol in symbols {
        let mut units = Decimal::ZERO;
        for account in &accounts {
            let positions = processes[1].positions(account).await.unwrap();
            units += sum(positions
                .iter()
                .filter(|p| p.asset_id == id_of(symbol))
                .map(|p| p.quantity));
        }
        assert!(units <= decimal("80"), "{symbol}: {units}");
    }
}

pub(super) async fn a_cancel_and_a_fill_have_one_winner(venue: &mut Venue) {
    let processes = [venue.another_process().await, venue.another_process().await];
    for _ in 0..10 {
        venue.next("AAPL", "99.90", "110", "10").await;
        let order = limit(Buy, "AAPL", "10", "100", Gtc);
        venue.submit(&order).await;
        venue.wait(1);
        let quote = [venue.quote("AAPL", "99.90", "100", "10")];
        let reference = reference(&order);
        let (outcome, told) = tokio::join!(
            processes[0].cancel(&venue.connection, &reference),
            processes[1].feed(&quote)
        );
        told.unwrap();
        let told = venue.told(&order).await;
        match outcome {
            Outcome::Acknowledged { .. } => assert_eq!(told, ["working", "canceled"]),
            Outcome::Refused { .. } => assert_eq!(
                told,
                [
                    "working",
                    "filled 10 @ 100 fee 0.1 done",
                    "cancel refused: order is already filled"
                ]
            ),
            Outcome::NotSent { .. } | Outcome::Unknown { .. } => panic!("{outcome:?}"),
        }
    }
    check_account(&venue.paper, &venue.connection, &BTreeSet::new()).await;
}

pub(super) async fn the_same_order_from_many_processes_is_taken_once(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "1000").await;
    let order = Arc::new(market(Buy, "AAPL", "10", Day));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let paper = venue.another_process().await;
        let (connection, order) = (venue.connection.clone(), Arc::clone(&order));
        tasks.spawn(async move { paper.submit(&connection, &order).await });
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        outcomes.push(outcome.unwrap());
    }
    assert!(
        outcomes.iter().all(|outcome| *outcome == outcomes[0]),
        "{outcomes:?}"
    );
    assert_eq!(venue.told(&order).await.len(), 2);
    assert_eq!(venue.units("AAPL").await, "10");
}

pub(super) async fn a_first_order_opens_the_account_once(venue: &mut Venue) {
    assert_eq!(venue.cash().await, "100000");
    venue.feed("AAPL", "99.90", "100", "1000").await;
    venue.feed("MSFT", "99.90", "100", "1000").await;
    let other = venue.another_process().await;
    let (one, two) = (
        limit(Buy, "AAPL", "1", "100", Day),
        limit(Buy, "MSFT", "1", "100", Day),
    );
    let (first, second) = tokio::join!(
        venue.paper.submit(&venue.connection, &one),
        other.submit(&venue.connection, &two)
    );
    assert!(matches!(first, Outcome::Acknowledged { .. }));
    assert!(matches!(second, Outcome::Acknowledged { .. }));
    assert_eq!(venue.cash().await, "99799.98");
    check_account(&venue.paper, &venue.connection, &BTreeSet::new()).await;
}

/// The account's money is its starting cash and the sum of its fills, of which those of `sells` bring money; the fills' ids are unique; the journal
/// of each order makes sense.
pub(super) async fn check_account(paper: &Paper, connection: &Connection, sells: &BTreeSet<OrderId>) {
    let all = reports(paper, connection).await;
    // One page and many tell the same, and the last cursor is the number of rows: no gap.
    let whole = paper.reports(connection, "", 1_000_000).await.unwrap();
    assert_eq!(whole.reports, all);
    assert_eq!(whole.cursor, all.len().to_string());
    let mut ended: BTreeMap<_, String> = BTreeMap::new();
    for report in &all {
        let words = words(&report.what);
        let is_final = words.ends_with("done")
            || ["canceled", "expired", "replaced"].contains(&words.as_str())
            || words.starts_with("refused");
        if let Some(end) = ended.get(&report.order_id) {
            assert!(words.contains(" refused: "), "{words} after {end}");
        } else if is_final {
            ended.insert(report.order_id, words);
        }
    }
    let ids: BTreeSet<_> = fills(&all).map(|fill| &fill.broker_fill_id).collect();
    assert_eq!(ids.len(), fills(&all).count());
    let mut cash = connection.starting_cash;
    for report in &all {
        if let Reported::Filled(fill) = &report.what {
            let cost = money::cost(fill.price.get(), fill.quantity.get()).unwrap();
            let proceeds = if sells.contains(&report.order_id) {
                cost
            } else {
                -cost
            };
            cash += proceeds - fill.fee;
        }
    }
    assert_eq!(paper.cash(connection).await.unwrap(), cash.normalize());
    assert!(!cash.is_sign_negative());
    let positions = paper.positions(connection).await.unwrap();
    assert!(positions.iter().all(|position| position.quantity > Decimal::ZERO));
}

fn any_order(dice: &mut Dice) -> OutgoingOrder {
    let side = if dice.roll(2) == 0 { Buy } else { Sell };
    let symbol = ["AAPL", "MSFT"][usize::try_from(dice.roll(2)).unwrap()];
    let quantity = dice.decimal(1, 400, 0);
    let price = dice.decimal(9_500, 10_500, 2);
    match dice.roll(6) {
        0 => market(side, symbol, &quantity, Day),
        1 => market(side, symbol, &quantity, Ioc),
        2 => limit(side, symbol, &quantity, &price, Fok),
        3 => notional(side, symbol, &dice.decimal(100, 3_000_000, 2)),
        _ => limit(side, symbol, &quantity, &price, Gtc),
    }
}

pub(super) async fn money_and_units_are_conserved_whatever_happens(venue: &mut Venue) {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut orders: Vec<OutgoingOrder> = Vec::new();
    let mut sells = BTreeSet::new();
    for step in 0..150 {
        match dice.roll(5) {
            0 | 1 => {
                venue.wait(1);
                let bid = dice.decimal(9_500, 10_500, 2);
                let ask = (decimal(&bid) + decimal("0.07")).to_string();
                let size = dice.decimal(1, 300_000, 3);
                let symbol = ["AAPL", "MSFT"][usize::try_from(dice.roll(2)).unwrap()];
                venue.feed(symbol, &bid, &ask, &size).await;
            }
            2 if !orders.is_empty() => {
                let order = orders[usize::try_from(dice.roll(orders.len() as u64)).unwrap()].clone();
                venue.cancel(&order).await;
            }
            3 if !orders.is_empty() => {
                let old = orders[usize::try_from(dice.roll(orders.len() as u64)).unwrap()].clone();
                let new = any_order(&mut dice);
                sells.extend((new.terms.side == Sell).then_some(new.id));
                venue.replace(&old, &new).await;
                orders.push(new);
            }
            _ => {
                let order = any_order(&mut dice);
                sells.extend((order.terms.side == Sell).then_some(order.id));
                venue.submit(&order).await;
                orders.push(order);
            }
        }
        if step % 10 == 0 {
            check_account(&venue.paper, &venue.connection, &sells).await;
        }
    }
    check_account(&venue.paper, &venue.connection, &sells).await;
    // When everything has ended, nothing is held: all the money can be spent.
    for order in &orders {
        venue.cancel(order).await;
    }
    assert!(venue.paper.resting_assets().await.unwrap().is_empty());
    let cash = venue.paper.cash(&venue.connection).await.unwrap();
    let all = (cash / decimal("1.0001")).trunc_with_scale(2).to_string();
    venue.next("AAPL", "99.99", "100", "1000000").await;
    let order = notional(Buy, "AAPL", &all);
    assert!(
        matches!(venue.submit(&order).await, Outcome::Acknowledged { .. }),
        "{all} of {cash}"
    );
    assert!(venue.told(&order).await[1].ends_with("done"));
    let filled = fills(&venue.reports_of(&venue.connection).await).count();
    assert!(filled > 20, "the test has seen {filled} fills only");
}
