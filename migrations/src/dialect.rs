//! One SQL text for both databases.
//!
//! | in the text | PostgreSQL | SQLite | holds |
//! |---|---|---|---|
//! | `{money}` | `numeric(28,9)` | `TEXT` | prices, quantities, amounts; SQLite would make a float of any number |
//! | `{rate}` | `numeric(28,18)` | `TEXT` | what one unit reserves or exposes |
//! | `{uuid}` | `uuid` | `BLOB` | ids, 16 bytes |
//! | `{time}` | `timestamptz(6)` | `TEXT` | times, UTC, cut to microseconds: as text they sort rightly |
//! | `{date}` | `date` | `TEXT` | dates |
//! | `{json}`, `{text}`, `{bytes}` | `json`, `text`, `bytea` | `TEXT`, `TEXT`, `BLOB` | |
//! | `{bigint}`, `{int}`, `{bool}` | `bigint`, `integer`, `boolean` | `INTEGER` | |
//! | `{table}` | | `STRICT` | options of a table whose rows never change |
//! | `{updated_table}` | room for updates within the page | `STRICT` | options of a table whose rows change |
//! | `{queue_table}` | the same, and early cleaning | `STRICT` | options of a table whose rows come and go |

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// A migration that is one such text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SqlMigration {
    /// Under which it is known to have been applied.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) sql: &'static str,
}

impl MigrationName for SqlMigration {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SqlMigration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = render(self.sql, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&sql).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Name in braces, on PostgreSQL, on SQLite.
const WORDS: [(&str, &str, &str); 14] = [
    ("{money}", "numeric(28,9)", "TEXT"),
    ("{rate}", "numeric(28,18)", "TEXT"),
    ("{uuid}", "uuid", "BLOB"),
    ("{time}", "timestamptz(6)", "TEXT"),
    ("{date}", "date", "TEXT"),
    ("{json}", "json", "TEXT"),
    ("{text}", "text", "TEXT"),
    ("{bytes}", "bytea", "BLOB"),
    ("{bigint}", "bigint", "INTEGER"),
    ("{int}", "integer", "INTEGER"),
    ("{bool}", "boolean", "INTEGER"),
    ("{table}", "", " STRICT"),
    ("{updated_table}", " WITH (fillfactor = 70)", " STRICT"),
    (
        "{queue_table}",
        " WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000)",
        " STRICT",
    ),
];

/// `sql` in the words of `backend`.
pub fn render(sql: &str, backend: DbBackend) -> String {
    WORDS
        .iter()
        .fold(sql.to_owned(), |text, (word, postgres, sqlite)| {
            text.replace(
                word,
                if backend == DbBackend::Postgres {
                    postgres
                } else {
                    sqlite
                },
            )
        })
}
