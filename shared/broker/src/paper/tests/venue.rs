//! A venue in a database of its own, and short words for what is asked of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use domain::asset::{Asset, AssetClass, MarketHours};
use domain::id::{AssetId, ConnectionId, OrderId};
use domain::money::{Notional, Price, Quantity};
use domain::order::{Amount, OrderKind, OrderTerms, Side, TimeInForce};
use domain::quote::Quote;
use domain::reconcile::{Report, Reported};
use migrations::PaperMigrator;
use platform::clock::{Clock, ManualClock};
use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use sea_orm_migration::MigratorTrait;
use tempfile::TempDir;
use uuid::Uuid;

use crate::paper::{Paper, PaperOptions, PaperRules, connect_for_migrations};
use crate::{Broker, Connection, Outcome, OutgoingOrder, VenueOrderRef};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

pub(super) fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub(super) struct Venue {
    pub(super) paper: Paper,
    pub(super) clock: ManualClock,
    pub(super) connection: Connection,
    pub(super) options: PaperOptions,
    /// The file's directory, on SQLite.
    _directory: Option<TempDir>,
    /// The server's maintenance database and the name of ours, on PostgreSQL.
    database: Option<(String, String)>,
}

fn asset(class: AssetClass, symbol: &str, price_increment: &str) -> Asset {
    Asset {
        id: Asset::id_of(class, symbol),
        symbol: symbol.to_owned(),
        class,
        exchange: "NASDAQ".to_owned(),
        name: symbol.to_owned(),
        tradable: true,
        fractionable: true,
        min_order_size: decimal("0.000000001"),
        min_trade_increment: decimal("0.000000001"),
        price_increment: decimal(price_increment),
    }
}

fn unique_id() -> Uuid {
    Uuid::from_u128(u128::from(NEXT_ID.fetch_add(1, Ordering::Relaxed)))
}

