//! What the venue does by itself, and by its rules.

use super::*;

fn order(client: Option<&str>, limit: Option<i64>) -> NewOrder {
    NewOrder {
        client_order_id: client.map(str::to_owned),
        asset_id: "asset".to_owned(),
        symbol: "AAPL".to_owned(),
        side: "buy".to_owned(),
        kind: if limit.is_some() { "limit" } else { "market" }.to_owned(),
        qty: Some(Decimal::TEN),
        notional: None,
        limit_price: limit.map(Decimal::from),
        time_in_force: "day".to_owned(),
    }
}

fn fills(venue: &Venue) -> Vec<(Decimal, Decimal)> {
    let reports = venue.reports("me", 0, usize::MAX).iter();
    reports
        .filter_map(|report| match &report.what {
            Happened::Filled { quantity, price, .. } => Some((*quantity, *price)),
            _ => None,
        })
        .collect()
}

#[test]
fn the_same_id_makes_one_order_and_none_at_all_makes_one_each_time() {
    let mut venue = Venue::default();
    let (first, is_new) = venue
        .submit("me", order(Some("a"), None), &Course::Honest, 1)
        .unwrap();
    assert!(is_new);
    let (again, is_new) = venue
        .submit("me", order(Some("a"), None), &Course::Honest, 2)
        .unwrap();
    assert_eq!((&again.id, is_new), (&first.id, false));
    let (other, _) = venue
        .submit("you", order(Some("a"), None), &Course::Honest, 2)
        .unwrap();
    assert_ne!(other.id, first.id, "another account");
    for _ in 0..2 {
        assert!(
            venue
                .submit("me", order(None, None), &Course::Honest, 3)
                .unwrap()
                .1
        );
    }
    assert_eq!(venue.entered("me", 0, 9).len(), 3);
}

#[test]
fn a_limit_order_waits_for_its_price() {
    let mut venue = Venue::default();
    venue
        .submit("me", order(Some("a"), Some(90)), &Course::Honest, 1)
        .unwrap();
    assert!(fills(&venue).is_empty());
    venue.set_price("AAPL", Decimal::from(89), 2);
    assert_eq!(fills(&venue), [(Decimal::TEN, Decimal::from(89))]);
    venue.set_price("AAPL", Decimal::from(80), 3);
    assert_eq!(fills(&venue).len(), 1);
    let (units, money) = venue.owned("me");
    assert_eq!((units["asset"], money), (Decimal::TEN, Decimal::from(-890)));
}

#[test]
fn a_fill_may_come_after_the_word_that_there_will_be_none() {
    let mut venue = Venue::default();
    let (taken, _) = venue
        .submit("me", order(Some("a"), Some(90)), &Course::Rests, 1)
        .unwrap();
    let course = CancelCourse::FillsAfterwards {
        after_ms: 5,
        quantity: Decimal::TWO,
    };
    venue.cancel("me", "client:a", &course, 2).unwrap();
    assert_eq!(venue.cancel("me", &taken.id, &course, 3), Err(Denied::NotOpen));
    for (_, deed) in venue.take_deeds() {
        venue.act(&deed, 4);
    }
    assert_eq!(fills(&venue), [(Decimal::TWO, Decimal::from(90))]);
    assert_eq!(venue.order("me", &taken.id).unwrap().status, Status::Canceled);
}

#[test]
fn a_restored_venue_is_the_same_one() {
    let mut venue = Venue::default();
    let part = Course::FillsInPart {
        quantity: Decimal::ONE,
        rest_after_ms: Some(9),
    };
    venue.submit("me", order(Some("a"), None), &part, 1).unwrap();
    venue
        .submit("me", order(Some("b"), Some(50)), &Course::Honest, 2)
        .unwrap();
    let mut again = Venue::default();
    for fact in venue.take_facts() {
        again.restore(fact);
    }
    assert_eq!(again.reports("me", 0, 99), venue.reports("me", 0, 99));
    again.resume();
    for (_, deed) in again.take_deeds() {
        again.act(&deed, 3);
    }
    assert_eq!(again.order("me", "client:a").unwrap().status, Status::Filled);
    again.set_price("AAPL", Decimal::from(50), 4);
    assert_eq!(again.order("me", "client:b").unwrap().status, Status::Filled);
}
