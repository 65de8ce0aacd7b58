//! Answers that are kept for twins of their requests. They are written by the statement that accepts the order, and read
//! by [`Store::saved_answer`]; here they are forgotten.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Statement};

use crate::{Store, StoreError};

const PRUNE: &str = "
DELETE FROM idempotency_keys WHERE (account_id, credential_id, method, path, key) IN (
    SELECT account_id, credential_id, method, path, key FROM idempotency_keys
    WHERE created_at < $1 ORDER BY created_at LIMIT $2
)";

impl Store {
    /// Forgets answers given before `before`, the oldest first and at most `limit`, so that nobody waits long for it.
    /// Answers how many there were.
    pub async fn prune_idempotency(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        let values = [before.into(), i64::from(limit).into()];
        let statement = Statement::from_sql_and_values(self.backend(), PRUNE, values);
        Ok(self.write().execute_raw(statement).await?.rows_affected())
    }
}
