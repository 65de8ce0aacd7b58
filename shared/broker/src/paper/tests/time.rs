//! Sessions, expiry, stale quotes and restarts.

use domain::asset::MarketHours;
use domain::order::Side::{Buy, Sell};
use domain::order::TimeInForce::{Day, Fok, Gtc, Ioc};

use super::Venue;
use super::venue::{acknowledged, limit, market, quote_at, refused};
use crate::Broker;

pub(super) async fn orders_out_of_session_wait_for_the_open(venue: &mut Venue) {
    venue.at("2026-11-24T14:29:50Z");
    venue.feed("AAPL", "99.90", "100", "100").await;
    let day = market(Buy, "AAPL", "10", Day);
    let far = limit(Buy, "AAPL", "10", "50", Gtc);
    let (ioc, fok) = (market(Buy, "AAPL", "10", Ioc), market(Buy, "AAPL", "10", Fok));
    for order in [&day, &far, &ioc, &fok] {
        assert_eq!(venue.submit(order).await, acknowledged(order, false));
    }
    assert_eq!(venue.told(&ioc).await, ["held", "canceled"]);
    assert_eq!(venue.told(&fok).await, ["held", "canceled"]);
    assert_eq!(venue.next("AAPL", "99.90", "100", "100").await, 0);
    // A quote from before the open, fed again just after it, is met then, and only then.
    venue.at("2026-11-24T14:29:59Z");
    let last = venue.quote("AAPL", "99.90", "100", "100");
    assert_eq!(
        venue.paper.feed(std::slice::from_ref(&last)).await.unwrap().len(),
        0
    );
    venue.at("2026-11-24T14:30:00Z");
    assert_eq!(
        venue.paper.feed(std::slice::from_ref(&last)).await.unwrap().len(),
        1
    );
    assert_eq!(venue.paper.feed(&[last]).await.unwrap().len(), 0);
    assert_eq!(
        venue.told(&day).await,
        ["held", "working", "filled 10 @ 100.05 fee 0.10005 done"]
    );
    assert_eq!(venue.told(&far).await, ["held", "working"]);
}

pub(super) async fn a_day_order_expires_at_the_close(venue: &mut Venue) {
    venue.own("AAPL", "10", "100").await;
    venue.at("2026-11-24T20:59:59Z");
    venue.feed("AAPL", "99.90", "100", "100").await;
    let day = limit(Sell, "AAPL", "10", "110", Day);
    venue.submit(&day).await;
    let gtc = limit(Buy, "AAPL", "10", "90", Gtc);
    venue.submit(&gtc).await;
    venue.at("2026-11-24T21:00:00Z");
    // A quote that would have filled it comes a moment too late.
    assert_eq!(venue.feed("AAPL", "111", "112", "100").await, 1);
    assert_eq!(venue.told(&day).await, ["working", "expired"]);
    assert_eq!(venue.cancel(&day).await, refused("order is already expired"));
    // Its units are free again, and the other order waits for the next session.
    venue.at("2026-11-25T14:30:01Z");
    venue.feed("AAPL", "88", "89", "100").await;
    assert_eq!(
        venue.told(&gtc).await,
        ["working", "filled 10 @ 89 fee 0.089 done"]
    );
    let again = market(Sell, "AAPL", "20", Day);
    assert_eq!(venue.submit(&again).await, acknowledged(&again, true));
}

pub(super) async fn a_day_order_expires_at_an_early_close(venue: &mut Venue) {
    // The Friday after Thanksgiving closes at 13:00 in New York.
    venue.at("2026-11-27T17:59:59Z");
    venue.feed("AAPL", "99.90", "100", "100").await;
    let day = limit(Buy, "AAPL", "10", "90", Day);
    venue.submit(&day).await;
    assert_eq!(venue.paper.feed(&[]).await.unwrap().len(), 0);
    venue.at("2026-11-27T18:00:00Z");
    // Time passes without any quote.
    assert_eq!(venue.paper.feed(&[]).await.unwrap(), [venue.connection.id]);
    assert_eq!(venue.told(&day).await, ["working", "expired"]);
    assert_eq!(venue.paper.feed(&[]).await.unwrap().len(), 0);
}

pub(super) async fn extended_hours_are_for_those_who_ask(venue: &mut Venue) {
    venue.at("2026-11-24T22:00:00Z");
    let regular = limit(Buy, "AAPL", "10", "100", Day);
    let mut extended = limit(Buy, "AAPL", "10", "100", Day);
    extended.terms.extended_hours = true;
    assert_eq!(venue.submit(&regular).await, acknowledged(&regular, false));
    assert_eq!(venue.submit(&extended).await, acknowledged(&extended, true));
    assert_eq!(venue.feed("AAPL", "99.90", "100", "4").await, 1);
    assert_eq!(
        venue.told(&extended).await,
        ["working", "filled 4 @ 100 fee 0.04 partly"]
    );
    assert_eq!(venue.told(&regular).await, ["held"]);
    // At 20:00 in New York its day is over; the other's has not begun.
    venue.at("2026-11-25T01:00:00Z");
    venue.paper.feed(&[]).await.unwrap();
    assert_eq!(venue.told(&extended).await.last().unwrap(), "expired");
    assert_eq!(venue.told(&regular).await, ["held"]);
    venue.at("2026-11-25T14:30:00Z");
    venue.paper.feed(&[]).await.unwrap();
    assert_eq!(venue.told(&regular).await, ["held", "working"]);
}

