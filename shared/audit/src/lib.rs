//! An auditor of the ledger: it reads what happened (`order_events`, `fills`, the cash an account began with),
//! recomputes everything that follows from it, and reports every row that says something else.
//!
//! 1. It shares no code with what wrote the ledger: plain SQL, rows of its own, arithmetic of its own.
//! 2. It reads one snapshot, so it may run beside a live system, and it changes nothing.
//! 3. What it needs in memory is one account's orders, however many accounts there are.
//!
//! | what | follows from |
//! |---|---|
//! | `balances`, `positions`, day tables, filled sums of `orders` | `fills` in the order of their events |
//! | state of `orders` | `order_events` |
//! | `reservations`, reserved sums, `users.notional_open` | open orders, their rates, and what is filled |
//! | `order_work` | open orders: each has what moves it on, no ended one has any |
//! | `fills` | the fill events, one to one |
//! | `trigger_exits`, `triggers` | the events that hold an exit |
//! | `broker_attempts` | their numbers, and which orders the venue knows |
//!
//! Besides, [`chains`] tells whether the logs themselves are as they were sealed.

mod accounts;
mod attempts;
pub mod chains;
mod connect;
mod exits;
mod life;
mod money;
mod orders;
mod read;
mod report;
mod rows;
mod snapshot;
mod users;
mod walk;

use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr};
use thiserror::Error;

pub use chains::{ChainReport, verify_chains};
pub use connect::connect;
pub use report::{Counts, Difference, Report};

use crate::report::Findings;
use crate::snapshot::Snapshot;

/// Why the ledger could not be read.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The database did not answer, or has other tables.
    #[error("cannot read the ledger")]
    Database(#[from] DbErr),
    /// A value is not what its column promises.
    #[error("{table}.{column} holds {value:?}")]
    Unreadable {
        /// Where.
        table: &'static str,
        /// In which column.
        column: &'static str,
        /// What stands there.
        value: String,
    },
}

/// Audits the whole ledger behind `connection` as it is at this moment, whatever others commit meanwhile.
pub async fn audit_ledger(connection: &DatabaseConnection) -> Result<Report, AuditError> {
    let transaction = snapshot::begin(connection).await?;
    let report = audit_within(&transaction).await?;
    transaction.commit().await?;
    Ok(report)
}

/// Audits the whole ledger as `transaction` sees it.
pub async fn audit_within(transaction: &DatabaseTransaction) -> Result<Report, AuditError> {
    let snapshot = Snapshot::of(transaction);
    let mut findings = Findings::default();
    let sums = accounts::audit(&snapshot, &mut findings).await?;
    users::audit(&snapshot, &sums, &mut findings).await?;
    exits::audit(&snapshot, &sums.exits, &mut findings).await?;
    attempts::audit(&snapshot, &mut findings).await?;
    Ok(findings.into_report())
}
