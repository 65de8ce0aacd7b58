//! What all parts of the venue in one process share: its connections, its rules, its clock, and what it has seen of the
//! book.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::AssetId;
use domain::quote::Quote;
use platform::clock::SharedClock;

use super::connect::Pools;
use super::desk;
use super::rows::AssetRow;
use super::rules::PaperRules;

/// How often it is looked for orders whose time has come, while quotes come more often.
const TIME_PASSES_EVERY: TimeDelta = TimeDelta::milliseconds(100);

/// The venue in this process.
#[derive(Debug)]
pub(super) struct House {
    pub(super) pools: Pools,
    pub(super) rules: PaperRules,
    pub(super) clock: SharedClock,
    seen: Mutex<Seen>,
}

/// What this process has seen of the book. It may be old: other processes write, too.
#[derive(Debug, Default)]
struct Seen {
    assets: HashMap<AssetId, AssetRow>,
    time_passed_at: Option<DateTime<Utc>>,
}

impl House {
    pub(super) fn new(pools: Pools, rules: PaperRules, clock: SharedClock) -> Self {
        Self {
            pools,
            rules,
            clock,
            seen: Mutex::default(),
        }
    }

    /// Whether `quote` may tell the book something. The book only moves on, so what is old to a row that was seen is old
    /// to the book.
    pub(super) fn may_be_news(&self, quote: &Quote) -> bool {
        self.rules.assets.contains_key(&quote.asset_id)
            && self
                .seen()
                .assets
                .get(&quote.asset_id)
                .is_none_or(|row| desk::is_news(row, quote, &self.rules, self.clock.now()))
    }

    /// Whether it is time to look for orders whose time has come.
    pub(super) fn is_time(&self) -> bool {
        let now = self.clock.now();
        self.seen()
            .time_passed_at
            .is_none_or(|at| (now - at).abs() >= TIME_PASSES_EVERY)
    }

    /// Remembers that it was looked at `at` for orders whose time had come.
    pub(super) fn time_passed(&self, at: DateTime<Utc>) {
        self.seen().time_passed_at = Some(at);
    }

    /// Remembers rows of the book that are committed.
    pub(super) fn saw(&self, rows: impl IntoIterator<Item = AssetRow>) {
        let rows = rows.into_iter().map(|row| (row.asset_id, row));
        self.seen().assets.extend(rows);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
