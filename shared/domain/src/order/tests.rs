use super::*;
use crate::asset::{Asset, AssetClass};
use crate::money::{Notional, Price, Quantity};

fn equity() -> Asset {
    Asset {
        id: Asset::id_of(AssetClass::UsEquity, "AAPL"),
        symbol: "AAPL".into(),
        class: AssetClass::UsEquity,
        exchange: "NASDAQ".into(),
        name: "Apple Inc.".into(),
        tradable: true,
        fractionable: true,
        min_order_size: Decimal::new(1, 9),
        min_trade_increment: Decimal::new(1, 9),
        price_increment: Decimal::new(1, 2),
    }
}

fn coin() -> Asset {
    Asset {
        id: Asset::id_of(AssetClass::Crypto, "BTC/USD"),
        symbol: "BTC/USD".into(),
        class: AssetClass::Crypto,
        exchange: "CRYPTO".into(),
        min_order_size: Decimal::new(1, 4),
        ..equity()
    }
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn quantity(text: &str) -> Amount {
    Amount::Quantity(Quantity::new(decimal(text)).unwrap())
}

fn notional(text: &str) -> Amount {
    Amount::Notional(Notional::new(decimal(text)).unwrap())
}

fn limit(text: &str) -> OrderKind {
    OrderKind::Limit {
        limit_price: Price::new(decimal(text)).unwrap(),
    }
}

fn terms(amount: Amount, kind: OrderKind, time_in_force: TimeInForce) -> OrderTerms {
    OrderTerms {
        side: Side::Buy,
        amount,
        kind,
        time_in_force,
        extended_hours: false,
        position_intent: None,
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn the_rules_of_the_instrument_decide_in_a_fixed_order() {
    use OrderKind::Market;
    use TimeInForce::{Day, Fok, Gtc, Ioc};
    let penny = |price: &str| TermsError::PriceIncrement {
        price: Price::new(decimal(price)).unwrap(),
        increment: if decimal(price) < Decimal::ONE {
            Decimal::new(1, 4)
        } else {
            Decimal::new(1, 2)
        },
    };
    let cases = [
        (
            "whole market",
            equity(),
            terms(quantity("10"), Market, Gtc),
            Ok(()),
        ),
        (
            "fraction by the day",
            equity(),
            terms(quantity("0.5"), Market, Day),
            Ok(()),
        ),
        (
            "fraction until canceled",
            equity(),
            terms(quantity("0.5"), Market, Gtc),
            Err(TermsError::FractionalNotDay),
        ),
        (
            "notional by the day",
            equity(),
            terms(notional("100.50"), Market, Day),
            Ok(()),
        ),
        (
            "notional ioc",
            equity(),
            terms(notional("100"), Market, Ioc),
            Err(TermsError::FractionalNotDay),
        ),
        (
            "notional limit",
            equity(),
            terms(notional("100"), limit("5"), Day),
            Err(TermsError::NotionalNotMarket),
        ),
        (
            "part of a cent",
            equity(),
            terms(notional("1.001"), Market, Day),
            Err(TermsError::NotionalIncrement),
        ),
        (
            "cents",
            equity(),
            terms(quantity("1"), limit("10.01"), Day),
            Ok(()),
        ),
        (
            "sub-penny",
            equity(),
            terms(quantity("1"), limit("10.001"), Day),
            Err(penny("10.001")),
        ),
        (
            "four decimals below a dollar",
            equity(),
            terms(quantity("1"), limit("0.1234"), Day),
            Ok(()),
        ),
        (
            "five decimals below a dollar",
            equity(),
            terms(quantity("1"), limit("0.12345"), Day),
            Err(penny("0.12345")),
        ),
        ("crypto ioc", coin(), terms(quantity("0.5"), Market, Ioc), Ok(())),
        (
            "crypto notional gtc",
            coin(),
            terms(notional("10"), Market, Gtc),
            Ok(()),
        ),
        (
            "crypto day",
            coin(),
            terms(quantity("1"), Market, Day),
            Err(TermsError::CryptoTimeInForce),
        ),
        (
            "crypto fok",
            coin(),
            terms(quantity("1"), Market, Fok),
            Err(TermsError::CryptoTimeInForce),
        ),
        (
            "crypto dust",
            coin(),
            terms(quantity("0.00001"), Market, Gtc),
            Err(TermsError::BelowMinimum {
                symbol: "BTC/USD".into(),
                minimum: Decimal::new(1, 4),
            }),
        ),
        (
            "too much money",
            equity(),
            terms(quantity("1000000"), limit("10000"), Day),
            Err(TermsError::NotionalTooLarge),
        ),
    ];
    for (name, asset, terms, expected) in cases {
        assert_eq!(terms.check(&asset), expected, "{name}");
    }
}

#[test]
fn what_does_not_trade_is_refused() {
    let asset = Asset {
        tradable: false,
        ..equity()
    };
    let terms = terms(quantity("1"), OrderKind::Market, TimeInForce::Day);
    assert_eq!(
        terms.check(&asset),
        Err(TermsError::NotTradable {
            symbol: "AAPL".into()
        })
    );
    let whole_only = Asset {
        fractionable: false,
        ..equity()
    };
    let half = OrderTerms {
        amount: quantity("0.5"),
        ..terms
    };
    assert_eq!(
        half.check(&whole_only),
        Err(TermsError::NotFractionable {
            symbol: "AAPL".into()
        })
    );
}

#[test]
fn an_intent_that_contradicts_the_side_is_refused() {
    let mut terms = terms(quantity("1"), OrderKind::Market, TimeInForce::Day);
    for intent in PositionIntent::ALL {
        terms.position_intent = Some(*intent);
        assert_eq!(
            terms.check(&equity()).is_ok(),
            intent.side() == Side::Buy,
            "{intent}"
        );
    }
}

#[test]
fn extended_hours_are_for_resting_limit_orders() {
    let with = |kind, time_in_force| OrderTerms {
        extended_hours: true,
        ..terms(quantity("1"), kind, time_in_force)
    };
    assert_eq!(with(limit("10"), TimeInForce::Day).check(&equity()), Ok(()));
    assert_eq!(with(limit("10"), TimeInForce::Gtc).check(&equity()), Ok(()));
    assert_eq!(
        with(limit("10"), TimeInForce::Ioc).check(&equity()),
        Err(TermsError::ExtendedHours)
    );
    assert_eq!(
        with(OrderKind::Market, TimeInForce::Day).check(&equity()),
        Err(TermsError::ExtendedHours)
    );
}

#[test]
fn names_on_the_wire_are_read_back() {
    for side in Side::ALL {
        assert_eq!(side.as_str().parse(), Ok(*side));
    }
    for time_in_force in TimeInForce::ALL {
        assert_eq!(time_in_force.as_str().parse(), Ok(*time_in_force));
    }
    assert_eq!("BUY".parse::<Side>(), Err(TermsError::UnknownSide));
    assert_eq!("opg".parse::<TimeInForce>(), Err(TermsError::UnknownTimeInForce));
}
