//! The venue's own connections: PostgreSQL in the schema `paper`, SQLite in a file of its own.

use std::time::Duration;

use async_trait::async_trait;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    RuntimeErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use tokio::time::Instant;

use super::error::{BookError, NAME};

/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a transaction waits for a lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an ask may wait until its batch begins; afterwards it is not tried.
pub(super) const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a transaction may take before its COMMIT; nothing has happened when it takes longer.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(4);

/// How long the answer to COMMIT may take; afterwards nobody knows.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest that a call to the venue takes: the three above.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// How often a transaction is tried that the database ended or never began, within its deadline.
const RUNS_MAX: u32 = 4;

/// The most connections that read a SQLite file.
const SQLITE_READERS_MAX: u32 = 8;

/// The schema of the venue's tables on PostgreSQL.
const SCHEMA: &str = "paper";

/// What a transaction does between BEGIN and COMMIT. It may run more than once.
#[async_trait]
pub(super) trait Work: Sync {
    /// What it finds out.
    type Answer: Send;

    /// Reads and writes the book.
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<Self::Answer, BookError>;
}

/// Connections to the venue's database. On SQLite one of them writes; on PostgreSQL both names mean the same pool.
#[derive(Debug, Clone)]
pub(super) struct Pools {
    pub(super) reader: DatabaseConnection,
    writer: DatabaseConnection,
}

impl Pools {
    pub(super) async fn open(url: &str, max_connections: u32) -> Result<Self, BookError> {
        if backend(url) == DbBackend::Sqlite {
            let writer = sqlite(url, 1, |options| options.create_if_missing(true)).await?;
            let readers = max_connections.clamp(1, SQLITE_READERS_MAX);
            let reader = sqlite(url, readers, |options| options.pragma("query_only", "on")).await?;
            return Ok(Self { reader, writer });
        }
        let pool = postgres(url, max_connections).await?;
        Ok(Self {
            reader: pool.clone(),
            writer: pool,
        })
    }

    /// Ends all connections, after their present statements.
    pub(super) async fn close(self) -> Result<(), BookError> {
        self.reader.close().await?;
        self.writer.close().await?;
        Ok(())
    }

    /// Tells `count` of each statement.
    #[cfg(test)]
    pub(super) fn counted(mut self, count: &std::sync::Arc<std::sync::atomic::AtomicU64>) -> Self {
        for pool in [&mut self.reader, &mut self.writer] {
            let count = std::sync::Arc::clone(count);
            pool.set_metric_callback(move |_| {
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            });
        }
        self
    }

    /// The connections that write.
    pub(super) const fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Runs `work` in a transaction and commits what it did, unless it answers with an error, or is not ready to commit at
    /// `deadline`.
    ///
    /// It runs again after a deadlock, and when its connection had lost the server before it began. Fails with
    /// [`BookError::CommitLost`] when the answer to COMMIT was lost, else with the certainty that nothing happened.
    pub(super) async fn transaction<W: Work>(
        &self,
        work: &W,
        deadline: Instant,
    ) -> Result<W::Answer, BookError> {
        let (transaction, value) = tokio::time::timeout_at(deadline, self.run(work))
            .await
            .map_err(|_| BookError::TimedOut)??;
        match tokio::time::timeout(COMMIT_TIMEOUT, transaction.commit()).await {
            Ok(Ok(())) => Ok(value),
            Ok(Err(error)) => Err(BookError::CommitLost(Some(error))),
            Err(_) => Err(BookError::CommitLost(None)),
        }
    }

    /// Everything of a transaction but its COMMIT.
    async fn run<W: Work>(&self, work: &W) -> Result<(DatabaseTransaction, W::Answer), BookError> {
        let mut run = 1;
        loop {
            let result = match self.begin().await {
                Ok(transaction) => match work.run(&transaction).await {
                    Ok(value) => return Ok((transaction, value)),
                    Err(error) => {
                        // Where the server is gone, it rolls back by itself; the work's error says more.
                        drop(transaction.rollback().await);
                        error
                    }
                },
                Err(error) => error.into(),
            };
            if run == RUNS_MAX || !result.may_pass() {
                return Err(result);
            }
            tracing::debug!(broker.name = NAME, transaction.run = run, error = %result, "runs again");
            tokio::time::sleep(Duration::from_millis(u64::from(run) * 10)).await;
            run += 1;
        }
    }

