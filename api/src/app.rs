//! What handlers hold: the parts of a process that answer requests.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::asset::{Asset, MarketHours};
use domain::id::{AssetId, OrderId};
use domain::quote::{Purpose, Quote};
use domain::risk::Limits;
use market::CachedQuotes;
use platform::GroupCommit;
use platform::SharedClock;
use platform::config::{Config, NotionalLimits};
use platform::version::Started;
use queue::{Job, Queue};
use std::collections::HashMap;
use store::orders::RoleLimits;
use store::{Fees, Store};

use crate::accept::{self, Acceptance};
use crate::auth::CredentialCache;
use crate::catalogue::Catalogue;

/// The parts that an [`App`] is made of.
#[derive(Debug)]
pub struct AppParts {
    /// The database.
    pub store: Store,
    /// Wakes workers.
    pub queue: Queue,
    /// The instruments that can be asked for.
    pub assets: Vec<Asset>,
    /// The time of day.
    pub clock: SharedClock,
    /// Since when the process runs.
    pub started: Started,
    /// How orders are judged, and how much a request may send.
    pub rules: Rules,
}

/// The configuration that requests feel.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Whether equities keep the exchange's hours.
    pub hours: MarketHours,
    /// Limits by role.
    pub limits: RoleLimits,
    /// Fees that the broker takes.
    pub fees: Fees,
    /// The most bytes of a request's body.
    pub max_body_bytes: usize,
}

impl Rules {
    /// The rules that `config` sets.
    pub fn of(config: &Config) -> Self {
        let limits = |limits: NotionalLimits| Limits {
            order_notional: limits.order,
            day_notional: limits.day,
        };
        Self {
            hours: market::setup::hours(config),
            limits: RoleLimits {
                standard: limits(config.risk.standard),
                admin: limits(config.risk.admin),
                superadmin: limits(config.risk.superadmin),
            },
            fees: Fees {
                equity_basis_points: config.paper_fee_bps,
                crypto_basis_points: config.paper_crypto_fee_bps,
            },
            max_body_bytes: config.max_body_bytes,
        }
    }
}

/// Everything that a handler may use.
pub struct App {
    /// The database.
    pub store: Store,
    /// Wakes workers.
    pub queue: Queue,
    /// The instruments that can be asked for.
    pub assets: Catalogue,
    /// The time of day.
    pub clock: SharedClock,
    /// Since when the process runs.
    pub started: Started,
    /// How orders are judged, and how much a request may send.
    pub rules: Rules,
    /// Credentials that were checked a moment ago.
    pub(crate) credentials: CredentialCache,
    /// Accepts orders, those that wait together.
    pub(crate) acceptance: Acceptance,
    wakes: GroupCommit<OrderId, ()>,
    quotes: CachedQuotes,
}

impl App {
    /// Puts the parts together, within a Tokio runtime. `quotes` tells prices.
    pub fn new(parts: AppParts, quotes: CachedQuotes) -> Arc<Self> {
        let acceptance = accept::spawn(parts.store.clone(), parts.rules, Arc::clone(&parts.clock));
        let wakes = wakes(parts.queue.clone());
        Arc::new(Self {
            store: parts.store,
            queue: parts.queue,
            assets: Catalogue::new(parts.assets),
            clock: parts.clock,
            started: parts.started,
            rules: parts.rules,
            credentials: CredentialCache::default(),
            acceptance,
            wakes,
            quotes,
        })
    }

    /// The present time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The quotes of `assets` for `purpose`; those that nobody knows are absent. A provider that fails is logged by the
    /// cache, and here no price: whoever needs one fails closed.
    pub async fn quotes(&self, assets: &[Asset], purpose: Purpose) -> HashMap<AssetId, Quote> {
        self.quotes.quotes(assets, purpose).await.unwrap_or_default()
    }

    /// Has a worker woken for each of these orders; no answer waits for that.
    pub fn signal(&self, orders: impl IntoIterator<Item = OrderId>) {
        for order in orders {
            self.wakes.tell(order);
        }
    }
}

/// Pushes signals, all that wait at once.
fn wakes(queue: Queue) -> GroupCommit<OrderId, ()> {
    GroupCommit::spawn(WAKES_MAX, move |orders: Vec<OrderId>| {
        let queue = queue.clone();
        async move {
            let jobs: Vec<Job> = orders
                .iter()
                .map(|order| Job::ExecuteOrder { order_id: order.0 })
                .collect();
            queue.push(&jobs).await;
            Vec::new()
        }
    })
}

/// The most signals of one push.
const WAKES_MAX: usize = 256;

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
