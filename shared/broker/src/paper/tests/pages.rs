//! What quotes and readers cost the book, and pages of what is much.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use domain::id::OrderId;
use domain::order::Side::Buy;
use domain::order::TimeInForce::{Day, Gtc};
use tokio::time::Instant;

use super::Venue;
use super::batches::{batch, counted, submit};
use super::venue::{acknowledged, id_of, limit, words};
use crate::paper::connect::BODY_TIMEOUT;
use crate::paper::work::Feed;
use crate::{Broker, BrokerError, OutgoingOrder};

/// Buys of one unit that rest, each at its price.
async fn rest(venue: &Venue, prices: impl Iterator<Item = u32>) -> Vec<OutgoingOrder> {
    let orders: Vec<_> = prices
        .map(|price| limit(Buy, "AAPL", "1", &price.to_string(), Gtc))
        .collect();
    for orders in orders.chunks(200) {
        let asks = orders
            .iter()
            .map(|order| submit(&venue.connection, order))
            .collect();
        let expected: Vec<_> = orders.iter().map(|order| acknowledged(order, true)).collect();
        assert_eq!(batch(&venue.paper, asks).await, expected);
        // So that those of the next batch came later.
        venue.wait(1);
    }
    orders
}

/// The orders that have filled, in that order.
async fn filled(venue: &Venue) -> Vec<OrderId> {
    let reports = venue.reports_of(&venue.connection).await;
    let filled = reports
        .iter()
        .filter(|report| words(&report.what).starts_with("filled"));
    filled.map(|report| report.order_id).collect()
}

pub(super) async fn a_quote_that_was_seen_costs_no_statement(venue: &mut Venue) {
    let (paper, count) = counted(venue).await;
    let quotes = [
        venue.quote("AAPL", "99.90", "100", "100"),
        venue.quote("MSFT", "99.90", "100", "100"),
    ];
    let cost = async |quotes: &[_]| {
        let before = count.load(Ordering::Relaxed);
        paper.feed(quotes).await.unwrap();
        count.load(Ordering::Relaxed) - before
    };
    // The book's own quotes, what is due, the locks, what is due there, what crosses, and what is written.
    assert_eq!(cost(&quotes).await, 6);
    assert_eq!(cost(&quotes).await, 0);
    venue.wait(1);
    let newer = [quotes[0].clone(), venue.quote("MSFT", "99.90", "100", "100")];
    assert_eq!(cost(&newer).await, 6);
    assert_eq!(cost(&quotes).await, 0, "older than what was seen");
    // Another process has brought it: that is read once, and no lock is taken.
    venue.wait(1);
    let newest = [venue.quote("AAPL", "99.90", "100", "100")];
    venue.paper.feed(&newest).await.unwrap();
    assert_eq!(cost(&newest).await, 2);
    assert_eq!(cost(&newest).await, 0);
    // Time alone passes when it is asked to, and at its pace.
    assert_eq!(cost(&[]).await, 1);
    venue.wait(1);
    assert_eq!(cost(&newest).await, 1);
    assert_eq!(cost(&newest).await, 0);
}

pub(super) async fn many_callers_with_one_quote_cost_one_transaction_and_one_is_told(venue: &mut Venue) {
    venue.feed("AAPL", "99", "110", "1").await;
    rest(venue, [100].into_iter()).await;
    let (paper, count) = counted(venue).await;
    let quote = venue.quote("AAPL", "99", "100", "10");
    let before = count.load(Ordering::Relaxed);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (paper, quote) = (paper.clone(), quote.clone());
        tasks.spawn(async move { paper.feed(&[quote]).await.unwrap() });
    }
    let told: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(told, [venue.connection.id]);
    // Two reads, and a transaction of five: the accounts are locked, too.
    assert_eq!(count.load(Ordering::Relaxed) - before, 7);
    assert_eq!(filled(venue).await.len(), 1);
}

pub(super) async fn a_quote_meets_the_best_orders_page_by_page(venue: &mut Venue) {
    venue.feed("AAPL", "99", "110", "1").await;
    // Worse prices come first, and each price three times.
    let orders = rest(venue, (0..210_u32).map(|n| 30 + n / 3)).await;
    assert_eq!(venue.next("AAPL", "30", "31", "150").await, 1);
    let mut best: Vec<_> = (0..210_usize).collect();
    best.sort_by_key(|n| (std::cmp::Reverse(n / 3), *n));
    let expected: Vec<_> = best[..150].iter().map(|n| orders[*n].id).collect();
    assert_eq!(filled(venue).await, expected);
    // The step is met: a newcomer fills at what is left, which is nothing, and the next step serves the rest.
    assert_eq!(venue.next("AAPL", "30", "31", "1000").await, 1);
    let expected: Vec<_> = best[..207].iter().map(|n| orders[*n].id).collect();
    assert_eq!(filled(venue).await, expected);
    let newcomer = limit(Buy, "AAPL", "1", "31", Gtc);
    venue.submit(&newcomer).await;
    assert_eq!(
        venue.told(&newcomer).await.len(),
        2,
        "the quote is met and has units left"
    );
}

