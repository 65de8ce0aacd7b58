//! What a worker needs around it, and how it is set up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use domain::asset::{Asset, MarketHours};
use domain::id::AssetId;
use market::CachedQuotes;
use platform::{Config, SharedClock};
use queue::Queue;
use store::Store;

use crate::name::worker_name;

/// The parts that a worker works with.
#[derive(Clone)]
pub struct WorkerApp {
    /// The truth.
    pub store: Store,
    /// What wakes it up, and what it wakes others up with.
    pub queue: Queue,
    /// Where orders go.
    pub brokers: Brokers,
    /// Prices.
    pub quotes: CachedQuotes,
    /// The time of day.
    pub clock: SharedClock,
    /// Whether equities keep the exchange's hours.
    pub hours: MarketHours,
    /// The instruments.
    pub assets: Assets,
    /// How it works.
    pub options: WorkerOptions,
}

/// How a worker works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerOptions {
    /// Its name in claims and leases; no other process may have it.
    pub name: String,
    /// How many orders are worked on at once.
    pub concurrency: usize,
    /// How long a claim lasts.
    pub lease: Duration,
    /// The longest that a broker call may take; an adapter may ask for less. Shorter than the lease.
    pub broker_timeout: Duration,
}

impl WorkerOptions {
    /// As configured, under a new name.
    pub fn of(config: &Config) -> WorkerOptions {
        WorkerOptions {
            name: worker_name(),
            concurrency: config.worker_concurrency,
            lease: config.lease(),
            broker_timeout: config.broker_timeout(),
        }
    }
}

/// The brokers by their names. Clones share them.
#[derive(Clone, Default)]
pub struct Brokers {
    by_name: Arc<HashMap<&'static str, Arc<dyn Broker>>>,
}

impl Brokers {
    /// These brokers, each under its own name.
    pub fn new(brokers: impl IntoIterator<Item = Arc<dyn Broker>>) -> Brokers {
        let by_name = brokers
            .into_iter()
            .map(|broker| (broker.name(), broker))
            .collect();
        Brokers {
            by_name: Arc::new(by_name),
        }
    }

    /// The broker that the database calls `name`.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Broker>> {
        self.by_name.get(name)
    }

    /// The brokers that fill nothing unless they are told prices.
    pub(crate) fn fed_by_quotes(&self) -> impl Iterator<Item = &Arc<dyn Broker>> {
        self.by_name
            .values()
            .filter(|broker| broker.capabilities().is_fed_by_quotes)
    }
}

/// The instruments by their ids. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Assets {
    by_id: Arc<HashMap<AssetId, Asset>>,
}

impl Assets {
    /// These instruments.
    pub fn new(assets: impl IntoIterator<Item = Asset>) -> Assets {
        let by_id = assets.into_iter().map(|asset| (asset.id, asset)).collect();
        Assets {
            by_id: Arc::new(by_id),
        }
    }

    /// The instrument `id`.
    pub fn get(&self, id: AssetId) -> Option<&Asset> {
        self.by_id.get(&id)
    }

    /// Those of `ids` that are known.
    pub(crate) fn of(&self, ids: &[AssetId]) -> Vec<Asset> {
        ids.iter().filter_map(|id| self.get(*id).cloned()).collect()
    }

    /// How people call the instrument `id`; its id where it is unknown.
    pub(crate) fn symbol(&self, id: AssetId) -> String {
        self.get(id)
            .map_or_else(|| id.to_string(), |asset| asset.symbol.clone())
    }
}
