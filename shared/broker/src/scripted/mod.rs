//! The scripted broker: the adapter of the test broker (`tests/broker`), over HTTP with real time-outs.
//!
//! Only in builds with the feature `fault-points`. It is a broker like any other: what it learns, it learns from answers
//! that may be late, cut or wrong. It comes in two kinds, as two brokers with names of their own: one to which our order id
//! travels as the client id, and one that takes no ids of ours, where an order is found again by its facts alone.
//!
//! | file | holds |
//! |---|---|
//! | this one | the port |
//! | `http` | one request with its time-outs, and what came back |
//! | `outcome` | what an answer proves: the table |
//! | `wire` | the broker's JSON |
//! | `blind` | finding orders and telling reports apart without ids of ours |

mod blind;
mod http;
mod outcome;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::reconcile::Report;
use rust_decimal::Decimal;

use crate::{
    Broker, BrokerError, Capabilities, Connection, Found, Outcome, OutgoingOrder, Replacing, ReportPage,
    VenueOrderRef, VenuePosition,
};
use http::{Http, Reply};

pub use blind::{Known, OrderNames, Unsettled};

/// The name of the broker that takes our ids.
pub const NAME: &str = "scripted";

/// The name of the broker that takes none.
pub const BLIND_NAME: &str = "scripted_blind";

/// How the broker is reached.
#[derive(Clone)]
pub struct ScriptedOptions {
    /// `http://` and its address.
    pub url: String,
    /// The longest that connecting may take.
    pub connect_timeout: Duration,
    /// The longest that a call may take, connecting included.
    pub call_timeout: Duration,
    /// Without it, our ids travel. With it they do not, and this tells which of the broker's ids are ours.
    pub names: Option<Arc<dyn OrderNames>>,
}

/// The broker. Clones share the connections.
#[derive(Clone)]
pub struct Scripted {
    http: Http,
    names: Option<Arc<dyn OrderNames>>,
    capabilities: Capabilities,
}

impl Scripted {
    /// A broker that is not called yet.
    pub fn open(options: ScriptedOptions) -> Result<Self, BrokerError> {
        let client_ids = options.names.is_none();
        let name = if client_ids { NAME } else { BLIND_NAME };
        // Its own time-out comes before the caller's, so that the reason is the broker's.
        let own_limit = options.call_timeout / 10 * 9;
        Ok(Self {
            http: Http::open(name, &options.url, options.connect_timeout, own_limit)?,
            names: options.names,
            capabilities: Capabilities {
                client_ids,
                // What takes the place of an order could not be told from what was there before.
                replacing: if client_ids {
                    Replacing::NewId
                } else {
                    Replacing::None
                },
                is_fed_by_quotes: false,
                call_timeout: options.call_timeout,
            },
        })
    }

    /// How the order is called at the broker; `None` where nothing is known that it would understand.
    fn name_of(&self, order: &VenueOrderRef) -> Option<String> {
        let broker_id = order.broker_order_id.as_ref().map(|id| id.0.clone());
        let ours = || self.names.is_none().then(|| format!("client:{}", order.order_id));
        broker_id.or_else(ours)
    }

    fn unnamed() -> Outcome {
        Outcome::NotSent {
            reason: "the broker's id of the order is not known".to_owned(),
            retry_after: None,
        }
    }

    fn inconsistent(&self, error: &wire::Unreadable) -> BrokerError {
        BrokerError::Inconsistent {
            broker: self.name(),
            what: error.to_string(),
        }
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, BrokerError> {
        let reply = self.http.get(path).await;
        outcome::read(&reply).map_err(|reason| BrokerError::Unavailable {
            broker: self.name(),
            reason,
        })
    }

    /// The order that travels under our id.
    async fn find_by_id(&self, connection: &Connection, order: &OutgoingOrder) -> Result<Found, BrokerError> {
        let path = format!("/accounts/{}/orders/client:{}", connection.id, order.id);
        let reply = self.http.get(&path).await;
        if outcome::is_unknown_order(&reply) {
            return Ok(Found::Absent);
        }
        let found: wire::Order = outcome::read(&reply).map_err(|reason| BrokerError::Unavailable {
            broker: self.name(),
            reason,
        })?;
        Ok(Found::Present(found.found()))
    }
}

#[async_trait]
impl Broker for Scripted {
    fn name(&self) -> &'static str {
        self.http.broker
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn submit(&self, connection: &Connection, order: &OutgoingOrder) -> Outcome {
        let path = format!("/accounts/{}/orders", connection.id);
        let body = wire::new_order(order, self.capabilities.client_ids);
        outcome::of_submission(&self.http.post(&path, &body).await)
    }

    async fn cancel(&self, connection: &Connection, order: &VenueOrderRef) -> Outcome {
        let Some(name) = self.name_of(order) else {
            return Self::unnamed();
        };
        let path = format!("/accounts/{}/orders/{name}", connection.id);
        outcome::of_request(&self.http.delete(&path).await)
    }

    async fn replace(&self, connection: &Connection, old: &VenueOrderRef, new: &OutgoingOrder) -> Outcome {
        let Some(name) = self.name_of(old) else {
            return Self::unnamed();
        };
        let path = format!("/accounts/{}/orders/{name}/replace", connection.id);
        let body = wire::new_order(new, self.capabilities.client_ids);
        outcome::of_request(&self.http.post(&path, &body).await)
    }

    async fn find(
        &self,
        connection: &Connection,
        order: &OutgoingOrder,
        attempted_at: DateTime<Utc>,
    ) -> Result<Found, BrokerError> {
        match &self.names {
            None => self.find_by_id(connection, order).await,
            Some(names) => {
                let names = names.as_ref();
                self.find_by_facts(names, connection, order, attempted_at).await
            }
        }
    }

    async fn reports(
        &self,
        connection: &Connection,
        cursor: &str,
        limit: u64,
    ) -> Result<ReportPage, BrokerError> {
        if let Some(names) = &self.names {
            return self
                .blind_reports(names.as_ref(), connection, cursor, limit)
                .await;
        }
        let after = if cursor.is_empty() { "0" } else { cursor };
        let path = format!("/accounts/{}/reports?after={after}&limit={limit}", connection.id);
        let page: wire::Page = self.get(&path).await?;
        let mut reports: Vec<Report> = Vec::with_capacity(page.reports.len());
        for told in page.reports {
            let Some(order) = told.our_id() else {
                tracing::warn!(
                    broker.name = self.name(),
                    order = told.order_id,
                    "an order of somebody else"
                );
                continue;
            };
            reports.push(told.report(order).map_err(|error| self.inconsistent(&error))?);
        }
        Ok(ReportPage {
            reports,
            cursor: page.cursor.to_string(),
        })
    }

    async fn positions(&self, connection: &Connection) -> Result<Vec<VenuePosition>, BrokerError> {
        let path = format!("/accounts/{}/positions", connection.id);
        let held: wire::Positions = self.get(&path).await?;
        held.positions().map_err(|error| self.inconsistent(&error))
    }

    async fn cash(&self, connection: &Connection) -> Result<Decimal, BrokerError> {
        let path = format!("/accounts/{}/money", connection.id);
        let money: wire::Money = self.get(&path).await?;
        let sum = connection.starting_cash.checked_add(money.moved);
        sum.ok_or_else(|| self.inconsistent(&wire::Unreadable::TooLarge))
    }
}
