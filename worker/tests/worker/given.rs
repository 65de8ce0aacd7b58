//! A worker, a trader and what they trade.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use broker::Broker;
use chrono::{DateTime, TimeDelta, Utc};
use domain::asset::{Asset, MarketHours};
use domain::id::{AssetId, ClientOrderId, OrderId};
use domain::lifecycle::OrderStatus;
use domain::money::{Price, Quantity};
use domain::order::{Amount, NewOrder, Order, OrderKind, OrderTerms, Side, TimeInForce};
use domain::quote::Quote;
use domain::risk::Limits;
use market::{CachedQuotes, MarketData, MarketError};
use platform::ManualClock;
use queue::{Job, Outcome, Queue};
use rust_decimal::Decimal;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel as _, QueryFilter};
use store::entity::{broker_attempts, order_work};
use store::testing::{TestStore, Trader, now};
use store::{AcceptContext, AcceptRequest, Cause, Fees, Replacement, Role, RoleLimits, SavedAnswer};
use uuid::Uuid;
use worker::{Assets, Brokers, Worker, WorkerApp, WorkerOptions};

use crate::broker_script::ScriptedBroker;

/// Prices that a test sets.
#[derive(Clone, Default)]
pub(crate) struct ScriptedMarket {
    reads: Arc<AtomicUsize>,
    quotes: Arc<Mutex<HashMap<AssetId, Quote>>>,
}

#[async_trait]
impl MarketData for ScriptedMarket {
    fn name(&self) -> &'static str {
        "script"
    }

    async fn quotes(&self, assets: &[Asset]) -> Result<Vec<Quote>, MarketError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let quotes = self.quotes.lock().unwrap();
        Ok(assets
            .iter()
            .filter_map(|asset| quotes.get(&asset.id).cloned())
            .collect())
    }
}

/// Everything around one worker.
pub(crate) struct Given<'a> {
    pub(crate) test: &'a TestStore,
    pub(crate) worker: Arc<Worker>,
    pub(crate) broker: ScriptedBroker,
    pub(crate) clock: ManualClock,
    pub(crate) asset: Asset,
    pub(crate) trader: Trader,
    pub(crate) queue: Queue,
    market: ScriptedMarket,
}

impl<'a> Given<'a> {
    /// A worker with `broker`, and a trader with 100 000 dollars.
    pub(crate) async fn new(test: &'a TestStore, broker: ScriptedBroker) -> Given<'a> {
        Given::with_limit(test, broker, Duration::from_secs(5)).await
    }

    /// As [`Given::new`], with calls to the broker of at most `broker_timeout`.
    pub(crate) async fn with_limit(
        test: &'a TestStore,
        broker: ScriptedBroker,
        broker_timeout: Duration,
    ) -> Given<'a> {
        let trader = test.trader(Role::Superadmin, Decimal::from(100_000)).await;
        let asset = test.asset("BTC/USD").await;
        let clock = ManualClock::new(now());
        let market = ScriptedMarket::default();
        let provider: Arc<dyn MarketData> = Arc::new(market.clone());
        let (hours, queue) = (MarketHours::Ignore, Queue::memory());
        let worker = Arc::new(Worker::new(WorkerApp {
            store: test.store().clone(),
            queue: queue.clone(),
            brokers: Brokers::new([Arc::new(broker.clone()) as Arc<dyn Broker>]),
            quotes: CachedQuotes::new(provider, clock.shared(), hours, None),
            clock: clock.shared(),
            hours,
            assets: Assets::new([asset.clone()]),
            options: WorkerOptions {
                name: "worker".to_owned(),
                concurrency: 4,
                lease: Duration::from_secs(30),
                broker_timeout,
            },
        }));
        Given {
            test,
            worker,
            broker,
            clock,
            asset,
            trader,
            queue,
            market,
        }
    }

