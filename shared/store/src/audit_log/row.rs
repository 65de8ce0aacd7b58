//! The rows of the logs as their seals see them.
//!
//! JSON counts as the text that stands in the database: the column keeps it as it was written.

use chrono::{DateTime, Utc};
use platform::chain::RowBytes;
use sea_orm::{DbErr, QueryResult};
use uuid::Uuid;

use super::Source;

/// A row of a log.
#[derive(Debug)]
pub(super) struct LogRow {
    pub chain_id: Uuid,
    pub seq: i64,
    pub bytes: RowBytes,
}

impl Source {
    /// The name of the log.
    pub const fn name(self) -> &'static str {
        match self {
            Source::Audit => "audit",
            Source::Orders => "orders",
        }
    }

    /// Its table, and the column of the chain in it.
    pub(super) const fn log(self) -> (&'static str, &'static str) {
        match self {
            Source::Audit => ("audit_events", "chain_id"),
            Source::Orders => ("order_events", "account_id"),
        }
    }

    /// The table that hands out its numbers, the column of the chain in it, and that of the last number.
    pub(super) const fn counters(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Source::Audit => ("audit_chains", "chain_id", "last_seq"),
            Source::Orders => ("accounts", "id", "last_event_seq"),
        }
    }

    /// What is read of a row `t`.
    pub(super) const fn columns(self) -> &'static str {
        match self {
            Source::Audit => {
                "t.chain_id, t.seq, t.at, t.kind, t.user_id, t.credential_id, t.account_id, t.subject, t.ip,
                 t.request_id, CAST(t.data AS TEXT) AS data"
            }
            Source::Orders => {
                "t.account_id, t.seq, t.order_id, t.kind, t.at, CAST(t.cause AS TEXT) AS cause,
                 CAST(t.data AS TEXT) AS data"
            }
        }
    }

    /// The row that was read.
    pub(super) fn row(self, row: &QueryResult) -> Result<LogRow, DbErr> {
        match self {
            Source::Audit => audit_row(row),
            Source::Orders => order_row(row),
        }
    }
}

fn order_row(row: &QueryResult) -> Result<LogRow, DbErr> {
    let (chain_id, seq): (Uuid, i64) = (row.try_get("", "account_id")?, row.try_get("", "seq")?);
    let order: Uuid = row.try_get("", "order_id")?;
    let text = |column| row.try_get::<String>("", column);
    let bytes = RowBytes::of(Source::Orders.name())
        .field(Some(chain_id))
        .number(seq)
        .field(Some(order))
        .field(Some(text("kind")?))
        .time(row.try_get::<DateTime<Utc>>("", "at")?)
        .field(Some(text("cause")?))
        .field(Some(text("data")?));
    Ok(LogRow { chain_id, seq, bytes })
}

fn audit_row(row: &QueryResult) -> Result<LogRow, DbErr> {
    let (chain_id, seq): (Uuid, i64) = (row.try_get("", "chain_id")?, row.try_get("", "seq")?);
    let id = |column| row.try_get::<Option<Uuid>>("", column);
    let text = |column| row.try_get::<Option<String>>("", column);
    let bytes = RowBytes::of(Source::Audit.name())
        .field(Some(chain_id))
        .number(seq)
        .time(row.try_get::<DateTime<Utc>>("", "at")?)
        .field(text("kind")?)
        .field(id("user_id")?)
        .field(id("credential_id")?)
        .field(id("account_id")?)
        .field(text("subject")?)
        .field(text("ip")?)
        .field(text("request_id")?)
        .field(text("data")?);
    Ok(LogRow { chain_id, seq, bytes })
}