impl Venue {
    pub(super) async fn on_sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("paper.db").display());
        Self {
            _directory: Some(directory),
            ..Self::open(url).await
        }
    }

    #[expect(clippy::disallowed_methods, reason = "./test tells where the server is")]
    pub(super) async fn on_postgres() -> Self {
        let maintenance =
            std::env::var("TEST_DATABASE_URL").expect("./test starts the server and says where it is");
        let name = format!("paper_{}", Uuid::new_v4().simple());
        let server = Database::connect(&maintenance).await.unwrap();
        server
            .execute_unprepared(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        server.close().await.unwrap();
        let (base, _) = maintenance.rsplit_once('/').unwrap();
        Self {
            database: Some((maintenance.clone(), name.clone())),
            ..Self::open(format!("{base}/{name}")).await
        }
    }

    /// Drops the database.
    pub(super) async fn remove(self) {
        self.paper.close().await.unwrap();
        if let Some((maintenance, name)) = self.database {
            let server = Database::connect(maintenance).await.unwrap();
            server
                .execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)"))
                .await
                .unwrap();
            server.close().await.unwrap();
        }
    }

    async fn open(database_url: String) -> Self {
        let migrated = connect_for_migrations(&database_url).await.unwrap();
        PaperMigrator::up(&migrated, None).await.unwrap();
        migrated.close().await.unwrap();
        // A Tuesday, half an hour after the open.
        let clock = ManualClock::new("2026-11-24T15:00:00Z".parse().unwrap());
        let assets = [
            asset(AssetClass::UsEquity, "AAPL", "0.01"),
            asset(AssetClass::UsEquity, "MSFT", "0.01"),
            asset(AssetClass::Crypto, "BTC/USD", "0.000000001"),
        ];
        let assets: HashMap<AssetId, Asset> = assets.into_iter().map(|asset| (asset.id, asset)).collect();
        let options = PaperOptions {
            database_url,
            max_connections: 8,
            rules: PaperRules {
                slippage_basis_points: decimal("5"),
                equity_fee_basis_points: decimal("1"),
                crypto_fee_basis_points: decimal("25"),
                hours: MarketHours::Real,
                assets,
            },
            clock: clock.shared(),
        };
        Self {
            paper: Paper::open(options.clone()).await.unwrap(),
            clock,
            connection: Connection {
                id: ConnectionId(unique_id()),
                starting_cash: decimal("100000"),
            },
            options,
            _directory: None,
            database: None,
        }
    }

    /// Another process on the same database.
    pub(super) async fn another_process(&self) -> Paper {
        Paper::open(self.options.clone()).await.unwrap()
    }

    /// Ends the process and starts it again, perhaps by other rules.
    pub(super) async fn restart(&mut self, change: impl FnOnce(&mut PaperRules)) {
        change(&mut self.options.rules);
        self.paper.clone().close().await.unwrap();
        self.paper = self.another_process().await;
    }

    /// A connection past the venue, as an operator's or an intruder's.
    pub(super) async fn raw(&self) -> DatabaseConnection {
        connect_for_migrations(&self.options.database_url).await.unwrap()
    }

    pub(super) fn account(starting_cash: &str) -> Connection {
        Connection {
            id: ConnectionId(unique_id()),
            starting_cash: decimal(starting_cash),
        }
    }

    pub(super) fn at(&self, text: &str) {
        self.clock.set(text.parse().unwrap());
    }

    pub(super) fn wait(&self, seconds: i64) {
        self.clock.advance(chrono::TimeDelta::seconds(seconds));
    }

    /// A quote of now.
    pub(super) fn quote(&self, symbol: &str, bid: &str, ask: &str, size: &str) -> Quote {
        quote_at(symbol, bid, ask, size, self.clock.now())
    }

    /// Feeds a quote of now; answers how many accounts have news.
    pub(super) async fn feed(&self, symbol: &str, bid: &str, ask: &str, size: &str) -> usize {
        self.paper
            .feed(&[self.quote(symbol, bid, ask, size)])
            .await
            .unwrap()
            .len()
    }

    /// Lets a second pass and feeds a quote.
    pub(super) async fn next(&self, symbol: &str, bid: &str, ask: &str, size: &str) -> usize {
        self.wait(1);
        self.feed(symbol, bid, ask, size).await
    }

    pub(super) async fn submit(&self, order: &OutgoingOrder) -> Outcome {
        self.paper.submit(&self.connection, order).await
    }

    pub(super) async fn cancel(&self, order: &OutgoingOrder) -> Outcome {
        self.paper.cancel(&self.connection, &reference(order)).await
    }

    pub(super) async fn replace(&self, old: &OutgoingOrder, new: &OutgoingOrder) -> Outcome {
        self.paper.replace(&self.connection, &reference(old), new).await
    }

    pub(super) async fn cash(&self) -> String {
        self.paper.cash(&self.connection).await.unwrap().to_string()
    }

    /// Units of an instrument that the account owns.
    pub(super) async fn units(&self, symbol: &str) -> String {
        let positions = self.paper.positions(&self.connection).await.unwrap();
        let asset_id = id_of(symbol);
        let position = positions.iter().find(|position| position.asset_id == asset_id);
        position.map_or("0".to_owned(), |position| position.quantity.to_string())
    }

    pub(super) async fn reports_of(&self, connection: &Connection) -> Vec<Report> {
        reports(&self.paper, connection).await
    }

    /// Everything that the venue has told about an order, in words.
    pub(super) async fn told(&self, order: &OutgoingOrder) -> Vec<String> {
        let reports = self.reports_of(&self.connection).await;
        reports
            .iter()
            .filter(|report| report.order_id == order.id)
            .map(|report| words(&report.what))
            .collect()
    }

    /// Buys, so that there is something to sell.
    pub(super) async fn own(&self, symbol: &str, quantity: &str, price: &str) {
        self.next(symbol, price, price, quantity).await;
        let order = limit(Side::Buy, symbol, quantity, price, TimeInForce::Gtc);
        self.submit(&order).await;
        let told = self.told(&order).await;
        assert!(told.last().unwrap().ends_with("done"), "{told:?}");
        self.wait(1);
    }
}

pub(super) fn reference(order: &OutgoingOrder) -> VenueOrderRef {
    VenueOrderRef {
        order_id: order.id,
        broker_order_id: None,
    }
}

