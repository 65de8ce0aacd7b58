//! Seals the logs behind the writes: a hash for each row, which nobody makes without the key (`platform::chain`).
//!
//! Two logs are sealed alike, each in chains: `audit_events` by account, user or installation, and `order_events` by
//! account.
//!
//! 1. **Writers do not wait.** A row is written without its hash; the sealer adds it within a second. It reads
//!    committed rows, which never change, and hashes them outside of any transaction. Only then it locks the heads that
//!    it moves, makes sure that they still stand where it read them, and writes. No writer ever asks for these locks; on
//!    SQLite the one write lock is held for the few inserts alone.
//! 2. **Two sealers do no harm.** The one that comes second finds the head moved and writes nothing.
//! 3. **No row of a log is written again.** The hashes of a batch stand in one row of `audit_seals`. A hash in the row
//!    itself would rewrite each row: tables that are only ever added to have full pages, so the new version would go to
//!    another page and into every index (no heap-only update), twice the log and its indexes would be written, and the
//!    dead half left for vacuum, beside the path that accepts orders. A seal costs 32 bytes a row and some hundred
//!    a batch, and still names each row that was changed.
//! 4. **Chains with something to seal are found by counters.** What hands out the numbers (`accounts.last_event_seq`,
//!    `audit_chains.last_seq`) is compared with the heads, page by page of [`LOOK_MAX`] chains, at most [`PAGES_MAX`]
//!    pages a pass: with up to 20 000 accounts each is looked at in each pass, with more, in turn. No index is added to
//!    what orders write.
//! 5. **A pass is bounded** by the rows that its caller allows. Under more load than that the unsealed tail grows, in the
//!    order of the chains, and is caught up when the load is over; acceptance does not become slower. `arbion audit
//!    verify` tells how long the tail is. Each pass goes on behind the chain with which the one before ended, so no chain
//!    keeps another waiting for ever; one that is stuck at a missing row costs one row of each pass.
//! 6. **Heads are anchored**: written down in `audit_anchors`, and told to the caller for the log, at most once a minute
//!    for each chain that moved. Who removes rows with their seals and rewinds the head still contradicts the anchor;
//!    who removes that, too, still contradicts the log, which should be kept elsewhere.

mod find;
mod write;

use chrono::{DateTime, TimeDelta, Utc};
use platform::chain::{ChainKey, RowHash};
use uuid::Uuid;

use self::find::{Page, Sealing};
use crate::{Store, StoreError};

/// Chains that one look compares with their heads.
pub const LOOK_MAX: u64 = 5_000;

/// Looks of one pass at each log.
pub const PAGES_MAX: usize = 4;

/// Chains that are written in one transaction.
const CHAINS_MAX: usize = 500;

/// The time between two anchors of a chain.
pub const ANCHOR_EVERY: TimeDelta = TimeDelta::minutes(1);

/// A log that is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// `audit_events`.
    Audit,
    /// `order_events`.
    Orders,
}

/// The head of a chain that was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Of which log.
    pub source: Source,
    /// Of which chain.
    pub chain_id: Uuid,
    /// Its last sealed row.
    pub seq: i64,
    /// The hash of that row.
    pub hash: RowHash,
}

/// Where a chain cannot be sealed on: the next row is not there, or the head is not a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gap {
    /// Of which log.
    pub source: Source,
    /// Of which chain.
    pub chain_id: Uuid,
    /// The row that is next.
    pub seq: i64,
}

/// What a pass has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Rows that were sealed.
    pub rows: u64,
    /// Heads that were anchored.
    pub anchors: Vec<Anchor>,
    /// Chains that stand still. `arbion audit verify` tells what is wrong.
    pub gaps: Vec<Gap>,
    /// Whether the pass ended because it had sealed all that it may.
    pub is_behind: bool,
}