    async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let mode = (self.writer.get_database_backend() == DbBackend::Sqlite)
            .then_some(SqliteTransactionMode::Immediate);
        self.writer
            .begin_with_options(TransactionOptions {
                sqlite_transaction_mode: mode,
                ..TransactionOptions::default()
            })
            .await
    }
}

/// A connection for the venue's migrations: it makes the schema or the file, where there is none.
pub(super) async fn for_migrations(url: &str) -> Result<DatabaseConnection, BookError> {
    if backend(url) == DbBackend::Sqlite {
        return sqlite(url, 1, |options| options.create_if_missing(true)).await;
    }
    let connection = postgres(url, 1).await?;
    let made = connection
        .execute_unprepared(&format!("CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        .await;
    match made {
        // Two processes that make it at once: one of them trips over the other's.
        Err(error) if is_unique_violation(&error) => Ok(connection),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(connection),
    }
}

fn is_unique_violation(error: &DbErr) -> bool {
    matches!(
        error.sql_err(),
        Some(sea_orm::SqlErr::UniqueConstraintViolation(_))
    ) || sql_state(error).as_deref() == Some("23505")
}

/// The SQLSTATE (PostgreSQL) or the result code (SQLite) of an error.
pub(super) fn sql_state(error: &DbErr) -> Option<String> {
    let (DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))
    | DbErr::Conn(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    error
        .as_database_error()
        .and_then(|error| error.code().map(std::borrow::Cow::into_owned))
}

fn backend(url: &str) -> DbBackend {
    if url.starts_with("sqlite:") {
        DbBackend::Sqlite
    } else {
        DbBackend::Postgres
    }
}

fn base(url: &str, max_connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.to_owned());
    options
        .max_connections(max_connections.max(1))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire(false);
    options
}

async fn postgres(url: &str, max_connections: u32) -> Result<DatabaseConnection, BookError> {
    let milliseconds = |duration: Duration| duration.as_millis().to_string();
    let settings = [
        ("search_path", SCHEMA.to_owned()),
        ("jit", "off".to_owned()),
        // Each statement finds its rows by an index. A plan is kept that was made while the tables were empty, when any
        // other way looks as good.
        ("enable_seqscan", "off".to_owned()),
        ("enable_hashjoin", "off".to_owned()),
        ("enable_mergejoin", "off".to_owned()),
        // No plan depends on the values; planning the first runs on each connection takes longer than running them.
        ("plan_cache_mode", "force_generic_plan".to_owned()),
        ("statement_timeout", milliseconds(BODY_TIMEOUT)),
        ("lock_timeout", milliseconds(LOCK_TIMEOUT)),
        ("idle_in_transaction_session_timeout", "30000".to_owned()),
    ];
    let mut options = base(url, max_connections);
    options
        // A connection that rested may have lost its server; one in use is not asked each time.
        .test_before_acquire_if_idle_for(Duration::from_secs(2))
        .map_sqlx_postgres_opts(move |options| {
            options
                .application_name("arbion-paper")
                .statement_cache_capacity(256)
                .options(settings.clone())
        });
    Ok(Database::connect(options).await?)
}

async fn sqlite(
    url: &str,
    max_connections: u32,
    more: impl Fn(SqliteConnectOptions) -> SqliteConnectOptions + Send + Sync + 'static,
) -> Result<DatabaseConnection, BookError> {
    let mut options = base(url, max_connections);
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
                    .busy_timeout(LOCK_TIMEOUT)
                    .statement_cache_capacity(256),
            )
        });
    Ok(Database::connect(options).await?)
}
