//! The decision as a table, and its laws for any order, quote and size.

use proptest::prelude::*;

use super::*;
use crate::money::Notional;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn price(text: &str) -> Price {
    Price::new(decimal(text)).unwrap()
}

/// A step with as many units left at the bid as at the ask.
fn step(bid: &str, ask: &str, left: Decimal) -> Step {
    Step {
        bid: price(bid),
        bid_left: left,
        ask: price(ask),
        ask_left: left,
    }
}

fn terms(slippage: &str, fee: &str, price_increment: &str, quantity_increment: &str) -> Terms {
    Terms {
        slippage_basis_points: decimal(slippage),
        fee_basis_points: decimal(fee),
        price_increment: decimal(price_increment),
        quantity_increment: decimal(quantity_increment),
    }
}

fn shares() -> Terms {
    terms("5", "1", "0.01", "0.000000001")
}

fn asking(side: Side, limit: Option<&str>, time_in_force: TimeInForce, amount: Amount) -> Asking {
    Asking {
        side,
        kind: limit.map_or(OrderKind::Market, |limit| OrderKind::Limit {
            limit_price: price(limit),
        }),
        time_in_force,
        remaining: amount,
        was_tried: false,
    }
}

fn quantity(text: &str) -> Amount {
    Amount::Quantity(Quantity::new(decimal(text)).unwrap())
}

fn notional(text: &str) -> Amount {
    Amount::Notional(Notional::new(decimal(text)).unwrap())
}

/// Quantity, price, cost and fee of a decision, as texts.
fn shown(decision: &FillDecision) -> (Option<[String; 4]>, Then) {
    let numbers = decision.execution.map(|execution| {
        [
            execution.quantity.to_string(),
            execution.price.to_string(),
            execution.cost.to_string(),
            execution.fee.to_string(),
        ]
    });
    (numbers, decision.then)
}

type Row<'a> = (
    &'a str,
    Side,
    Option<&'a str>,
    TimeInForce,
    Amount,
    &'a str,
    Option<[&'a str; 4]>,
    Then,
);

