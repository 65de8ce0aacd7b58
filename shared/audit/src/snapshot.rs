//! One state of the database, read page by page.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel,
    QueryResult, Statement, TransactionTrait, TryGetable, Value,
};
use uuid::Uuid;

use crate::AuditError;

/// Rows of one page.
pub(crate) const PAGE: u64 = 20_000;

/// Begins a transaction that sees one state of the database, whatever others commit meanwhile. PostgreSQL: REPEATABLE
/// READ, READ ONLY. SQLite: a transaction in WAL mode sees what its first read saw.
pub(crate) async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, AuditError> {
    if connection.get_database_backend() != DbBackend::Postgres {
        return Ok(connection.begin().await?);
    }
    let (level, mode) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
    let transaction = connection.begin_with_config(Some(level), Some(mode)).await?;
    // A table may be large; nobody waits for a reader.
    transaction
        .execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL jit = off")
        .await?;
    Ok(transaction)
}

/// One state of the database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot<'a> {
    transaction: &'a DatabaseTransaction,
}

impl<'a> Snapshot<'a> {
    pub(crate) const fn of(transaction: &'a DatabaseTransaction) -> Self {
        Self { transaction }
    }

    pub(crate) async fn rows(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, AuditError> {
        let statement = Statement::from_sql_and_values(self.transaction.get_database_backend(), sql, values);
        Ok(self.transaction.query_all_raw(statement).await?)
    }
}

/// The columns `names` as texts, each under its name: decimals and JSON are read exactly on both databases.
pub(crate) fn texts(names: &[&str]) -> String {
    let columns: Vec<String> = names
        .iter()
        .map(|name| format!("CAST({name} AS TEXT) AS {name}"))
        .collect();
    columns.join(", ")
}

/// `$first, $second, …` for `count` values, the first of which is number `from`.
pub(crate) fn placeholders(from: usize, count: usize) -> String {
    let marks: Vec<String> = (from..from + count).map(|number| format!("${number}")).collect();
    marks.join(", ")
}

/// Reads the columns of one row.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub row: &'a QueryResult,
    pub table: &'static str,
}

impl Reader<'_> {
    pub(crate) fn get<T: TryGetable>(&self, column: &str) -> Result<T, AuditError> {
        Ok(self.row.try_get("", column)?)
    }

    pub(crate) fn id(&self, column: &str) -> Result<Uuid, AuditError> {
        self.get(column)
    }

    pub(crate) fn text(&self, column: &str) -> Result<String, AuditError> {
        self.get(column)
    }

    pub(crate) fn time(&self, column: &str) -> Result<DateTime<Utc>, AuditError> {
        self.get(column)
    }

    pub(crate) fn decimal(&self, column: &'static str) -> Result<Decimal, AuditError> {
        self.parsed(column, self.text(column)?)
    }

    pub(crate) fn optional_decimal(&self, column: &'static str) -> Result<Option<Decimal>, AuditError> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| self.parsed(column, text)).transpose()
    }

    fn parsed(&self, column: &'static str, text: String) -> Result<Decimal, AuditError> {
        let parsed = text.parse::<Decimal>();
        parsed
            .map(|value| value.normalize())
            .map_err(|_| AuditError::Unreadable {
                table: self.table,
                column,
                value: text,
            })
    }

    pub(crate) fn json(&self, column: &'static str) -> Result<serde_json::Value, AuditError> {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|_| AuditError::Unreadable {
            table: self.table,
            column,
            value: text,
        })
    }
}
