use super::*;
use crate::asset::Asset;
use proptest::prelude::*;
use uuid::Uuid;

fn price(value: Decimal) -> Price {
    Price::new(value).unwrap()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn trigger(direction: Direction, reference: Reference, stop_price: Decimal) -> Trigger {
    Trigger {
        id: TriggerId(Uuid::from_u128(1)),
        user_id: UserId(Uuid::from_u128(2)),
        account_id: AccountId(Uuid::from_u128(3)),
        asset_id: Asset::id_of(AssetClass::UsEquity, "AAPL"),
        symbol: "AAPL".into(),
        asset_class: AssetClass::UsEquity,
        direction,
        reference,
        stop_price: price(stop_price),
        quantity: None,
        state: TriggerState::Armed,
        generation: 1,
        exit_order_id: None,
        fired_price: None,
        created_at: now(),
        updated_at: now(),
        fired_at: None,
        ended_because: None,
    }
}

fn quote(bid: Decimal, ask: Decimal, last: Decimal) -> Quote {
    let size = Quantity::new(Decimal::from(100)).unwrap();
    Quote {
        asset_id: Asset::id_of(AssetClass::UsEquity, "AAPL"),
        bid: price(bid),
        bid_size: size,
        ask: price(ask),
        ask_size: size,
        last: price(last),
        low: price(bid),
        high: price(ask),
        at: now(),
    }
}

#[test]
fn each_reference_fires_at_its_own_price_and_exactly_there() {
    let quote = quote(decimal("99"), decimal("101"), decimal("99.5"));
    let cases = [
        (Reference::Last, "99.5"),
        (Reference::Bid, "99"),
        (Reference::Ask, "101"),
        (Reference::Mid, "100"),
    ];
    for (reference, text) in cases {
        let at = decimal(text);
        let step = Decimal::new(1, 9);
        let verdict = |direction, stop| decide(&trigger(direction, reference, stop), &quote, now(), true);
        let fire = Decision::Fire { price: at };
        assert_eq!(verdict(Direction::Falling, at), fire, "{reference}");
        assert_eq!(
            verdict(Direction::Falling, at - step),
            Decision::Hold,
            "{reference}"
        );
        assert_eq!(verdict(Direction::Rising, at), fire, "{reference}");
        assert_eq!(
            verdict(Direction::Rising, at + step),
            Decision::Hold,
            "{reference}"
        );
    }
}

#[test]
fn a_quote_that_is_not_believed_fires_nothing() {
    let armed = trigger(Direction::Falling, Reference::Last, decimal("100"));
    let through = quote(decimal("90"), decimal("91"), decimal("90"));
    let stale = Quote {
        at: now() - chrono::TimeDelta::seconds(6),
        ..through.clone()
    };
    let crossed = quote(decimal("92"), decimal("91"), decimal("90"));
    assert_eq!(
        decide(&armed, &stale, now(), true),
        Decision::Distrusted(Distrust::Stale)
    );
    assert_eq!(
        decide(&armed, &crossed, now(), true),
        Decision::Distrusted(Distrust::Crossed)
    );
    assert_eq!(
        decide(&armed, &through, now(), false),
        Decision::Distrusted(Distrust::OutOfSession)
    );
}

#[test]
fn an_exit_sells_what_is_left_and_never_more() {
    let wanted = |text: &str| Some(Quantity::new(decimal(text)).unwrap());
    assert_eq!(exit_quantity(None, decimal("10"), decimal("0")), wanted("10"));
    assert_eq!(
        exit_quantity(wanted("4"), decimal("10"), decimal("0")),
        wanted("4")
    );
    assert_eq!(
        exit_quantity(wanted("8"), decimal("10"), decimal("5")),
        wanted("5")
    );
    assert_eq!(exit_quantity(None, decimal("10"), decimal("10")), None);
    assert_eq!(exit_quantity(wanted("1"), decimal("-3"), decimal("0")), None);
}

proptest! {
    /// Whatever the exact decision fires, the index finds: the key never hides a trigger that is through.
    #[test]
    fn the_price_key_agrees_with_the_decision_at_every_edge(stop in 1_i64..i64::MAX / 2, distance in -3_i64..=3, half in any::<bool>()) {
        let stop = Decimal::new(stop, 9);
        prop_assume!(stop < Decimal::from(8_000_000_000_i64));
        let reference = stop + Decimal::new(distance, 9) + if half { Decimal::new(5, 10) } else { Decimal::ZERO };
        prop_assume!(reference > Decimal::ZERO);
        let key = PriceKey::exact(price(stop));
        prop_assert!(reference > stop || PriceKey::rounded(reference, Direction::Falling) <= key);
        prop_assert!(reference < stop || PriceKey::rounded(reference, Direction::Rising) >= key);
    }
}
