//! The scripted broker in the worker's registry: only in builds with the feature `fault-points`, and only where the
//! variable `SCRIPTED_BROKER_URL` says where it is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use broker::scripted::{BLIND_NAME, Known, OrderNames, Scripted, ScriptedOptions, Unsettled};
use broker::{Broker, BrokerError};
use domain::id::{BrokerOrderId, ConnectionId};
use domain::order::Order;
use platform::config::Config;
use store::Store;

/// Where the test broker is.
const URL: &str = "SCRIPTED_BROKER_URL";

/// The longest that connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// Both kinds of it: one to which our ids travel, and one to which they do not.
pub(crate) fn brokers(config: &Config, store: &Store) -> Result<Vec<Arc<dyn Broker>>, BrokerError> {
    let Some(url) = url() else {
        return Ok(Vec::new());
    };
    let names: Arc<dyn OrderNames> = Arc::new(StoreNames(store.clone()));
    [None, Some(names)]
        .into_iter()
        .map(|names| {
            let scripted = Scripted::open(ScriptedOptions {
                url: url.clone(),
                connect_timeout: CONNECT_TIMEOUT,
                call_timeout: config.broker_timeout(),
                names,
            })?;
            Ok(Arc::new(scripted) as Arc<dyn Broker>)
        })
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "no variable of the product: it exists only in builds for tests"
)]
fn url() -> Option<String> {
    std::env::var(URL).ok()
}

/// Our own book, for a broker to which no ids of ours travel.
struct StoreNames(Store);

#[async_trait]
impl OrderNames for StoreNames {
    async fn known(&self, connection: ConnectionId, ids: &[BrokerOrderId]) -> Result<Known, BrokerError> {
        let orders = self.0.orders_at_broker(connection, ids).await;
        let orders = orders.map_err(|error| BrokerError::Unavailable {
            broker: BLIND_NAME,
            reason: format!("our own book: {error}"),
        })?;
        Ok(sorted(orders))
    }
}

/// Orders with a name at the broker, and those that have none yet.
fn sorted(orders: Vec<Order>) -> Known {
    let mut known = Known::default();
    for order in orders {
        match order.broker_order_id {
            Some(name) => {
                known.named.insert(name, order.id);
            }
            None => known.unsettled.push(Unsettled {
                id: order.id,
                symbol: order.symbol,
                terms: order.terms,
            }),
        }
    }
    known
}
