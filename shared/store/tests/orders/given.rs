//! Orders, quotes and reports for the tests of this folder, and what must hold of a book after each.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::asset::{Asset, MarketHours};
use domain::fill::Fill;
use domain::id::{AssetId, BrokerOrderId, ClientOrderId, OrderId};
use domain::lifecycle::OrderStatus;
use domain::money::{Price, Quantity};
use domain::order::{Amount, NewOrder, Order, OrderKind, OrderTerms, Side, TimeInForce};
use domain::quote::Quote;
use domain::reconcile::{Report, Reported};
use domain::risk::Limits;
use rust_decimal::Decimal;
use store::entity::{order_events, reservations};
use store::testing::{TestStore, Trader, now};
use store::{
    AcceptContext, AcceptRequest, Accepted, AttemptOutcome, Begin, Cause, Claim, Dispatch, Fees, Recorded,
    Refusal, RoleLimits, SavedAnswer,
};
use uuid::Uuid;

pub(crate) const LEASE: Duration = Duration::from_secs(30);

pub(crate) fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub(crate) fn price(text: &str) -> Price {
    Price::new(decimal(text)).unwrap()
}

pub(crate) fn units(text: &str) -> Quantity {
    Quantity::new(decimal(text)).unwrap()
}

pub(crate) fn later(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

pub(crate) fn request(
    trader: &Trader,
    asset: &Asset,
    side: Side,
    quantity: &str,
    limit: Option<&str>,
) -> AcceptRequest {
    let id = OrderId(Uuid::now_v7());
    let kind = limit.map_or(OrderKind::Market, |limit| OrderKind::Limit {
        limit_price: price(limit),
    });
    AcceptRequest {
        order: NewOrder {
            id,
            user_id: trader.user,
            account_id: trader.account,
            client_order_id: ClientOrderId::from(id),
            instrument: asset.instrument(),
            terms: OrderTerms {
                side,
                amount: Amount::Quantity(units(quantity)),
                kind,
                time_in_force: TimeInForce::Day,
                extended_hours: false,
                position_intent: None,
            },
            held_by: None,
            submitted_at: now(),
        },
        cause: Cause::Request {
            request_id: "test".into(),
            credential_id: None,
        },
        idempotency: None,
    }
}

pub(crate) fn quote(asset: &Asset, bid: &str, ask: &str) -> Quote {
    Quote {
        asset_id: asset.id,
        bid: price(bid),
        bid_size: units("1000"),
        ask: price(ask),
        ask_size: units("1000"),
        last: price(bid),
        low: price(bid),
        high: price(ask),
        at: now(),
    }
}

pub(crate) fn answer(order: &Order) -> SavedAnswer {
    SavedAnswer {
        status: 200,
        body: order.id.to_string(),
        headers: serde_json::json!({}),
        order_id: Some(order.id),
    }
}

pub(crate) fn context(quotes: &HashMap<AssetId, Quote>) -> AcceptContext<'_> {
    let limits = |order, day| Limits {
        order_notional: Decimal::from(order),
        day_notional: Decimal::from(day),
    };
    AcceptContext {
        now: now(),
        hours: MarketHours::Ignore,
        limits: RoleLimits {
            standard: limits(1_000, 10_000),
            admin: limits(10_000, 100_000),
            superadmin: limits(100_000, 1_000_000),
        },
        fees: Fees {
            equity_basis_points: Decimal::ZERO,
            crypto_basis_points: Decimal::from(25),
        },
        quotes,
        answer: &answer,
    }
}

pub(crate) async fn accept_all(
    test: &TestStore,
    requests: Vec<AcceptRequest>,
) -> Vec<Result<Accepted, Refusal>> {
    test.accept_orders(requests, &context(&HashMap::new()))
        .await
        .unwrap()
}

pub(crate) async fn accept(test: &TestStore, request: AcceptRequest) -> Order {
    accept_all(test, vec![request]).await.remove(0).unwrap().order
}

