//! The burst shield: what one client may ask of this process within a second, whatever it asks for.
//!
//! It stands before everything that costs something, and counts every request: preflights, pages, health checks and those
//! that are refused further in. It knows nothing of other processes; the limits that hold for all of them together are
//! those of [`platform::rate_limit`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::NoOpMiddleware;
use platform::config::RateLimits;
use poem::http::Request as HttpRequest;
use poem::{Endpoint, Middleware, Request};
use tower_governor::GovernorError;
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::KeyExtractor;

use super::client::{RateKey, client_of};
use crate::problem::{Code, Problem};

/// After so many requests the clients are forgotten whose second is over: nothing else ever drops a key.
const REQUESTS_BETWEEN_SWEEPS: u32 = 10_000;

/// Counts by client.
#[derive(Debug, Clone, Copy)]
struct ByClient;

impl KeyExtractor for ByClient {
    type Key = RateKey;

    fn name(&self) -> &'static str {
        "client address"
    }

    fn extract<T>(&self, request: &HttpRequest<T>) -> Result<RateKey, GovernorError> {
        let key = request.extensions().get::<RateKey>();
        key.copied().ok_or(GovernorError::UnableToExtractKey)
    }
}

/// Refuses (429) what exceeds `RATE_LIMIT_BURST_PER_SECOND`. Clones count together.
#[derive(Debug, Clone)]
pub struct ShieldBursts {
    governor: Arc<GovernorConfig<ByClient, NoOpMiddleware>>,
    requests: Arc<AtomicU32>,
}

impl ShieldBursts {
    /// A shield that has seen nobody yet.
    pub fn new(limits: RateLimits) -> Self {
        Self {
            governor: Arc::new(governor(limits.burst_per_second)),
            requests: Arc::default(),
        }
    }

    /// Counts one request of `key`.
    fn check(&self, key: RateKey) -> Result<(), Problem> {
        let limiter = self.governor.limiter();
        if self.requests.fetch_add(1, Ordering::Relaxed) % REQUESTS_BETWEEN_SWEEPS
            == REQUESTS_BETWEEN_SWEEPS - 1
        {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        limiter.check_key(&key).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            let seconds = u64::try_from(wait.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u64::MAX);
            let detail = "too many requests at once from this address";
            Problem::new(Code::RateLimited, detail).retry_after(seconds.max(1))
        })
    }
}

/// So many requests a second, which may all come at once.
#[expect(clippy::expect_used, reason = "the crate only refuses zeros")]
fn governor(burst_per_second: u32) -> GovernorConfig<ByClient, NoOpMiddleware> {
    let burst = burst_per_second.max(1);
    let refill = (Duration::from_secs(1) / burst).max(Duration::from_nanos(1));
    let mut builder = GovernorConfigBuilder::default().key_extractor(ByClient);
    let governor = builder.burst_size(burst).period(refill).finish();
    governor.expect("Invariant: neither the burst nor the period is zero")
}

impl<E: Endpoint> Middleware<E> for ShieldBursts {
    type Output = ShieldBurstsEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        ShieldBurstsEndpoint {
            inner,
            shield: self.clone(),
        }
    }
}

/// The endpoint behind [`ShieldBursts`].
pub struct ShieldBurstsEndpoint<E> {
    inner: E,
    shield: ShieldBursts,
}

impl<E: Endpoint> Endpoint for ShieldBurstsEndpoint<E> {
    type Output = E::Output;

    async fn call(&self, request: Request) -> poem::Result<Self::Output> {
        self.shield.check(client_of(&request).rate_key)?;
        self.inner.call(request).await
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::middleware::test_access::access;

    fn shield(burst: &str) -> ShieldBursts {
        ShieldBursts::new(access(&[("RATE_LIMIT_BURST_PER_SECOND", burst)]).rate_limits)
    }

    fn key(ip: Ipv6Addr) -> RateKey {
        RateKey::of(ip.into())
    }

    #[test]
    fn a_burst_is_refused_with_a_wait_of_at_least_a_second_and_others_are_not() {
        let shield = shield("1");
        let (one, other) = (key(Ipv6Addr::from_bits(1)), key(Ipv6Addr::from_bits(1 << 64)));
        assert!(shield.check(one).is_ok());
        // However slow the machine is: within a second a second request comes.
        let refused = (0..1_000_000).find_map(|_| shield.check(one).err()).unwrap();
        let answer = refused.response("/", "r");
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(shield.check(other).is_ok());
    }

    #[test]
    fn the_largest_burst_is_as_good_as_none() {
        let shield = shield("1000000000");
        let one = key(Ipv6Addr::from_bits(1));
        assert!((0..100_000).all(|_| shield.check(one).is_ok()));
    }

    #[test]
    fn clients_of_the_past_are_forgotten() {
        let shield = shield("1000000000");
        for number in 0..REQUESTS_BETWEEN_SWEEPS * 5 {
            let one = key(Ipv6Addr::from_bits(u128::from(number) << 64));
            assert!(shield.check(one).is_ok());
        }
        let kept = shield.governor.limiter().len();
        assert!(
            kept <= usize::try_from(REQUESTS_BETWEEN_SWEEPS).unwrap(),
            "{kept} clients"
        );
    }
}
