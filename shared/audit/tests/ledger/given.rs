//! A history with something of everything, made by the store's own functions.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::asset::{Asset, MarketHours};
use domain::fill::Fill;
use domain::id::{BrokerOrderId, ClientOrderId, OrderId, TriggerId};
use domain::money::{Price, Quantity};
use domain::order::{Amount, NewOrder, Order, OrderKind, OrderTerms, Side, TimeInForce};
use domain::reconcile::{Report, Reported};
use domain::risk::Limits;
use domain::trigger::{Direction, Reference};
use rust_decimal::Decimal;
use store::testing::{TestStore, Trader, now};
use store::users::Role;
use store::{
    AcceptContext, AcceptRequest, AttemptOutcome, Begin, Cause, Fees, Firing, NewTrigger, Replacement,
    RoleLimits, SavedAnswer,
};
use uuid::Uuid;

/// What was made, for naming it in an expectation.
#[derive(Debug)]
pub(crate) struct History {
    pub trader: Trader,
    /// Its position: 10 bought at 100 in two fills, 1 sold at 101.
    pub shares: Asset,
    /// Its position: 2 bought at 50, protected; its stop has fired, the exit is held.
    pub coins: Asset,
    pub bought: Order,
    pub refused: Order,
    pub resting_buy: Order,
    pub resting_sell: Order,
    pub exit: Order,
    pub trigger: TriggerId,
}

pub(crate) fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn price(text: &str) -> Price {
    Price::new(decimal(text)).unwrap()
}

fn units(text: &str) -> Quantity {
    Quantity::new(decimal(text)).unwrap()
}

