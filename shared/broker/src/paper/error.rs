//! What can go wrong between the venue and its book.

use std::collections::BTreeSet;

use domain::id::ConnectionId;
use sea_orm::{DbErr, RuntimeErr, sqlx};
use thiserror::Error;

use super::connect::sql_state;
use crate::{BrokerError, Outcome};

/// The venue's name.
pub(super) const NAME: &str = "paper";

/// Why the book could not be read or written.
#[derive(Debug, Error)]
pub(super) enum BookError {
    /// The database refused, or could not be reached. Nothing happened.
    #[error("the database failed: {0}")]
    Database(#[from] DbErr),
    /// It took too long. Nothing happened.
    #[error("the database took too long")]
    TimedOut,
    /// The answer to COMMIT was lost: nobody knows whether it happened.
    #[error("the answer to COMMIT was lost")]
    CommitLost(#[source] Option<DbErr>),
    /// Accounts that have no row yet. Nothing happened.
    #[error("{} accounts are not open yet", .0.len())]
    NotOpen(BTreeSet<ConnectionId>),
    /// Another process changed what a transaction had read before it held the locks. Nothing happened.
    #[error("another process was faster")]
    Overtaken,
    /// A row that the venue cannot have written.
    #[error("table {table} holds {what}")]
    Inconsistent {
        /// Where.
        table: &'static str,
        /// What was seen.
        what: String,
    },
}

impl BookError {
    /// Whether the same transaction may succeed when it is run again at once: after a deadlock or a serialization
    /// failure, on a fresh connection, or now that the id which another process took can be read.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Database(error) => is_conflict(error) || is_lost_connection(error),
            Self::Overtaken => true,
            Self::TimedOut | Self::CommitLost(_) | Self::NotOpen(_) | Self::Inconsistent { .. } => false,
        }
    }

    /// Whether one ask of a batch may be to blame, so that the others succeed without it.
    pub(super) fn may_be_one_ask(&self) -> bool {
        match self {
            Self::Database(error) => sql_state(error).is_some_and(|code| !is_unavailable(&code)),
            Self::Inconsistent { .. } => true,
            Self::TimedOut | Self::CommitLost(_) | Self::NotOpen(_) | Self::Overtaken => false,
        }
    }

    /// What a submission, a cancel or a replace that failed like this came to.
    pub(super) fn outcome(&self) -> Outcome {
        let reason = self.to_string();
        match self {
            Self::CommitLost(_) => Outcome::Unknown { reason },
            Self::Database(_)
            | Self::TimedOut
            | Self::NotOpen(_)
            | Self::Overtaken
            | Self::Inconsistent { .. } => Outcome::NotSent {
                reason,
                retry_after: None,
            },
        }
    }
}

impl From<BookError> for BrokerError {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Inconsistent { table, what } => Self::Inconsistent {
                broker: NAME,
                what: format!("{table}: {what}"),
            },
            BookError::Database(_)
            | BookError::TimedOut
            | BookError::CommitLost(_)
            | BookError::NotOpen(_)
            | BookError::Overtaken => Self::Unavailable {
                broker: NAME,
                reason: error.to_string(),
            },
        }
    }
}

fn is_conflict(error: &DbErr) -> bool {
    // Serialization failure, deadlock, and a key that is taken: on PostgreSQL, on SQLite.
    const CODES: [&str; 4] = ["40001", "40P01", "23505", "1555"];
    sql_state(error).is_some_and(|code| CODES.contains(&code.as_str()))
}

/// Whether a SQLSTATE or a result code of SQLite says that the database cannot serve at all: no connection, no locks, no
/// room, no time.
fn is_unavailable(code: &str) -> bool {
    const CLASSES: [&str; 7] = ["08", "25", "40", "53", "55", "57", "58"];
    match code.parse::<u32>() {
        // SQLite's codes are numbers of up to four digits, of which the lowest byte is the class: BUSY, LOCKED, NOMEM,
        // READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB.
        Ok(number) if code.len() < 5 => matches!(number & 0xff, 5..=11 | 13..=15 | 26),
        _ => CLASSES.iter().any(|class| code.starts_with(class)),
    }
}

fn is_lost_connection(error: &DbErr) -> bool {
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return false;
    };
    match &**error {
        sqlx::Error::Io(_) => true,
        // 57P01 to 57P03: the server ends the connection, or is not up yet.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P0")),
        _ => false,
    }
}
