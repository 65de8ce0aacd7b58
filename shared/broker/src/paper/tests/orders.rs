//! What an order gets.

use domain::order::Side::{Buy, Sell};
use domain::order::TimeInForce::{Day, Fok, Gtc, Ioc};

use super::Venue;
use super::venue::{acknowledged, limit, market, notional, refused};
use crate::{Broker, Found};

pub(super) async fn a_market_order_fills_at_the_quote_with_slippage_and_fee(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100").await;
    let buy = market(Buy, "AAPL", "10", Day);
    assert_eq!(venue.submit(&buy).await, acknowledged(&buy, true));
    assert_eq!(
        venue.told(&buy).await,
        ["working", "filled 10 @ 100.05 fee 0.10005 done"]
    );
    assert_eq!(venue.cash().await, "98999.39995");
    assert_eq!(venue.units("AAPL").await, "10");
    let sell = market(Sell, "AAPL", "4", Day);
    assert_eq!(venue.submit(&sell).await, acknowledged(&sell, true));
    assert_eq!(
        venue.told(&sell).await,
        ["working", "filled 4 @ 99.85 fee 0.03994 done"]
    );
    assert_eq!(venue.cash().await, "99398.76001");
    assert_eq!(venue.units("AAPL").await, "6");
    let Found::Present(found) = venue
        .paper
        .find(&venue.connection, &buy, "2026-11-24T15:00:00Z".parse().unwrap())
        .await
        .unwrap()
    else {
        panic!("the venue has the order");
    };
    assert_eq!((found.is_working, found.refused), (true, None));
}

pub(super) async fn a_large_order_takes_what_each_quote_offers(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100").await;
    let large = market(Buy, "AAPL", "250", Day);
    venue.submit(&large).await;
    // The size of this quote is gone, for others too, and when the same step is fed again.
    let late = market(Buy, "AAPL", "5", Day);
    assert_eq!(venue.submit(&late).await, acknowledged(&late, true));
    assert_eq!(venue.feed("AAPL", "99.90", "100", "100").await, 0);
    assert_eq!(venue.told(&late).await, ["working"]);
    assert_eq!(venue.paper.resting_assets().await.unwrap(), [large.asset_id]);
    assert_eq!(venue.next("AAPL", "100.90", "101", "100").await, 1);
    assert_eq!(venue.next("AAPL", "101.90", "102", "60").await, 1);
    assert_eq!(
        venue.told(&large).await,
        [
            "working",
            "filled 100 @ 100.05 fee 1.0005 partly",
            // 101 × 1.0005 = 101.0505, rounded up to the cent
            "filled 100 @ 101.06 fee 1.0106 partly",
            "filled 50 @ 102.06 fee 0.5103 done",
        ]
    );
    assert_eq!(
        venue.told(&late).await,
        ["working", "filled 5 @ 102.06 fee 0.05103 done"]
    );
    assert!(venue.paper.resting_assets().await.unwrap().is_empty());
}

pub(super) async fn a_limit_rests_until_the_market_crosses_it(venue: &mut Venue) {
    venue.own("AAPL", "10", "100").await;
    venue.next("AAPL", "99.90", "100", "100").await;
    let buy = limit(Buy, "AAPL", "10", "99.50", Day);
    let sell = limit(Sell, "AAPL", "10", "101", Gtc);
    assert_eq!(venue.submit(&buy).await, acknowledged(&buy, true));
    assert_eq!(venue.submit(&sell).await, acknowledged(&sell, true));
    assert_eq!(venue.next("AAPL", "99.50", "99.51", "100").await, 0);
    assert_eq!(venue.told(&buy).await, ["working"]);
    assert_eq!(venue.next("AAPL", "99.40", "99.45", "100").await, 1);
    assert_eq!(
        venue.told(&buy).await,
        ["working", "filled 10 @ 99.45 fee 0.09945 done"]
    );
    assert_eq!(venue.told(&sell).await, ["working"]);
    venue.next("AAPL", "101", "101.10", "4").await;
    venue.next("AAPL", "100.99", "101.10", "4").await;
    venue.next("AAPL", "102", "102.10", "400").await;
    assert_eq!(
        venue.told(&sell).await,
        [
            "working",
            "filled 4 @ 101 fee 0.0404 partly",
            "filled 6 @ 102 fee 0.0612 done"
        ]
    );
}

pub(super) async fn ioc_and_fok_do_what_they_are_named_for(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "10").await;
    let whole = limit(Buy, "AAPL", "11", "100", Fok);
    assert_eq!(venue.submit(&whole).await, acknowledged(&whole, true));
    assert_eq!(venue.told(&whole).await, ["working", "canceled"]);
    let part = limit(Buy, "AAPL", "15", "100", Ioc);
    venue.submit(&part).await;
    assert_eq!(
        venue.told(&part).await,
        ["working", "filled 10 @ 100 fee 0.1 partly", "canceled"]
    );
    let nothing_left = market(Buy, "AAPL", "1", Ioc);
    venue.submit(&nothing_left).await;
    assert_eq!(venue.told(&nothing_left).await, ["working", "canceled"]);
    venue.next("AAPL", "99.90", "100", "10").await;
    let fits = market(Buy, "AAPL", "10", Fok);
    venue.submit(&fits).await;
    assert_eq!(
        venue.told(&fits).await,
        ["working", "filled 10 @ 100.05 fee 0.10005 done"]
    );
    let unknown_price = market(Buy, "MSFT", "1", Ioc);
    venue.submit(&unknown_price).await;
    assert_eq!(venue.told(&unknown_price).await, ["working", "canceled"]);
    assert!(venue.paper.resting_assets().await.unwrap().is_empty());
}

