//! The cards that every adapter must pass: the same sentences about the port, for each broker behind it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test support: what a test cannot go on without fails it"
)]

use std::collections::HashMap;
use std::time::Duration;

use arbion_broker::paper::{Paper, PaperOptions, PaperRules, connect_for_migrations};
use arbion_broker::{Broker, Connection, Found, Outcome, OutgoingOrder, VenueOrderRef};
use domain::asset::{Asset, AssetClass, MarketHours};
use domain::id::{ConnectionId, OrderId};
use domain::money::{Price, Quantity};
use domain::order::{Amount, OrderKind, OrderTerms, Side, TimeInForce};
use domain::quote::Quote;
use domain::reconcile::{Report, Reported};
use migrations::PaperMigrator;
use platform::clock::{Clock as _, ManualClock};
use rust_decimal::Decimal;
use sea_orm_migration::MigratorTrait as _;
use uuid::Uuid;

const SYMBOL: &str = "AAPL";

/// How a broker's prices are moved.
enum Prices {
    Paper {
        paper: Paper,
        clock: ManualClock,
        _directory: tempfile::TempDir,
    },
    #[cfg(feature = "fault-points")]
    Scripted { url: String },
}

/// A broker with an account of 100000.
struct Subject {
    broker: Box<dyn Broker>,
    connection: Connection,
    prices: Prices,
}

impl Subject {
    async fn paper() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database_url = format!("sqlite://{}", directory.path().join("paper.db").display());
        let migrated = connect_for_migrations(&database_url).await.unwrap();
        PaperMigrator::up(&migrated, None).await.unwrap();
        migrated.close().await.unwrap();
        let clock = ManualClock::new("2026-11-24T15:00:00Z".parse().unwrap());
        let asset = Asset {
            id: Asset::id_of(AssetClass::UsEquity, SYMBOL),
            symbol: SYMBOL.to_owned(),
            class: AssetClass::UsEquity,
            exchange: "NASDAQ".to_owned(),
            name: SYMBOL.to_owned(),
            tradable: true,
            fractionable: true,
            min_order_size: Decimal::new(1, 9),
            min_trade_increment: Decimal::new(1, 9),
            price_increment: Decimal::new(1, 2),
        };
        let paper = Paper::open(PaperOptions {
            database_url,
            max_connections: 4,
            rules: PaperRules {
                slippage_basis_points: Decimal::ZERO,
                equity_fee_basis_points: Decimal::ZERO,
                crypto_fee_basis_points: Decimal::ZERO,
                hours: MarketHours::Ignore,
                assets: HashMap::from([(asset.id, asset)]),
            },
            clock: clock.shared(),
        })
        .await
        .unwrap();
        let subject = Self {
            broker: Box::new(paper.clone()),
            connection: connection(),
            prices: Prices::Paper {
                paper,
                clock,
                _directory: directory,
            },
        };
        subject.price("100").await;
        subject
    }

    #[cfg(feature = "fault-points")]
    async fn scripted() -> Self {
        use arbion_broker::scripted::{Scripted, ScriptedOptions};
        let server = test_broker::Server::bind(0, None, 1).await.unwrap();
        let url = format!("http://{}", server.address);
        tokio::spawn(server.run());
        let broker = Scripted::open(ScriptedOptions {
            url: url.clone(),
            connect_timeout: Duration::from_secs(1),
            call_timeout: Duration::from_secs(5),
            names: None,
        });
        let subject = Self {
            broker: Box::new(broker.unwrap()),
            connection: connection(),
            prices: Prices::Scripted { url },
        };
        subject.price("100").await;
        subject
    }

    /// The price at which anything can be had and sold from now on.
    async fn price(&self, text: &str) {
        match &self.prices {
            Prices::Paper { paper, clock, .. } => {
                clock.advance(chrono::TimeDelta::seconds(1));
                let price = Price::new(text.parse().unwrap()).unwrap();
                let size = Quantity::new(Decimal::from(1000)).unwrap();
                let quote = Quote {
                    asset_id: Asset::id_of(AssetClass::UsEquity, SYMBOL),
                    bid: price,
                    bid_size: size,
                    ask: price,
                    ask_size: size,
                    last: price,
                    low: price,
                    high: price,
                    at: clock.now(),
                };
                paper.feed(&[quote]).await.unwrap();
            }
            #[cfg(feature = "fault-points")]
            Prices::Scripted { url } => {
                let body = serde_json::json!({SYMBOL: text});
                let request = reqwest::Client::new().post(format!("{url}/control/prices"));
                assert_eq!(request.json(&body).send().await.unwrap().status(), 204);
            }
        }
    }

    async fn submit(&self, order: &OutgoingOrder) -> Outcome {
        self.broker.submit(&self.connection, order).await
    }

    async fn find(&self, connection: &Connection, order: &OutgoingOrder) -> Found {
        let at = "2026-11-24T15:00:00Z".parse().unwrap();
        self.broker.find(connection, order, at).await.unwrap()
    }

    /// Everything that is told, `limit` reports at a time.
    async fn told(&self, limit: u64) -> Vec<Report> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self
                .broker
                .reports(&self.connection, &cursor, limit)
                .await
                .unwrap();
            if page.reports.is_empty() {
                // The end is the end, however often one asks.
                let again = self.broker.reports(&self.connection, &page.cursor, limit).await;
                assert_eq!(again.unwrap(), page);
                return all;
            }
            all.extend(page.reports);
            cursor = page.cursor;
        }
    }

    async fn told_of(&self, order: &OutgoingOrder) -> Vec<String> {
        let reports = self.told(100).await.into_iter();
        let ours = reports.filter(|report| report.order_id == order.id);
        ours.map(|report| words(&report.what)).collect()
    }
}

