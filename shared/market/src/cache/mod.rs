//! The quote cache: what everyone calls to learn a price.
//!
//! ```text
//! caller ──► memory of this process ──► copy in Redis, shared by all ──► provider
//! ```
//!
//! Invariants:
//! 1. The caller's purpose decides how old an answer may be, by the quote's own time ([`Purpose::refetch_after`]). What is
//!    older is fetched anew: the cache never delays a stop.
//! 2. One fetch per asset at a time: callers who want what is being fetched wait for it. What one caller misses is
//!    fetched in one call.
//! 3. A fetched quote is handed out whatever its age, and says its age: whether it may be believed is decided by
//!    [`Quote::trust`].
//! 4. Redis is never needed and never waited for long. Without it each process remembers for itself.
//! 5. When the provider fails, what is known and young enough is still handed out; only an answer with no quote at all
//!    is an error.

mod entry;
mod flights;
mod metrics;
mod shared;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::asset::{Asset, AssetClass, MarketHours};
use domain::id::AssetId;
use domain::quote::{Purpose, Quote};
use platform::SharedClock;
use platform::redis::RedisHandle;

use crate::{MarketData, MarketError};
use entry::Entry;
use flights::{Boarded, Flight, Flights, Landing, Source};
pub use metrics::CacheMetrics;
use metrics::Counters;
use shared::SharedCopies;

/// How many assets a process remembers.
const REMEMBERED_ASSETS_MAX: u64 = 100_000;

/// How long a process remembers, at most.
const REMEMBERED_FOR: Duration = Duration::from_mins(1);

/// How long a provider may take.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a caller waits for others before it fetches for itself.
const WAITS_MAX: u32 = 4;

/// The cache in front of a provider. Clones share everything.
#[derive(Clone)]
pub struct CachedQuotes {
    inner: Arc<Inner>,
}

struct Inner {
    provider: Arc<dyn MarketData>,
    clock: SharedClock,
    hours: MarketHours,
    memory: moka::future::Cache<AssetId, Entry>,
    shared: Option<SharedCopies>,
    flights: Arc<Flights>,
    counters: Counters,
}

/// What one caller has so far.
struct Search {
    purpose: Purpose,
    wanted: Vec<Asset>,
    found: HashMap<AssetId, Quote>,
    error: Option<MarketError>,
}

impl CachedQuotes {
    /// Caches `provider`. `redis` is a connection to the database of the cache, where processes share their quotes;
    /// `hours` says when the quotes of equities age.
    pub fn new(
        provider: Arc<dyn MarketData>,
        clock: SharedClock,
        hours: MarketHours,
        redis: Option<RedisHandle>,
    ) -> CachedQuotes {
        let memory = moka::future::Cache::builder()
            .max_capacity(REMEMBERED_ASSETS_MAX)
            .time_to_live(REMEMBERED_FOR)
            .build();
        let shared = redis.map(|redis| SharedCopies::new(redis, provider.name()));
        let (flights, counters) = (Arc::default(), Counters::default());
        CachedQuotes {
            inner: Arc::new(Inner {
                provider,
                clock,
                hours,
                memory,
                shared,
                flights,
                counters,
            }),
        }
    }

    /// The newest known quotes of `assets` that are young enough for `purpose`, else the provider's.
    ///
    /// Assets without a price are absent, and so are those that could not be fetched while others were there; an answer
    /// without any quote because the provider failed is an error.
    pub async fn quotes(
        &self,
        assets: &[Asset],
        purpose: Purpose,
    ) -> Result<HashMap<AssetId, Quote>, MarketError> {
        let mut distinct = HashSet::new();
        let wanted = assets
            .iter()
            .filter(|asset| distinct.insert(asset.id))
            .cloned()
            .collect();
        let mut search = Search {
            purpose,
            wanted,
            found: HashMap::new(),
            error: None,
        };
        for _ in 0..WAITS_MAX {
            self.inner.look_in_memory(&mut search).await;
            if search.wanted.is_empty() {
                break;
            }
            self.inner.fly_or_join(&mut search).await;
        }
        if !search.wanted.is_empty() {
            // Those it waited for were cancelled each time.
            let landing = self.inner.fetch(search.wanted.clone(), purpose).await;
            search.conclude(&landing);
        }
        match search.error {
            Some(error) if search.found.is_empty() => Err(error),
            Some(_) | None => Ok(search.found),
        }
    }

