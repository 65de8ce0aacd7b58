//! A database that fails: what the sender is told, and what the book holds afterwards.

use domain::order::Side::Buy;
use domain::order::TimeInForce::{Day, Gtc};
use sea_orm::{ConnectionTrait, DbBackend, TransactionTrait};

use super::Venue;
use super::venue::{acknowledged, limit, market, reference, words};
use crate::{Broker, BrokerError, Found, Outcome};

/// From now on every COMMIT of a journal row fails, as late as possible.
pub(super) const BREAK_COMMIT: [(DbBackend, &str); 2] = [
    (
        DbBackend::Sqlite,
        "CREATE TABLE parents (id INTEGER PRIMARY KEY);
         CREATE TABLE broken (id INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);
         CREATE TRIGGER breaks AFTER INSERT ON paper_journal BEGIN INSERT INTO broken (id) VALUES (1); END;",
    ),
    (
        DbBackend::Postgres,
        "CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
         CREATE CONSTRAINT TRIGGER breaks AFTER INSERT ON paper_journal DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION breaks();",
    ),
];

pub(super) const MEND_COMMIT: [(DbBackend, &str); 2] = [
    (DbBackend::Sqlite, "DROP TRIGGER breaks;"),
    (DbBackend::Postgres, "DROP TRIGGER breaks ON paper_journal;"),
];

pub(super) async fn execute(venue: &Venue, texts: [(DbBackend, &str); 2]) {
    let raw = venue.raw().await;
    let (_, text) = texts
        .into_iter()
        .find(|(backend, _)| *backend == raw.get_database_backend())
        .unwrap();
    raw.execute_unprepared(text).await.unwrap();
    raw.close().await.unwrap();
}

pub(super) async fn a_lost_commit_is_unknown_and_a_look_up_settles_it(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100").await;
    let rests = limit(Buy, "AAPL", "10", "90", Gtc);
    venue.submit(&rests).await;
    execute(venue, BREAK_COMMIT).await;
    let order = market(Buy, "AAPL", "10", Day);
    let new = limit(Buy, "AAPL", "10", "91", Gtc);
    for outcome in [
        venue.submit(&order).await,
        venue.cancel(&rests).await,
        venue.replace(&rests, &new).await,
    ] {
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    }
    venue.wait(1);
    let crossing = [venue.quote("AAPL", "88", "89", "100")];
    let fed = venue.paper.feed(&crossing).await;
    assert!(
        matches!(fed, Err(BrokerError::Unavailable { broker: "paper", .. })),
        "{fed:?}"
    );
    execute(venue, MEND_COMMIT).await;
    let at = platform::Clock::now(&venue.clock);
    for sent in [&order, &new] {
        assert_eq!(
            venue.paper.find(&venue.connection, sent, at).await.unwrap(),
            Found::Absent
        );
    }
    assert_eq!(venue.told(&rests).await, ["working"]);
    // Nothing is left half-done: the quote fills now, and the order that was unknown can be sent.
    assert_eq!(venue.paper.feed(&crossing).await.unwrap(), [venue.connection.id]);
    assert_eq!(
        venue.told(&rests).await,
        ["working", "filled 10 @ 89 fee 0.089 done"]
    );
    assert_eq!(venue.submit(&order).await, acknowledged(&order, true));
    assert_eq!(
        venue.told(&order).await,
        ["working", "filled 10 @ 89.05 fee 0.08905 done"]
    );
}

pub(super) async fn a_locked_book_means_not_sent(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100").await;
    let raw = venue.raw().await;
    let lock = raw.begin().await.unwrap();
    lock.execute_unprepared("UPDATE paper_assets SET matched_in = matched_in")
        .await
        .unwrap();
    let order = market(Buy, "AAPL", "10", Day);
    let outcome = venue.submit(&order).await;
    assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
    lock.rollback().await.unwrap();
    raw.close().await.unwrap();
    assert_eq!(venue.submit(&order).await, acknowledged(&order, true));
}

pub(super) async fn a_book_that_is_gone_means_not_sent(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100").await;
    let process = venue.another_process().await;
    process.clone().close().await.unwrap();
    let (order, connection) = (market(Buy, "AAPL", "10", Day), &venue.connection);
    for outcome in [
        process.submit(connection, &order).await,
        process.cancel(connection, &reference(&order)).await,
        process.replace(connection, &reference(&order), &order).await,
    ] {
        assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
    }
    for failed in [
        process.cash(connection).await.err(),
        process.positions(connection).await.err(),
        process.resting_assets().await.err(),
        process.feed(&[]).await.err(),
    ] {
        assert!(
            matches!(failed, Some(BrokerError::Unavailable { .. })),
            "{failed:?}"
        );
    }
    assert_eq!(venue.told(&order).await, Vec::<String>::new());
}

pub(super) async fn a_row_that_makes_no_sense_is_said_and_not_guessed(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100").await;
    venue.submit(&limit(Buy, "AAPL", "10", "90", Gtc)).await;
    let raw = venue.raw().await;
    raw.execute_unprepared("UPDATE paper_journal SET kind = 'dreamt'")
        .await
        .unwrap();
    raw.close().await.unwrap();
    assert_eq!(
        venue.paper.reports(&venue.connection, "", 10).await,
        Err(BrokerError::Inconsistent {
            broker: "paper",
            what: "paper_journal: kind: dreamt".to_owned(),
        })
    );
}

pub(super) async fn what_is_no_longer_traded_can_still_end(venue: &mut Venue) {
    let asset_id = super::venue::id_of("AAPL");
    venue.at("2026-11-24T14:00:00Z");
    let expires = limit(Buy, "AAPL", "10", "90", Day);
    let canceled = limit(Buy, "AAPL", "10", "90", Gtc);
    venue.submit(&expires).await;
    venue.submit(&canceled).await;
    venue.restart(|rules| drop(rules.assets.remove(&asset_id))).await;
    venue.at("2026-11-24T15:00:00Z");
    assert_eq!(venue.feed("AAPL", "79", "80", "100").await, 0);
    assert_eq!(venue.cancel(&canceled).await, acknowledged(&canceled, false));
    venue.at("2026-11-24T21:00:00Z");
    venue.paper.feed(&[]).await.unwrap();
    let all = venue.reports_of(&venue.connection).await;
    let all: Vec<_> = all.iter().map(|report| words(&report.what)).collect();
    assert_eq!(all, ["held", "held", "canceled", "expired"]);
}
