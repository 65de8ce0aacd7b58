//! Looks into the database from outside, which go on while the server is stopped, started and full.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use crate::support::postgres::connect;

/// How long one look may take before another one is tried.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module. Clones share the connections.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    connection: DatabaseConnection,
}

impl Database {
    pub(crate) async fn open(url: &str) -> Self {
        Self {
            connection: connect(url).await,
        }
    }

    /// Rows of texts; tried until the server answers.
    pub(crate) async fn rows<const N: usize>(&self, sql: &str) -> Vec<[String; N]> {
        loop {
            match tokio::time::timeout(PATIENCE, self.try_rows(sql)).await {
                Ok(Ok(rows)) => return rows,
                Ok(Err(error)) if is_of_the_statement(&error) => panic!("{sql}: {error}"),
                Ok(Err(_)) | Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn try_rows<const N: usize>(&self, sql: &str) -> Result<Vec<[String; N]>, DbErr> {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let rows = self.connection.query_all_raw(statement).await?;
        let text = |row: &sea_orm::QueryResult, index| {
            let text: Option<String> = row.try_get_by_index(index).unwrap();
            text.unwrap_or_default()
        };
        Ok(rows
            .iter()
            .map(|row| std::array::from_fn(|index| text(row, index)))
            .collect())
    }

    /// The one number that `sql` answers as text.
    pub(crate) async fn number(&self, sql: &str) -> u64 {
        let rows = self.rows::<1>(sql).await;
        rows[0][0].parse().unwrap()
    }

    /// How many rows of `table` fulfil `condition`.
    pub(crate) async fn count(&self, table: &str, condition: &str) -> u64 {
        self.number(&format!("SELECT count(*)::text FROM {table} WHERE {condition}"))
            .await
    }

    /// Changes something, if the server can be reached.
    pub(crate) async fn change(&self, sql: &str) -> Result<(), DbErr> {
        self.connection.execute_unprepared(sql).await.map(drop)
    }
}

/// Whether an error says that the statement is wrong, and not that the server is away.
fn is_of_the_statement(error: &DbErr) -> bool {
    let text = error.to_string();
    ["syntax error", "does not exist", "mismatched"]
        .iter()
        .any(|words| text.contains(words))
}