fn connection() -> Connection {
    Connection {
        id: ConnectionId(Uuid::now_v7()),
        starting_cash: Decimal::from(100_000),
    }
}

fn buy(quantity: &str, limit_price: Option<&str>) -> OutgoingOrder {
    let price = |text: &str| Price::new(text.parse().unwrap()).unwrap();
    let kind = limit_price.map_or(OrderKind::Market, |text| OrderKind::Limit {
        limit_price: price(text),
    });
    OutgoingOrder {
        id: OrderId(Uuid::now_v7()),
        asset_id: Asset::id_of(AssetClass::UsEquity, SYMBOL),
        symbol: SYMBOL.to_owned(),
        asset_class: AssetClass::UsEquity,
        terms: OrderTerms {
            side: Side::Buy,
            amount: Amount::Quantity(Quantity::new(quantity.parse().unwrap()).unwrap()),
            kind,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            position_intent: None,
        },
    }
}

fn reference(order: &OutgoingOrder) -> VenueOrderRef {
    VenueOrderRef {
        order_id: order.id,
        broker_order_id: None,
    }
}

fn words(what: &Reported) -> String {
    match what {
        Reported::Acknowledged { .. } => "acknowledged".to_owned(),
        Reported::Filled(fill) => format!(
            "filled {} at {} {:?}",
            fill.quantity.get().normalize(),
            fill.price.get().normalize(),
            fill.venue_done
        ),
        Reported::Canceled => "canceled".to_owned(),
        Reported::CancelRefused { .. } => "cancel refused".to_owned(),
        Reported::Expired => "expired".to_owned(),
        Reported::Refused { .. } => "refused".to_owned(),
        Reported::Replaced => "replaced".to_owned(),
        Reported::ReplaceRefused { .. } => "replace refused".to_owned(),
    }
}

/// The broker's id, of an order that must have been acknowledged.
fn name_in(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Acknowledged {
            broker_order_id: Some(id),
            ..
        } => id.0.clone(),
        other => panic!("no acknowledged order: {other:?}"),
    }
}

async fn what_fills_is_acknowledged_and_reported_and_owned(subject: Subject) {
    let order = buy("10", None);
    name_in(&subject.submit(&order).await);
    assert_eq!(
        subject.told_of(&order).await,
        ["acknowledged", "filled 10 at 100 Some(true)"]
    );
    let owned = subject.broker.positions(&subject.connection).await.unwrap();
    let owned: Vec<_> = owned.iter().map(|held| (held.asset_id, held.quantity)).collect();
    assert_eq!(owned, [(order.asset_id, Decimal::TEN)]);
    let cash = subject.broker.cash(&subject.connection).await.unwrap();
    assert_eq!(cash, Decimal::from(99_000));
}

async fn the_same_order_again_is_the_first_one(subject: Subject) {
    let order = buy("10", None);
    let first = name_in(&subject.submit(&order).await);
    assert_eq!(name_in(&subject.submit(&order).await), first);
    assert_eq!(
        subject.told_of(&order).await.len(),
        2,
        "acknowledged and filled, once"
    );
}

