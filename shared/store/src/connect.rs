//! How a process reaches its database.

use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbBackend};

use crate::StoreError;

/// Where the database is, and how much of it one process may take.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `postgres://…`, `postgresql://…`, or `sqlite:` and a file.
    pub url: String,
    /// The most connections to PostgreSQL; on SQLite, the most readers.
    pub max_connections: u32,
    /// How long a caller waits for a connection before the database counts as unavailable.
    pub acquire_timeout: Duration,
    /// How long one statement may take on PostgreSQL.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a row lock on PostgreSQL, and a transaction for the write lock on SQLite.
    pub lock_timeout: Duration,
    /// How long a transaction may take before its COMMIT, and the answer to COMMIT, whether the server says something or
    /// not; longer than a statement.
    pub transaction_timeout: Duration,
    /// What PostgreSQL shows in `pg_stat_activity`.
    pub application_name: String,
}

impl StoreOptions {
    /// The options for `url` with the limits that suit a server.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 16,
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(15),
            lock_timeout: Duration::from_secs(5),
            transaction_timeout: Duration::from_secs(20),
            application_name: "arbion".to_owned(),
        }
    }

    /// Which database the URL names.
    pub fn backend(&self) -> Result<DbBackend, StoreError> {
        let is = |scheme: &str| self.url.starts_with(scheme);
        if is("postgres://") || is("postgresql://") {
            Ok(DbBackend::Postgres)
        } else if is("sqlite:") {
            // Each connection to a database in memory would see another one.
            if self.url.contains(":memory:") || self.url.contains("mode=memory") {
                return Err(StoreError::Url {
                    reason: "SQLite needs a file",
                });
            }
            Ok(DbBackend::Sqlite)
        } else {
            Err(StoreError::Url {
                reason: "it must begin with postgres://, postgresql:// or sqlite:",
            })
        }
    }

    fn base(&self, max_connections: u32) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.url.clone());
        options
            .max_connections(max_connections)
            .acquire_timeout(self.acquire_timeout)
            .sqlx_logging(false)
            .record_stmt_in_spans(false)
            .test_before_acquire(false);
        options
    }

    /// A pool of connections to PostgreSQL.
    pub(crate) async fn postgres(&self) -> Result<DatabaseConnection, StoreError> {
        let mut options = self.base(self.max_connections);
        let settings = [
            ("jit", "off".to_owned()),
            ("statement_timeout", milliseconds(self.statement_timeout)),
            ("lock_timeout", milliseconds(self.lock_timeout)),
            ("idle_in_transaction_session_timeout", "30000".to_owned()),
        ];
        let application_name = self.application_name.clone();
        options
            // A connection that rested may have lost its server; one in use is not asked each time.
            .test_before_acquire_if_idle_for(Duration::from_secs(2))
            .map_sqlx_postgres_opts(move |options| {
                options
                    .application_name(&application_name)
                    .statement_cache_capacity(512)
                    .options(settings.clone())
            });
        Ok(Database::connect(options).await?)
    }

    /// The one connection that writes to the SQLite file; it makes the file if there is none.
    pub(crate) async fn sqlite_writer(&self) -> Result<DatabaseConnection, StoreError> {
        self.sqlite(1, |options| options.create_if_missing(true)).await
    }

    /// Connections that read the SQLite file, each the last committed state, while the writer writes.
    pub(crate) async fn sqlite_readers(&self) -> Result<DatabaseConnection, StoreError> {
        self.sqlite(self.max_connections.min(8), |options| {
            options.pragma("query_only", "on")
        })
        .await
    }

    async fn sqlite(
        &self,
        max_connections: u32,
        more: impl Fn(SqliteOptions) -> SqliteOptions + Send + Sync + 'static,
    ) -> Result<DatabaseConnection, StoreError> {
        let mut options = self.base(max_connections);
        let busy_timeout = self.lock_timeout;
        options
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .map_sqlx_sqlite_opts(move |options| {
                more(
                    options
                        .journal_mode(SqliteJournalMode::Wal)
                        .synchronous(SqliteSynchronous::Full)
                        .foreign_keys(true)
                        .busy_timeout(busy_timeout)
                        .statement_cache_capacity(512),
                )
            });
        Ok(Database::connect(options).await?)
    }
}

type SqliteOptions = sea_orm::sqlx::sqlite::SqliteConnectOptions;

fn milliseconds(duration: Duration) -> String {
    duration.as_millis().to_string()
}
