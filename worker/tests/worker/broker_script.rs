//! A broker that does what a test says, and keeps a journal of every order that reached it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use broker::{
    Broker, BrokerError, Capabilities, Connection, Found, Outcome, OutgoingOrder, Replacing, ReportPage,
    VenueOrderRef, VenuePosition,
};
use chrono::{DateTime, Utc};
use domain::fill::Fill;
use domain::id::{BrokerOrderId, ConnectionId, OrderId};
use domain::money::{Price, Quantity};
use domain::quote::Quote;
use domain::reconcile::{Report, Reported, VenueOrder};
use rust_decimal::Decimal;
use store::testing::now;

/// What the broker does with the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Takes the order and says so.
    Take,
    /// Takes the order and never answers.
    TakeAndHang,
    /// Never answers, and has not taken the order.
    Hang,
    /// Fails before anything left.
    NotSent,
    /// Refuses the order.
    Refuse,
    /// Is broken.
    Panic,
}

/// Calls that are counted, and may have no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Taking quotes.
    Feed,
    /// Telling reports.
    Reports,
}

/// The longest that the broker may take to answer.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_millis(50);

/// The broker. Clones are the same one.
#[derive(Clone)]
pub(crate) struct ScriptedBroker {
    steps: Arc<Mutex<VecDeque<Step>>>,
    /// The orders that reached it, one entry for each time.
    journal: Arc<Mutex<Vec<OrderId>>>,
    cancels: Arc<Mutex<Vec<OrderId>>>,
    reports: Arc<Mutex<Vec<Report>>>,
    /// Whose reports a feed brings about.
    fed: Arc<Mutex<Vec<ConnectionId>>>,
    calls: Arc<Mutex<Vec<Call>>>,
    silent: Arc<Mutex<Vec<Call>>>,
    capabilities: Capabilities,
}

impl ScriptedBroker {
    /// A broker that takes every order for which it has no other step.
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> ScriptedBroker {
        ScriptedBroker {
            steps: Arc::new(Mutex::new(steps.into_iter().collect())),
            journal: Arc::default(),
            cancels: Arc::default(),
            reports: Arc::default(),
            fed: Arc::default(),
            calls: Arc::default(),
            silent: Arc::default(),
            capabilities: Capabilities {
                client_ids: true,
                replacing: Replacing::NewId,
                is_fed_by_quotes: false,
                call_timeout: CALL_TIMEOUT,
            },
        }
    }

    /// A broker that is fed by quotes, and would let a caller wait for a long time.
    pub(crate) fn fed() -> ScriptedBroker {
        let mut broker = ScriptedBroker::new([]);
        broker.capabilities.is_fed_by_quotes = true;
        broker.capabilities.call_timeout = Duration::from_hours(1);
        broker
    }

    /// Whose reports each feed brings about from now on.
    pub(crate) fn fill_of(&self, connection: ConnectionId) {
        self.fed.lock().unwrap().push(connection);
    }

    /// How many calls of this kind there were.
    pub(crate) fn count(&self, call: Call) -> usize {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .filter(|made| **made == call)
            .count()
    }

    /// Calls of this kind have no answer from now on.
    pub(crate) fn fall_silent(&self, call: Call) {
        self.silent.lock().unwrap().push(call);
    }

    /// Notes the call, and never answers where a test wants that.
    async fn called(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
        let is_silent = self.silent.lock().unwrap().contains(&call);
        if is_silent {
            std::future::pending::<()>().await;
        }
    }

    /// Every order that reached the broker, as often as it did.
    pub(crate) fn journal(&self) -> Vec<OrderId> {
        self.journal.lock().unwrap().clone()
    }

    /// Every order whose end was asked for.
    pub(crate) fn cancels(&self) -> Vec<OrderId> {
        self.cancels.lock().unwrap().clone()
    }

