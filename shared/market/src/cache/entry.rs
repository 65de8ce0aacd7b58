//! What is cached of an asset, and whether it still serves.

use chrono::{DateTime, TimeDelta, Utc};
use domain::quote::{CLOCK_TOLERANCE, Purpose, Quote};
use serde::{Deserialize, Serialize};

/// How long an answer serves that cannot age by its own time: the closing quote while the market is closed, and "there
/// is no price".
pub(super) const REFETCH_INTERVAL: TimeDelta = TimeDelta::seconds(5);

/// A provider's answer for one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The quote, or that there is none.
    pub(super) quote: Option<Quote>,
    /// When the provider was asked.
    pub(super) fetched_at: DateTime<Utc>,
}

impl Entry {
    /// Whether the answer still serves `purpose` at `now`.
    ///
    /// In session the quote's own age decides. Outside, every quote is old and the last one of the session counts;
    /// nothing fires or fills then, so a short interval between fetches is enough for every purpose. An answer from the
    /// future never serves: a clock went back.
    pub(super) fn serves(&self, purpose: Purpose, now: DateTime<Utc>, in_session: bool) -> bool {
        let is_recent = now - self.fetched_at <= REFETCH_INTERVAL;
        let is_past = self.fetched_at <= now + CLOCK_TOLERANCE;
        match &self.quote {
            Some(quote) if in_session => {
                is_past && quote.at <= now + CLOCK_TOLERANCE && quote.age(now) <= purpose.refetch_after()
            }
            Some(_) | None => is_past && is_recent,
        }
    }
}
