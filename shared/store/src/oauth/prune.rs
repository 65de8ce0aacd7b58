//! Codes, tokens and grants that can tell nothing any more are removed.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, Statement};
use uuid::Uuid;

use super::CONSENT;
use crate::entity::oauth_grants;
use crate::{Store, StoreError};

/// How long a code or token stays after its end: within that time a second use is still noticed as one.
const KEPT_FOR: TimeDelta = TimeDelta::days(1);

const CODES: &str = "
DELETE FROM oauth_codes WHERE hash IN (SELECT hash FROM oauth_codes WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)
RETURNING grant_id";

const TOKENS: &str = "
DELETE FROM oauth_tokens WHERE id IN (SELECT id FROM oauth_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)
RETURNING grant_id";

impl Store {
    /// Removes at most `limit` codes and as many tokens that ended more than a day before `now`, and the grants that have
    /// nothing left by that. Answers how many codes and tokens went: fewer than `limit` of each, and nothing is left.
    pub async fn prune_oauth(&self, limit: u32, now: DateTime<Utc>) -> Result<u64, StoreError> {
        self.transaction("prune_oauth", async |tx| {
            let mut grants = BTreeSet::new();
            let mut removed = 0;
            for sql in [CODES, TOKENS] {
                let values = [(now - KEPT_FOR).into(), i64::from(limit).into()];
                let statement = Statement::from_sql_and_values(self.backend(), sql, values);
                for row in tx.query_all_raw(statement).await? {
                    grants.insert(row.try_get::<Uuid>("", "grant_id")?);
                    removed += 1;
                }
            }
            remove_empty(&tx, grants).await?;
            Ok(removed)
        })
        .await
    }
}

/// Whether a grant has neither a code nor a token.
const IS_EMPTY: &str = "NOT EXISTS (SELECT 1 FROM oauth_codes c WHERE c.grant_id = oauth_grants.id)
    AND NOT EXISTS (SELECT 1 FROM oauth_tokens t WHERE t.grant_id = oauth_grants.id)";

/// Removes those of `grants` that a person gave and that have nothing left.
async fn remove_empty(tx: &DatabaseTransaction, grants: BTreeSet<Uuid>) -> Result<(), StoreError> {
    if grants.is_empty() {
        return Ok(());
    }
    oauth_grants::Entity::delete_many()
        .filter(oauth_grants::Column::Id.is_in(grants))
        .filter(oauth_grants::Column::Kind.eq(CONSENT))
        .filter(Expr::cust(IS_EMPTY))
        .exec(tx)
        .await?;
    Ok(())
}
