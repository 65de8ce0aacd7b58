//! Cancels and replacements, and the fills that they race with.

use domain::order::Side::{Buy, Sell};
use domain::order::TimeInForce::{Day, Gtc};

use super::Venue;
use super::venue::{acknowledged, limit, market, refused};

pub(super) async fn a_cancel_ends_what_is_open_and_nothing_else(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "10").await;
    let rests = limit(Buy, "AAPL", "10", "90", Gtc);
    venue.submit(&rests).await;
    for _ in 0..2 {
        assert_eq!(venue.cancel(&rests).await, acknowledged(&rests, true));
        assert_eq!(venue.told(&rests).await, ["working", "canceled"]);
    }
    let partly = market(Buy, "AAPL", "15", Day);
    venue.submit(&partly).await;
    assert_eq!(venue.cancel(&partly).await, acknowledged(&partly, true));
    venue.next("AAPL", "80", "81", "100").await;
    assert_eq!(
        venue.told(&partly).await,
        ["working", "filled 10 @ 100.05 fee 0.10005 partly", "canceled"]
    );
    assert_eq!(venue.told(&rests).await, ["working", "canceled"]);
    let filled = market(Buy, "AAPL", "1", Day);
    venue.submit(&filled).await;
    assert_eq!(venue.cancel(&filled).await, refused("order is already filled"));
    assert_eq!(
        venue.told(&filled).await.last().unwrap(),
        "cancel refused: order is already filled"
    );
    let unknown = market(Buy, "AAPL", "1", Day);
    assert_eq!(venue.cancel(&unknown).await, refused("unknown order"));
    let other = Venue::account("1000");
    let foreign = crate::Broker::cancel(&venue.paper, &other, &super::venue::reference(&filled)).await;
    assert_eq!(foreign, refused("unknown order"));
}

pub(super) async fn an_unfilled_order_is_replaced(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "10").await;
    let old = limit(Buy, "AAPL", "10", "90", Gtc);
    let new = limit(Buy, "AAPL", "4", "100", Day);
    venue.submit(&old).await;
    assert_eq!(venue.replace(&old, &new).await, acknowledged(&new, true));
    assert_eq!(venue.told(&old).await, ["working", "replaced"]);
    assert_eq!(
        venue.told(&new).await,
        ["working", "filled 4 @ 100 fee 0.04 done"]
    );
    venue.next("AAPL", "80", "81", "100").await;
    assert_eq!(venue.told(&old).await, ["working", "replaced"]);
    let whole_journal = venue.reports_of(&venue.connection).await;
    let order: Vec<_> = whole_journal
        .iter()
        .map(|report| super::venue::words(&report.what))
        .collect();
    assert_eq!(
        order,
        ["working", "replaced", "working", "filled 4 @ 100 fee 0.04 done"]
    );
    assert_eq!(venue.cancel(&old).await, refused("order is already replaced"));
}

pub(super) async fn a_partly_filled_order_is_replaced_by_what_the_new_one_shall_do(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "10").await;
    let old = limit(Buy, "AAPL", "25", "100", Gtc);
    venue.submit(&old).await;
    let new = limit(Buy, "AAPL", "30", "101", Gtc);
    assert_eq!(venue.replace(&old, &new).await, acknowledged(&new, true));
    venue.next("AAPL", "99.90", "100", "100").await;
    assert_eq!(
        venue.told(&old).await,
        ["working", "filled 10 @ 100 fee 0.1 partly", "replaced"]
    );
    assert_eq!(
        venue.told(&new).await,
        ["working", "filled 30 @ 100 fee 0.3 done"]
    );
    assert_eq!(venue.units("AAPL").await, "40");
}

pub(super) async fn a_filled_order_is_not_replaced(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "10").await;
    let old = market(Buy, "AAPL", "10", Day);
    venue.submit(&old).await;
    let new = limit(Buy, "AAPL", "30", "101", Gtc);
    assert_eq!(
        venue.replace(&old, &new).await,
        refused("order is already filled")
    );
    assert_eq!(
        venue.told(&old).await.last().unwrap(),
        "replace refused: order is already filled"
    );
    assert_eq!(venue.told(&new).await, ["refused: order is already filled"]);
    venue.next("AAPL", "99.90", "100", "100").await;
    assert_eq!(venue.units("AAPL").await, "10");
    let unknown = market(Buy, "AAPL", "10", Day);
    let new = limit(Buy, "AAPL", "30", "101", Gtc);
    assert_eq!(venue.replace(&unknown, &new).await, refused("unknown order"));
    let open = limit(Buy, "AAPL", "1", "50", Gtc);
    venue.submit(&open).await;
    let other_side = limit(Sell, "AAPL", "1", "150", Gtc);
    let reason = "a replacement keeps the asset and the side";
    assert_eq!(venue.replace(&open, &other_side).await, refused(reason));
    let other_asset = limit(Buy, "MSFT", "1", "50", Gtc);
    assert_eq!(venue.replace(&open, &other_asset).await, refused(reason));
    let malformed = limit(Buy, "AAPL", "1", "50.001", Gtc);
    assert!(matches!(
        venue.replace(&open, &malformed).await,
        crate::Outcome::Refused { .. }
    ));
    assert_eq!(venue.cancel(&open).await, acknowledged(&open, true));
}

pub(super) async fn a_replacement_is_covered_by_what_the_old_one_held(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "10").await;
    let old = limit(Buy, "AAPL", "900", "90", Gtc);
    venue.submit(&old).await;
    let too_large = limit(Buy, "AAPL", "1200", "90", Gtc);
    let reason = "insufficient buying power: 108010.8 USD needed, 100000 available";
    assert_eq!(venue.replace(&old, &too_large).await, refused(reason));
    assert_eq!(
        venue.told(&old).await,
        ["working".to_owned(), format!("replace refused: {reason}")]
    );
    let fits = limit(Buy, "AAPL", "1100", "90", Gtc);
    assert_eq!(venue.replace(&old, &fits).await, acknowledged(&fits, true));
    let more = limit(Buy, "AAPL", "12", "90", Gtc);
    assert_eq!(
        venue.submit(&more).await,
        refused("insufficient buying power: 1080.108 USD needed, 990.1 available")
    );
}

pub(super) async fn the_same_replacement_again_is_answered_as_before(venue: &mut Venue) {
    venue.feed("AAPL", "99.90", "100", "10").await;
    let old = limit(Buy, "AAPL", "10", "90", Gtc);
    let new = limit(Buy, "AAPL", "10", "91", Gtc);
    venue.submit(&old).await;
    let first = venue.replace(&old, &new).await;
    let journal = venue.reports_of(&venue.connection).await;
    assert_eq!(venue.replace(&old, &new).await, first);
    assert_eq!(venue.reports_of(&venue.connection).await, journal);
}