#[test]
fn every_kind_and_time_in_force_gets_what_its_name_says() {
    use Side::{Buy, Sell};
    use Then::{Cancel, Done, Rest};
    use TimeInForce::{Day, Fok, Gtc, Ioc};
    // The quote is 99.90 / 100.00; slippage 5 bp: a market buy at 100.05, a market sell at 99.85005 → 99.85; fee 1 bp.
    #[rustfmt::skip]
    let rows: Vec<Row<'_>> = vec![
        // name, side, limit, time in force, amount, size left → quantity, price, cost, fee; then
        ("a market buy pays the ask and the slippage", Buy, None, Day, quantity("10"), "100", Some(["10", "100.05", "1000.5", "0.10005"]), Done),
        ("a market sell gets the bid less the slippage", Sell, None, Day, quantity("10"), "100", Some(["10", "99.85", "998.5", "0.09985"]), Done),
        ("a large market order takes the size and rests", Buy, None, Day, quantity("150"), "100", Some(["100", "100.05", "10005", "1.0005"]), Rest),
        ("a market order without size rests", Sell, None, Gtc, quantity("1"), "0", None, Rest),
        ("a limit at the ask fills at the ask", Buy, Some("100"), Day, quantity("10"), "100", Some(["10", "100", "1000", "0.1"]), Done),
        ("a limit above the ask fills at the ask", Buy, Some("101"), Gtc, quantity("10"), "100", Some(["10", "100", "1000", "0.1"]), Done),
        ("a limit below the ask rests", Buy, Some("99.99"), Day, quantity("10"), "100", None, Rest),
        ("a sell limit at the bid fills at the bid", Sell, Some("99.90"), Gtc, quantity("10"), "100", Some(["10", "99.9", "999", "0.0999"]), Done),
        ("a sell limit below the bid fills at the bid", Sell, Some("90"), Day, quantity("10"), "100", Some(["10", "99.9", "999", "0.0999"]), Done),
        ("a sell limit above the bid rests", Sell, Some("99.91"), Day, quantity("10"), "100", None, Rest),
        ("a crossed limit takes the size and rests", Buy, Some("100"), Gtc, quantity("10"), "4", Some(["4", "100", "400", "0.04"]), Rest),
        ("ioc fills what there is and cancels the rest", Buy, Some("100"), Ioc, quantity("10"), "4", Some(["4", "100", "400", "0.04"]), Cancel),
        ("ioc that fills whole is done", Sell, None, Ioc, quantity("4"), "4", Some(["4", "99.85", "399.4", "0.03994"]), Done),
        ("ioc that is not marketable is canceled", Buy, Some("99"), Ioc, quantity("10"), "100", None, Cancel),
        ("ioc without size is canceled", Buy, None, Ioc, quantity("10"), "0", None, Cancel),
        ("fok fills whole", Buy, None, Fok, quantity("100"), "100", Some(["100", "100.05", "10005", "1.0005"]), Done),
        ("fok never fills a part", Buy, None, Fok, quantity("100.5"), "100", None, Cancel),
        ("fok that is not marketable is canceled", Sell, Some("100"), Fok, quantity("1"), "100", None, Cancel),
        ("a notional buys what it pays for, rounded down", Buy, None, Day, notional("100"), "100", Some(["0.999500249", "100.05", "99.999999912", "0.01"]), Done),
        ("a notional sells what raises it, rounded down", Sell, None, Day, notional("100"), "100", Some(["1.001502253", "99.85", "99.999999962", "0.01"]), Done),
        ("a notional larger than the size rests", Buy, None, Day, notional("1000"), "4", Some(["4", "100.05", "400.2", "0.04002"]), Rest),
        ("a notional that the size just pays for is done", Buy, None, Day, notional("400.2"), "4", Some(["4", "100.05", "400.2", "0.04002"]), Done),
        ("a notional ioc cancels its rest", Buy, None, Ioc, notional("1000"), "4", Some(["4", "100.05", "400.2", "0.04002"]), Cancel),
        ("a notional that pays for nothing ends", Buy, None, Day, notional("0.00000001"), "100", None, Cancel),
    ];
    for (name, side, limit, time_in_force, amount, size_left, numbers, then) in rows {
        let order = asking(side, limit, time_in_force, amount);
        let decision = decide(&order, &step("99.90", "100.00", decimal(size_left)), &shares());
        let expected = numbers.map(|numbers| numbers.map(str::to_owned));
        assert_eq!(shown(&decision), (expected, then), "{name}");
    }
}

#[test]
fn an_order_with_one_try_does_not_get_a_second() {
    for (time_in_force, then) in [
        (TimeInForce::Ioc, Then::Cancel),
        (TimeInForce::Fok, Then::Cancel),
        (TimeInForce::Day, Then::Done),
        (TimeInForce::Gtc, Then::Done),
    ] {
        let order = Asking {
            was_tried: true,
            ..asking(Side::Buy, None, time_in_force, quantity("1"))
        };
        let decision = decide(&order, &step("99", "100", Decimal::from(100)), &shares());
        assert_eq!(decision.then, then, "{time_in_force}");
        assert_eq!(
            decision.execution.is_some(),
            then == Then::Done,
            "{time_in_force}"
        );
    }
}

#[test]
fn slippage_is_rounded_to_the_increment_against_the_trader() {
    for (bid, ask, slippage, increment, sell, buy) in [
        // 10.03 × 1.0001 = 10.031003 → 10.04; 10.01 × 0.9999 = 10.008999 → 10.00
        ("10.01", "10.03", "1", "0.01", "10", "10.04"),
        ("10.01", "10.03", "0", "0.01", "10.01", "10.03"),
        ("0.5", "0.5001", "10", "0.0001", "0.4995", "0.5007"),
        // Never rounded down to nothing.
        ("0.0001", "0.0002", "5000", "0.0001", "0.0001", "0.0003"),
        ("0.00005", "0.0002", "0", "0.0001", "0.00005", "0.0002"),
        (
            "65000.25",
            "65001.5",
            "3",
            "0.000000001",
            "64980.749925",
            "65021.00045",
        ),
    ] {
        let terms = terms(slippage, "0", increment, "1");
        let step = step(bid, ask, Decimal::ONE);
        assert_eq!(
            market_price(Side::Sell, &step, &terms),
            Some(price(sell)),
            "{bid}"
        );
        assert_eq!(market_price(Side::Buy, &step, &terms), Some(price(buy)), "{ask}");
    }
}