pub(super) async fn a_notional_is_done_by_the_venues_word(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "4").await;
    let buy = notional(Buy, "AAPL", "1000");
    venue.submit(&buy).await;
    venue.next("AAPL", "99.90", "100", "100").await;
    assert_eq!(
        venue.told(&buy).await,
        [
            "working",
            "filled 4 @ 100.05 fee 0.04002 partly",
            // (1000 − 400.2) / 100.05 = 5.99500249875…, rounded down
            "filled 5.995002498 @ 100.05 fee 0.05998 done",
        ]
    );
    // 5.995002498 × 100.05 = 599.7999999249, rounded to nine decimals: 599.799999925
    assert_eq!(venue.cash().await, "98999.900000075");
    let sell = notional(Sell, "AAPL", "500");
    venue.submit(&sell).await;
    assert_eq!(
        venue.told(&sell).await,
        ["working", "filled 5.007511266 @ 99.85 fee 0.05 done"]
    );
    // The dust that the notional did not spend is free again: an order for everything that is left is covered.
    let all = notional(Buy, "AAPL", "99489.8");
    assert_eq!(venue.submit(&all).await, acknowledged(&all, true));
}

pub(super) async fn an_order_beyond_cash_or_position_is_refused(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "5000").await;
    let buy = limit(Buy, "AAPL", "1000", "100", Day);
    let reason = "insufficient buying power: 100010 USD needed, 100000 available";
    assert_eq!(venue.submit(&buy).await, refused(reason));
    assert_eq!(venue.told(&buy).await, [format!("refused: {reason}")]);
    let at_market = market(Buy, "AAPL", "1000", Day);
    assert_eq!(
        venue.submit(&at_market).await,
        refused("insufficient buying power: 100060.005 USD needed, 100000 available")
    );
    let money = notional(Buy, "AAPL", "100000");
    assert_eq!(
        venue.submit(&money).await,
        refused("insufficient buying power: 100010 USD needed, 100000 available")
    );
    let short = market(Sell, "AAPL", "1", Day);
    assert_eq!(
        venue.submit(&short).await,
        refused("insufficient quantity: 1 units needed, 0 available")
    );
    let fits = limit(Buy, "AAPL", "999.9", "100", Day);
    assert_eq!(venue.submit(&fits).await, acknowledged(&fits, true));
    assert_eq!(venue.cash().await, "0.001");
    let Found::Present(found) = venue
        .paper
        .find(&venue.connection, &short, "2026-11-24T15:00:00Z".parse().unwrap())
        .await
        .unwrap()
    else {
        panic!("the venue has seen the order");
    };
    assert_eq!(
        found.refused.unwrap(),
        "insufficient quantity: 1 units needed, 0 available"
    );
}

pub(super) async fn what_open_orders_hold_is_not_spent_twice(venue: &mut Venue) {
    venue.own("AAPL", "10", "100").await;
    venue.feed("AAPL", "99.90", "100", "100").await;
    let rests = limit(Sell, "AAPL", "8", "110", Gtc);
    venue.submit(&rests).await;
    let too_much = market(Sell, "AAPL", "3", Day);
    assert_eq!(
        venue.submit(&too_much).await,
        refused("insufficient quantity: 3 units needed, 2 available")
    );
    let buys = limit(Buy, "AAPL", "980", "99", Gtc);
    assert_eq!(venue.submit(&buys).await, acknowledged(&buys, true));
    // 100000 − 1000.1 − 980 × 99 × 1.0001
    let more = limit(Buy, "AAPL", "20", "99", Gtc);
    assert_eq!(
        venue.submit(&more).await,
        refused("insufficient buying power: 1980.198 USD needed, 1970.198 available")
    );
    venue.cancel(&buys).await;
    venue.cancel(&rests).await;
    for order in [
        limit(Buy, "AAPL", "20", "99", Gtc),
        market(Sell, "AAPL", "3", Day),
    ] {
        assert_eq!(venue.submit(&order).await, acknowledged(&order, true));
    }
}