/// The whole journal of an account, read in small pages.
pub(super) async fn reports(paper: &Paper, connection: &Connection) -> Vec<Report> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = paper.reports(connection, &cursor, 3).await.unwrap();
        if page.reports.is_empty() {
            return all;
        }
        all.extend(page.reports);
        cursor = page.cursor;
    }
}

pub(super) fn words(what: &Reported) -> String {
    match what {
        Reported::Acknowledged { is_working: true } => "working".to_owned(),
        Reported::Acknowledged { is_working: false } => "held".to_owned(),
        Reported::Filled(fill) => format!(
            "filled {} @ {} fee {} {}",
            fill.quantity,
            fill.price,
            fill.fee,
            match fill.venue_done {
                Some(true) => "done",
                Some(false) => "partly",
                None => "unknown",
            }
        ),
        Reported::Canceled => "canceled".to_owned(),
        Reported::CancelRefused { reason } => format!("cancel refused: {reason}"),
        Reported::Expired => "expired".to_owned(),
        Reported::Refused { reason } => format!("refused: {reason}"),
        Reported::Replaced => "replaced".to_owned(),
        Reported::ReplaceRefused { reason } => format!("replace refused: {reason}"),
    }
}

pub(super) fn class_of(symbol: &str) -> AssetClass {
    if symbol.contains('/') {
        AssetClass::Crypto
    } else {
        AssetClass::UsEquity
    }
}

pub(super) fn id_of(symbol: &str) -> AssetId {
    Asset::id_of(class_of(symbol), symbol)
}

pub(super) fn quote_at(symbol: &str, bid: &str, ask: &str, size: &str, at: DateTime<Utc>) -> Quote {
    let price = |text: &str| Price::new(decimal(text)).unwrap();
    let size = Quantity::new(decimal(size)).unwrap();
    Quote {
        asset_id: id_of(symbol),
        bid: price(bid),
        bid_size: size,
        ask: price(ask),
        ask_size: size,
        last: price(bid),
        low: price(bid),
        high: price(ask),
        at,
    }
}

pub(super) fn order(
    side: Side,
    symbol: &str,
    amount: Amount,
    kind: OrderKind,
    time_in_force: TimeInForce,
) -> OutgoingOrder {
    OutgoingOrder {
        id: OrderId(unique_id()),
        asset_id: id_of(symbol),
        symbol: symbol.to_owned(),
        asset_class: class_of(symbol),
        terms: OrderTerms {
            side,
            amount,
            kind,
            time_in_force,
            extended_hours: false,
            position_intent: None,
        },
    }
}

pub(super) fn market(side: Side, symbol: &str, quantity: &str, time_in_force: TimeInForce) -> OutgoingOrder {
    let amount = Amount::Quantity(Quantity::new(decimal(quantity)).unwrap());
    order(side, symbol, amount, OrderKind::Market, time_in_force)
}

pub(super) fn limit(
    side: Side,
    symbol: &str,
    quantity: &str,
    price: &str,
    time_in_force: TimeInForce,
) -> OutgoingOrder {
    let amount = Amount::Quantity(Quantity::new(decimal(quantity)).unwrap());
    let limit_price = Price::new(decimal(price)).unwrap();
    order(
        side,
        symbol,
        amount,
        OrderKind::Limit { limit_price },
        time_in_force,
    )
}

pub(super) fn notional(side: Side, symbol: &str, dollars: &str) -> OutgoingOrder {
    let amount = Amount::Notional(Notional::new(decimal(dollars)).unwrap());
    order(side, symbol, amount, OrderKind::Market, TimeInForce::Day)
}

pub(super) fn acknowledged(order: &OutgoingOrder, is_working: bool) -> Outcome {
    Outcome::Acknowledged {
        broker_order_id: Some(domain::id::BrokerOrderId(format!("paper-{}", order.id))),
        is_working,
    }
}

pub(super) fn refused(reason: &str) -> Outcome {
    Outcome::Refused {
        reason: reason.to_owned(),
    }
}
