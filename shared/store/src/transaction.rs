//! Transactions: begun rightly on each database, tried again where that is safe, counted by name.

mod two_steps;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult, RuntimeErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

pub(crate) use self::two_steps::Script;
use crate::{Store, StoreError};

/// How often a transaction is run before a deadlock or serialization failure is the caller's.
const RUNS_MAX: u32 = 5;

/// What the transactions of one name have cost this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransactionStats {
    /// Committed.
    pub committed: u64,
    /// Given up, for whatever reason.
    pub failed: u64,
    /// Runs beyond the first, after a deadlock or a serialization failure.
    pub retried: u64,
    /// Time from the first BEGIN to the last answer, of all together.
    pub elapsed: Duration,
}

/// The counters of all transactions, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters(Arc<Mutex<BTreeMap<&'static str, TransactionStats>>>);

impl Counters {
    fn record(&self, name: &'static str, runs: u32, is_committed: bool, elapsed: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stats = all.entry(name).or_default();
        stats.committed += u64::from(is_committed);
        stats.failed += u64::from(!is_committed);
        stats.retried += u64::from(runs.saturating_sub(1));
        stats.elapsed = stats.elapsed.saturating_add(elapsed);
    }

    pub(crate) fn all(&self) -> BTreeMap<&'static str, TransactionStats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A transaction under way. It ends with the body that was given it.
#[derive(Debug)]
pub struct Tx(Arc<DatabaseTransaction>);

impl Deref for Tx {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.0
    }
}

impl Store {
    /// Runs `body` in a transaction and commits what it did, unless it answers with an error.
    ///
    /// The body runs again, up to five times in all, when PostgreSQL ends it with 40001 or 40P01, so whatever it does
    /// besides must bear that. On SQLite it holds the one write lock from its beginning.
    ///
    /// ```ignore
    /// store.transaction("rename_user", async |tx| rename(&tx, user, &name).await).await
    /// ```
    ///
    /// Fails with [`StoreError::CommitUnknown`] when the answer to COMMIT was lost.
    pub async fn transaction<T, F, R>(&self, name: &'static str, body: F) -> Result<T, StoreError>
    where
        // Not `AsyncFn(&DatabaseTransaction)`: a future of such a body that borrows anything is not `Send` to the
        // compiler, so no task could hold it. Async closures are of this form, too.
        F: Fn(Tx) -> R,
        R: Future<Output = Result<T, StoreError>>,
    {
        let begun = Instant::now();
        let mut run = 1;
        let result = loop {
            let result = self.run_once(name, &body).await;
            match &result {
                Err(error) if error.is_retried() && run < RUNS_MAX => {
                    tracing::debug!(transaction.name = name, transaction.run = run, error = ?error, "runs again");
                    tokio::time::sleep(pause(run)).await;
                    run += 1;
                }
                _ => break result,
            }
        };
        self.counters.record(name, run, result.is_ok(), begun.elapsed());
        result
    }

    /// Runs one statement that is its own transaction, and answers its rows: one round trip where BEGIN and COMMIT would
    /// make three. For PostgreSQL.
    ///
    /// A pooled connection that has lost its server is passed over, so the statement may run again after an answer was
    /// lost: it must bear that. Fails with [`StoreError::CommitUnknown`] when no answer came.
    pub(crate) async fn single(
        &self,
        name: &'static str,
        statement: Statement,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let begun = Instant::now();
        let (mut run, mut lost) = (1, 0);
        let result = loop {
            let asked = self.writer.query_all_raw(statement.clone());
            let error = match tokio::time::timeout(self.transaction_timeout, asked).await {
                Ok(Ok(rows)) => break Ok(rows),
                Ok(Err(error)) => error,
                Err(_) => break Err(StoreError::CommitUnknown(no_answer())),
            };
            let is_of_the_statement = matches!(error, DbErr::Query(_));
            match StoreError::of_commit(error) {
                StoreError::CommitUnknown(_) if is_of_the_statement && lost < self.pool_size => lost += 1,
                error if error.is_retried() && run < RUNS_MAX => {
                    tokio::time::sleep(pause(run)).await;
                    run += 1;
                }
                error => break Err(error),
            }
        };
        pass("store::after_commit", name);
        self.counters.record(name, run, result.is_ok(), begun.elapsed());
        result
    }

    /// Runs one statement that commits by itself and answers with one row of one boolean. It never runs again.
    ///
    /// Fails with [`StoreError::CommitUnknown`] when its answer was lost.
    pub(crate) async fn run_alone(
        &self,
        name: &'static str,
        statement: Statement,
    ) -> Result<bool, StoreError> {
        let begun = Instant::now();
        if is_planted(EARLY_ANSWER) {
            let writer = self.writer.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                writer.query_one_raw(statement).await
            });
            return Ok(true);
        }
        pass("store::before_commit", name);
        let answer = tokio::time::timeout(self.transaction_timeout, self.writer.query_one_raw(statement));
        let result = match answer.await {
            Ok(Ok(Some(row))) => row.try_get_by_index(0).map_err(StoreError::from),
            Ok(Ok(None)) => Err(StoreError::NotFound { table: "answer" }),
            Ok(Err(error)) => Err(StoreError::of_commit(error)),
            Err(_) => Err(StoreError::CommitUnknown(no_answer())),
        };
        if result.is_ok() {
            pass("store::after_commit", name);
        }
        self.counters.record(name, 1, result.is_ok(), begun.elapsed());
        result
    }

    async fn run_once<T, F, R>(&self, name: &'static str, body: &F) -> Result<T, StoreError>
    where
        F: Fn(Tx) -> R,
        R: Future<Output = Result<T, StoreError>>,
    {
        // The server ends a statement that takes too long; this is for a server that says nothing any more.
        let worked = tokio::time::timeout(self.transaction_timeout, self.work(body)).await;
        let (transaction, value) = worked.map_err(|_| StoreError::Unavailable(no_answer()))??;
        pass("store::before_commit", name);
        match tokio::time::timeout(self.transaction_timeout, transaction.commit()).await {
            Ok(answer) => answer.map_err(StoreError::of_commit)?,
            Err(_) => return Err(StoreError::CommitUnknown(no_answer())),
        }
        pass("store::after_commit", name);
        Ok(value)
    }

    /// Everything of a transaction but its COMMIT.
    async fn work<T, F, R>(&self, body: &F) -> Result<(DatabaseTransaction, T), StoreError>
    where
        F: Fn(Tx) -> R,
        R: Future<Output = Result<T, StoreError>>,
    {
        let transaction = Arc::new(self.begin().await?);
        let result = body(Tx(Arc::clone(&transaction))).await;
        let Ok(transaction) = Arc::try_unwrap(transaction) else {
            // Only a body that hands its transaction to somebody else comes here; dropping it rolls back.
            return Err(StoreError::Inconsistent {
                table: "transaction",
                id: "escaped".to_owned(),
            });
        };
        match result {
            Ok(value) => Ok((transaction, value)),
            Err(error) => {
                // Where the server is gone, it rolls back by itself; the body's error says more than this one.
                if let Err(rollback) = transaction.rollback().await {
                    tracing::debug!(error = ?rollback, "the rollback got no answer");
                }
                Err(error)
            }
        }
    }

    /// Begins on a connection that has its server: each pooled one may have lost it, and nothing has happened yet.
    async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        let mut tries = 0;
        loop {
            match begin_on(&self.writer).await {
                Err(error @ DbErr::Query(_)) if tries < self.pool_size => {
                    let error = StoreError::from(error);
                    if !error.is_unavailable() {
                        return Err(error);
                    }
                    tries += 1;
                }
                result => return result.map_err(StoreError::from),
            }
        }
    }
}

