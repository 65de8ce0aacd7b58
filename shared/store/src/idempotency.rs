//! Answers that are kept for twins of their requests. They are written by the statement that accepts the order, and read
//! by [`Store::saved_answer`]; here they are forgotten.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Statement};

use crate::{Store, StoreError};

/// Rows in one transaction, so that nobody waits long for it.
const ROWS_MAX: u64 = 1_000;

const PRUNE: &str = "
DELETE FROM idempotency_keys WHERE (account_id, credential_id, method, path, key) IN (
    SELECT account_id, credential_id, method, path, key FROM idempotency_keys
    WHERE created_at < $1 ORDER BY created_at LIMIT $2
)";

impl Store {
    /// Forgets every answer given before `before`, in small transactions. Answers how many there were.
    pub async fn prune_idempotency(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut pruned = 0;
        loop {
            let values = [before.into(), i64::try_from(ROWS_MAX).unwrap_or(i64::MAX).into()];
            let statement = Statement::from_sql_and_values(self.backend(), PRUNE, values);
            let rows = self.write().execute_raw(statement).await?.rows_affected();
            pruned += rows;
            if rows < ROWS_MAX {
                return Ok(pruned);
            }
        }
    }
}
