use super::*;
use crate::asset::{Asset, AssetClass};
use crate::fill::Fill;
use crate::id::{AccountId, ClientOrderId, GroupId, TriggerId, UserId};
use crate::money::{Notional, Price, Quantity};
use crate::order::{Amount, Order, OrderKind, OrderTerms, Side, TimeInForce};
use proptest::prelude::*;
use uuid::Uuid;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn units(text: &str) -> Quantity {
    Quantity::new(text.parse().unwrap()).unwrap()
}

fn order(amount: Amount) -> Order {
    Order {
        id: OrderId(Uuid::from_u128(1)),
        user_id: UserId(Uuid::from_u128(2)),
        account_id: AccountId(Uuid::from_u128(3)),
        group_id: GroupId(Uuid::from_u128(1)),
        client_order_id: ClientOrderId::from(OrderId(Uuid::from_u128(1))),
        asset_id: Asset::id_of(AssetClass::UsEquity, "AAPL"),
        symbol: "AAPL".into(),
        asset_class: AssetClass::UsEquity,
        terms: OrderTerms {
            side: Side::Buy,
            amount,
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            position_intent: None,
        },
        reserve_rate: Decimal::ONE,
        exposure_rate: Decimal::ONE,
        trading_date: at(0).date_naive(),
        replaces: None,
        submitted_at: at(0),
        updated_at: at(0),
        broker_order_id: None,
        facts: Facts::accepted(None),
    }
}

/// An order of ten units that stands in `phase`.
fn in_phase(phase: Phase) -> Order {
    let mut order = order(Amount::Quantity(units("10")));
    let facts = &mut order.facts;
    facts.submission = match phase {
        Phase::Held | Phase::Unsent => Submission::Unsent,
        Phase::Sending => Submission::Sending,
        Phase::Unconfirmed => Submission::Unconfirmed,
        Phase::VenueHolds | Phase::Working | Phase::CancelAsked | Phase::ReplaceAsked | Phase::Closed(_) => {
            Submission::Acknowledged
        }
    };
    facts.is_working = matches!(phase, Phase::Working | Phase::CancelAsked | Phase::ReplaceAsked);
    match phase {
        Phase::Held => facts.held_by = Some(HeldBy::Trigger(TriggerId(Uuid::from_u128(9)))),
        Phase::CancelAsked => facts.cancel_requested_at = Some(at(0)),
        Phase::ReplaceAsked => facts.replaced_by = Some(OrderId(Uuid::from_u128(8))),
        Phase::Closed(how) => facts.closed = Some((how, at(0))),
        Phase::Unsent | Phase::Sending | Phase::Unconfirmed | Phase::VenueHolds | Phase::Working => {}
    }
    assert_eq!(facts.phase(), phase);
    order
}

fn fill(id: &str, quantity: &str, venue_done: Option<bool>) -> OrderEvent {
    OrderEvent::Filled(Fill {
        broker_fill_id: id.into(),
        quantity: units(quantity),
        price: Price::new(Decimal::from(100)).unwrap(),
        fee: Decimal::ZERO,
        at: at(1),
        venue_done,
    })
}

/// An event of `kind` for an order of ten units.
fn event(kind: EventKind) -> OrderEvent {
    let reason = || "because".to_owned();
    match kind {
        EventKind::Released => OrderEvent::Released,
        EventKind::Restated => OrderEvent::Restated { quantity: units("4") },
        EventKind::SendStarted => OrderEvent::SendStarted,
        EventKind::NotSent => OrderEvent::NotSent,
        EventKind::OutcomeUnknown => OrderEvent::OutcomeUnknown,
        EventKind::AcknowledgedHeld => OrderEvent::Acknowledged {
            broker_order_id: None,
            is_working: false,
        },
        EventKind::AcknowledgedWorking => OrderEvent::Acknowledged {
            broker_order_id: None,
            is_working: true,
        },
        EventKind::Refused => OrderEvent::Refused { reason: reason() },
        EventKind::PartialFill => fill("p", "1", None),
        EventKind::FinalFill => fill("f", "10", None),
        EventKind::CancelRequested => OrderEvent::CancelRequested,
        EventKind::Canceled => OrderEvent::Canceled,
        EventKind::CancelRefused => OrderEvent::CancelRefused { reason: reason() },
        EventKind::Expired => OrderEvent::Expired,
        EventKind::ReplaceRequested => OrderEvent::ReplaceRequested {
            replaced_by: OrderId(Uuid::from_u128(7)),
        },
        EventKind::Replaced => OrderEvent::Replaced,
        EventKind::ReplaceRefused => OrderEvent::ReplaceRefused { reason: reason() },
    }
}