#[test]
fn a_price_beyond_the_range_fills_nothing() {
    let order = asking(Side::Buy, None, TimeInForce::Day, quantity("1"));
    let decision = decide(
        &order,
        &step("8999999999", "8999999999", Decimal::from(100)),
        &shares(),
    );
    assert_eq!(decision, FillDecision::nothing(Then::Rest));
}

#[test]
fn a_fill_stays_below_the_largest_notional() {
    let order = asking(Side::Buy, Some("100000"), TimeInForce::Day, quantity("150000"));
    let decision = decide(
        &order,
        &step("99999", "100000", Decimal::from(1_000_000)),
        &shares(),
    );
    let execution = decision.execution.unwrap();
    assert!(execution.cost < NOTIONAL_LIMIT);
    assert_eq!(execution.quantity.to_string(), "99999.99999");
    assert_eq!(decision.then, Then::Rest);
    let whole = Asking {
        time_in_force: TimeInForce::Fok,
        ..order
    };
    let decision = decide(
        &whole,
        &step("99999", "100000", Decimal::from(1_000_000)),
        &shares(),
    );
    assert_eq!(decision, FillDecision::nothing(Then::Cancel));
}

#[test]
fn whole_units_are_filled_whole() {
    let terms = terms("0", "0", "0.01", "1");
    let order = asking(Side::Buy, None, TimeInForce::Day, quantity("10"));
    let decision = decide(&order, &step("99", "100", decimal("4.7")), &terms);
    assert_eq!(shown(&decision).0.unwrap()[0], "4");
    let decision = decide(&order, &step("99", "100", decimal("0.7")), &terms);
    assert_eq!(decision, FillDecision::nothing(Then::Rest));
}

#[test]
fn fees_are_rounded_half_even_once() {
    for (cost, basis_points, expected) in [
        ("0.000005", "1", "0"),
        ("0.000015", "1", "0.000000002"),
        ("0.000025", "1", "0.000000002"),
        ("1000", "25", "2.5"),
        ("1000", "0", "0"),
    ] {
        assert_eq!(
            fee(decimal(cost), decimal(basis_points)),
            Some(decimal(expected)),
            "{cost}"
        );
    }
}

fn any_amount() -> impl Strategy<Value = Amount> {
    prop_oneof![
        (1_i64..5_000_000_000_000)
            .prop_map(|nano| Amount::Quantity(Quantity::new(Decimal::new(nano, 9)).unwrap())),
        (1_i64..100_000_000)
            .prop_map(|cents| Amount::Notional(Notional::new(Decimal::new(cents, 2)).unwrap())),
    ]
}