pub(super) async fn what_a_quote_cannot_fill_is_not_read(venue: &mut Venue) {
    venue.feed("AAPL", "99", "110", "1").await;
    rest(venue, (0..300_u32).map(|_| 100)).await;
    let (paper, count) = counted(venue).await;
    let mut costs = Vec::new();
    for size in ["1", "64", "65"] {
        venue.wait(1);
        let before = count.load(Ordering::Relaxed);
        paper
            .feed(&[venue.quote("AAPL", "99", "100", size)])
            .await
            .unwrap();
        costs.push(count.load(Ordering::Relaxed) - before);
    }
    // One transaction of five statements a page, and two reads before.
    assert_eq!(costs, [7, 7, 12]);
    assert_eq!(filled(venue).await.len(), 130);
}

pub(super) async fn a_venue_that_dies_between_two_pages_goes_on_when_it_is_fed_again(venue: &mut Venue) {
    venue.feed("AAPL", "99", "110", "1").await;
    let orders = rest(venue, (0..100_u32).map(|_| 100)).await;
    let quote = venue.quote("AAPL", "99", "100", "102");
    let quotes = BTreeMap::from([(id_of("AAPL"), quote.clone())]);
    let page = Feed {
        house: &venue.paper.house,
        asset_ids: &[id_of("AAPL")],
        quotes: &quotes,
    };
    let deadline = Instant::now() + BODY_TIMEOUT;
    let fed = venue
        .paper
        .house
        .pools
        .transaction(&page, deadline)
        .await
        .unwrap();
    assert!(!fed.is_done);
    assert_eq!(filled(venue).await.len(), 64);
    // Whoever comes now comes after those who wait.
    let newcomer = limit(Buy, "AAPL", "5", "100", Gtc);
    venue.wait(1);
    venue.submit(&newcomer).await;
    assert_eq!(venue.told(&newcomer).await, ["working"]);
    venue.restart(|_| {}).await;
    assert_eq!(
        venue
            .paper
            .feed(std::slice::from_ref(&quote))
            .await
            .unwrap()
            .len(),
        1
    );
    let mut expected: Vec<_> = orders.iter().map(|order| order.id).collect();
    expected.push(newcomer.id);
    assert_eq!(filled(venue).await, expected);
    assert_eq!(venue.told(&newcomer).await[1], "filled 2 @ 100 fee 0.02 partly");
    assert_eq!(venue.paper.feed(&[quote]).await.unwrap().len(), 0, "met, once");
}

pub(super) async fn more_orders_expire_than_fit_in_a_page(venue: &mut Venue) {
    let connection = &venue.connection;
    for _ in 0..3 {
        let asks = (0..201)
            .map(|_| submit(connection, &limit(Buy, "AAPL", "1", "9", Day)))
            .collect();
        assert_eq!(batch(&venue.paper, asks).await.len(), 201);
    }
    venue.at("2026-11-24T21:00:00Z");
    // A quote that would fill them comes too late.
    assert_eq!(venue.feed("AAPL", "8", "9", "1000").await, 1);
    let page = venue.paper.reports(connection, "", 10_000).await.unwrap();
    let all: Vec<_> = page.reports.iter().map(|report| words(&report.what)).collect();
    assert_eq!(all.iter().filter(|words| *words == "expired").count(), 603);
    assert_eq!(all.len(), 1206);
    assert!(venue.paper.resting_assets().await.unwrap().is_empty());
}

pub(super) async fn the_reports_of_many_connections_are_read_at_once(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "1000").await;
    let accounts: Vec<_> = (0..3).map(|_| Venue::account("1000")).collect();
    for (n, account) in accounts.iter().enumerate() {
        for _ in 0..n {
            venue
                .paper
                .submit(account, &limit(Buy, "AAPL", "1", "100", Gtc))
                .await;
        }
    }
    let (paper, count) = counted(venue).await;
    let asks: Vec<_> = [(2, ""), (0, ""), (1, "1"), (2, "2"), (1, "dreamt"), (2, "99")]
        .map(|(account, cursor): (usize, &str)| (accounts[account].clone(), cursor.to_owned()))
        .into();
    let before = count.load(Ordering::Relaxed);
    let pages = paper.reports_of(&asks, 3).await;
    assert_eq!(count.load(Ordering::Relaxed) - before, 1);
    let seen: Vec<_> = pages
        .iter()
        .map(|page| {
            page.as_ref()
                .map(|page| (page.reports.len(), page.cursor.as_str()))
        })
        .collect();
    let dreamt = BrokerError::Inconsistent {
        broker: "paper",
        what: "cursor \"dreamt\" is no place in the journal".to_owned(),
    };
    let expected = [
        Ok((3, "3")),
        Ok((0, "0")),
        Ok((1, "2")),
        Ok((2, "4")),
        Err(&dreamt),
        Ok((0, "99")),
    ];
    assert_eq!(seen, expected);
    for ((connection, cursor), page) in asks.iter().zip(&pages) {
        assert_eq!(*page, paper.reports(connection, cursor, 3).await);
    }
    assert_eq!(paper.reports_of(&[], 3).await, []);
}