    /// Sets the price of the asset, at a new second.
    pub(crate) fn price(&self, last: &str) {
        // Longer than any purpose lets a quote live, so that the next reader gets this one.
        self.clock.advance(TimeDelta::seconds(61));
        self.price_at(last, self.clock_now());
    }

    /// Sets the price of the asset, as the provider knew it at `at`.
    pub(crate) fn price_at(&self, last: &str, at: DateTime<Utc>) {
        let (last, size) = (price(last), units("1000"));
        let quote = Quote {
            asset_id: self.asset.id,
            bid: last,
            bid_size: size,
            ask: last,
            ask_size: size,
            last,
            low: last,
            high: last,
            at,
        };
        self.market.quotes.lock().unwrap().insert(self.asset.id, quote);
    }

    /// Waits until somebody has read prices after `before` reads.
    pub(crate) async fn next_read(&self, before: usize) {
        let read = async {
            while self.reads() == before {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), read).await.unwrap();
    }

    /// How often prices were read.
    pub(crate) fn reads(&self) -> usize {
        self.market.reads.load(Ordering::SeqCst)
    }

    pub(crate) fn clock_now(&self) -> DateTime<Utc> {
        use platform::Clock as _;
        self.clock.now()
    }

    /// Accepts a limit order over `quantity` at 100 dollars.
    pub(crate) async fn accept(&self, side: Side, quantity: &str) -> Order {
        let id = OrderId(Uuid::now_v7());
        let limit_price = price("100");
        let request = AcceptRequest {
            order: NewOrder {
                id,
                user_id: self.trader.user,
                account_id: self.trader.account,
                client_order_id: ClientOrderId::from(id),
                instrument: self.asset.instrument(),
                terms: OrderTerms {
                    side,
                    amount: Amount::Quantity(units(quantity)),
                    kind: OrderKind::Limit { limit_price },
                    time_in_force: TimeInForce::Gtc,
                    extended_hours: false,
                    position_intent: None,
                },
                held_by: None,
                submitted_at: self.clock_now(),
            },
            cause: cause(),
            idempotency: None,
        };
        let quotes = HashMap::new();
        let context = self.context(&quotes);
        let mut accepted = self.test.accept_orders(vec![request], &context).await.unwrap();
        accepted.remove(0).unwrap().order
    }

    /// Asks for an order over `quantity` in the place of `old`.
    pub(crate) async fn replace(&self, old: OrderId, quantity: &str) -> Order {
        let new_id = OrderId(Uuid::now_v7());
        let replacement = Replacement {
            new_id,
            client_order_id: ClientOrderId::from(new_id),
            quantity: Some(units(quantity)),
            limit_price: None,
            time_in_force: None,
        };
        let quotes = HashMap::new();
        let context = self.context(&quotes);
        let asked = self
            .test
            .request_replace(
                self.trader.account,
                old,
                replacement,
                &self.asset,
                cause(),
                &context,
            )
            .await;
        asked.unwrap().unwrap().order
    }

