//! What can go wrong between a caller and the database, in the words that callers act on.

use std::time::Duration;

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlErr, sqlx};
use thiserror::Error;

/// Why a query or a transaction did not succeed.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// There is no such row, or not for this caller.
    #[error("no such row in {table}")]
    NotFound {
        /// Where it was looked for.
        table: &'static str,
    },
    /// A unique key is taken.
    #[error("the key is taken: {constraint}")]
    Conflict {
        /// The database's words for the key.
        constraint: String,
    },
    /// Someone else has moved on: a fence or a version is no longer the caller's.
    #[error("{what} has moved on")]
    Stale {
        /// What moved.
        what: &'static str,
    },
    /// Rows contradict each other or their domain: a fault of ours, or a change by hand.
    #[error("{table} {id} is inconsistent")]
    Inconsistent {
        /// Where.
        table: &'static str,
        /// Which row.
        id: String,
    },
    /// The database does not answer. Nothing of the transaction was kept.
    #[error("the database is not available")]
    Unavailable(#[source] DbErr),
    /// COMMIT was sent and its answer was lost: the transaction was kept, or not. Whoever has to know reads it again.
    #[error("the answer to a COMMIT was lost")]
    CommitUnknown(#[source] DbErr),
    /// The database URL is of no kind that Arbion knows, or lacks something.
    #[error("unusable database URL: {reason}")]
    Url {
        /// What is wrong with it; never the URL, which may hold a password.
        reason: &'static str,
    },
    /// The database refused, or answered with something unexpected.
    #[error("the database refused")]
    Database(#[source] DbErr),
}

/// What a caller should do about an error of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same transaction may succeed when it is run again: a serialization failure or a deadlock.
    Retry,
    /// The server or the way to it is gone.
    Unavailable,
    /// The server's word is final.
    Final,
}

/// `SQLSTATE` 40001 and 40P01: PostgreSQL has undone the transaction so that another may finish.
const RETRIED: [&str; 2] = ["40001", "40P01"];

/// Judges `error` by its code, never by its text.
pub(crate) fn verdict(error: &DbErr) -> Verdict {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout | ConnAcquireErr::ConnectionClosed) => {
            Verdict::Unavailable
        }
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => sqlx_verdict(error),
        _ => Verdict::Final,
    }
}

fn sqlx_verdict(error: &sqlx::Error) -> Verdict {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            if RETRIED.contains(&code.as_ref()) {
                Verdict::Retry
            } else if is_going_away(&code) {
                Verdict::Unavailable
            } else {
                Verdict::Final
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => Verdict::Unavailable,
        _ => Verdict::Final,
    }
}

/// Class 08 (connection exception), 57P01 to 57P03 (shutdown, crash, starting up), 53300 (too many connections) and
/// 25P03 (the server ended a session that was idle in a transaction).
fn is_going_away(code: &str) -> bool {
    // SQLite's codes are plain numbers and begin with none of these.
    code.len() == 5
        && (code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "53300" | "25P03"))
}

impl StoreError {
    /// How long a caller should wait before it asks again.
    pub const RETRY_AFTER: Duration = Duration::from_secs(1);

    /// Whether the database does not answer at all, so that the caller may say "try again later".
    pub const fn is_unavailable(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Stale { .. }
            | Self::Inconsistent { .. }
            | Self::CommitUnknown(_)
            | Self::Url { .. }
            | Self::Database(_) => false,
        }
    }

    /// Whether the transaction may succeed when it is run again as it was.
    pub(crate) fn is_retried(&self) -> bool {
        matches!(self, Self::Database(error) if verdict(error) == Verdict::Retry)
    }

    /// The error of a COMMIT: where the server did not answer, nobody knows.
    pub(crate) fn of_commit(error: DbErr) -> Self {
        match verdict(&error) {
            Verdict::Unavailable => Self::CommitUnknown(error),
            Verdict::Retry | Verdict::Final => error.into(),
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if let Some(SqlErr::UniqueConstraintViolation(constraint)) = error.sql_err() {
            return Self::Conflict { constraint };
        }
        match verdict(&error) {
            Verdict::Unavailable => Self::Unavailable(error),
            Verdict::Retry | Verdict::Final => Self::Database(error),
        }
    }
}