pub(super) async fn a_price_that_runs_away_from_the_cash_ends_the_order(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "500").await;
    let partly = market(Buy, "AAPL", "990", Day);
    assert_eq!(venue.submit(&partly).await, acknowledged(&partly, true));
    venue.next("AAPL", "119", "120", "1000").await;
    assert_eq!(
        venue.told(&partly).await,
        ["working", "filled 500 @ 100.05 fee 5.0025 partly", "canceled"]
    );
    // Nobody knew a price when this one came.
    let blind = market(Buy, "MSFT", "1000", Day);
    assert_eq!(venue.submit(&blind).await, acknowledged(&blind, true));
    venue.next("MSFT", "499", "500", "1000").await;
    assert_eq!(
        venue.told(&blind).await,
        [
            "working",
            "refused: insufficient buying power at the price of the fill"
        ]
    );
    assert_eq!(venue.cash().await, "49969.9975");
    let rest = limit(Buy, "MSFT", "99", "500", Day);
    assert_eq!(venue.submit(&rest).await, acknowledged(&rest, true));
}

pub(super) async fn better_prices_and_earlier_orders_come_first(venue: &mut Venue) {
    venue.feed("AAPL", "109", "110", "100").await;
    let worse = limit(Buy, "AAPL", "10", "100", Gtc);
    let first = limit(Buy, "AAPL", "10", "101", Gtc);
    let second = limit(Buy, "AAPL", "10", "101", Gtc);
    for order in [&worse, &first, &second] {
        venue.submit(order).await;
        venue.clock.advance(chrono::TimeDelta::microseconds(1));
    }
    venue.next("AAPL", "99", "100", "15").await;
    assert_eq!(
        venue.told(&first).await,
        ["working", "filled 10 @ 100 fee 0.1 done"]
    );
    assert_eq!(
        venue.told(&second).await,
        ["working", "filled 5 @ 100 fee 0.05 partly"]
    );
    assert_eq!(venue.told(&worse).await, ["working"]);
    // A newcomer does not take what is left for those who wait: there is nothing left.
    let newcomer = market(Buy, "AAPL", "1", Day);
    venue.submit(&newcomer).await;
    assert_eq!(venue.told(&newcomer).await, ["working"]);
    // Now it is the market order's turn, before all limits.
    venue.next("AAPL", "99", "100", "7").await;
    assert_eq!(
        venue.told(&newcomer).await,
        ["working", "filled 1 @ 100.05 fee 0.010005 done"]
    );
    assert_eq!(
        venue.told(&second).await.last().unwrap(),
        "filled 5 @ 100 fee 0.05 done"
    );
    assert_eq!(
        venue.told(&worse).await,
        ["working", "filled 1 @ 100 fee 0.01 partly"]
    );
}

pub(super) async fn the_same_order_again_is_answered_as_before(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "100").await;
    let filled = market(Buy, "AAPL", "10", Day);
    let too_large = market(Buy, "AAPL", "100000", Day);
    for order in [&filled, &too_large] {
        let first = venue.submit(order).await;
        let before = (venue.cash().await, venue.told(order).await);
        venue.next("AAPL", "49.90", "50", "100000").await;
        assert_eq!(venue.submit(order).await, first);
        assert_eq!((venue.cash().await, venue.told(order).await), before);
    }
    // Another account cannot take the id.
    let other = Venue::account("1000");
    assert_eq!(
        venue.paper.submit(&other, &filled).await,
        refused("client order id must be unique")
    );
    let at = "2026-11-24T15:00:00Z".parse().unwrap();
    assert_eq!(
        venue.paper.find(&other, &filled, at).await.unwrap(),
        Found::Absent
    );
    let never_sent = market(Buy, "AAPL", "10", Day);
    assert_eq!(
        venue
            .paper
            .find(&venue.connection, &never_sent, at)
            .await
            .unwrap(),
        Found::Absent
    );
}

pub(super) async fn a_malformed_or_foreign_order_is_refused(venue: &mut Venue) {
    let unknown = market(Buy, "TSLA", "1", Day);
    assert_eq!(
        venue.submit(&unknown).await,
        refused("asset TSLA is not traded here")
    );
    let mut fine_price = limit(Buy, "AAPL", "1", "100.001", Day);
    assert_eq!(
        venue.submit(&fine_price).await,
        refused("invalid limit_price 100.001. sub-penny increment does not fulfill minimum pricing criteria")
    );
    // The id is used up.
    fine_price.terms.kind = domain::order::OrderKind::Market;
    assert!(matches!(
        venue.submit(&fine_price).await,
        crate::Outcome::Refused { .. }
    ));
    let crypto_day = market(Buy, "BTC/USD", "1", Day);
    assert_eq!(
        venue.submit(&crypto_day).await,
        refused("invalid crypto time_in_force")
    );
    assert_eq!(venue.cash().await, "100000");
}

pub(super) async fn fees_differ_by_class(venue: &mut Venue) {
    // On a Saturday.
    venue.at("2026-11-28T12:00:00Z");
    venue.feed("BTC/USD", "64999", "65000", "0.5").await;
    let buy = market(Buy, "BTC/USD", "0.25", Gtc);
    venue.submit(&buy).await;
    // 65000 × 1.0005 = 65032.5; × 0.25 = 16258.125; 25 bp of it
    assert_eq!(
        venue.told(&buy).await,
        ["working", "filled 0.25 @ 65032.5 fee 40.6453125 done"]
    );
    assert_eq!(venue.cash().await, "83701.2296875");
}