pub(super) async fn a_gtc_order_ends_after_ninety_days(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100").await;
    let order = limit(Buy, "AAPL", "10", "90", Gtc);
    venue.submit(&order).await;
    venue.at("2027-02-22T14:59:59Z");
    assert_eq!(venue.paper.feed(&[]).await.unwrap().len(), 0);
    venue.at("2027-02-22T15:00:00Z");
    assert_eq!(venue.paper.feed(&[]).await.unwrap().len(), 1);
    assert_eq!(venue.told(&order).await, ["working", "expired"]);
}

pub(super) async fn hours_can_be_ignored(venue: &mut Venue) {
    venue.restart(|rules| rules.hours = MarketHours::Ignore).await;
    // A Saturday.
    venue.at("2026-11-28T12:00:00Z");
    venue.feed("AAPL", "99.90", "100", "5").await;
    let order = market(Buy, "AAPL", "10", Day);
    assert_eq!(venue.submit(&order).await, acknowledged(&order, true));
    assert_eq!(
        venue.told(&order).await,
        ["working", "filled 5 @ 100.05 fee 0.050025 partly"]
    );
    // Midnight in New York.
    venue.at("2026-11-29T05:00:00Z");
    venue.feed("AAPL", "99.90", "100", "5").await;
    assert_eq!(venue.told(&order).await.last().unwrap(), "expired");
}

pub(super) async fn a_stale_or_crossed_quote_fills_nothing(venue: &mut Venue) {
    let order = market(Buy, "AAPL", "10", Day);
    venue.submit(&order).await;
    let now = platform::Clock::now(&venue.clock);
    let seconds = chrono::TimeDelta::seconds;
    for quote in [
        quote_at("AAPL", "99", "100", "100", now - seconds(6)),
        quote_at("AAPL", "101", "100", "100", now),
        quote_at("AAPL", "99", "100", "100", now + seconds(3)),
    ] {
        assert_eq!(venue.paper.feed(&[quote]).await.unwrap().len(), 0);
    }
    assert_eq!(venue.told(&order).await, ["working"]);
    // An order that comes when the last quote has grown old waits for the next one.
    venue.next("AAPL", "99", "100", "100").await;
    venue.wait(6);
    let late = market(Buy, "AAPL", "10", Day);
    venue.submit(&late).await;
    assert_eq!(venue.told(&late).await, ["working"]);
    venue.next("AAPL", "99", "100", "100").await;
    assert_eq!(
        venue.told(&late).await,
        ["working", "filled 10 @ 100.05 fee 0.10005 done"]
    );
    // An older quote than the last tells nothing.
    let later = limit(Buy, "AAPL", "10", "50", Day);
    venue.submit(&later).await;
    let old = quote_at(
        "AAPL",
        "49",
        "50",
        "100",
        platform::Clock::now(&venue.clock) - seconds(2),
    );
    assert_eq!(venue.paper.feed(&[old]).await.unwrap().len(), 0);
}

pub(super) async fn nothing_is_made_up_for_the_time_when_the_venue_was_down(venue: &mut Venue) {
    venue.at("2026-11-24T14:00:00Z");
    let gtc = limit(Buy, "AAPL", "10", "90", Gtc);
    let day = limit(Buy, "AAPL", "10", "90", Day);
    venue.submit(&gtc).await;
    venue.submit(&day).await;
    // The whole session passes.
    venue.at("2026-11-24T23:00:00Z");
    venue.restart(|_| ()).await;
    venue.feed("AAPL", "79", "80", "100").await;
    assert_eq!(venue.told(&day).await, ["held", "expired"]);
    assert_eq!(venue.told(&gtc).await, ["held"]);
    venue.at("2026-11-25T14:30:00Z");
    venue.feed("AAPL", "99", "100", "100").await;
    assert_eq!(venue.told(&gtc).await, ["held", "working"]);
    venue.next("AAPL", "79", "80", "100").await;
    assert_eq!(
        venue.told(&gtc).await.last().unwrap(),
        "filled 10 @ 80 fee 0.08 done"
    );
}

pub(super) async fn a_quote_from_the_future_does_not_silence_the_present(venue: &mut Venue) {
    venue.at("2026-11-25T15:00:00Z");
    venue.feed("AAPL", "99", "100", "100").await;
    // The clock was wrong, and is set right.
    venue.at("2026-11-24T15:00:00Z");
    let order = market(Buy, "AAPL", "10", Day);
    venue.submit(&order).await;
    assert_eq!(venue.told(&order).await, ["working"]);
    venue.feed("AAPL", "99", "100", "100").await;
    assert_eq!(
        venue.told(&order).await,
        ["working", "filled 10 @ 100.05 fee 0.10005 done"]
    );
}

pub(super) async fn resting_orders_survive_a_restart(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "10").await;
    let rests = limit(Buy, "AAPL", "10", "95", Gtc);
    let partly = market(Buy, "AAPL", "15", Day);
    venue.submit(&rests).await;
    venue.submit(&partly).await;
    let before = (venue.cash().await, venue.reports_of(&venue.connection).await);
    venue.restart(|_| ()).await;
    assert_eq!(
        (venue.cash().await, venue.reports_of(&venue.connection).await),
        before
    );
    assert_eq!(venue.paper.resting_assets().await.unwrap(), [rests.asset_id]);
    // The size that was taken before stays taken, and so does the money that is held.
    assert_eq!(venue.feed("AAPL", "99.90", "100", "10").await, 0);
    let beyond = limit(Buy, "AAPL", "990", "99", Gtc);
    assert!(matches!(
        venue.submit(&beyond).await,
        crate::Outcome::Refused { .. }
    ));
    venue.next("AAPL", "94", "95", "100").await;
    assert_eq!(
        venue.told(&rests).await,
        ["working", "filled 10 @ 95 fee 0.095 done"]
    );
    assert_eq!(
        venue.told(&partly).await.last().unwrap(),
        "filled 5 @ 95.05 fee 0.047525 done"
    );
}
