//! Finds what is to be sealed, reads it and hashes it.

use std::collections::BTreeMap;

use platform::chain::{BEGINNING, RowHash};
use sea_orm::{ConnectionTrait as _, DbBackend, FromQueryResult, Statement, Value};
use uuid::Uuid;

use super::{ANCHOR_EVERY, LOOK_MAX, Log, Sealed};
use crate::StoreError;
use crate::audit_log::row::LogRow;
use crate::rows::Rows;

/// A chain with unsealed rows, or with a head that is to be anchored.
#[derive(Debug, FromQueryResult)]
pub(super) struct Unsealed {
    pub chain_id: Uuid,
    /// The last number that was given out.
    pub last_seq: i64,
    /// The last sealed row.
    pub head_seq: Option<i64>,
    /// Its hash.
    hash: Option<Vec<u8>>,
    /// Whether the row after it is there.
    has_next: bool,
}

/// Chains of one look.
#[derive(Debug)]
pub(super) struct Page {
    pub chains: Vec<Unsealed>,
    /// The chain with which the next look begins; nil where this was the last.
    pub next: Uuid,
}

/// What is sealed of a chain at once: the rows after `from`, to `upto`.
#[derive(Debug)]
pub(super) struct Sealing {
    pub chain_id: Uuid,
    /// The last row that was sealed before.
    pub from: i64,
    /// Its hash.
    pub before: RowHash,
    /// The last row that is there by the counter.
    pub upto: i64,
    /// The last row that was read and hashed.
    pub to: i64,
    /// Its hash.
    pub hash: RowHash,
    /// All hashes after `before`, in order.
    pub hashes: Vec<u8>,
}

impl Unsealed {
    /// Whether it has rows to be sealed, and the first of them is missing.
    pub(super) fn is_stuck(&self) -> bool {
        self.last_seq > self.head_seq.unwrap_or(0) && !self.has_next
    }

    /// What to seal of it, at most `rows_max` rows; `None` where its head is not a head.
    pub(super) fn sealing(&self, rows_max: i64) -> Option<Sealing> {
        let (from, before) = match (self.head_seq, &self.hash) {
            (Some(seq), Some(hash)) => (seq, RowHash::try_from(hash.as_slice()).ok()?),
            _ => (0, BEGINNING),
        };
        Some(Sealing {
            chain_id: self.chain_id,
            from,
            before,
            upto: self.last_seq.min(from.saturating_add(rows_max)).max(from),
            to: from,
            hash: before,
            hashes: Vec::new(),
        })
    }
}

impl Log<'_> {
    /// The chains with something to do among the next [`LOOK_MAX`], from `begin` on.
    pub(super) async fn unsealed(self, begin: Uuid) -> Result<Page, StoreError> {
        let (table, id, last) = self.source.counters();
        let (log, chain) = self.source.log();
        let (source, backend) = (self.source.name(), self.store.backend());
        let sql = format!(
            "SELECT c.{id} AS chain_id, c.{last} AS last_seq, h.seq AS head_seq, h.hash AS hash,
                    EXISTS (SELECT 1 FROM {log} AS t WHERE t.{chain} = c.{id} AND t.seq = COALESCE(h.seq, 0) + 1)
                        AS has_next
             FROM (SELECT {id}, {last} FROM {table} WHERE {id} >= $1 ORDER BY {id} LIMIT {LOOK_MAX}) AS c
             LEFT JOIN audit_heads AS h ON h.source = '{source}' AND h.chain_id = c.{id}
             WHERE c.{last} > COALESCE(h.seq, 0)
                OR (h.seq > h.anchored_seq AND (h.anchored_at IS NULL OR h.anchored_at <= $2))
             ORDER BY c.{id}"
        );
        let due = self.now - ANCHOR_EVERY;
        let statement = Statement::from_sql_and_values(backend, sql, [begin.into(), due.into()]);
        let chains = Unsealed::find_by_statement(statement)
            .all(self.store.read())
            .await?;
        let sql = format!(
            "SELECT {id} AS id FROM {table} WHERE {id} >= $1 ORDER BY {id} LIMIT 1 OFFSET {LOOK_MAX}"
        );
        let statement = Statement::from_sql_and_values(backend, sql, [begin.into()]);
        let next = self.store.read().query_one_raw(statement).await?;
        let next = next.map(|row| row.try_get("", "id")).transpose()?;
        Ok(Page {
            chains,
            next: next.unwrap_or_default(),
        })
    }

    /// `sealings` with the hashes of their rows. The numbers have no gaps, and whoever counted them up has committed the
    /// rows, too: a row that is not there was removed.
    pub(super) async fn hashed(
        self,
        sealings: Vec<Sealing>,
        sealed: &mut Sealed,
    ) -> Result<Vec<Sealing>, StoreError> {
        let mut chains: BTreeMap<Uuid, Sealing> = sealings
            .into_iter()
            .map(|sealing| (sealing.chain_id, sealing))
            .collect();
        for LogRow { chain_id, seq, bytes } in self.rows(&chains).await? {
            let Some(sealing) = chains.get_mut(&chain_id) else {
                continue;
            };
            if seq == sealing.to + 1 {
                sealing.hash = self.key.hash(&sealing.hash, &bytes);
                sealing.hashes.extend(sealing.hash);
                sealing.to = seq;
            }
        }
        let stuck = chains.values().filter(|sealing| sealing.to < sealing.upto);
        sealed
            .gaps
            .extend(stuck.map(|sealing| self.gap(sealing.chain_id, sealing.to)));
        Ok(chains.into_values().collect())
    }

    /// The rows to be sealed, those of a chain in order.
    async fn rows(self, chains: &BTreeMap<Uuid, Sealing>) -> Result<Vec<LogRow>, StoreError> {
        let bounds = chains.values().filter(|sealing| sealing.upto > sealing.from);
        let bounds: Vec<Vec<Value>> = bounds
            .map(|it| vec![it.chain_id.into(), it.from.into(), it.upto.into()])
            .collect();
        if bounds.is_empty() {
            return Ok(Vec::new());
        }
        let backend = self.store.backend();
        let (bounds, values) = Rows::new(&["chain_id", "seq_from", "seq_to"], bounds).source(backend, "v", 1);
        let ((table, chain), columns) = (self.source.log(), self.source.columns());
        let matches = format!("t.{chain} = v.chain_id AND t.seq > v.seq_from AND t.seq <= v.seq_to");
        let joined = if backend == DbBackend::Postgres {
            // With an OFFSET, each chain is looked up by the key, whatever the planner thinks of their number.
            format!("CROSS JOIN LATERAL (SELECT * FROM {table} AS t WHERE {matches} OFFSET 0) AS t")
        } else {
            format!("CROSS JOIN {table} AS t WHERE {matches}")
        };
        let sql = format!("SELECT {columns} FROM {bounds} {joined} ORDER BY t.{chain}, t.seq");
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let rows = self.store.read().query_all_raw(statement).await?;
        let rows = rows.iter().map(|row| self.source.row(row));
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