fn later(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

fn answer(order: &Order) -> SavedAnswer {
    SavedAnswer {
        status: 200,
        body: order.id.to_string(),
        headers: serde_json::json!({}),
        order_id: Some(order.id),
    }
}

fn asked() -> Cause {
    Cause::Request {
        request_id: "test".into(),
        credential_id: None,
    }
}

async fn with_context<T>(act: impl AsyncFnOnce(&AcceptContext<'_>) -> T) -> T {
    let limits = Limits {
        order_notional: Decimal::from(100_000),
        day_notional: Decimal::from(1_000_000),
    };
    let quotes = HashMap::new();
    let context = AcceptContext {
        now: now(),
        hours: MarketHours::Ignore,
        limits: RoleLimits {
            standard: limits,
            admin: limits,
            superadmin: limits,
        },
        fees: Fees {
            equity_basis_points: Decimal::ZERO,
            crypto_basis_points: Decimal::from(25),
        },
        quotes: &quotes,
        answer: &answer,
    };
    act(&context).await
}

async fn place(
    test: &TestStore,
    trader: &Trader,
    asset: &Asset,
    side: Side,
    quantity: &str,
    limit: &str,
) -> Order {
    let id = OrderId(Uuid::now_v7());
    let request = AcceptRequest {
        order: NewOrder {
            id,
            user_id: trader.user,
            account_id: trader.account,
            client_order_id: ClientOrderId::from(id),
            instrument: asset.instrument(),
            terms: OrderTerms {
                side,
                amount: Amount::Quantity(units(quantity)),
                kind: OrderKind::Limit {
                    limit_price: price(limit),
                },
                time_in_force: TimeInForce::Gtc,
                extended_hours: false,
                position_intent: None,
            },
            held_by: None,
            submitted_at: now(),
        },
        cause: asked(),
        idempotency: None,
    };
    let answers =
        with_context(async |context| test.accept_orders(vec![request], context).await.unwrap()).await;
    answers.into_iter().next().unwrap().unwrap().order
}

/// Makes the call that is due for `order`.
async fn call(test: &TestStore, order: &Order, outcome: AttemptOutcome) {
    let claims = test
        .claim_order("worker", order.id, Duration::from_secs(30))
        .await
        .unwrap();
    let begin = test.begin_attempt(&claims[0], "correlation", later(1), MarketHours::Ignore);
    let Begin::Go(dispatch) = begin.await.unwrap() else {
        panic!("{order:?} has nothing due")
    };
    test.finish_attempt(&dispatch, outcome, later(2)).await.unwrap();
}

fn acknowledged() -> AttemptOutcome {
    AttemptOutcome::Acknowledged {
        broker_order_id: Some(BrokerOrderId("venue-1".into())),
        is_working: true,
    }
}

async fn send(
    test: &TestStore,
    trader: &Trader,
    asset: &Asset,
    side: Side,
    quantity: &str,
    limit: &str,
) -> Order {
    let order = place(test, trader, asset, side, quantity, limit).await;
    call(test, &order, acknowledged()).await;
    order
}

async fn report(test: &TestStore, trader: &Trader, order: &Order, what: Reported) {
    let cursor = test.report_cursor(trader.connection).await.unwrap();
    let next = (cursor.parse::<i64>().unwrap_or(0) + 1).to_string();
    let reports = [Report {
        order_id: order.id,
        broker_order_id: None,
        at: later(3),
        what,
    }];
    let recorded = test.record_reports(trader.connection, "paper", &cursor, &reports, &next, later(4));
    assert_eq!(recorded.await.unwrap().applied, 1);
}

async fn fill(test: &TestStore, trader: &Trader, order: &Order, id: &str, quantity: &str, at: &str) {
    let fill = Fill {
        broker_fill_id: id.into(),
        quantity: units(quantity),
        price: price(at),
        fee: decimal("0.01"),
        at: later(3),
        venue_done: None,
    };
    report(test, trader, order, Reported::Filled(fill)).await;
}

/// An order that was replaced by another, which rests and was asked to end in vain.
async fn replace(test: &TestStore, trader: &Trader, asset: &Asset) -> Order {
    let old = send(test, trader, asset, Side::Buy, "2", "90").await;
    let new_id = OrderId(Uuid::now_v7());
    let replacement = Replacement {
        new_id,
        client_order_id: ClientOrderId::from(new_id),
        quantity: Some(units("3")),
        limit_price: None,
        time_in_force: None,
    };
    let asked_for = with_context(async |context| {
        let replacing = test.request_replace(trader.account, old.id, replacement, asset, asked(), context);
        replacing.await.unwrap().unwrap()
    });
    let new = asked_for.await.order;
    call(test, &old, acknowledged()).await;
    report(test, trader, &old, Reported::Replaced).await;
    report(test, trader, &new, Reported::Acknowledged { is_working: true }).await;
    test.request_cancel(trader.account, new.id, asked(), later(5))
        .await
        .unwrap();
    let reason = "too late".to_owned();
    call(test, &new, AttemptOutcome::Refused { reason }).await;
    new
}

/// Protects the position in `asset` and fires the stop.
async fn fire(test: &TestStore, trader: &Trader, asset: &Asset) -> (TriggerId, Order) {
    let new = NewTrigger {
        id: TriggerId(Uuid::now_v7()),
        user_id: trader.user,
        account_id: trader.account,
        asset: asset.clone(),
        direction: Direction::Falling,
        reference: Reference::Last,
        stop_price: price("40"),
        quantity: None,
    };
    let trigger = test.create_trigger(new, None, later(5)).await.unwrap().unwrap();
    let firing = Firing {
        trigger: trigger.clone(),
        price: decimal("39"),
        quote_at: later(6),
        exit_order_id: OrderId(Uuid::now_v7()),
    };
    let fired = test.fire(&[firing], later(6)).await.unwrap().remove(0);
    (trigger.id, fired.exit)
}

/// See [`History`].
pub(crate) async fn history(test: &TestStore) -> History {
    let trader = test.trader(Role::Superadmin, Decimal::from(10_000)).await;
    let (shares, coins) = (test.asset("AAPL").await, test.asset("BTC/USD").await);
    let bought = send(test, &trader, &shares, Side::Buy, "10", "100").await;
    fill(test, &trader, &bought, "fill-1", "4", "100").await;
    fill(test, &trader, &bought, "fill-2", "6", "100").await;
    let sold = send(test, &trader, &shares, Side::Sell, "1", "101").await;
    fill(test, &trader, &sold, "fill-3", "1", "101").await;
    let protected = send(test, &trader, &coins, Side::Buy, "2", "50").await;
    fill(test, &trader, &protected, "fill-4", "2", "50").await;
    let resting_buy = replace(test, &trader, &shares).await;
    let resting_sell = send(test, &trader, &shares, Side::Sell, "5", "120").await;
    let unsent = place(test, &trader, &shares, Side::Buy, "1", "80").await;
    test.request_cancel(trader.account, unsent.id, asked(), later(5))
        .await
        .unwrap();
    let refused = place(test, &trader, &shares, Side::Buy, "1", "81").await;
    let reason = "not today".to_owned();
    call(test, &refused, AttemptOutcome::Refused { reason }).await;
    place(test, &trader, &shares, Side::Buy, "1", "70").await;
    let (trigger, exit) = fire(test, &trader, &coins).await;
    History {
        trader,
        shares,
        coins,
        bought,
        refused,
        resting_buy,
        resting_sell,
        exit,
        trigger,
    }
}
