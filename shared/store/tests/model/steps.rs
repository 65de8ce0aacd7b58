//! What owners, readers of reports, sweeps and ticks do in a history.

use std::collections::HashMap;

use domain::asset::{AssetClass, MarketHours};
use domain::id::{ClientOrderId, OrderId, TriggerId};
use domain::money::{Price, Quantity};
use domain::order::{Amount, NewOrder, Order, OrderKind, OrderTerms, Side, TimeInForce};
use domain::reconcile::Reported;
use domain::risk::Limits;
use domain::trigger::{Direction, Reference as PriceOf};
use rust_decimal::Decimal;
use store::{
    AcceptContext, AcceptRequest, Cause, Fees, Firing, NewTrigger, Refusal, ReplaceRefusal, Replacement,
    RoleLimits, SavedAnswer, StoreError,
};

use crate::history::{Fault, History, ensure};
use crate::reference::{DAY_LIMIT, Known, ORDER_LIMIT};

/// The fee of the tests, in basis points.
pub(crate) fn fee_of(class: AssetClass) -> Decimal {
    match class {
        AssetClass::UsEquity => Decimal::ZERO,
        AssetClass::Crypto => Decimal::from(25),
    }
}

fn asked() -> Cause {
    Cause::Request {
        request_id: "model".into(),
        credential_id: None,
    }
}

fn answer(order: &Order) -> SavedAnswer {
    SavedAnswer {
        status: 200,
        body: String::new(),
        headers: serde_json::json!({}),
        order_id: Some(order.id),
    }
}

fn text(error: &StoreError) -> Fault {
    format!("the store: {error:?}")
}