async fn begin_on(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = match connection.get_database_backend() {
        // A deferred transaction that read first could not be sure to get the write lock.
        DbBackend::Sqlite => TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        },
        _ => TransactionOptions::default(),
    };
    connection.begin_with_options(options).await
}

fn no_answer() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(
        "the database gave no answer in time".to_owned(),
    ))
}

/// A statement that stands alone is called done before it is sent: a fault that the trials have to notice.
const EARLY_ANSWER: &str = "plant::ack_before_commit";

/// Whether a test has planted the fault `name`, by `FAILPOINTS='plant::…=return'`.
#[cfg(feature = "fault-points")]
pub(crate) fn is_planted(name: &str) -> bool {
    fail::eval(name, |_| ()).is_some()
}

/// Nothing is planted.
#[cfg(not(feature = "fault-points"))]
pub(crate) const fn is_planted(_name: &str) -> bool {
    false
}

/// A point at which tests hold a process up or end it: `store::before_commit::accept_orders=pause`. Without the feature
/// `fault-points` nothing of this is compiled in.
#[cfg(feature = "fault-points")]
fn pass(point: &str, name: &str) {
    let _: Option<()> = fail::eval(&format!("{point}::{name}"), |_| std::process::abort());
}

/// Passes the point.
#[cfg(not(feature = "fault-points"))]
const fn pass(_point: &str, _name: &str) {}

/// A pause before run `run + 1`, doubling from 4 ms and spread, so that two that met do not meet again.
fn pause(run: u32) -> Duration {
    let longest = 4_u64 << run.min(6);
    // The random bits of a fresh id are as good as any and need no generator of their own.
    let spread = uuid::Uuid::new_v4().as_u64_pair().1 % longest;
    Duration::from_millis(longest / 2 + spread / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(value: T) -> T {
        value
    }

    async fn run(tx: &DatabaseTransaction, statements: &[String]) -> Result<(), StoreError> {
        for statement in statements {
            tx.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn borrows(store: &Store, statements: &[String]) -> Result<usize, StoreError> {
        store
            .transaction("probe", async |tx| {
                store.db_now(&tx).await?;
                run(&tx, statements).await?;
                for statement in statements {
                    tx.execute_unprepared(statement).await?;
                }
                Ok(statements.len())
            })
            .await
    }

    async fn owns(store: Store, statements: Vec<String>) -> Result<usize, StoreError> {
        store
            .transaction("probe", async |tx| {
                run(&tx, &statements).await?;
                borrows(&store, &statements).await
            })
            .await
    }

    /// A question to the compiler: bodies that borrow from around them are where async closures fail to be `Send`.
    #[test]
    fn a_transaction_whose_body_borrows_can_be_spawned() {
        let _ = |store: Store| is_send(owns(store, Vec::new()));
    }

    #[test]
    fn pauses_grow_and_stay_short() {
        for run in 1..RUNS_MAX {
            let longest = Duration::from_millis(4 << run);
            assert!(pause(run) <= longest, "{run}");
            assert!(pause(run) >= longest / 2, "{run}");
        }
    }
}