    /// Reports that `order` was filled.
    pub(crate) fn fill(&self, order: OrderId, quantity: &str, price: &str) {
        let fill = Fill {
            broker_fill_id: format!("fill-{}", self.reports.lock().unwrap().len()),
            quantity: Quantity::new(quantity.parse().unwrap()).unwrap(),
            price: Price::new(price.parse().unwrap()).unwrap(),
            fee: Decimal::ZERO,
            at: now(),
            venue_done: Some(true),
        };
        self.report(order, Reported::Filled(fill));
    }

    fn report(&self, order_id: OrderId, what: Reported) {
        let report = Report {
            order_id,
            broker_order_id: Some(name_of(order_id)),
            at: now(),
            what,
        };
        self.reports.lock().unwrap().push(report);
    }

    fn next_step(&self) -> Step {
        self.steps.lock().unwrap().pop_front().unwrap_or(Step::Take)
    }

    /// Does the next step with an order that has arrived.
    async fn take(&self, order: &OutgoingOrder) -> Outcome {
        let step = self.next_step();
        if matches!(step, Step::Take | Step::TakeAndHang) {
            self.journal.lock().unwrap().push(order.id);
        }
        match step {
            Step::Take => Outcome::Acknowledged {
                broker_order_id: Some(name_of(order.id)),
                is_working: true,
            },
            Step::TakeAndHang | Step::Hang => std::future::pending().await,
            Step::NotSent => Outcome::NotSent {
                reason: "no connection".to_owned(),
                retry_after: None,
            },
            Step::Refuse => Outcome::Refused {
                reason: "not today".to_owned(),
            },
            Step::Panic => panic!("a broken adapter"),
        }
    }
}

/// The broker's own name for an order.
fn name_of(order: OrderId) -> BrokerOrderId {
    BrokerOrderId(format!("venue-{order}"))
}

#[async_trait]
impl Broker for ScriptedBroker {
    fn name(&self) -> &'static str {
        "paper"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn submit(&self, _connection: &Connection, order: &OutgoingOrder) -> Outcome {
        self.take(order).await
    }

    async fn cancel(&self, _connection: &Connection, order: &VenueOrderRef) -> Outcome {
        self.cancels.lock().unwrap().push(order.order_id);
        self.report(order.order_id, Reported::Canceled);
        Outcome::Acknowledged {
            broker_order_id: order.broker_order_id.clone(),
            is_working: false,
        }
    }

    async fn replace(&self, _connection: &Connection, _old: &VenueOrderRef, new: &OutgoingOrder) -> Outcome {
        self.take(new).await
    }

    async fn find(
        &self,
        _connection: &Connection,
        order: &OutgoingOrder,
        _attempted_at: DateTime<Utc>,
    ) -> Result<Found, BrokerError> {
        let is_there = self.journal().contains(&order.id);
        Ok(if is_there {
            Found::Present(VenueOrder {
                broker_order_id: name_of(order.id),
                is_working: true,
                refused: None,
            })
        } else {
            Found::Absent
        })
    }

    async fn reports(
        &self,
        _connection: &Connection,
        cursor: &str,
        limit: u64,
    ) -> Result<ReportPage, BrokerError> {
        self.called(Call::Reports).await;
        let from: usize = cursor.parse().unwrap_or(0);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let reports = self.reports.lock().unwrap();
        let page: Vec<Report> = reports.iter().skip(from).take(limit).cloned().collect();
        let cursor = (from + page.len()).to_string();
        Ok(ReportPage {
            reports: page,
            cursor,
        })
    }

    async fn positions(&self, _connection: &Connection) -> Result<Vec<VenuePosition>, BrokerError> {
        Ok(Vec::new())
    }

    async fn cash(&self, connection: &Connection) -> Result<Decimal, BrokerError> {
        Ok(connection.starting_cash)
    }

    async fn feed(&self, _quotes: &[Quote]) -> Result<Vec<ConnectionId>, BrokerError> {
        self.called(Call::Feed).await;
        Ok(self.fed.lock().unwrap().clone())
    }
}
