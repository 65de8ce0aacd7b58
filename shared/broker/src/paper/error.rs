//! What can go wrong between the venue and its book.

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
    /// failure, or on a fresh connection.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Database(error) => is_conflict(error) || is_lost_connection(error),
            Self::TimedOut | Self::CommitLost(_) | Self::Inconsistent { .. } => false,
        }
    }

    /// What a submission, a cancel or a replace that failed like this came to.
    pub(super) fn outcome(&self) -> Outcome {
        let reason = self.to_string();
        match self {
            Self::CommitLost(_) => Outcome::Unknown { reason },
            Self::Database(_) | Self::TimedOut | Self::Inconsistent { .. } => Outcome::NotSent {
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
            BookError::Database(_) | BookError::TimedOut | BookError::CommitLost(_) => Self::Unavailable {
                broker: NAME,
                reason: error.to_string(),
            },
        }
    }
}

fn is_conflict(error: &DbErr) -> bool {
    sql_state(error).is_some_and(|code| code == "40001" || code == "40P01")
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
