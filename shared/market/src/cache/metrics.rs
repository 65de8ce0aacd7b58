//! What the cache did so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start of the process, by asset unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheMetrics {
    /// Answered from this process' memory.
    pub memory_hits: u64,
    /// Answered from the copy that all processes share.
    pub redis_hits: u64,
    /// Answered by a fetch that another caller had begun.
    pub joined: u64,
    /// Fetched from the provider.
    pub misses: u64,
    /// Calls of the provider, each for any number of assets.
    pub provider_calls: u64,
    /// Calls of the provider that failed.
    pub provider_errors: u64,
    /// Calls of Redis that failed or came too late; not those left out because it is known to be down.
    pub redis_errors: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) memory_hits: Counter,
    pub(super) redis_hits: Counter,
    pub(super) joined: Counter,
    pub(super) misses: Counter,
    pub(super) provider_calls: Counter,
    pub(super) provider_errors: Counter,
    pub(super) redis_errors: Counter,
}

impl Counters {
    pub(super) fn snapshot(&self) -> CacheMetrics {
        CacheMetrics {
            memory_hits: self.memory_hits.get(),
            redis_hits: self.redis_hits.get(),
            joined: self.joined.get(),
            misses: self.misses.get(),
            provider_calls: self.provider_calls.get(),
            provider_errors: self.provider_errors.get(),
            redis_errors: self.redis_errors.get(),
        }
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add(&self, count: usize) {
        self.0
            .fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
