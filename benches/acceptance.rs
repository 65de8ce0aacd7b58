//! How many orders a second the store accepts: risk, order, event, work, reservation, in one durable transaction.
//!
//! `cargo bench --bench acceptance` measures SQLite in a temporary directory, and PostgreSQL too where
//! `TEST_DATABASE_URL` names a server (`eval "$(./test --env)"`). Read the ratios between batch sizes before the numbers:
//! those depend on the machine, its disk, and what else it does.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for the terminal of a developer"
)]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use domain::asset::MarketHours;
use domain::id::{ClientOrderId, OrderId};
use domain::money::{Price, Quantity};
use domain::order::{Amount, NewOrder, Order, OrderKind, OrderTerms, Side, TimeInForce};
use domain::risk::Limits;
use rust_decimal::Decimal;
use store::testing::{TestStore, Trader};
use store::{AcceptContext, AcceptRequest, Cause, Fees, Role, RoleLimits, SavedAnswer};
use uuid::Uuid;

/// Each size of batch is measured for this long.
const MEASURED_FOR: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    println!(
        "{:<12}{:>8}{:>14}{:>16}",
        "database", "batch", "orders/s", "ms per batch"
    );
    measure("sqlite", &TestStore::sqlite().await).await;
    if std::env::vars().any(|(name, _)| name == "TEST_DATABASE_URL") {
        measure("postgres", &TestStore::postgres().await).await;
    }
}

async fn measure(database: &str, store: &TestStore) {
    let asset = store.asset("AAPL").await;
    let trader = store
        .trader(Role::Superadmin, Decimal::from(9_000_000_000_i64))
        .await;
    let quotes = HashMap::new();
    for size in [1_u32, 16, 64] {
        let begun = Instant::now();
        let mut batches = 0_u32;
        while begun.elapsed() < MEASURED_FOR {
            let requests = (0..size).map(|_| request(&trader, &asset)).collect();
            let answers = store.accept_orders(requests, &context(&quotes)).await.unwrap();
            assert!(
                answers.iter().all(Result::is_ok),
                "a refusal measures something else"
            );
            batches += 1;
        }
        let elapsed = Decimal::from(begun.elapsed().as_millis());
        let rate = Decimal::from(batches * size) * Decimal::from(1_000) / elapsed;
        let each = elapsed / Decimal::from(batches);
        println!(
            "{database:<12}{size:>8}{:>14}{:>16}",
            rate.round(),
            each.round_dp(2)
        );
    }
}

fn request(trader: &Trader, asset: &domain::asset::Asset) -> AcceptRequest {
    let id = OrderId(Uuid::now_v7());
    AcceptRequest {
        order: NewOrder {
            id,
            user_id: trader.user,
            account_id: trader.account,
            client_order_id: ClientOrderId::from(id),
            instrument: asset.instrument(),
            terms: OrderTerms {
                side: Side::Buy,
                amount: Amount::Quantity(Quantity::new(Decimal::ONE).unwrap()),
                kind: OrderKind::Limit {
                    limit_price: Price::new(Decimal::TEN).unwrap(),
                },
                time_in_force: TimeInForce::Gtc,
                extended_hours: false,
                position_intent: None,
            },
            held_by: None,
            submitted_at: store::testing::now(),
        },
        cause: Cause::Tick {
            name: "benchmark".into(),
        },
        idempotency: None,
    }
}

fn context(quotes: &HashMap<domain::id::AssetId, domain::quote::Quote>) -> AcceptContext<'_> {
    // The checks stay on; the limits are out of the way.
    let wide = Limits {
        order_notional: Decimal::from(1_000_000_000_i64),
        day_notional: Decimal::from(9_000_000_000_i64),
    };
    AcceptContext {
        now: store::testing::now(),
        hours: MarketHours::Ignore,
        limits: RoleLimits {
            standard: wide,
            admin: wide,
            superadmin: wide,
        },
        fees: Fees {
            equity_basis_points: Decimal::ZERO,
            crypto_basis_points: Decimal::ZERO,
        },
        quotes,
        answer: &no_answer,
    }
}

fn no_answer(order: &Order) -> SavedAnswer {
    SavedAnswer {
        status: 200,
        body: String::new(),
        headers: serde_json::Value::Null,
        order_id: Some(order.id),
    }
}
