mod memory;
mod redis;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::money::{Price, Quantity};
use platform::{Clock as _, ManualClock};
use rust_decimal::Decimal;
use tokio::sync::Semaphore;

use super::*;
use crate::catalog;

/// A Tuesday, 10:00 in New York.
const OPEN: &str = "2026-11-24T15:00:00Z";

/// A provider that a test steers. The price counts its calls, so that an answer tells when it was made.
struct Scripted {
    name: &'static str,
    clock: ManualClock,
    /// Symbols of each call, in order.
    calls: Mutex<Vec<String>>,
    /// A call needs a permit to finish.
    gate: Semaphore,
    fails: AtomicBool,
    /// Added to the clock's time in each quote.
    offset: Mutex<TimeDelta>,
}

impl Scripted {
    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl MarketData for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn quotes(&self, assets: &[Asset]) -> Result<Vec<Quote>, MarketError> {
        let at = self.clock.now() + *self.offset.lock().unwrap();
        let symbols: Vec<_> = assets.iter().map(|asset| asset.symbol.as_str()).collect();
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(symbols.join(" "));
            calls.len()
        };
        self.gate.acquire().await.unwrap().forget();
        if self.fails.load(Ordering::SeqCst) {
            let source = Arc::new(std::io::Error::other("the line is cut"));
            return Err(MarketError::Unavailable {
                provider: self.name,
                source,
            });
        }
        let price = Price::new(Decimal::from(number)).unwrap();
        let size = Quantity::new(Decimal::ONE).unwrap();
        // DOGE is what this provider does not know.
        let known = assets.iter().filter(|asset| asset.symbol != "DOGE/USD");
        Ok(known
            .map(|asset| Quote {
                asset_id: asset.id,
                bid: price,
                bid_size: size,
                ask: price,
                ask_size: size,
                last: price,
                low: price,
                high: price,
                at,
            })
            .collect())
    }
}

/// A cache with its provider and its clock.
struct Setup {
    clock: ManualClock,
    provider: Arc<Scripted>,
    cache: CachedQuotes,
}

impl Setup {
    /// A provider that answers at once.
    fn new(redis: Option<RedisHandle>) -> Setup {
        Setup::at(OPEN, "scripted", Semaphore::MAX_PERMITS, redis)
    }

    /// A provider that waits for the test's permission.
    fn gated() -> Setup {
        Setup::at(OPEN, "scripted", 0, None)
    }

    fn at(time: &str, name: &'static str, permits: usize, redis: Option<RedisHandle>) -> Setup {
        let clock = ManualClock::new(time.parse().unwrap());
        let provider = Arc::new(Scripted {
            name,
            clock: clock.clone(),
            calls: Mutex::default(),
            gate: Semaphore::new(permits),
            fails: AtomicBool::new(false),
            offset: Mutex::new(TimeDelta::zero()),
        });
        let cache = CachedQuotes::new(provider.clone(), clock.shared(), MarketHours::Real, redis);
        Setup {
            clock,
            provider,
            cache,
        }
    }

    /// The number of the provider's call that made the answer.
    async fn call_seen(&self, symbol: &str, purpose: Purpose) -> String {
        let quote = self.cache.quote(&asset(symbol), purpose).await.unwrap();
        quote.map_or("nothing".to_owned(), |quote| quote.last.to_string())
    }

    fn advance(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }
}

fn asset(symbol: &str) -> Asset {
    catalog::asset(symbol).unwrap()
}

fn assets(symbols: &[&str]) -> Vec<Asset> {
    symbols.iter().map(|symbol| asset(symbol)).collect()
}
