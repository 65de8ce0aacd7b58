//! The time by which leases and claims run, and the numbers that fence them.

use chrono::{DateTime, Utc};
use platform::Clock;
use platform::clock::{SystemClock, to_microseconds};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement};

use crate::{Store, StoreError};

impl Store {
    /// The database's time, in UTC, cut to microseconds: PostgreSQL's own; on SQLite, which runs within this process,
    /// the time of the process.
    ///
    /// It moves on within a transaction.
    pub async fn db_now(&self, transaction: &DatabaseTransaction) -> Result<DateTime<Utc>, StoreError> {
        now_of(transaction).await
    }

    /// A fence that was never given out before, and is greater than all that were.
    pub async fn next_fence(&self, transaction: &DatabaseTransaction) -> Result<i64, StoreError> {
        let sql = match transaction.get_database_backend() {
            DbBackend::Postgres => "SELECT nextval('work_fences') AS fence",
            _ => "UPDATE work_fences SET value = value + 1 WHERE id = 1 RETURNING value AS fence",
        };
        let row = transaction
            .query_one_raw(Statement::from_string(transaction.get_database_backend(), sql))
            .await?
            .ok_or(StoreError::Inconsistent {
                table: "work_fences",
                id: "1".to_owned(),
            })?;
        Ok(row.try_get("", "fence")?)
    }
}

/// See [`Store::db_now`].
pub(crate) async fn now_of<C: ConnectionTrait>(connection: &C) -> Result<DateTime<Utc>, StoreError> {
    let backend = connection.get_database_backend();
    if backend != DbBackend::Postgres {
        return Ok(SystemClock.now());
    }
    let row = connection
        .query_one_raw(Statement::from_string(backend, "SELECT clock_timestamp() AS now"))
        .await?
        .ok_or(StoreError::NotFound { table: "now" })?;
    Ok(to_microseconds(row.try_get("", "now")?))
}