impl History<'_> {
    async fn with_context<T>(&self, act: impl AsyncFnOnce(&AcceptContext<'_>) -> T) -> T {
        let limits = Limits {
            order_notional: Decimal::from(ORDER_LIMIT),
            day_notional: Decimal::from(DAY_LIMIT),
        };
        let quotes = HashMap::new();
        let context = AcceptContext {
            now: self.now,
            hours: MarketHours::Ignore,
            limits: RoleLimits {
                standard: limits,
                admin: limits,
                superadmin: limits,
            },
            fees: Fees {
                equity_basis_points: fee_of(AssetClass::UsEquity),
                crypto_basis_points: fee_of(AssetClass::Crypto),
            },
            quotes: &quotes,
            answer: &answer,
        };
        act(&context).await
    }

    fn new_order(&mut self) -> NewOrder {
        let asset = self.assets[self.random.index(2)].clone();
        let id = OrderId(self.random.id());
        let side = if self.random.chance(60) {
            Side::Buy
        } else {
            Side::Sell
        };
        let quantity = Decimal::new(i64::try_from(1 + self.random.below(60)).unwrap() * 5, 1);
        let price = Decimal::from(80 + self.random.below(40));
        let is_day = asset.class == AssetClass::UsEquity && self.random.chance(50);
        NewOrder {
            id,
            user_id: self.trader.user,
            account_id: self.trader.account,
            client_order_id: ClientOrderId::from(id),
            instrument: asset.instrument(),
            terms: OrderTerms {
                side,
                amount: Amount::Quantity(Quantity::new(quantity).unwrap()),
                kind: OrderKind::Limit {
                    limit_price: Price::new(price).unwrap(),
                },
                time_in_force: if is_day {
                    TimeInForce::Day
                } else {
                    TimeInForce::Gtc
                },
                extended_hours: false,
                position_intent: None,
            },
            held_by: None,
            submitted_at: self.now,
        }
    }

    /// Someone orders, one or two things at once; each is accepted exactly if the reference would.
    pub(crate) async fn place(&mut self) -> Result<(), Fault> {
        let count = 1 + self.random.below(2);
        let orders: Vec<NewOrder> = (0..count).map(|_| self.new_order()).collect();
        let requests = orders.iter().map(|order| AcceptRequest {
            order: order.clone(),
            cause: asked(),
            idempotency: None,
        });
        let requests: Vec<_> = requests.collect();
        let answers = self
            .with_context(async |context| self.store.accept_orders(requests, context).await)
            .await;
        for (new, answer) in orders.iter().zip(answers.map_err(|error| text(&error))?) {
            self.tell(|| format!("place {} {:?}: {answer:?}", new.id, new.terms));
            let wanted = known(new, OrderId(new.id.0));
            let is_allowed = self.reference.accepts(&wanted, self.day(), None);
            match answer {
                Ok(accepted) => {
                    ensure!(is_allowed, "{} passed the limits", new.id);
                    self.know(&accepted.order);
                }
                Err(Refusal::Blocked(blocked)) => {
                    ensure!(!is_allowed, "{} is blocked: {blocked}", new.id);
                    self.count("blocked");
                }
                Err(other) => return Err(format!("{}: {other}", new.id)),
            }
        }
        Ok(())
    }

    fn some_order(&mut self) -> Option<Order> {
        let open: Vec<&Order> = self
            .orders
            .values()
            .filter(|order| order.facts.closed.is_none())
            .collect();
        self.random.pick(&open).map(|order| (*order).clone())
    }

    pub(crate) async fn cancel(&mut self) -> Result<(), Fault> {
        let Some(order) = self.some_order() else {
            return Ok(());
        };
        let answer = self
            .store
            .request_cancel(self.trader.account, order.id, asked(), self.now)
            .await;
        self.tell(|| format!("cancel {}: {answer:?}", order.id));
        answer.map(|_| ()).map_err(|error| text(&error))
    }

    pub(crate) async fn cancel_everything(&mut self) -> Result<(), Fault> {
        let answers = self
            .store
            .request_cancel_all(self.trader.account, asked(), self.now)
            .await;
        answers.map(|_| ()).map_err(|error| text(&error))
    }

    pub(crate) async fn replace(&mut self) -> Result<(), Fault> {
        let Some(old) = self.some_order() else {
            return Ok(());
        };
        let new_id = OrderId(self.random.id());
        let quantity = Decimal::from(1 + self.random.below(30));
        let change = Replacement {
            new_id,
            client_order_id: ClientOrderId::from(new_id),
            quantity: Some(Quantity::new(quantity).unwrap()),
            limit_price: None,
            time_in_force: None,
        };
        let asset = self
            .assets
            .iter()
            .find(|asset| asset.id == old.asset_id)
            .cloned()
            .unwrap();
        let account = self.trader.account;
        let asking = self.with_context(async |context| {
            self.store
                .request_replace(account, old.id, change, &asset, asked(), context)
                .await
        });
        let answer = asking.await.map_err(|error| text(&error))?;
        self.tell(|| format!("replace {} by {new_id}, {quantity} units: {answer:?}", old.id));
        let group = OrderId(old.group_id.0);
        let wanted = Known {
            quantity,
            ..self.reference.orders[&old.id].clone()
        };
        let is_allowed = self.reference.accepts(&wanted, self.day(), Some(group));
        match answer {
            Ok(accepted) => {
                ensure!(is_allowed, "{new_id} passed the limits");
                self.know(&accepted.order);
            }
            Err(ReplaceRefusal::Refused(blocked)) => ensure!(!is_allowed, "{new_id} is blocked: {blocked}"),
            Err(_) => {}
        }
        Ok(())
    }

    /// Protects a position, or fires what protects one: by two sweeps at once, now and then.
    pub(crate) async fn protect_or_fire(&mut self) -> Result<(), Fault> {
        let asset = self.assets[self.random.index(2)].clone();
        let new = NewTrigger {
            id: TriggerId(self.random.id()),
            user_id: self.trader.user,
            account_id: self.trader.account,
            asset,
            direction: Direction::Falling,
            reference: PriceOf::Last,
            stop_price: Price::new(Decimal::from(50)).unwrap(),
            quantity: self
                .random
                .chance(50)
                .then(|| Quantity::new(Decimal::ONE).unwrap()),
        };
        let made = self
            .store
            .create_trigger(new, None, self.now)
            .await
            .map_err(|error| text(&error))?;
        self.tell(|| format!("protect: {made:?}"));
        let Ok(trigger) = made else { return Ok(()) };
        if self.random.chance(30) {
            return Ok(());
        }
        for sweep in 0..=self.random.below(2) {
            let firing = Firing {
                trigger: trigger.clone(),
                price: Decimal::from(49),
                quote_at: self.now,
                exit_order_id: OrderId(self.random.id()),
            };
            let fired = self
                .store
                .fire(&[firing], self.now)
                .await
                .map_err(|error| text(&error))?;
            self.tell(|| format!("fire: {fired:?}"));
            ensure!(sweep == 0 || fired.is_empty(), "{} fired twice", trigger.id);
            for one in fired {
                self.count("a stop fires");
                self.know(&one.exit);
            }
        }
        Ok(())
    }

    /// The tick that ends orders whose day is over, by a clock that is a day ahead.
    pub(crate) async fn expire(&mut self) -> Result<(), Fault> {
        let ahead = self.now + chrono::TimeDelta::days(1);
        let expired = self.store.expire_unsent(ahead, MarketHours::Ignore, 100).await;
        self.tell(|| format!("expire: {expired:?}"));
        expired.map(|_| ()).map_err(|error| text(&error))
    }

    /// Someone reads a page of reports and records it, or dies before.
    pub(crate) async fn read_reports(&mut self) -> Result<(), Fault> {
        let limit = 1 + self.random.index(6);
        let dies = self.random.chance(10);
        self.read_page(limit, dies).await.map(|_| ())
    }

    /// Answers how many reports there were.
    pub(crate) async fn read_page(&mut self, limit: usize, dies: bool) -> Result<usize, Fault> {
        let connection = self.trader.connection;
        let cursor = self
            .store
            .report_cursor(connection)
            .await
            .map_err(|error| text(&error))?;
        let (reports, next) = self.venue.reports(&cursor, limit);
        self.tell(|| format!("read from {cursor:?} (dies: {dies}): {reports:?}"));
        if dies || reports.is_empty() {
            return Ok(0);
        }
        let recording = self
            .store
            .record_reports(connection, "paper", &cursor, &reports, &next, self.now);
        let recorded = recording.await.map_err(|error| text(&error))?;
        self.tell(|| format!("recorded: {recorded:?}"));
        for (what, times) in [
            ("skipped reports", recorded.skipped),
            ("reports against the book", recorded.alarms),
        ] {
            if times > 0 {
                self.count(what);
            }
        }
        // A second reader that had the same page comes too late.
        if self.random.chance(20) {
            let again = self
                .store
                .record_reports(connection, "paper", &cursor, &reports, &next, self.now)
                .await;
            ensure!(
                matches!(again, Err(StoreError::Stale { .. })),
                "a page is recorded twice: {again:?}"
            );
        }
        let day = self.day();
        for report in &reports {
            if let Reported::Filled(fill) = &report.what {
                let truth = self.venue.fills[&fill.broker_fill_id].clone();
                self.reference
                    .fills
                    .entry(fill.broker_fill_id.clone())
                    .or_insert((truth, day));
            }
        }
        Ok(reports.len())
    }
}

fn known(new: &NewOrder, group: OrderId) -> Known {
    let limit = new.terms.kind.limit_price().map_or(Decimal::ZERO, Price::get);
    Known {
        asset: new.instrument.id,
        side: new.terms.side,
        quantity: new.terms.amount.get(),
        limit: if new.terms.side == Side::Sell {
            Decimal::ZERO
        } else {
            limit
        },
        fee: fee_of(new.instrument.class),
        group,
        is_held: false,
        ended: None,
    }
}
