//! The logs, and the rows that a verification reads.

use chrono::{DateTime, Utc};
use platform::chain::{HASH_LEN, RowBytes, RowHash};
use sea_orm::QueryResult;
use uuid::Uuid;

use crate::AuditError;
use crate::chains::pages::Placed;
use crate::snapshot::Reader;

/// A log that is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Log {
    Audit,
    Orders,
}

impl Log {
    pub(super) const ALL: [Log; 2] = [Log::Audit, Log::Orders];

    /// Its name, in the tables of seals too.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Log::Audit => "audit",
            Log::Orders => "orders",
        }
    }

    pub(super) const fn table(self) -> &'static str {
        match self {
            Log::Audit => "audit_events",
            Log::Orders => "order_events",
        }
    }

    /// The column of its chain.
    pub(super) const fn chain(self) -> &'static str {
        match self {
            Log::Audit => "chain_id",
            Log::Orders => "account_id",
        }
    }

    /// What is read of a row, besides chain, number and time.
    pub(super) const fn columns(self) -> &'static str {
        match self {
            Log::Audit => {
                "kind, user_id, credential_id, account_id, subject, ip, request_id, CAST(data AS TEXT) AS data"
            }
            Log::Orders => "kind, order_id, CAST(cause AS TEXT) AS cause, CAST(data AS TEXT) AS data",
        }
    }

    /// The table that hands out its numbers, the column of the chain in it, and that of the last number.
    pub(super) const fn counters(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Log::Audit => ("audit_chains", "chain_id", "last_seq"),
            Log::Orders => ("accounts", "id", "last_event_seq"),
        }
    }
}

/// A row of a log.
#[derive(Debug)]
pub(super) struct LogRow {
    pub chain: Uuid,
    pub seq: i64,
    pub at: DateTime<Utc>,
    pub bytes: RowBytes,
}

impl LogRow {
    fn read(row: &QueryResult, log: Log) -> Result<Self, AuditError> {
        let table = log.table();
        let reader = Reader { row, table };
        let (chain, seq, at) = (reader.id("chain_id")?, reader.get("seq")?, reader.time("at")?);
        let id = |column| reader.get::<Option<Uuid>>(column);
        let text = |column| reader.get::<Option<String>>(column);
        let begun = RowBytes::of(log.name()).field(Some(chain)).number(seq);
        let bytes = match log {
            Log::Audit => begun
                .time(at)
                .field(text("kind")?)
                .field(id("user_id")?)
                .field(id("credential_id")?)
                .field(id("account_id")?)
                .field(text("subject")?)
                .field(text("ip")?)
                .field(text("request_id")?)
                .field(text("data")?),
            Log::Orders => begun
                .field(id("order_id")?)
                .field(text("kind")?)
                .time(at)
                .field(text("cause")?)
                .field(text("data")?),
        };
        Ok(Self {
            chain,
            seq,
            at,
            bytes,
        })
    }

    pub(super) fn read_audit(row: &QueryResult) -> Result<Self, AuditError> {
        Self::read(row, Log::Audit)
    }

    pub(super) fn read_order(row: &QueryResult) -> Result<Self, AuditError> {
        Self::read(row, Log::Orders)
    }
}

/// Hashes of rows that follow each other.
#[derive(Debug)]
pub(super) struct Seal {
    pub chain: Uuid,
    pub from: i64,
    pub to: i64,
    pub hashes: Vec<u8>,
    pub key: String,
}

impl Seal {
    pub(super) fn read(row: &QueryResult) -> Result<Self, AuditError> {
        let table = "audit_seals";
        let reader = Reader { row, table };
        Ok(Self {
            chain: reader.id("chain_id")?,
            from: reader.get("seq_from")?,
            to: reader.get("seq_to")?,
            hashes: reader.get("hashes")?,
            key: reader.text("key_fingerprint")?,
        })
    }

    /// The hashes, where there is one for each row.
    pub(super) fn hashes(&self) -> Option<Vec<RowHash>> {
        let (hashes, rest) = self.hashes.as_chunks::<HASH_LEN>();
        let count = self.to.checked_sub(self.from)?.checked_add(1)?;
        let is_whole = rest.is_empty() && count >= 1 && usize::try_from(count) == Ok(hashes.len());
        is_whole.then(|| hashes.to_vec())
    }
}

/// A head, or an anchor.
#[derive(Debug)]
pub(super) struct Mark {
    pub chain: Uuid,
    pub seq: i64,
    pub hash: Vec<u8>,
}

impl Mark {
    pub(super) fn read(row: &QueryResult) -> Result<Self, AuditError> {
        let table = "audit_heads or audit_anchors";
        let reader = Reader { row, table };
        Ok(Self {
            chain: reader.id("chain_id")?,
            seq: reader.get("seq")?,
            hash: reader.get("hash")?,
        })
    }
}

/// The last number that was given out.
#[derive(Debug)]
pub(super) struct Counter {
    pub chain: Uuid,
    pub last: i64,
}

impl Counter {
    pub(super) fn read(row: &QueryResult) -> Result<Self, AuditError> {
        let table = "audit_chains or accounts";
        let reader = Reader { row, table };
        Ok(Self {
            chain: reader.id("chain_id")?,
            last: reader.get("seq")?,
        })
    }
}

macro_rules! placed {
    ($($kind:ident by $seq:ident),+) => {$(
        impl Placed for $kind {
            fn place(&self) -> (Uuid, i64) {
                (self.chain, self.$seq)
            }
        }
    )+};
}

placed!(LogRow by seq, Seal by from, Mark by seq, Counter by last);