    fn context<'b>(&self, quotes: &'b HashMap<AssetId, Quote>) -> AcceptContext<'b> {
        let limits = Limits {
            order_notional: Decimal::from(1_000_000),
            day_notional: Decimal::from(1_000_000),
        };
        AcceptContext {
            now: self.clock_now(),
            hours: MarketHours::Ignore,
            limits: RoleLimits {
                standard: limits,
                admin: limits,
                superadmin: limits,
            },
            fees: Fees {
                equity_basis_points: Decimal::ZERO,
                crypto_basis_points: Decimal::ZERO,
            },
            quotes,
            answer: &|order| SavedAnswer {
                status: 200,
                body: String::new(),
                headers: serde_json::Value::Null,
                order_id: Some(order.id),
            },
        }
    }

    /// Buys `quantity` at 100 dollars and has it filled.
    pub(crate) async fn own(&self, quantity: &str) {
        let order = self.accept(Side::Buy, quantity).await;
        self.broker.fill(order.id, quantity, "100");
        assert_eq!(self.execute(order.id).await, Outcome::Done);
        assert_eq!(self.status(order.id).await, OrderStatus::Filled);
    }

    /// Does what is due for `order`, as after a signal.
    pub(crate) async fn execute(&self, order: OrderId) -> Outcome {
        self.worker.handle(Job::ExecuteOrder { order_id: order.0 }).await
    }

    /// The outcome of work that is due again so many milliseconds from now.
    pub(crate) fn retry_in_ms(&self, milliseconds: i64) -> Outcome {
        Outcome::RetryAt(self.clock_now() + TimeDelta::milliseconds(milliseconds))
    }

    /// How many signals wait for a worker.
    pub(crate) async fn waiting(&self) -> u64 {
        self.queue.waiting().await.unwrap()
    }

    /// The outcomes of the calls of `kind`, in order.
    pub(crate) async fn attempts_of(&self, kind: &str) -> Vec<String> {
        let all = self.attempts().await.into_iter();
        all.filter(|(of, _)| of == kind)
            .map(|(_, outcome)| outcome)
            .collect()
    }

    /// Lets the pause be over that the order's work waits for.
    pub(crate) async fn pass_pause(&self, order: OrderId) {
        order_work::Entity::update_many()
            .col_expr(
                order_work::Column::DueAt,
                Expr::value(now() - TimeDelta::days(365)),
            )
            .filter(order_work::Column::OrderId.eq(order.0))
            .exec(self.test.write())
            .await
            .unwrap();
    }

    /// Takes the claim of `order` away, as the end of its lease does.
    pub(crate) async fn end_lease(&self, order: OrderId) {
        order_work::Entity::update_many()
            .col_expr(
                order_work::Column::ClaimedUntil,
                Expr::value(now() - TimeDelta::days(365)),
            )
            .filter(order_work::Column::OrderId.eq(order.0))
            .exec(self.test.write())
            .await
            .unwrap();
    }

    pub(crate) async fn status(&self, order: OrderId) -> OrderStatus {
        let order = self
            .test
            .order(self.trader.account, order)
            .await
            .unwrap()
            .unwrap();
        order.facts.status()
    }

    /// Writes down more work for `order`.
    pub(crate) async fn add_work(&self, order: OrderId, kind: &str) {
        let row = order_work::Model {
            order_id: order.0,
            kind: kind.to_owned(),
            account_id: self.trader.account.0,
            due_at: now() - TimeDelta::days(1),
            claimed_by: None,
            claimed_until: None,
            fence: 0,
            attempts: 0,
            last_error: None,
        };
        order_work::Entity::insert(row.into_active_model())
            .exec_without_returning(self.test.write())
            .await
            .unwrap();
        self.pass_pause(order).await;
    }

    /// The kinds of work that are left.
    pub(crate) async fn work(&self) -> Vec<String> {
        let rows = order_work::Entity::find().all(self.test.read()).await.unwrap();
        rows.into_iter().map(|row| row.kind).collect()
    }

    /// The calls that were made, with their outcomes, in order.
    pub(crate) async fn attempts(&self) -> Vec<(String, String)> {
        use sea_orm::QueryOrder as _;
        let rows = broker_attempts::Entity::find()
            .order_by_asc(broker_attempts::Column::CorrelationId)
            .all(self.test.read())
            .await
            .unwrap();
        rows.into_iter()
            .map(|row| (row.kind, row.outcome.unwrap_or_default()))
            .collect()
    }
}

pub(crate) fn cause() -> Cause {
    Cause::Request {
        request_id: "test".into(),
        credential_id: None,
    }
}

pub(crate) fn price(text: &str) -> Price {
    Price::new(text.parse().unwrap()).unwrap()
}

pub(crate) fn units(text: &str) -> Quantity {
    Quantity::new(text.parse().unwrap()).unwrap()
}
