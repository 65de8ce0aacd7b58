//! One log, walked through from its first chain to its last.

use chrono::{DateTime, Utc};
use platform::chain::{BEGINNING, ChainKey, RowHash};
use uuid::Uuid;

use crate::AuditError;
use crate::chains::log::{Counter, Log, LogRow, Mark, Seal};
use crate::chains::pages::{Pages, Query};
use crate::chains::report::{ChainCounts, Finding, Findings, Wrong};
use crate::snapshot::Snapshot;

/// Rows of a page; of seals, each of which may hold the hashes of a whole batch, fewer.
const ROWS: u32 = 5_000;
const SEALS: u32 = 100;

/// A log on the way.
#[derive(Debug)]
pub(super) struct Check<'a> {
    log: Log,
    keys: &'a [ChainKey],
    findings: &'a mut Findings,
    counts: ChainCounts,
    rows: Pages<'a, LogRow>,
    seals: Pages<'a, Seal>,
    heads: Pages<'a, Mark>,
    anchors: Pages<'a, Mark>,
    counters: Pages<'a, Counter>,
}

/// How far one chain was followed.
#[derive(Debug, Clone, Copy)]
struct Way {
    chain: Uuid,
    /// The last row that has a hash.
    sealed_to: i64,
    /// Its hash; unknown behind hashes that are not there.
    before: Option<RowHash>,
}

impl<'a> Check<'a> {
    pub(super) fn new(
        snapshot: Snapshot<'a>,
        log: Log,
        keys: &'a [ChainKey],
        findings: &'a mut Findings,
    ) -> Self {
        let read = match log {
            Log::Audit => LogRow::read_audit,
            Log::Orders => LogRow::read_order,
        };
        let (counters, id, last) = log.counters();
        let of_log = format!("source = '{}'", log.name());
        let query = |columns: &str, table, place, only: &str, page| Query {
            columns: columns.to_owned(),
            table,
            place,
            only: only.to_owned(),
            page,
        };
        let (chain, columns) = (log.chain(), log.columns());
        let columns = format!("{chain} AS chain_id, seq, at, {columns}");
        let rows = query(&columns, log.table(), (chain, "seq"), "true", ROWS);
        let columns = "chain_id, seq_from, seq_to, hashes, key_fingerprint";
        let seals = query(columns, "audit_seals", ("chain_id", "seq_from"), &of_log, SEALS);
        let marks = |table| query("chain_id, seq, hash", table, ("chain_id", "seq"), &of_log, ROWS);
        let columns = format!("{id} AS chain_id, {last} AS seq");
        let numbers = query(&columns, counters, (id, last), "true", ROWS);
        Self {
            log,
            keys,
            findings,
            counts: ChainCounts {
                source: log.name(),
                ..ChainCounts::default()
            },
            rows: Pages::new(snapshot, &rows, read),
            seals: Pages::new(snapshot, &seals, Seal::read),
            heads: Pages::new(snapshot, &marks("audit_heads"), Mark::read),
            anchors: Pages::new(snapshot, &marks("audit_anchors"), Mark::read),
            counters: Pages::new(snapshot, &numbers, Counter::read),
        }
    }

    /// Checks every chain that any of the tables knows.
    pub(super) async fn run(mut self, now: DateTime<Utc>) -> Result<ChainCounts, AuditError> {
        while let Some(chain) = self.next_chain().await? {
            self.check_chain(chain).await?;
        }
        let age = |at: DateTime<Utc>| (now - at).num_seconds().max(0);
        self.counts.tail_age_seconds = self.counts.tail_oldest_at.map(age);
        Ok(self.counts)
    }

    async fn next_chain(&mut self) -> Result<Option<Uuid>, AuditError> {
        let all = [
            self.rows.chain().await?,
            self.seals.chain().await?,
            self.heads.chain().await?,
            self.anchors.chain().await?,
            self.counters.chain().await?,
        ];
        Ok(all.into_iter().flatten().min())
    }

    async fn check_chain(&mut self, chain: Uuid) -> Result<(), AuditError> {
        let mut way = Way {
            chain,
            sealed_to: 0,
            before: Some(BEGINNING),
        };
        let counter = self.counters.take(chain, i64::MAX).await?;
        let counter = counter.map_or(0, |counter| counter.last);
        while let Some(seal) = self.seals.take(chain, i64::MAX).await? {
            self.check_seal(&mut way, &seal).await?;
        }
        if way.sealed_to > counter {
            self.found(&way, way.sealed_to, way.sealed_to, Wrong::CounterDiffers);
        }
        let known_to = self.check_head(&way).await?;
        let has_rows = self.check_tail(&way, counter, known_to).await?;
        self.counts.chains += u64::from(has_rows || way.sealed_to > 0);
        Ok(())
    }