/// Every pair, written by hand. Rows are phases, columns the events of [`EventKind::ALL`].
///
/// `H` held, `U` unsent, `S` sending, `?` unconfirmed, `V` held by the venue, `W` working, `c` cancel asked, `r` replace asked;
/// `F` filled, `C` canceled, `E` expired, `R` rejected, `P` replaced; `.` nothing happens; `-` illegal; a `!` behind it
/// is an alarm.
#[rustfmt::skip]
const TABLE: [(Phase, [&str; 17]); 13] = [
    //                       rel  rst  snd  not  unk  ack  new  ref  par   fin   c?   can  c-   exp  r?   rep  r-
    (Phase::Held,          ["U", "H", "-", "-", "-", "-", "-", "R", "W!", "F!", "C", "-", "-", "E", "-", "-", "-"]),
    (Phase::Unsent,        ["-", "-", "S", ".", "-", "V!", "W!", "R", "W!", "F!", "C", "C!", "-", "E", "-", "-", "-"]),
    (Phase::Sending,       ["-", "-", "-", "U", "?", "V", "W", "R", "W",  "F",  "c", "C", "-", "E", "-", "-", "-"]),
    (Phase::Unconfirmed,   ["-", "-", "-", "U", ".", "V", "W", "R", "W",  "F",  "c", "C", "-", "E", "-", "-", "-"]),
    (Phase::VenueHolds,    ["-", "-", "-", "-", "-", ".", "W", "R", "W",  "F",  "c", "C", ".", "E", "-", "-", "."]),
    (Phase::Working,       ["-", "-", "-", "-", "-", ".", ".", "R", "W",  "F",  "c", "C", ".", "E", "r", "-", "."]),
    (Phase::CancelAsked,   ["-", "-", "-", "C", "c", "c", "c", "R", "c",  "F",  ".", "C", "W", "E", "-", "-", "-"]),
    (Phase::ReplaceAsked,  ["-", "-", "-", "-", "-", ".", ".", "R", "r",  "F",  "-", "C", "-", "E", "-", "P", "W"]),
    (Phase::Closed(How::Filled),
                           ["-", "-", "-", ".", ".", ".", ".", "-", "F!", "F!", "-", "-", ".", "-", "-", "-", "."]),
    (Phase::Closed(How::Canceled),
                           ["-", "-", "-", ".", ".", ".", ".", "-", "C!", "C!", "-", ".", ".", "-", "-", "-", "."]),
    (Phase::Closed(How::Expired),
                           ["-", "-", "-", ".", ".", ".", ".", "-", "E!", "E!", "-", "-", ".", ".", "-", "-", "."]),
    (Phase::Closed(How::Rejected),
                           ["-", "-", "-", ".", ".", ".", ".", ".", "R!", "R!", "-", "-", ".", "-", "-", "-", "."]),
    (Phase::Closed(How::Replaced),
                           ["-", "-", "-", ".", ".", ".", ".", "-", "P!", "P!", "-", ".", ".", "-", "-", ".", "."]),
];

fn letter(phase: Phase) -> &'static str {
    match phase {
        Phase::Held => "H",
        Phase::Unsent => "U",
        Phase::Sending => "S",
        Phase::Unconfirmed => "?",
        Phase::VenueHolds => "V",
        Phase::Working => "W",
        Phase::CancelAsked => "c",
        Phase::ReplaceAsked => "r",
        Phase::Closed(How::Filled) => "F",
        Phase::Closed(How::Canceled) => "C",
        Phase::Closed(How::Expired) => "E",
        Phase::Closed(How::Rejected) => "R",
        Phase::Closed(How::Replaced) => "P",
    }
}

#[test]
fn every_pair_of_phase_and_event_does_what_the_table_says() {
    let (mut legal, mut quiet, mut illegal) = (0, 0, 0);
    for ((phase, row), expected_phase) in TABLE.iter().zip(Phase::ALL) {
        assert_eq!(*phase, expected_phase, "the table lists every phase once");
        for (cell, kind) in row.iter().zip(EventKind::ALL) {
            let before = in_phase(*phase);
            let mut order = before.clone();
            assert_eq!(before.kind_of(&event(kind)), kind);
            let got = order.apply(&event(kind), at(5));
            match *cell {
                "-" => {
                    illegal += 1;
                    assert_eq!(
                        got,
                        Err(TransitionError {
                            from: *phase,
                            event: kind
                        })
                    );
                    assert_eq!(order, before, "{phase:?} {kind:?} changed something");
                }
                "." => {
                    quiet += 1;
                    assert!(!got.unwrap().is_change, "{phase:?} {kind:?}");
                    assert_eq!(order, before, "{phase:?} {kind:?} changed something");
                }
                cell => {
                    legal += 1;
                    let got = got.unwrap_or_else(|error| panic!("{phase:?} {kind:?}: {error}"));
                    let alarm = if got.is_surprise { "!" } else { "" };
                    assert_eq!(format!("{}{alarm}", letter(got.to)), cell, "{phase:?} {kind:?}");
                    assert_eq!(
                        order.facts.phase(),
                        got.to,
                        "the facts amount to what the table says"
                    );
                    assert!(got.is_change);
                }
            }
        }
    }
    assert_eq!((legal, quiet, illegal), (76, 47, 98));
}

