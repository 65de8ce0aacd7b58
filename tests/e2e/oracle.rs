//! The audit that other tests end with is worth something: it notices every kind of planted falsehood.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use rust_decimal::Decimal;

use crate::support::books::Book;
use crate::support::client::limit_order;
use crate::support::place::Place;
use crate::support::{Site, audit, checksums, on_both};

/// What is planted, one after the other, and how it is taken back.
const FALSEHOODS: [(&str, &str, &str); 6] = [
    (
        "money from nowhere",
        "UPDATE balances SET amount = '123456789'",
        "UPDATE balances SET amount = {amount}",
    ),
    (
        "a reservation that nobody holds",
        "UPDATE balances SET reserved = '7'",
        "UPDATE balances SET reserved = {reserved}",
    ),
    (
        "units from nowhere",
        "UPDATE positions SET quantity = '4'",
        "UPDATE positions SET quantity = '3'",
    ),
    (
        "a gap in the log",
        "UPDATE order_events SET seq = 1000 WHERE seq = 2",
        "UPDATE order_events SET seq = 2 WHERE seq = 1000",
    ),
    (
        "an event that nobody counted",
        "UPDATE accounts SET last_event_seq = last_event_seq - 1",
        "UPDATE accounts SET last_event_seq = last_event_seq + 1",
    ),
    (
        "a fill that the venue does not know",
        "UPDATE fills SET quantity = '2', cost = {two}",
        "UPDATE fills SET quantity = '3', cost = {three}",
    ),
];

async fn audit_fails(place: &Place) -> bool {
    AssertUnwindSafe(audit(place)).catch_unwind().await.is_err()
}

on_both! {
    async fn the_audit_and_the_checksums_notice_each_planted_falsehood(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        client.buy("AAPL", "3").await;
        let id = client.place(&limit_order("buy", "AAPL", "1", "10")).await;
        client.order_in(&id, &["new"]).await;
        audit(&site.place).await;
        let book = Book::open(&site.place).await;
        let [[amount, reserved]] = book.rows::<2>("SELECT CAST(amount AS TEXT), CAST(reserved AS TEXT) FROM balances").await
            .try_into().unwrap();
        let [[price, three]] = book.rows::<2>("SELECT CAST(price AS TEXT), CAST(cost AS TEXT) FROM fills").await
            .try_into().unwrap();
        let two = price.parse::<Decimal>().unwrap() * Decimal::TWO;
        let filled_in = |sql: &str| {
            let mut sql = sql.to_owned();
            for (name, value) in [("{amount}", &amount), ("{reserved}", &reserved), ("{three}", &three), ("{two}", &two.to_string())] {
                sql = sql.replace(name, &format!("'{value}'"));
            }
            sql
        };
        let before = checksums(&site.place).await;
        for (what, plant, take_back) in FALSEHOODS {
            book.change(&filled_in(plant)).await;
            assert!(audit_fails(&site.place).await, "not noticed: {what}");
            assert_ne!(checksums(&site.place).await, before, "{what}");
            book.change(&filled_in(take_back)).await;
            audit(&site.place).await;
            assert_eq!(checksums(&site.place).await, before, "{what} was taken back");
        }
        let venue = Book::open_paper(&site.place).await;
        venue.change_paper("paper_journal", "quantity = '2' WHERE fill_id IS NOT NULL").await;
        assert!(audit_fails(&site.place).await, "not noticed: a fill that the venue knows differently");
    }
}