async fn a_look_up_tells_what_is_there_from_what_is_not(subject: Subject) {
    let (sent, never) = (buy("1", Some("50")), buy("1", Some("50")));
    let name = name_in(&subject.submit(&sent).await);
    match subject.find(&subject.connection, &sent).await {
        Found::Present(found) => {
            assert_eq!(
                (found.broker_order_id.0, found.is_working, found.refused),
                (name, true, None)
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(subject.find(&subject.connection, &never).await, Found::Absent);
}

async fn what_rests_fills_when_its_price_comes(subject: Subject) {
    let order = buy("2", Some("90"));
    subject.submit(&order).await;
    assert_eq!(subject.told_of(&order).await, ["acknowledged"]);
    subject.price("90").await;
    assert_eq!(
        subject.told_of(&order).await,
        ["acknowledged", "filled 2 at 90 Some(true)"]
    );
}

async fn what_rests_is_canceled_once(subject: Subject) {
    let order = buy("2", Some("90"));
    subject.submit(&order).await;
    let asked = subject
        .broker
        .cancel(&subject.connection, &reference(&order))
        .await;
    assert!(matches!(asked, Outcome::Acknowledged { .. }), "{asked:?}");
    assert_eq!(subject.told_of(&order).await, ["acknowledged", "canceled"]);
    // The same wish again is granted or refused: in no case is it news.
    let again = subject
        .broker
        .cancel(&subject.connection, &reference(&order))
        .await;
    assert!(
        matches!(again, Outcome::Acknowledged { .. } | Outcome::Refused { .. }),
        "{again:?}"
    );
    let never = subject
        .broker
        .cancel(&subject.connection, &reference(&buy("1", None)))
        .await;
    assert!(matches!(never, Outcome::Refused { .. }), "{never:?}");
    subject.price("80").await;
    assert_eq!(
        subject.told_of(&order).await.len(),
        2,
        "what was canceled does not fill"
    );
}

async fn a_replacement_takes_the_place_of_what_rests_once(subject: Subject) {
    let (old, new) = (buy("2", Some("90")), buy("3", Some("91")));
    subject.submit(&old).await;
    for _ in 0..2 {
        let asked = subject
            .broker
            .replace(&subject.connection, &reference(&old), &new)
            .await;
        assert!(matches!(asked, Outcome::Acknowledged { .. }), "{asked:?}");
    }
    subject.price("91").await;
    assert_eq!(subject.told_of(&old).await, ["acknowledged", "replaced"]);
    assert_eq!(
        subject.told_of(&new).await,
        ["acknowledged", "filled 3 at 91 Some(true)"]
    );
}

async fn reports_are_told_in_order_whatever_the_page(subject: Subject) {
    for quantity in ["1", "2", "3"] {
        subject.submit(&buy(quantity, None)).await;
    }
    let whole = subject.told(100).await;
    assert_eq!(whole.len(), 6);
    for limit in [1, 2, 5] {
        assert_eq!(subject.told(limit).await, whole, "{limit} at a time");
    }
}

async fn accounts_are_strangers_to_each_other(subject: Subject) {
    let order = buy("1", None);
    subject.submit(&order).await;
    let other = connection();
    assert_eq!(subject.find(&other, &order).await, Found::Absent);
    let page = subject.broker.reports(&other, "", 10).await.unwrap();
    assert_eq!(page.reports, []);
    assert_eq!(subject.broker.positions(&other).await.unwrap(), []);
    assert_eq!(subject.broker.cash(&other).await.unwrap(), Decimal::from(100_000));
}

/// How long any card may take.
const PATIENCE: Duration = Duration::from_mins(1);

macro_rules! cards {
    ($($name:ident),+ $(,)?) => {
        mod paper {
            $(#[tokio::test]
            async fn $name() {
                let card = super::$name(super::Subject::paper().await);
                tokio::time::timeout(super::PATIENCE, card).await.unwrap();
            })+
        }

        #[cfg(feature = "fault-points")]
        mod scripted {
            $(#[tokio::test]
            async fn $name() {
                let card = super::$name(super::Subject::scripted().await);
                tokio::time::timeout(super::PATIENCE, card).await.unwrap();
            })+
        }
    };
}

cards! {
    what_fills_is_acknowledged_and_reported_and_owned,
    the_same_order_again_is_the_first_one,
    a_look_up_tells_what_is_there_from_what_is_not,
    what_rests_fills_when_its_price_comes,
    what_rests_is_canceled_once,
    a_replacement_takes_the_place_of_what_rests_once,
    reports_are_told_in_order_whatever_the_page,
    accounts_are_strangers_to_each_other,
}
