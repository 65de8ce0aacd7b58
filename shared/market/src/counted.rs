//! Counts how often a provider is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use domain::asset::Asset;
use domain::quote::Quote;

use crate::{MarketData, MarketError};

/// A provider whose calls are counted. Clones share the provider and the count.
#[derive(Clone)]
pub struct Counted {
    inner: Arc<dyn MarketData>,
    calls: Arc<AtomicU64>,
}

impl Counted {
    /// Counts the calls of `inner` from zero.
    pub fn new(inner: Arc<dyn MarketData>) -> Counted {
        Counted {
            inner,
            calls: Arc::new(AtomicU64::new(0)),
        }
    }

    /// How often the provider was asked so far, failed calls included. One call for many symbols counts once.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl MarketData for Counted {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn quotes(&self, assets: &[Asset]) -> Result<Vec<Quote>, MarketError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.inner.quotes(assets).await
    }
}