    /// As [`CachedQuotes::quotes`], for one asset.
    pub async fn quote(&self, asset: &Asset, purpose: Purpose) -> Result<Option<Quote>, MarketError> {
        let mut quotes = self.quotes(std::slice::from_ref(asset), purpose).await?;
        Ok(quotes.remove(&asset.id))
    }

    /// What the cache did so far.
    pub fn metrics(&self) -> CacheMetrics {
        self.inner.counters.snapshot()
    }
}

impl Search {
    /// Takes an answer.
    fn take(&mut self, asset: AssetId, entry: &Entry) {
        self.found.extend(entry.quote.clone().map(|quote| (asset, quote)));
    }

    /// Takes all answers of a fetch that was made for this caller.
    fn conclude(&mut self, landing: &Landing) {
        for (asset, (entry, _)) in &landing.entries {
            self.take(*asset, entry);
        }
        self.fail(landing);
    }

    /// Notes why assets have no answer; the first reason counts.
    fn fail(&mut self, landing: &Landing) {
        self.error = self.error.take().or_else(|| landing.error.clone());
    }
}

/// The present time, with what the calendar says about it.
#[derive(Clone, Copy)]
struct Present {
    now: DateTime<Utc>,
    equities_trade: bool,
}

impl Present {
    fn serves(self, asset: &Asset, entry: &Entry, purpose: Purpose) -> bool {
        let in_session = match asset.class {
            AssetClass::UsEquity => self.equities_trade,
            AssetClass::Crypto => true,
        };
        entry.serves(purpose, self.now, in_session)
    }
}

impl Inner {
    fn present(&self) -> Present {
        let now = self.clock.now();
        Present {
            now,
            equities_trade: AssetClass::UsEquity.is_in_session(now, self.hours),
        }
    }

    async fn remembered(&self, asset: &Asset, purpose: Purpose, present: Present) -> Option<Entry> {
        self.memory
            .get(&asset.id)
            .await
            .filter(|entry| present.serves(asset, entry, purpose))
    }

    async fn look_in_memory(&self, search: &mut Search) {
        let present = self.present();
        for asset in std::mem::take(&mut search.wanted) {
            match self.remembered(&asset, search.purpose, present).await {
                Some(entry) => {
                    self.counters.memory_hits.increment();
                    search.take(asset.id, &entry);
                }
                None => search.wanted.push(asset),
            }
        }
    }

    /// Fetches what nobody fetches yet, and waits for the rest. Still wanted is then only what a cancelled caller was
    /// about to fetch, and what another found too old.
    async fn fly_or_join(&self, search: &mut Search) {
        let Boarded { own, joined } = self.flights.board(&search.wanted);
        search.wanted.clear();
        if let Some(flight) = own {
            let landing = self.fly(flight, search.purpose).await;
            search.conclude(&landing);
        }
        for (flight, assets) in joined {
            match flight.landing().await {
                Some(landing) => self.take_joined(search, assets, &landing),
                None => search.wanted.extend(assets),
            }
        }
    }

    fn take_joined(&self, search: &mut Search, assets: Vec<Asset>, landing: &Landing) {
        let present = self.present();
        for asset in assets {
            match landing.entries.get(&asset.id) {
                None => search.fail(landing),
                // A leader with a lesser purpose may have found a copy that is too old for this one. What the provider
                // said just now is the newest there is.
                Some((entry, source))
                    if *source != Source::Provider && !present.serves(&asset, entry, search.purpose) =>
                {
                    search.wanted.push(asset);
                }
                Some((entry, _)) => {
                    self.counters.joined.increment();
                    search.take(asset.id, entry);
                }
            }
        }
    }

