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
    /// Whoever asks may no more: the user was deactivated, or the credential taken back, after they were let in.
    #[error("the credential that asks has ended")]
    Ended,
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

/// What an error of the database means for the transaction that it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same transaction may succeed when it is run again: a serialization failure or a deadlock.
    Retry,
    /// The server or the way to it is gone, or its disk is: what was asked for was done, or not.
    Gone,
    /// The server has answered that it cannot do it now. Nothing was done.
    Busy,
    /// The server's word is final. Nothing was done.
    Final,
}

/// Judges `error` by its code, never by its text.
pub(crate) fn verdict(error: &DbErr) -> Verdict {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout | ConnAcquireErr::ConnectionClosed) => Verdict::Busy,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => sqlx_verdict(error),
        _ => Verdict::Final,
    }
}

fn sqlx_verdict(error: &sqlx::Error) -> Verdict {
    match error {
        sqlx::Error::Database(error) => code_verdict(&error.code().unwrap_or_default()),
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::BeginFailed => Verdict::Busy,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            Verdict::Gone
        }
        _ => Verdict::Final,
    }
}

/// PostgreSQL's codes have five characters (PostgreSQL manual, appendix A), SQLite's are numbers whose low byte is the
/// kind (sqlite.org/rescode.html).
fn code_verdict(code: &str) -> Verdict {
    if code.len() == 5 {
        return match code {
            // Serialization failure, deadlock: PostgreSQL has undone this transaction so that another may finish.
            "40001" | "40P01" => Verdict::Retry,
            // Shutdown, crash, start-up, and a session that was idle in its transaction for too long.
            "57P01" | "57P02" | "57P03" | "25P03" => Verdict::Gone,
            // Statement and lock time-out.
            "57014" | "55P03" => Verdict::Busy,
            // Connection exceptions; too few connections, too little memory or disk.
            _ if code.starts_with("08") => Verdict::Gone,
            _ if code.starts_with("53") => Verdict::Busy,
            _ => Verdict::Final,
        };
    }
    match code.parse::<u32>().map(|code| code & 0xff) {
        // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_CANTOPEN.
        Ok(5 | 6 | 13 | 14) => Verdict::Busy,
        // SQLITE_IOERR: what a disk has kept that reports an error, only the next start can tell.
        Ok(10) => Verdict::Gone,
        Ok(_) | Err(_) => Verdict::Final,
    }
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
            | Self::Ended
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
            Verdict::Gone => Self::CommitUnknown(error),
            Verdict::Retry | Verdict::Busy | Verdict::Final => error.into(),
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if let Some(SqlErr::UniqueConstraintViolation(constraint)) = error.sql_err() {
            return Self::Conflict { constraint };
        }
        match verdict(&error) {
            Verdict::Gone | Verdict::Busy => Self::Unavailable(error),
            Verdict::Retry | Verdict::Final => Self::Database(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_judged_by_what_they_say_about_the_transaction() {
        for (code, expected) in [
            ("40001", Verdict::Retry),
            ("40P01", Verdict::Retry),
            ("08006", Verdict::Gone),
            ("08P01", Verdict::Gone),
            ("57P01", Verdict::Gone),
            ("57P02", Verdict::Gone),
            ("57P03", Verdict::Gone),
            ("25P03", Verdict::Gone),
            ("57014", Verdict::Busy),
            ("55P03", Verdict::Busy),
            ("53100", Verdict::Busy),
            ("53300", Verdict::Busy),
            ("23505", Verdict::Final),
            ("42601", Verdict::Final),
            ("25P02", Verdict::Final),
            // SQLite: busy, busy snapshot, locked, full, fsync failed, constraint, no code at all.
            ("5", Verdict::Busy),
            ("517", Verdict::Busy),
            ("6", Verdict::Busy),
            ("13", Verdict::Busy),
            ("1034", Verdict::Gone),
            ("2067", Verdict::Final),
            ("", Verdict::Final),
        ] {
            assert_eq!(code_verdict(code), expected, "{code}");
        }
    }

    #[test]
    fn a_commit_is_unknown_only_when_the_server_has_not_answered() {
        let io = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let gone = || DbErr::Query(RuntimeErr::SqlxError(sqlx::Error::Io(io()).into()));
        let busy = || DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        assert!(matches!(
            StoreError::of_commit(gone()),
            StoreError::CommitUnknown(_)
        ));
        assert!(matches!(
            StoreError::of_commit(busy()),
            StoreError::Unavailable(_)
        ));
        assert!(StoreError::from(gone()).is_unavailable());
        let other = DbErr::Custom(String::new());
        assert!(matches!(StoreError::of_commit(other), StoreError::Database(_)));
    }
}
