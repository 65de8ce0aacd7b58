//! Whether the database answers, and whether it is the one that this program expects.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, RuntimeErr, Statement};

use crate::{Store, StoreError, entity};

/// A database that takes longer is no use to anybody who waits for an answer.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

impl Store {
    /// Asks the database for an answer, and says how long it took.
    ///
    /// Fails with [`StoreError::Unavailable`] when it takes more than two seconds.
    pub async fn ping(&self) -> Result<Duration, StoreError> {
        let asked = Instant::now();
        let answer = self.write().execute_unprepared("SELECT 1");
        match tokio::time::timeout(PING_TIMEOUT, answer).await {
            Ok(answer) => answer.map(|_| asked.elapsed()).map_err(StoreError::from),
            Err(elapsed) => {
                let error = RuntimeErr::Internal(format!("no answer within {PING_TIMEOUT:?}: {elapsed}"));
                Err(StoreError::Unavailable(DbErr::Conn(error)))
            }
        }
    }

    /// The tables that this program works on and the database has not, whatever its list of migrations says.
    pub async fn missing_tables(&self) -> Result<Vec<&'static str>, StoreError> {
        let sql = match self.backend() {
            DbBackend::Postgres => {
                "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = current_schema()"
            }
            _ => "SELECT name FROM sqlite_master WHERE type = 'table'",
        };
        let rows = self
            .read()
            .query_all_raw(Statement::from_string(self.backend(), sql))
            .await?;
        let found = rows
            .iter()
            .map(|row| row.try_get::<String>("", "name"))
            .collect::<Result<BTreeSet<_>, _>>()?;
        Ok(entity::TABLES
            .into_iter()
            .filter(|table| !found.contains(*table))
            .collect())
    }
}
