//! Makes any provider stand still on demand, so that every path of a stale quote can be run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use domain::asset::Asset;
use domain::id::AssetId;
use domain::quote::Quote;

use crate::{MarketData, MarketError};

/// A provider that can be frozen: then it repeats the quotes it gave last, with their old times.
///
/// Clones share the provider and the frost. An asset that was never asked for before the frost is fetched once and
/// repeated from then on.
#[derive(Clone)]
pub struct Frozen {
    inner: Arc<dyn MarketData>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_frozen: bool,
    last: HashMap<AssetId, Quote>,
}

impl Frozen {
    /// `inner`, not frozen yet.
    pub fn new(inner: Arc<dyn MarketData>) -> Frozen {
        Frozen {
            inner,
            state: Arc::default(),
        }
    }

    /// From now on quotes keep their times and prices.
    pub fn freeze(&self) {
        self.lock().is_frozen = true;
    }

    /// Quotes move again.
    pub fn thaw(&self) {
        self.lock().is_frozen = false;
    }

    /// Whether the provider stands still.
    pub fn is_frozen(&self) -> bool {
        self.lock().is_frozen
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Quotes are replaced as a whole, so a panic elsewhere cannot leave half of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The quotes that are repeated, and the assets that must be fetched all the same.
    fn repeated(&self, assets: &[Asset]) -> (Vec<Quote>, Vec<Asset>) {
        let state = self.lock();
        if !state.is_frozen {
            return (Vec::new(), assets.to_vec());
        }
        let known = assets
            .iter()
            .filter_map(|asset| state.last.get(&asset.id).cloned())
            .collect();
        let unknown = assets
            .iter()
            .filter(|asset| !state.last.contains_key(&asset.id))
            .cloned()
            .collect();
        (known, unknown)
    }
}

#[async_trait]
impl MarketData for Frozen {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn quotes(&self, assets: &[Asset]) -> Result<Vec<Quote>, MarketError> {
        let (mut quotes, missing) = self.repeated(assets);
        if !missing.is_empty() {
            let fetched = self.inner.quotes(&missing).await?;
            let mut state = self.lock();
            state
                .last
                .extend(fetched.iter().map(|quote| (quote.asset_id, quote.clone())));
            quotes.extend(fetched);
        }
        Ok(quotes)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use platform::ManualClock;

    use super::*;
    use crate::{Sim, catalog};

    #[tokio::test]
    async fn a_frozen_provider_repeats_its_quotes_with_their_old_times() {
        let start: DateTime<Utc> = "2026-11-24T15:00:00Z".parse().unwrap();
        let clock = ManualClock::new(start);
        let frozen = Frozen::new(Arc::new(Sim::new(7, clock.shared())));
        let bitcoin = [catalog::asset("BTC/USD").unwrap()];
        let before = frozen.quotes(&bitcoin).await.unwrap();
        frozen.freeze();
        clock.advance(TimeDelta::seconds(90));
        assert_eq!(frozen.quotes(&bitcoin).await.unwrap(), before);
        assert_eq!(before[0].at, start);

        let ether = [catalog::asset("ETH/USD").unwrap()];
        let first = frozen.quotes(&ether).await.unwrap();
        clock.advance(TimeDelta::seconds(90));
        assert_eq!(
            frozen.quotes(&ether).await.unwrap(),
            first,
            "fetched once, then repeated"
        );

        frozen.thaw();
        assert!(!frozen.is_frozen());
        assert_eq!(frozen.quotes(&bitcoin).await.unwrap()[0].at, clock_time(&clock));
    }

    fn clock_time(clock: &ManualClock) -> DateTime<Utc> {
        use platform::Clock as _;
        clock.now()
    }
}
