//! Policy limits: how many requests of a class are answered, counted by all processes together.
//!
//! ```text
//! request ─► its checks (policy × key) ─► one script in Redis, database 2 ─► Verdict
//!                                     └─► the same count in memory while Redis is away
//! ```
//!
//! Reading order: this file; [`policies`], the classes that the configuration sets; `script`, what Redis does; `memory`,
//! the same without Redis.
//!
//! Invariants:
//!
//! 1. A window begins with the first request that is counted in it and lasts the policy's time. It is a counter that
//!    expires by itself; nothing has to clear up.
//! 2. The checks of one request are decided together, and counted only if all of them allow it: a refused request uses up
//!    no other limit and prolongs no wait.
//! 3. Redis' own clock ends the windows, so processes whose clocks differ agree.
//! 4. A script that timed out may have run: then a request is counted once in Redis and once in memory. That is harmless:
//!    it can only make a limit stricter by that one request.
//! 5. Without Redis every process counts for itself, in a bounded table. When Redis is back, that table is forgotten.
//! 6. Redis sees hashes of addresses, e-mails and ids, never these themselves. That keeps them out of sight, not secret:
//!    whoever reads Redis can guess an address and compare its hash.

mod memory;
pub mod policies;
mod script;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::clock::SharedClock;
use crate::redis::{RedisError, RedisHandle};
use memory::Memory;
pub use policies::Policies;
use script::CountScript;

/// So many bytes of a key's hash name its counter: more than enough that no two meet.
const HASH_BYTES: usize = 16;

/// One limit: so many requests in so long a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Its name, which clients see.
    pub name: &'static str,
    /// How many requests a window has.
    pub limit: u64,
    /// How long a window lasts, in whole milliseconds.
    pub window: Duration,
}

/// A policy, and whose requests it counts. The checks of one request differ in policy or key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The limit.
    pub policy: Policy,
    /// Whose requests: an address, an e-mail, an id, of any length.
    pub key: String,
}

impl Check {
    /// The check of `policy` for `key`.
    pub fn new(policy: Policy, key: impl Into<String>) -> Check {
        Check {
            policy,
            key: key.into(),
        }
    }

    /// The name of the counter: bounded, and without the key's own text.
    fn counter(&self) -> String {
        let hash = Sha256::digest(self.key.as_bytes());
        let bytes = hash.get(..HASH_BYTES).unwrap_or_default();
        format!("rate:{}:{}", self.policy.name, URL_SAFE_NO_PAD.encode(bytes))
    }

    fn window_ms(&self) -> u64 {
        u64::try_from(self.policy.window.as_millis()).unwrap_or(u64::MAX)
    }
}

/// How a policy stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyState {
    /// The policy's name.
    pub name: &'static str,
    /// How many requests a window has.
    pub limit: u64,
    /// How long a window lasts.
    pub window_seconds: u64,
    /// How many requests the window still has.
    pub remaining: u64,
    /// When the window ends, in seconds from now, rounded up.
    pub reset_seconds: u64,
}

/// Whether a request may be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether every policy allows it. Only then it was counted.
    pub is_allowed: bool,
    /// The policies, in the order of the checks.
    pub states: Vec<PolicyState>,
    /// When all the policies that refused it have a new window: at least 1. Only for a refused request.
    pub retry_after_seconds: Option<u64>,
}

/// A window as it stands: counted with this request if it was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    count: u64,
    left_ms: u64,
}

impl Verdict {
    fn of(checks: &[Check], is_allowed: bool, windows: &[Window]) -> Verdict {
        let counted = checks.iter().zip(windows);
        let states = counted
            .clone()
            .map(|(check, window)| PolicyState {
                name: check.policy.name,
                limit: check.policy.limit,
                window_seconds: check.window_ms().div_ceil(1000),
                remaining: check.policy.limit.saturating_sub(window.count),
                reset_seconds: window.left_ms.div_ceil(1000),
            })
            .collect();
        let refusing = counted.filter(|(check, window)| !is_allowed && window.count >= check.policy.limit);
        Verdict {
            is_allowed,
            states,
            retry_after_seconds: refusing
                .map(|(_, window)| window.left_ms.div_ceil(1000).max(1))
                .max(),
        }
    }
}

/// Counts requests. All limiters over one Redis count together.
pub struct RateLimiter {
    redis: Option<RedisHandle>,
    script: CountScript,
    memory: Memory,
    clock: SharedClock,
    is_in_memory: AtomicBool,
}

impl RateLimiter {
    /// A limiter over `redis` (database [`RATE_LIMITS`](crate::redis::databases::RATE_LIMITS)); without it, or while it is
    /// away, this process counts alone, by `clock`.
    pub fn new(redis: Option<RedisHandle>, clock: SharedClock) -> RateLimiter {
        RateLimiter {
            redis,
            script: CountScript::new(),
            memory: Memory::new(),
            clock,
            is_in_memory: AtomicBool::new(false),
        }
    }

    /// Whether one more request may be answered; if so, it is counted.
    pub async fn check(&self, checks: &[Check]) -> Verdict {
        if let Some(redis) = self.redis.as_ref().filter(|_| !checks.is_empty()) {
            match self.script.run(redis, checks).await {
                Ok(verdict) => {
                    self.note_redis();
                    return verdict;
                }
                Err(error) => self.note_memory(&error),
            }
        }
        self.memory.decide(checks, self.clock.now())
    }

    fn note_redis(&self) {
        if self.is_in_memory.load(Ordering::Relaxed) && self.is_in_memory.swap(false, Ordering::Relaxed) {
            self.memory.forget();
            tracing::info!("rate limits are counted in Redis again");
        }
    }

    fn note_memory(&self, error: &RedisError) {
        if !self.is_in_memory.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "rate limits are counted by this process alone until Redis is back");
        }
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("redis", &self.redis)
            .field("is_in_memory", &self.is_in_memory)
            .finish_non_exhaustive()
    }
}