#[test]
fn every_phase_shows_its_status() {
    let shown = [
        (Phase::Held, "held", "held"),
        (Phase::Unsent, "accepted", "accepted"),
        (Phase::Sending, "pending_new", "pending_new"),
        (Phase::Unconfirmed, "pending_new", "pending_new"),
        (Phase::VenueHolds, "accepted", "accepted"),
        (Phase::Working, "new", "partially_filled"),
        (Phase::CancelAsked, "pending_cancel", "pending_cancel"),
        (Phase::ReplaceAsked, "pending_replace", "pending_replace"),
        (Phase::Closed(How::Filled), "filled", "filled"),
        (Phase::Closed(How::Canceled), "canceled", "canceled"),
        (Phase::Closed(How::Expired), "expired", "expired"),
        (Phase::Closed(How::Rejected), "rejected", "rejected"),
        (Phase::Closed(How::Replaced), "replaced", "replaced"),
    ];
    assert_eq!(shown.map(|(phase, ..)| phase), Phase::ALL);
    for (phase, plain, partly) in shown {
        assert_eq!(
            (phase.status(false).as_str(), phase.status(true).as_str()),
            (plain, partly),
            "{phase:?}"
        );
    }
}

#[test]
fn a_cancel_that_the_venue_refuses_leads_back_to_where_the_order_rested() {
    let mut order = in_phase(Phase::VenueHolds);
    order.apply(&OrderEvent::CancelRequested, at(1)).unwrap();
    let refused = OrderEvent::CancelRefused {
        reason: "too late".into(),
    };
    assert_eq!(order.apply(&refused, at(2)).unwrap().to, Phase::VenueHolds);
}

#[test]
fn a_cancel_asked_while_sending_ends_the_order_when_nothing_left() {
    let mut order = in_phase(Phase::Sending);
    order.apply(&OrderEvent::CancelRequested, at(1)).unwrap();
    let end = order.apply(&OrderEvent::NotSent, at(2)).unwrap();
    assert_eq!(
        (end.to, end.recorded_as()),
        (Phase::Closed(How::Canceled), Some("canceled"))
    );
}

#[test]
fn a_notional_order_ends_by_the_venues_word_and_not_by_a_sum() {
    let mut order = order(Amount::Notional(Notional::new(Decimal::from(100)).unwrap()));
    order.apply(&OrderEvent::SendStarted, at(1)).unwrap();
    assert_eq!(
        order.apply(&fill("1", "1", None), at(2)).unwrap().to,
        Phase::Working
    );
    assert_eq!(
        order.apply(&fill("2", "0.5", Some(true)), at(3)).unwrap().to,
        Phase::Closed(How::Filled)
    );
    assert_eq!(order.filled_average_price(), Some(Decimal::from(100)));
}

#[test]
fn a_fill_after_the_cancel_still_counts_and_raises_an_alarm() {
    let mut order = in_phase(Phase::Closed(How::Canceled));
    let late = order.apply(&fill("late", "10", None), at(9)).unwrap();
    assert!(late.is_surprise);
    assert_eq!(late.recorded_as(), Some("fill"));
    assert_eq!(order.facts.filled_quantity, Decimal::from(10));
    assert_eq!(
        order.facts.closed,
        Some((How::Canceled, at(0))),
        "the end stays what it was"
    );
}

#[test]
fn what_an_attempts_row_records_enters_no_event() {
    let mut order = in_phase(Phase::Unsent);
    for (event, to) in [
        (OrderEvent::SendStarted, Phase::Sending),
        (OrderEvent::OutcomeUnknown, Phase::Unconfirmed),
        (OrderEvent::NotSent, Phase::Unsent),
    ] {
        let step = order.apply(&event, at(1)).unwrap();
        assert_eq!((step.to, step.recorded_as()), (to, None));
    }
}

fn any_kind() -> impl Strategy<Value = EventKind> {
    prop::sample::select(EventKind::ALL.to_vec())
}

proptest! {
    #[test]
    fn whatever_happens_filled_quantity_only_grows_and_an_end_stays(kinds in prop::collection::vec(any_kind(), 1..40)) {
        let mut order = in_phase(Phase::Unsent);
        for (second, kind) in (1..).zip(kinds) {
            let before = order.clone();
            let Ok(step) = order.apply(&event(kind), at(second)) else {
                prop_assert_eq!(&order, &before);
                continue;
            };
            prop_assert_eq!(order.facts.phase(), step.to);
            prop_assert!(order.facts.filled_quantity >= before.facts.filled_quantity);
            if before.facts.closed.is_some() {
                prop_assert_eq!(order.facts.closed, before.facts.closed);
            }
        }
    }
}
