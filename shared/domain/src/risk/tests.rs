use super::*;
use crate::asset::{Asset, AssetClass, Instrument};
use crate::id::{AccountId, ClientOrderId, OrderId, TriggerId, UserId};
use crate::money::{Notional, Price, Quantity};
use crate::order::{HeldBy, OrderTerms, TimeInForce};
use proptest::prelude::*;
use uuid::Uuid;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn price(text: &str) -> Price {
    Price::new(decimal(text)).unwrap()
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn quote() -> Quote {
    let size = Quantity::new(Decimal::from(100)).unwrap();
    Quote {
        asset_id: Asset::id_of(AssetClass::UsEquity, "AAPL"),
        bid: price("99.99"),
        bid_size: size,
        ask: price("100"),
        ask_size: size,
        last: price("100"),
        low: price("99"),
        high: price("101"),
        at: now(),
    }
}

fn quantity(text: &str) -> Amount {
    Amount::Quantity(Quantity::new(decimal(text)).unwrap())
}

fn order(side: Side, amount: Amount, kind: OrderKind) -> NewOrder {
    let id = OrderId(Uuid::from_u128(1));
    NewOrder {
        id,
        user_id: UserId(Uuid::from_u128(2)),
        account_id: AccountId(Uuid::from_u128(3)),
        client_order_id: ClientOrderId::from(id),
        instrument: Instrument {
            id: Asset::id_of(AssetClass::UsEquity, "AAPL"),
            symbol: "AAPL".into(),
            class: AssetClass::UsEquity,
        },
        terms: OrderTerms {
            side,
            amount,
            kind,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            position_intent: None,
        },
        held_by: None,
        submitted_at: now(),
    }
}

fn snapshot(quote: Option<&Quote>) -> Snapshot<'_> {
    Snapshot {
        balance: Balance {
            cash: decimal("10000"),
            reserved: decimal("1000"),
        },
        position: Position {
            quantity: decimal("10"),
            reserved: decimal("4"),
            ..Position::default()
        },
        day_notional_used: decimal("500"),
        limits: Limits {
            order_notional: decimal("5000"),
            day_notional: decimal("6000"),
        },
        quote,
        in_session: true,
        fee_basis_points: Decimal::ZERO,
    }
}

fn limit(text: &str) -> OrderKind {
    OrderKind::Limit {
        limit_price: price(text),
    }
}

#[test]
fn a_market_buy_counts_at_the_ask_plus_a_collar() {
    let quote = quote();
    let approved = review(
        order(Side::Buy, quantity("2"), OrderKind::Market),
        &snapshot(Some(&quote)),
        now(),
    )
    .unwrap();
    assert_eq!(
        (approved.reservation(), approved.exposure()),
        (decimal("205"), decimal("205"))
    );
    assert_eq!(collar_basis_points(decimal("50")), decimal("400"));
}

