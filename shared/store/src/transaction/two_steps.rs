//! Transactions on SQLite that send all they read in one text, and all they write in another one.
//!
//! A statement on SQLite costs less than its way to the connection's thread and back, so what counts is how often that way
//! is gone: twice, where BEGIN, each statement and COMMIT would go it once each.
//!
//! 1. The first text begins with BEGIN IMMEDIATE: what it reads stands until the second one has ended with COMMIT.
//! 2. The statements of a text run until one fails, and the library knows nothing of the transaction that is open then.
//!    It is rolled back here. Where no answer came, or the caller has gone away, the connection is closed, which rolls
//!    back too: never does one return to its pool within a transaction.
//! 3. Texts do not depend on the number of rows, so that a connection prepares each of them once.

use std::sync::atomic::Ordering;
use std::time::Instant;

use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::sqlite::{Sqlite, SqliteArguments};
use sea_orm::sqlx::{self, AssertSqlSafe};
use sea_orm::{DbBackend, DbErr, QueryResult, RuntimeErr, Value};

use super::{no_answer, pass};
use crate::rows::Rows;
use crate::{Store, StoreError};

/// Statements for SQLite that are sent in one text, and what they bind: `$n` counts through all of them.
#[derive(Debug, Default)]
pub(crate) struct Script {
    sql: String,
    values: Vec<Value>,
}

impl Script {
    /// Adds a statement, without a semicolon.
    pub(crate) fn add(&mut self, statement: &str) {
        self.sql.push_str(statement);
        self.sql.push_str(";\n");
    }

    /// These rows under the name `alias`, for a statement that is still to be added.
    pub(crate) fn source(&mut self, alias: &str, rows: &Rows) -> String {
        self.bind(|first| rows.source(DbBackend::Sqlite, alias, first))
    }

    /// A text that binds its values from `$first` on, which `make` is told.
    pub(crate) fn bind(&mut self, make: impl FnOnce(usize) -> (String, Vec<Value>)) -> String {
        let (sql, values) = make(self.values.len() + 1);
        self.values.extend(values);
        sql
    }

    /// The query that runs `head`, the statements, and `tail`.
    fn query(self, head: &str, tail: &str) -> Result<Query<'static, Sqlite, SqliteArguments>, StoreError> {
        let text = format!("{head}{}{tail}", self.sql);
        let mut query = sqlx::query(AssertSqlSafe(text));
        for value in self.values {
            // Rows are bound as one document each.
            let Value::String(document) = value else {
                return Err(StoreError::Inconsistent {
                    table: "values",
                    id: format!("{value:?}"),
                });
            };
            query = query.bind(document);
        }
        Ok(query)
    }
}

/// The connection that writes, from BEGIN to the end of the transaction.
#[derive(Debug)]
struct Begun {
    connection: PoolConnection<Sqlite>,
    /// Whether the transaction has ended for certain.
    has_ended: bool,
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.has_ended {
            self.connection.close_on_drop();
        }
    }
}

impl Begun {
    async fn run(&mut self, query: Query<'_, Sqlite, SqliteArguments>) -> Result<Vec<QueryResult>, DbErr> {
        let rows = query.fetch_all(&mut *self.connection).await.map_err(of_sqlx)?;
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }

    /// Undoes what was done. Where that fails, SQLite has done so already or the connection is of no use: it is closed.
    async fn roll_back(mut self) {
        match sqlx::raw_sql("ROLLBACK").execute(&mut *self.connection).await {
            Ok(_) => self.has_ended = true,
            Err(error) => tracing::debug!(?error, "the rollback was refused"),
        }
    }
}

fn of_sqlx(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

impl Store {
    /// Runs `read`, and what `decide` makes of its rows, in one transaction on SQLite. `false`: it made nothing of them,
    /// and nothing was written. It never runs again.
    ///
    /// Fails with [`StoreError::CommitUnknown`] when the second answer was lost.
    pub(crate) async fn in_two_steps<F>(
        &self,
        name: &'static str,
        read: Script,
        decide: F,
    ) -> Result<bool, StoreError>
    where
        F: FnOnce(Vec<QueryResult>) -> Result<Option<Script>, StoreError>,
    {
        let started = Instant::now();
        let result = self.two_steps(name, read, decide).await;
        self.counters.record(name, 1, result.is_ok(), started.elapsed());
        result
    }

    async fn two_steps<F>(&self, name: &'static str, read: Script, decide: F) -> Result<bool, StoreError>
    where
        F: FnOnce(Vec<QueryResult>) -> Result<Option<Script>, StoreError>,
    {
        let read = read.query("BEGIN IMMEDIATE;\n", "")?;
        let reading = tokio::time::timeout(self.transaction_timeout, self.begin_with(read)).await;
        let (begun, found) = reading.map_err(|_| StoreError::Unavailable(no_answer()))??;
        let written = match decide(found) {
            Ok(Some(written)) => written.query("", "COMMIT"),
            Ok(None) => {
                begun.roll_back().await;
                return Ok(false);
            }
            Err(error) => Err(error),
        };
        let written = match written {
            Ok(written) => written,
            Err(error) => {
                begun.roll_back().await;
                return Err(error);
            }
        };
        pass("store::before_commit", name);
        self.end_with(begun, written).await?;
        pass("store::after_commit", name);
        Ok(true)
    }

    async fn begin_with(
        &self,
        read: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<(Begun, Vec<QueryResult>), StoreError> {
        let pool = self.writer.get_sqlite_connection_pool();
        let mut begun = Begun {
            connection: pool.acquire().await.map_err(of_sqlx)?,
            has_ended: false,
        };
        self.statements.fetch_add(1, Ordering::Relaxed);
        match begun.run(read).await {
            Ok(found) => Ok((begun, found)),
            Err(error) => {
                begun.roll_back().await;
                Err(error.into())
            }
        }
    }

    async fn end_with(
        &self,
        mut begun: Begun,
        written: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<(), StoreError> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        match tokio::time::timeout(self.transaction_timeout, begun.run(written)).await {
            Ok(Ok(_)) => {
                begun.has_ended = true;
                Ok(())
            }
            Ok(Err(error)) => {
                begun.roll_back().await;
                Err(StoreError::of_commit(error))
            }
            Err(_) => Err(StoreError::CommitUnknown(no_answer())),
        }
    }
}

#[cfg(test)]
mod tests;