fn any_order() -> impl Strategy<Value = Asking> {
    let limit = prop::option::of(1_i64..200_000);
    let force = prop::sample::select(TimeInForce::ALL);
    (any::<bool>(), limit, force, any_amount()).prop_map(|(is_buy, limit, time_in_force, remaining)| {
        let limit = limit.filter(|_| remaining.quantity().is_some());
        Asking {
            side: if is_buy { Side::Buy } else { Side::Sell },
            kind: limit.map_or(OrderKind::Market, |cents| OrderKind::Limit {
                limit_price: Price::new(Decimal::new(cents, 2)).unwrap(),
            }),
            time_in_force,
            remaining,
            was_tried: false,
        }
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let size = || (0_i64..1_000_000_000_000).prop_map(|nano| Decimal::new(nano, 9));
    (1_i64..150_000, 0_i64..2_000, size(), size()).prop_map(|(bid, spread, bid_left, ask_left)| Step {
        bid: Price::new(Decimal::new(bid, 2)).unwrap(),
        bid_left,
        ask: Price::new(Decimal::new(bid + spread, 2)).unwrap(),
        ask_left,
    })
}

fn any_terms() -> impl Strategy<Value = Terms> {
    (
        0_i64..500,
        0_i64..200,
        prop::sample::select(vec!["1", "0.01", "0.000000001"]),
    )
        .prop_map(|(slippage, fee, increment)| Terms {
            slippage_basis_points: Decimal::new(slippage, 1),
            fee_basis_points: Decimal::new(fee, 1),
            price_increment: Decimal::new(1, 2),
            quantity_increment: decimal(increment),
        })
}

proptest! {
    #[test]
    fn a_fill_never_exceeds_the_order_the_size_or_the_limit(
        order in any_order(), step in any_step(), terms in any_terms(),
    ) {
        let decision = decide(&order, &step, &terms);
        let has_one_try = matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        prop_assert!(!(has_one_try && decision.then == Then::Rest));
        let Some(execution) = decision.execution else {
            prop_assert_ne!(decision.then, Then::Done);
            return Ok(());
        };
        let mut after = step;
        after.take(order.side, execution.quantity);
        prop_assert_eq!(after.left(order.side) + execution.quantity.get(), step.left(order.side));
        prop_assert!(execution.fee >= Decimal::ZERO);
        match order.remaining {
            Amount::Quantity(quantity) => prop_assert!(execution.quantity <= quantity),
            Amount::Notional(notional) => prop_assert!(execution.cost <= notional.get()),
        }
        let price = execution.price;
        match (order.side, order.kind) {
            (Side::Buy, OrderKind::Market) => prop_assert!(price >= step.ask),
            (Side::Sell, OrderKind::Market) => prop_assert!(price <= step.bid),
            (Side::Buy, OrderKind::Limit { limit_price }) => prop_assert!(price <= limit_price && price == step.ask),
            (Side::Sell, OrderKind::Limit { limit_price }) => prop_assert!(price >= limit_price && price == step.bid),
        }
        prop_assert_eq!(execution.cost, money::cost(price.get(), execution.quantity.get()).unwrap());
        if order.time_in_force == TimeInForce::Fok {
            prop_assert_eq!(decision.then, Then::Done);
        }
    }

    /// Quote after quote, what is filled adds up to the order, and the order ends.
    #[test]
    fn an_order_that_meets_enough_quotes_ends_filled(
        order in any_order(), step in any_step(), terms in any_terms(), size in 100_i64..10_000,
    ) {
        let order = Asking { kind: OrderKind::Market, time_in_force: TimeInForce::Gtc, ..order };
        let terms = Terms { quantity_increment: decimal("0.000000001"), ..terms };
        let step = Step { bid_left: Decimal::from(size), ask_left: Decimal::from(size), ..step };
        let (mut open, mut filled) = (order, Decimal::ZERO);
        for _ in 0..1_000_000 {
            let decision = decide(&open, &step, &terms);
            if let Some(execution) = decision.execution {
                filled += match order.remaining {
                    Amount::Quantity(_) => execution.quantity.get(),
                    Amount::Notional(_) => execution.cost,
                };
            }
            if decision.then != Then::Rest {
                break;
            }
            let rest = order.remaining.get() - filled;
            open.remaining = match order.remaining {
                Amount::Quantity(_) => Amount::Quantity(Quantity::new(rest).unwrap()),
                Amount::Notional(_) => Amount::Notional(Notional::new(rest).unwrap()),
            };
            open.was_tried = true;
        }
        let rest = order.remaining.get() - filled;
        match order.remaining {
            Amount::Quantity(_) => prop_assert_eq!(rest, Decimal::ZERO),
            // One increment costs a billionth of the price, and one rounding at most that much again.
            Amount::Notional(_) => prop_assert!(rest >= Decimal::ZERO && rest <= Decimal::new(2_000, 9) * decimal("2")),
        }
    }
}
