//! Market data: the port through which prices come in, its providers, and the cache in front of them.
//!
//! Reading order:
//!
//! 1. this file: the port [`MarketData`] and how it fails;
//! 2. [`catalog`]: the instruments that ship with the product;
//! 3. [`sim`]: invented prices, a pure function of (seed, symbol, second);
//! 4. [`tape`] and [`replay`]: recorded prices, read from CSV and played on today's sessions;
//! 5. [`cache`]: what everyone else calls, with a purpose that decides how old an answer may be;
//! 6. [`frozen`] and [`counted`]: wrappers that make a provider stand still, and that count its calls;
//! 7. [`setup`]: which of these the configuration asks for.
//!
//! Invariants:
//! 1. A quote carries its provider's own time, and no layer here ever makes it look younger.
//! 2. Every price, size and share of a price is an exact decimal or an integer; there is no float in the crate.
//! 3. Providers answer what they know: an asset without a price is absent from the answer and fails nothing.

pub mod cache;
pub mod catalog;
pub mod counted;
pub mod frozen;
pub mod replay;
pub mod setup;
pub mod sim;
pub mod tape;
mod ticks;
mod windows;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use domain::asset::Asset;
use domain::quote::Quote;
use thiserror::Error;

pub use cache::CachedQuotes;
pub use counted::Counted;
pub use frozen::Frozen;
pub use replay::Replay;
pub use sim::Sim;

/// A source of prices.
#[async_trait]
pub trait MarketData: Send + Sync {
    /// A short constant name for logs and keys: `sim`, `replay`.
    fn name(&self) -> &'static str;

    /// The newest quotes of `assets`, all in one call. Assets the provider has no price for are absent.
    async fn quotes(&self, assets: &[Asset]) -> Result<Vec<Quote>, MarketError>;
}

/// Why a provider gave no answer. Cheap to clone, because callers that waited together fail together.
#[derive(Debug, Clone, Error)]
pub enum MarketError {
    /// The provider could not be reached, or its answer could not be read.
    #[error("market data from {provider} is unavailable")]
    Unavailable {
        /// The provider's name.
        provider: &'static str,
        /// What went wrong.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The provider did not answer in time.
    #[error("market data from {provider} did not come within {limit_ms} ms")]
    TimedOut {
        /// The provider's name.
        provider: &'static str,
        /// How long it was waited for, in milliseconds.
        limit_ms: u128,
    },
    /// The file that says where a replay stands cannot be read.
    #[error("the replay's row file {} cannot be read", path.display())]
    RowFileUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The file that says where a replay stands holds something else.
    #[error(
        "the replay's row file {} says {content:?}: write a row number or a date, and optionally a time; \
         for example: 42, or 2008-09-29, or 42 2026-11-24T15:00:00Z",
        path.display()
    )]
    RowFileMalformed {
        /// The file.
        path: PathBuf,
        /// Its first characters.
        content: String,
    },
}