    async fn fly(&self, flight: Flight, purpose: Purpose) -> Arc<Landing> {
        let landing = Arc::new(self.fetch(flight.assets.clone(), purpose).await);
        flight.land(Arc::clone(&landing));
        self.share(&landing).await;
        landing
    }

    /// The answers for `assets`: from memory if another flight just landed, from Redis, from the provider.
    async fn fetch(&self, assets: Vec<Asset>, purpose: Purpose) -> Landing {
        let mut landing = Landing::default();
        let present = self.present();
        let mut missing = Vec::new();
        for asset in assets {
            match self.remembered(&asset, purpose, present).await {
                Some(entry) => {
                    self.counters.memory_hits.increment();
                    landing.entries.insert(asset.id, (entry, Source::Memory));
                }
                None => missing.push(asset),
            }
        }
        let missing = self.look_in_redis(missing, purpose, &mut landing).await;
        if !missing.is_empty() {
            self.ask_provider(&missing, &mut landing).await;
        }
        landing
    }

    /// Takes from Redis what serves, and answers what is still missing.
    async fn look_in_redis(&self, assets: Vec<Asset>, purpose: Purpose, landing: &mut Landing) -> Vec<Asset> {
        let Some(shared) = self.shared.as_ref().filter(|_| !assets.is_empty()) else {
            return assets;
        };
        let mut copies = shared.read(&assets, &self.counters).await;
        let present = self.present();
        let mut missing = Vec::new();
        for asset in assets {
            let copy = copies
                .remove(&asset.id)
                .filter(|entry| present.serves(&asset, entry, purpose));
            if let Some(entry) = copy {
                self.counters.redis_hits.increment();
                self.memory.insert(asset.id, entry.clone()).await;
                landing.entries.insert(asset.id, (entry, Source::Redis));
            } else {
                missing.push(asset);
            }
        }
        missing
    }

    async fn ask_provider(&self, assets: &[Asset], landing: &mut Landing) {
        self.counters.provider_calls.increment();
        self.counters.misses.add(assets.len());
        let fetched_at = self.clock.now();
        let answer = tokio::time::timeout(PROVIDER_TIMEOUT, self.provider.quotes(assets)).await;
        let quotes = answer.unwrap_or_else(|_| {
            let limit_ms = PROVIDER_TIMEOUT.as_millis();
            Err(MarketError::TimedOut {
                provider: self.provider.name(),
                limit_ms,
            })
        });
        match quotes {
            Ok(quotes) => {
                let mut quotes: HashMap<_, _> =
                    quotes.into_iter().map(|quote| (quote.asset_id, quote)).collect();
                for asset in assets {
                    let entry = Entry {
                        quote: quotes.remove(&asset.id),
                        fetched_at,
                    };
                    self.memory.insert(asset.id, entry.clone()).await;
                    landing.entries.insert(asset.id, (entry, Source::Provider));
                }
            }
            Err(error) => {
                self.counters.provider_errors.increment();
                tracing::warn!(
                    %error,
                    market.provider = self.provider.name(),
                    market.assets = assets.len(),
                    "no quotes"
                );
                landing.error = Some(error);
            }
        }
    }

    /// Hands what the provider answered to the other processes.
    async fn share(&self, landing: &Landing) {
        let Some(shared) = &self.shared else { return };
        let fetched: Vec<_> = landing
            .entries
            .iter()
            .filter(|(_, (_, source))| *source == Source::Provider)
            .map(|(asset, (entry, _))| (*asset, entry.clone()))
            .collect();
        shared.write(&fetched, &self.counters).await;
    }
}