/// Seals both logs, pass by pass.
#[derive(Debug)]
pub struct Sealer {
    store: Store,
    key: ChainKey,
    /// The chain with which the next pass begins, for each log.
    places: [(Source, Uuid); 2],
}

impl Sealer {
    /// A sealer that makes its hashes with `key`.
    pub const fn new(store: Store, key: ChainKey) -> Self {
        let begin = Uuid::nil();
        Self {
            store,
            key,
            places: [(Source::Audit, begin), (Source::Orders, begin)],
        }
    }

    /// Seals what was committed and is not sealed yet, at most `rows_max` rows, and anchors the heads that are due.
    pub async fn pass(&mut self, now: DateTime<Utc>, rows_max: u64) -> Result<Sealed, StoreError> {
        let mut sealed = Sealed::default();
        for (source, place) in &mut self.places {
            let log = Log {
                store: &self.store,
                key: &self.key,
                source: *source,
                now,
            };
            log.pass(place, rows_max, &mut sealed).await?;
        }
        Ok(sealed)
    }
}

/// What one look could not seal of its chains, for want of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeftOver {
    /// Everything that can be sealed is.
    Nothing,
    /// Rows of the last chain. All others come first.
    PartOfTheLast,
    /// This chain, and those after it.
    From(Uuid),
}

/// One log in one pass.
#[derive(Debug, Clone, Copy)]
struct Log<'a> {
    store: &'a Store,
    key: &'a ChainKey,
    source: Source,
    now: DateTime<Utc>,
}

impl Log<'_> {
    /// Goes on at `place`, and moves it.
    async fn pass(self, place: &mut Uuid, rows_max: u64, sealed: &mut Sealed) -> Result<(), StoreError> {
        for _ in 0..PAGES_MAX {
            let left = rows_max.saturating_sub(sealed.rows);
            if left == 0 {
                sealed.is_behind = true;
                return Ok(());
            }
            let Page { chains, next } = self.unsealed(*place).await?;
            let (sealings, left_over) = self.within(chains, left, sealed);
            let sealings = self.hashed(sealings, sealed).await?;
            for part in sealings.chunks(CHAINS_MAX) {
                self.write(part, sealed).await?;
            }
            sealed.is_behind |= left_over != LeftOver::Nothing;
            *place = match left_over {
                LeftOver::From(chain) => chain,
                LeftOver::Nothing | LeftOver::PartOfTheLast => next,
            };
            if place.is_nil() || sealed.is_behind {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What can be sealed of `chains` with `left` rows, and what that leaves. The last chain may be done in part; the next one
    /// comes first then, so that a busy chain keeps no other waiting.
    fn within(self, chains: Vec<find::Unsealed>, left: u64, sealed: &mut Sealed) -> (Vec<Sealing>, LeftOver) {
        let (mut sealings, mut left) = (Vec::new(), i64::try_from(left).unwrap_or(i64::MAX));
        let mut chains = chains.into_iter();
        while let Some(chain) = chains.next() {
            // A row that is missing will not come: whatever follows it waits for no pass.
            let is_stuck = chain.is_stuck();
            let Some(sealing) = chain.sealing(if is_stuck { 1 } else { left }) else {
                sealed
                    .gaps
                    .push(self.gap(chain.chain_id, chain.head_seq.unwrap_or(0)));
                continue;
            };
            left -= sealing.upto - sealing.from;
            let is_all = is_stuck || sealing.upto >= chain.last_seq;
            sealings.push(sealing);
            if left <= 0 {
                let left_over = match chains.next() {
                    Some(next) => LeftOver::From(next.chain_id),
                    None if is_all => LeftOver::Nothing,
                    None => LeftOver::PartOfTheLast,
                };
                return (sealings, left_over);
            }
        }
        (sealings, LeftOver::Nothing)
    }

    const fn gap(self, chain_id: Uuid, after: i64) -> Gap {
        Gap {
            source: self.source,
            chain_id,
            seq: after.saturating_add(1),
        }
    }
}