pub(crate) async fn claim(test: &TestStore, order: &Order) -> Claim {
    test.claim_order("worker", order.id, LEASE)
        .await
        .unwrap()
        .remove(0)
}

pub(crate) async fn begin(test: &TestStore, claim: &Claim) -> Begin {
    test.begin_attempt(claim, "correlation", later(1), MarketHours::Ignore)
        .await
        .unwrap()
}

pub(crate) async fn go(test: &TestStore, order: &Order) -> Dispatch {
    match begin(test, &claim(test, order).await).await {
        Begin::Go(dispatch) => *dispatch,
        other => panic!("expected to go, got {other:?}"),
    }
}

pub(crate) fn acknowledged() -> AttemptOutcome {
    AttemptOutcome::Acknowledged {
        broker_order_id: Some(BrokerOrderId("venue-1".into())),
        is_working: true,
    }
}

/// Sends `order`; the venue has it at work.
pub(crate) async fn send(test: &TestStore, order: &Order) {
    let dispatch = go(test, order).await;
    test.finish_attempt(&dispatch, acknowledged(), later(2))
        .await
        .unwrap();
}

pub(crate) fn filled(order: &Order, fill_id: &str, quantity: &str, at: &str) -> Report {
    Report {
        order_id: order.id,
        broker_order_id: Some(BrokerOrderId("venue-1".into())),
        at: later(3),
        what: Reported::Filled(Fill {
            broker_fill_id: fill_id.into(),
            quantity: units(quantity),
            price: price(at),
            fee: Decimal::ZERO,
            at: later(3),
            venue_done: None,
        }),
    }
}

pub(crate) fn said(order: &Order, what: Reported) -> Report {
    Report {
        order_id: order.id,
        broker_order_id: None,
        at: later(3),
        what,
    }
}

pub(crate) async fn report(test: &TestStore, trader: &Trader, reports: &[Report]) -> Recorded {
    let cursor = test.report_cursor(trader.connection).await.unwrap();
    let next = (cursor.parse::<i64>().unwrap_or(0) + 1).to_string();
    test.record_reports(trader.connection, "paper", &cursor, reports, &next, later(4))
        .await
        .unwrap()
}

/// Buys `quantity` at `at` and has it filled.
pub(crate) async fn own(test: &TestStore, trader: &Trader, asset: &Asset, quantity: &str, at: &str) -> Order {
    let order = accept(test, request(trader, asset, Side::Buy, quantity, Some(at))).await;
    send(test, &order).await;
    report(
        test,
        trader,
        &[filled(&order, &order.id.to_string(), quantity, at)],
    )
    .await;
    order
}

pub(crate) async fn status(test: &TestStore, trader: &Trader, order: &Order) -> OrderStatus {
    test.order(trader.account, order.id)
        .await
        .unwrap()
        .unwrap()
        .facts
        .status()
}

/// The log has no gap, and what is reserved is the sum of the reservations.
pub(crate) async fn assert_book_is_sound(test: &TestStore, trader: &Trader) {
    use sea_orm::EntityTrait;
    let events = order_events::Entity::find().all(test.read()).await.unwrap();
    let mut numbers: Vec<i64> = events
        .iter()
        .filter(|event| event.account_id == trader.account.0)
        .map(|event| event.seq)
        .collect();
    numbers.sort_unstable();
    let expected: Vec<i64> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected, "the account's log has a gap");
    let held = reservations::Entity::find().all(test.read()).await.unwrap();
    let mine = || held.iter().filter(|row| row.account_id == trader.account.0);
    let money: Decimal = mine()
        .filter(|row| row.currency.is_some())
        .map(|row| row.remaining.0)
        .sum();
    assert_eq!(
        test.balance(trader.account).await.unwrap().reserved,
        money,
        "reserved money"
    );
    for row in test.positions(trader.account).await.unwrap() {
        let units: Decimal = mine()
            .filter(|held| held.asset_id == Some(row.asset_id.0))
            .map(|held| held.remaining.0)
            .sum();
        assert_eq!(row.position.reserved, units, "reserved units");
    }
}
