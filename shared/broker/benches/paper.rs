//! How many orders a second the paper venue takes, and how long one waits for it.
//!
//! `cargo bench -p arbion-broker --bench paper`; `TEST_DATABASE_URL` names a PostgreSQL server in which it may make a
//! database, without it only SQLite is measured. All orders are market orders of ten accounts and ten instruments that
//! fill at once, so each is a row of an order, two of the journal, and its part of an account and a position.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement: it says what it found, or stops"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arbion_broker::paper::{Paper, PaperOptions, PaperRules, connect_for_migrations};
use arbion_broker::{Broker, Connection, Outcome, OutgoingOrder};
use domain::asset::{Asset, AssetClass, MarketHours};
use domain::id::{ConnectionId, OrderId};
use domain::money::{Price, Quantity};
use domain::order::{Amount, OrderKind, OrderTerms, Side, TimeInForce};
use domain::quote::Quote;
use platform::clock::{Clock, SystemClock};
use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, Database};
use uuid::Uuid;

/// How long each rate is measured.
const RUN: Duration = Duration::from_secs(4);

/// Orders whose waits are measured, one after the other.
const ALONE: usize = 1_000;

fn asset(number: u32) -> Asset {
    let symbol = format!("C{number}/USD");
    Asset {
        id: Asset::id_of(AssetClass::Crypto, &symbol),
        symbol,
        class: AssetClass::Crypto,
        exchange: "CRYPTO".to_owned(),
        name: "a coin".to_owned(),
        tradable: true,
        fractionable: true,
        min_order_size: Decimal::new(1, 9),
        min_trade_increment: Decimal::new(1, 9),
        price_increment: Decimal::new(1, 9),
    }
}

fn quote(asset: &Asset) -> Quote {
    let price = |cents| Price::new(Decimal::new(cents, 2)).unwrap();
    let size = Quantity::new(Decimal::from(1_000_000_000)).unwrap();
    Quote {
        asset_id: asset.id,
        bid: price(9_990),
        bid_size: size,
        ask: price(10_000),
        ask_size: size,
        last: price(9_990),
        low: price(9_990),
        high: price(10_000),
        at: SystemClock.now(),
    }
}

fn order(asset: &Asset) -> OutgoingOrder {
    OutgoingOrder {
        id: OrderId(Uuid::now_v7()),
        asset_id: asset.id,
        symbol: asset.symbol.clone(),
        asset_class: asset.class,
        terms: OrderTerms {
            side: Side::Buy,
            amount: Amount::Quantity(Quantity::new(Decimal::ONE).unwrap()),
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Gtc,
            extended_hours: false,
            position_intent: None,
        },
    }
}

struct Scene {
    paper: Paper,
    assets: Vec<Asset>,
    connections: Vec<Connection>,
    next: AtomicU64,
}

impl Scene {
    async fn open(database_url: String) -> Self {
        let connection = connect_for_migrations(&database_url).await.unwrap();
        migrations::migrate::<migrations::PaperMigrator>(&connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        let assets: Vec<Asset> = (0..10).map(asset).collect();
        let by_id: HashMap<_, _> = assets.iter().map(|asset| (asset.id, asset.clone())).collect();
        let paper = Paper::open(PaperOptions {
            database_url,
            max_connections: 16,
            rules: PaperRules {
                slippage_basis_points: Decimal::from(5),
                equity_fee_basis_points: Decimal::ONE,
                crypto_fee_basis_points: Decimal::from(25),
                hours: MarketHours::Ignore,
                assets: by_id,
            },
            clock: Arc::new(SystemClock),
        })
        .await
        .unwrap();
        let connections = (0..10).map(|_| Connection {
            id: ConnectionId(Uuid::now_v7()),
            starting_cash: Decimal::from(1_000_000_000_000_i64),
        });
        Self {
            paper,
            assets,
            connections: connections.collect(),
            next: AtomicU64::new(0),
        }
    }

    /// A quote of now for each instrument.
    async fn feed(&self) {
        let quotes: Vec<_> = self.assets.iter().map(quote).collect();
        self.paper.feed(&quotes).await.unwrap();
    }

    async fn submit(&self) {
        let number = usize::try_from(self.next.fetch_add(1, Ordering::Relaxed)).unwrap();
        let order = order(&self.assets[number % self.assets.len()]);
        let connection = &self.connections[number / 3 % self.connections.len()];
        let outcome = self.paper.submit(connection, &order).await;
        assert!(matches!(outcome, Outcome::Acknowledged { .. }), "{outcome:?}");
    }

    /// The median and the 99th percentile of the waits of one caller.
    async fn alone(&self) -> (Duration, Duration) {
        self.feed().await;
        let mut waits = Vec::with_capacity(ALONE);
        for _ in 0..ALONE {
            let started = Instant::now();
            self.submit().await;
            waits.push(started.elapsed());
        }
        waits.sort_unstable();
        (waits[ALONE / 2], waits[ALONE * 99 / 100])
    }

    /// Orders in [`RUN`] by so many callers.
    async fn together(self: &Arc<Self>, callers: usize) -> u64 {
        let before = self.next.load(Ordering::Relaxed);
        let until = Instant::now() + RUN;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..callers {
            let scene = Arc::clone(self);
            tasks.spawn(async move {
                while Instant::now() < until {
                    scene.submit().await;
                }
            });
        }
        let feeder = Arc::clone(self);
        tasks.spawn(async move {
            while Instant::now() < until {
                feeder.feed().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        while let Some(result) = tasks.join_next().await {
            result.unwrap();
        }
        self.next.load(Ordering::Relaxed) - before
    }
}

async fn measure(name: &str, database_url: String) {
    let scene = Arc::new(Scene::open(database_url).await);
    scene.together(16).await;
    let (median, slow) = scene.alone().await;
    println!("{name}: one caller waits {median:?}, the slowest hundredth {slow:?}");
    for callers in [16, 64, 256] {
        let orders = scene.together(callers).await;
        println!("{name}: {callers} callers, {} orders/s", orders / RUN.as_secs());
    }
}

#[tokio::main]
#[expect(
    clippy::disallowed_methods,
    reason = "a measurement is told by its environment where the server is"
)]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    measure(
        "SQLite",
        format!("sqlite://{}", directory.path().join("paper.db").display()),
    )
    .await;
    let Ok(maintenance) = std::env::var("TEST_DATABASE_URL") else {
        println!("PostgreSQL: not measured, TEST_DATABASE_URL is not set");
        return;
    };
    let name = format!("paper_bench_{}", Uuid::new_v4().simple());
    let server = Database::connect(&maintenance).await.unwrap();
    server
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let (base, _) = maintenance.rsplit_once('/').unwrap();
    measure("PostgreSQL", format!("{base}/{name}")).await;
    server
        .execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await
        .unwrap();
}
