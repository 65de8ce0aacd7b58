//! What handlers hold: the parts of a process that answer requests.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::asset::{Asset, MarketHours};
use domain::id::{AssetId, CredentialId, OrderId};
use domain::quote::{Purpose, Quote};
use domain::risk::Limits;
use market::CachedQuotes;
use platform::GroupCommit;
use platform::SharedClock;
use platform::config::{Access, Config, NotionalLimits, Registration};
use platform::password::{LoginDelay, Passwords};
use platform::rate_limit::{Policies, RateLimiter};
use platform::redis::{RedisHandle, RedisUrlError, databases};
use platform::secrets::LocalSecrets;
use platform::version::Started;
use poem::Request;
use queue::{Job, Queue};
use rust_decimal::Decimal;
use secrecy::SecretString;
use std::collections::HashMap;
use store::audit_log::AuditKind;
use store::orders::RoleLimits;
use store::{Fees, Store};

use crate::accept::{self, Acceptance};
use crate::access::Budgets;
use crate::access::rules::Class;
use crate::auth::CredentialCache;
use crate::auth::csrf::Csrf;
use crate::auth::session::{Cookies, Sessions};
use crate::catalogue::Catalogue;
use crate::oauth::OAuth;
use crate::problem::Problem;
use crate::record::Record;

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
    /// How people and programs get in.
    pub doors: Doors,
}

/// How people and programs get in.
#[derive(Debug)]
pub struct Doors {
    /// The configuration of it.
    pub access: Arc<Access>,
    /// Whether the process runs in production.
    pub is_production: bool,
    /// `SESSION_SECRET`.
    pub session_secret: SecretString,
    /// Counts requests.
    pub limiter: RateLimiter,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// The authorization server.
    pub oauth: OAuth,
}

impl Doors {
    /// The doors that `config` sets. Needs a tokio runtime.
    ///
    /// Fails where `REDIS_URL` is none of a Redis server.
    pub fn of(config: &Config, secrets: &LocalSecrets, clock: &SharedClock) -> Result<Self, RedisUrlError> {
        let redis = config.redis_url.as_ref();
        let redis = redis
            .map(|url| RedisHandle::connect(url, databases::RATE_LIMITS))
            .transpose()?;
        Ok(Self {
            access: Arc::new(config.access.clone()),
            is_production: config.is_production(),
            session_secret: secrets.session_secret.clone(),
            limiter: RateLimiter::new(redis, Arc::clone(clock)),
            passwords: Passwords::default(),
            oauth: OAuth::of(config),
        })
    }
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
    /// What a new paper account starts with, in USD.
    pub starting_cash: Decimal,
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
            starting_cash: config.paper_starting_cash,
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
    /// How people and programs get in.
    pub(crate) access: Arc<Access>,
    /// How cookies are written.
    pub(crate) cookies: Cookies,
    /// Sessions that were looked up a moment ago.
    pub(crate) sessions: Sessions,
    /// Tokens of pages.
    pub(crate) csrf: Csrf,
    /// How many requests each caller has.
    pub(crate) budgets: Budgets,
    /// Hashes passwords.
    pub(crate) passwords: Passwords,
    /// Wrong passwords of the last minutes.
    pub(crate) failures: LoginDelay,
    /// The authorization server.
    pub oauth: OAuth,
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
        let doors = parts.doors;
        Arc::new(Self {
            store: parts.store,
            queue: parts.queue,
            assets: Catalogue::new(parts.assets),
            clock: parts.clock,
            started: parts.started,
            rules: parts.rules,
            cookies: Cookies::of(&doors.access, doors.is_production),
            sessions: Sessions::new(&doors.access),
            csrf: Csrf::new(doors.session_secret),
            budgets: Budgets::new(doors.limiter, Policies::of(doors.access.rate_limits)),
            oauth: doors.oauth,
            access: doors.access,
            passwords: doors.passwords,
            failures: LoginDelay::default(),
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

    /// Counts `request` against the limit of its class.
    pub(crate) async fn count(
        &self,
        request: &Request,
        class: Class,
        credential: Option<CredentialId>,
    ) -> Result<(), Problem> {
        self.budgets.count(request, class, credential, self.now()).await
    }

    /// Whether people may make accounts for themselves.
    pub(crate) fn is_registration_open(&self) -> bool {
        self.access.registration == Registration::Open
    }

    /// Has what this process remembers of credentials looked up anew: what was revoked here is refused here at once, and
    /// in other processes within a second.
    pub(crate) fn forget_credentials(&self) {
        self.credentials.forget();
        self.sessions.forget();
    }

    /// Writes an event into the audit log, of what changes nothing else or has happened already. The answer waits for it: whoever
    /// is told that something was done finds it on record.
    pub(crate) async fn audit(&self, record: &Record, kind: AuditKind) -> Result<(), Problem> {
        self.store.audit(&record.event(kind, self.now())).await?;
        Ok(())
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