    async fn check_seal(&mut self, way: &mut Way, seal: &Seal) -> Result<(), AuditError> {
        let next = way.sealed_to + 1;
        let hashes = seal.hashes().filter(|_| seal.from >= next);
        let Some(hashes) = hashes else {
            self.found(way, seal.from, seal.to, Wrong::SealBroken);
            return Ok(());
        };
        if seal.from > next {
            self.found(way, next, seal.from - 1, Wrong::SealMissing);
            self.pass_over(way, next, seal.from - 1).await?;
            // Anchors of these rows have nothing to be compared with.
            while self.anchors.take(way.chain, seal.from - 1).await?.is_some() {}
            way.before = None;
        }
        let key = self.keys.iter().find(|key| key.fingerprint() == seal.key);
        if key.is_none() {
            self.found(way, seal.from, seal.to, Wrong::UnknownKey);
        }
        for (seq, hash) in (seal.from..=seal.to).zip(hashes) {
            self.check_row(way, seq, &hash, key).await?;
            self.check_anchors(way, seq, &hash).await?;
            way.before = Some(hash);
        }
        way.sealed_to = seal.to;
        Ok(())
    }

    /// Compares the row `seq` with its hash.
    async fn check_row(
        &mut self,
        way: &Way,
        seq: i64,
        hash: &RowHash,
        key: Option<&ChainKey>,
    ) -> Result<(), AuditError> {
        self.pass_over(way, seq, seq - 1).await?;
        let Some(row) = self.rows.take(way.chain, seq).await? else {
            self.found(way, seq, seq, Wrong::Missing);
            return Ok(());
        };
        self.counts.rows += 1;
        let (Some(key), Some(before)) = (key, way.before) else {
            return Ok(());
        };
        if key.hash(&before, &row.bytes) == *hash {
            self.counts.verified += 1;
        } else {
            self.found(way, seq, seq, Wrong::Changed);
        }
        Ok(())
    }

    /// Takes the rows up to `to`; those before `from` have numbers that no row has.
    async fn pass_over(&mut self, way: &Way, from: i64, to: i64) -> Result<(), AuditError> {
        while let Some(row) = self.rows.take(way.chain, to).await? {
            self.counts.rows += 1;
            if row.seq < from {
                self.found(way, row.seq, row.seq, Wrong::Inserted);
            }
        }
        Ok(())
    }

    /// Compares the anchors up to `seq` with the hash of that row.
    async fn check_anchors(&mut self, way: &Way, seq: i64, hash: &RowHash) -> Result<(), AuditError> {
        while let Some(anchor) = self.anchors.take(way.chain, seq).await? {
            if anchor.seq != seq || anchor.hash != hash {
                self.found(way, anchor.seq, anchor.seq, Wrong::AnchorDiffers);
            }
        }
        Ok(())
    }

    /// Compares the head with the last seal. Answers the last row that was sealed by the head and the anchors.
    async fn check_head(&mut self, way: &Way) -> Result<i64, AuditError> {
        let head = self.heads.take(way.chain, i64::MAX).await?;
        let seq = head.as_ref().map_or(0, |head| head.seq);
        let is_same =
            head.is_none_or(|head| Some(head.hash.as_slice()) == way.before.as_ref().map(|hash| &hash[..]));
        if seq != way.sealed_to || !is_same {
            self.found(way, seq, seq, Wrong::HeadDiffers);
        }
        let mut known_to = seq;
        while let Some(anchor) = self.anchors.take(way.chain, i64::MAX).await? {
            known_to = known_to.max(anchor.seq);
        }
        Ok(known_to)
    }

    /// The rows behind the last seal. Answers whether there is any.
    async fn check_tail(&mut self, way: &Way, counter: i64, known_to: i64) -> Result<bool, AuditError> {
        let (mut next, mut has_rows) = (way.sealed_to + 1, false);
        while let Some(row) = self.rows.take(way.chain, i64::MAX).await? {
            (has_rows, self.counts.rows) = (true, self.counts.rows + 1);
            if row.seq < next || row.seq > counter.max(known_to) {
                self.found(way, row.seq, row.seq, Wrong::Inserted);
                continue;
            }
            if row.seq > next {
                self.found(way, next, row.seq - 1, Wrong::Missing);
            }
            if row.seq <= known_to {
                self.found(way, row.seq, row.seq, Wrong::SealMissing);
            } else {
                self.counts.tail += 1;
                let oldest = self.counts.tail_oldest_at;
                self.counts.tail_oldest_at = Some(oldest.map_or(row.at, |oldest| oldest.min(row.at)));
            }
            next = row.seq + 1;
        }
        let last = counter.max(known_to);
        if next <= last {
            self.found(way, next, last, Wrong::Missing);
        }
        Ok(has_rows)
    }

    fn found(&mut self, way: &Way, seq: i64, seq_to: i64, wrong: Wrong) {
        self.findings.add(Finding {
            source: self.log.name(),
            chain: way.chain,
            seq,
            seq_to,
            wrong,
        });
    }
}