#[test]
fn fees_are_reserved_and_do_not_count_against_limits() {
    let quote = quote();
    let with_fees = Snapshot {
        fee_basis_points: decimal("25"),
        ..snapshot(Some(&quote))
    };
    let approved = review(order(Side::Buy, quantity("10"), limit("100")), &with_fees, now()).unwrap();
    assert_eq!(
        (approved.reservation(), approved.exposure()),
        (decimal("1002.5"), decimal("1000"))
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_rule_blocks_with_its_limit_and_the_attempted_value() {
    let fresh = quote();
    let stale = Quote {
        at: now() - chrono::TimeDelta::seconds(16),
        ..quote()
    };
    let buy = |amount: &str, kind| order(Side::Buy, quantity(amount), kind);
    let sell = |amount: &str| order(Side::Sell, quantity(amount), OrderKind::Market);
    let flat = Snapshot {
        position: Position::default(),
        ..snapshot(Some(&fresh))
    };
    let poor = Snapshot {
        balance: Balance {
            cash: decimal("100"),
            reserved: decimal("1"),
        },
        ..snapshot(Some(&fresh))
    };
    let aapl = || "AAPL".to_owned();
    let cases = [
        (
            "no quote",
            buy("1", OrderKind::Market),
            snapshot(None),
            Blocked::NoQuote { symbol: aapl() },
        ),
        (
            "stale quote",
            buy("1", OrderKind::Market),
            snapshot(Some(&stale)),
            Blocked::UnusableQuote {
                symbol: aapl(),
                distrust: Distrust::Stale,
            },
        ),
        (
            "short",
            sell("1"),
            flat,
            Blocked::ShortSale {
                symbol: aapl(),
                requested: decimal("1"),
            },
        ),
        (
            "held twice",
            sell("7"),
            snapshot(Some(&fresh)),
            Blocked::AvailableQuantity {
                symbol: aapl(),
                requested: decimal("7"),
                available: decimal("6"),
                existing: decimal("10"),
                held_for_orders: decimal("4"),
            },
        ),
        (
            "one order",
            buy("50.01", limit("100")),
            snapshot(Some(&fresh)),
            Blocked::OrderNotional {
                limit: decimal("5000"),
                attempted: decimal("5001"),
            },
        ),
        (
            "one day",
            buy("50", limit("100")),
            Snapshot {
                day_notional_used: decimal("1000.01"),
                ..snapshot(Some(&fresh))
            },
            Blocked::DayNotional {
                limit: decimal("6000"),
                attempted: decimal("6000.01"),
            },
        ),
        (
            "money",
            buy("1", limit("99.01")),
            poor,
            Blocked::BuyingPower {
                buying_power: decimal("99"),
                cost_basis: decimal("99.01"),
            },
        ),
    ];
    for (name, order, snapshot, expected) in cases {
        assert_eq!(review(order, &snapshot, now()), Err(expected), "{name}");
    }
}

#[test]
fn a_price_is_needed_only_where_the_rules_assume_one() {
    let notional = Amount::Notional(Notional::new(decimal("100")).unwrap());
    for (side, amount, kind, expected) in [
        (Side::Buy, quantity("1"), OrderKind::Market, true),
        (Side::Buy, notional, OrderKind::Market, true),
        (Side::Sell, notional, OrderKind::Market, true),
        (Side::Sell, quantity("1"), OrderKind::Market, false),
        (Side::Buy, quantity("1"), limit("10"), false),
        (Side::Sell, quantity("1"), limit("10"), false),
    ] {
        let order = order(side, amount, kind);
        assert_eq!(needs_quote(&order.terms), expected, "{side} {amount:?} {kind:?}");
        let blocked = review(order, &snapshot(None), now());
        assert_eq!(
            matches!(blocked, Err(Blocked::NoQuote { .. })),
            expected,
            "{side} {amount:?} {kind:?}"
        );
    }
}

#[test]
fn exactly_at_a_limit_passes() {
    let quote = quote();
    let at_order_limit = order(Side::Buy, quantity("50"), limit("100"));
    let snapshot = Snapshot {
        day_notional_used: decimal("1000"),
        ..snapshot(Some(&quote))
    };
    assert!(review(at_order_limit, &snapshot, now()).is_ok());
}

#[test]
fn an_exit_leaves_without_a_quote_and_without_limits() {
    let nothing = Limits {
        order_notional: Decimal::ZERO,
        day_notional: Decimal::ZERO,
    };
    let exit = order(Side::Sell, quantity("6"), OrderKind::Market);
    let approved = review(
        exit,
        &Snapshot {
            limits: nothing,
            ..snapshot(None)
        },
        now(),
    )
    .unwrap();
    assert_eq!(
        (approved.reservation(), approved.exposure()),
        (decimal("6"), Decimal::ZERO)
    );
}

#[test]
fn the_exit_of_a_trigger_reserves_nothing_until_its_release() {
    let by_trigger = Some(HeldBy::Trigger(TriggerId(Uuid::from_u128(7))));
    let held = |side, amount, kind| NewOrder {
        held_by: by_trigger,
        ..order(side, amount, kind)
    };
    let exit = review_exit(held(Side::Sell, quantity("99"), OrderKind::Market)).unwrap();
    assert_eq!(
        (exit.reservation(), exit.exposure()),
        (Decimal::ZERO, Decimal::ZERO)
    );
    assert_eq!(
        exit.rates().reserve,
        Decimal::ONE,
        "what it reserves when it leaves"
    );
    let notional = Amount::Notional(Notional::new(decimal("100")).unwrap());
    let refused = [
        ("a buy", held(Side::Buy, quantity("1"), OrderKind::Market)),
        ("a limit", held(Side::Sell, quantity("1"), limit("100"))),
        ("a notional", held(Side::Sell, notional, OrderKind::Market)),
        ("not held", order(Side::Sell, quantity("1"), OrderKind::Market)),
    ];
    for (name, order) in refused {
        assert_eq!(review_exit(order), Err(NotAnExit), "{name}");
    }
}

#[test]
fn a_notional_sell_reserves_units_at_the_bid() {
    let quote = Quote {
        bid: price("50"),
        ..quote()
    };
    let amount = Amount::Notional(Notional::new(decimal("100")).unwrap());
    let sell = order(Side::Sell, amount, OrderKind::Market);
    assert_eq!(
        review(sell, &snapshot(Some(&quote)), now())
            .unwrap()
            .reservation(),
        decimal("2")
    );
}

proptest! {
    /// Raising the limit by the reported shortfall lets the order pass; one step less does not.
    #[test]
    fn the_shortfall_that_a_block_reports_is_exact(units in 1_i64..200, cents in 1_i64..9_000_000) {
        let quote = quote();
        let order = order(Side::Buy, quantity(&units.to_string()), OrderKind::Limit {
            limit_price: Price::new(Decimal::new(cents, 2)).unwrap(),
        });
        let tight = Snapshot {
            limits: Limits { order_notional: Decimal::ONE, day_notional: Decimal::MAX },
            balance: Balance { cash: Decimal::from(10_000_000_000_i64), reserved: Decimal::ZERO },
            ..snapshot(Some(&quote))
        };
        if let Err(Blocked::OrderNotional { attempted, .. }) = review(order.clone(), &tight, now()) {
            let at = |order_notional| Snapshot {
                limits: Limits { order_notional, day_notional: Decimal::MAX }, ..tight.clone()
            };
            prop_assert!(review(order.clone(), &at(attempted), now()).is_ok());
            prop_assert!(review(order, &at(attempted - Decimal::new(1, 9)), now()).is_err());
        }
    }
}
