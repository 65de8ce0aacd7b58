//! Whether the two logs are as they were sealed: every hash recomputed, every number accounted for.
//!
//! `order_events` and `audit_events` are chains of rows; `audit_seals` holds a hash for each sealed row, over the row and
//! the hash before it, which nobody makes without the key. So of each row it can be told whether it is the one that was
//! sealed, and the row is named that is not.
//!
//! 1. The chains, their seals, heads, anchors and counters are read side by side in one order, page by page: what is in
//!    memory does not grow with the logs.
//! 2. A row of hashes is believed only as far as the key confirms it, a head or an anchor only as far as the hashes do.
//! 3. Rows behind the last seal are the *tail*: they are counted, and no difference.
//! 4. The form of the bytes is spelled out here once more, on purpose; the hash itself is `platform::chain`'s.
//!
//! What it cannot tell: rows that were removed together with everything that spoke of them (seals, head, anchors, counter).
//! The log lines `audit chain anchored` do, where they are kept elsewhere.

mod check;
mod log;
mod pages;
mod report;

use chrono::{DateTime, Utc};
use platform::chain::ChainKey;
use sea_orm::{DatabaseConnection, DatabaseTransaction};

pub use self::report::{ChainCounts, ChainReport, Finding, Wrong};
use crate::AuditError;
use crate::chains::check::Check;
use crate::chains::log::Log;
use crate::chains::report::Findings;
use crate::snapshot::{self, Snapshot};

/// Verifies both logs behind `connection` as they are at this moment. `keys`: all that seals may have been made with.
pub async fn verify_chains(
    connection: &DatabaseConnection,
    keys: &[ChainKey],
    now: DateTime<Utc>,
) -> Result<ChainReport, AuditError> {
    let transaction = snapshot::begin(connection).await?;
    let report = verify_within(&transaction, keys, now).await?;
    transaction.commit().await?;
    Ok(report)
}

/// Verifies both logs as `transaction` sees them.
pub async fn verify_within(
    transaction: &DatabaseTransaction,
    keys: &[ChainKey],
    now: DateTime<Utc>,
) -> Result<ChainReport, AuditError> {
    let snapshot = Snapshot::of(transaction);
    let mut findings = Findings::default();
    let mut counts = Vec::new();
    for log in Log::ALL {
        counts.push(Check::new(snapshot, log, keys, &mut findings).run(now).await?);
    }
    Ok(findings.into_report(counts))
}
