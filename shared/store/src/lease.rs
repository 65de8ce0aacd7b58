//! Leases: who may do what only one may do.
//!
//! 1. The database's time decides; the holder's clock only has to run at about the right speed.
//! 2. The fence grows with each change of holder and never shrinks, so a row stays when its lease is given back.
//! 3. Holders' names are unique for each start of a process: a name that comes back is the same process.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use platform::Clock;
use platform::clock::{SystemClock, to_microseconds};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter, QuerySelect,
    Statement, Value,
};

use crate::entity::leases;
use crate::time::now_of;
use crate::{Store, StoreError};

/// A lease that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseGrant {
    /// Greater than that of every holder before.
    pub fence: i64,
    /// Until when, by the time of the database.
    pub expires_at: DateTime<Utc>,
}

// The end is reckoned before the row's lock is waited for, the check of the old end after: both err on the safe side.
const ACQUIRE_POSTGRES: &str = "
INSERT INTO leases AS held (name, holder, fence, expires_at)
VALUES ($1, $2, 1, clock_timestamp() + $3 * interval '1 microsecond')
ON CONFLICT (name) DO UPDATE SET
    fence = held.fence + CASE WHEN held.holder = excluded.holder THEN 0 ELSE 1 END,
    holder = excluded.holder,
    expires_at = excluded.expires_at
WHERE held.holder = excluded.holder OR held.expires_at <= clock_timestamp()
RETURNING fence, expires_at";

const ACQUIRE_SQLITE: &str = "
INSERT INTO leases AS held (name, holder, fence, expires_at)
VALUES ($1, $2, 1, $3)
ON CONFLICT (name) DO UPDATE SET
    fence = held.fence + CASE WHEN held.holder = excluded.holder THEN 0 ELSE 1 END,
    holder = excluded.holder,
    expires_at = excluded.expires_at
WHERE held.holder = excluded.holder OR held.expires_at <= $4
RETURNING fence, expires_at";

impl Store {
    /// Takes the lease `name` for `ttl` from now, or makes it last `ttl` from now where `holder` has it already.
    /// `None`: another has it.
    pub async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<LeaseGrant>, StoreError> {
        let names: [Value; 2] = [name.into(), holder.into()];
        let statement = if self.backend() == DbBackend::Postgres {
            let ttl = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
            let values = names.into_iter().chain([ttl.into()]);
            Statement::from_sql_and_values(DbBackend::Postgres, ACQUIRE_POSTGRES, values)
        } else {
            let now = SystemClock.now();
            let values = names.into_iter().chain([end_of(now, ttl).into(), now.into()]);
            Statement::from_sql_and_values(DbBackend::Sqlite, ACQUIRE_SQLITE, values)
        };
        let Some(row) = self.write().query_one_raw(statement).await? else {
            return Ok(None);
        };
        Ok(Some(LeaseGrant {
            fence: row.try_get("", "fence")?,
            expires_at: to_microseconds(row.try_get("", "expires_at")?),
        }))
    }

    /// Gives the lease `name` back, so that another may take it at once. Nothing happens when `holder` has lost it.
    pub async fn release_lease(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        self.transaction("release_lease", async |tx| {
            let now = self.db_now(&tx).await?;
            leases::Entity::update_many()
                .col_expr(leases::Column::ExpiresAt, Expr::value(now))
                .filter(leases::Column::Name.eq(name))
                .filter(leases::Column::Holder.eq(holder))
                .filter(leases::Column::ExpiresAt.gt(now))
                .exec(&*tx)
                .await?;
            Ok(())
        })
        .await
    }

    /// Makes sure that the lease `name` is held under `fence`, and stays so until the transaction has ended.
    ///
    /// Fails with [`StoreError::Stale`] when it has run out or gone to another.
    pub async fn assert_fence(
        &self,
        transaction: &DatabaseTransaction,
        name: &str,
        fence: i64,
    ) -> Result<(), StoreError> {
        // A shared lock: other writers of the same leader may pass, whoever wants to take the lease waits.
        let lease = leases::Entity::find_by_id(name)
            .lock(LockType::Share)
            .one(transaction)
            .await?;
        let now = now_of(transaction).await?;
        match lease {
            Some(lease) if lease.fence == fence && now < lease.expires_at => Ok(()),
            Some(_) | None => Err(StoreError::Stale { what: "lease" }),
        }
    }
}

/// `ttl` after `now`; the end of time where that is later.
pub(crate) fn end_of(now: DateTime<Utc>, ttl: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(ttl)
        .ok()
        .and_then(|ttl| now.checked_add_signed(ttl))
        .map_or(DateTime::<Utc>::MAX_UTC, to_microseconds)
}
