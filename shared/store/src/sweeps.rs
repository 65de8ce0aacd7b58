//! Sweeps over all armed triggers: one row for each part of each slot.
//!
//! 1. A slot is opened once, with one number of parts, whoever leads.
//! 2. A part that its worker did not finish is claimed again when the claim has run out.
//! 3. Only the latest claim may finish a part: fences grow with each claim.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, LockBehavior, LockType, OnConflict};
use sea_orm::{
    ActiveValue, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult,
    QueryFilter, QueryOrder, QuerySelect, Statement,
};

use crate::entity::sweeps::{ActiveModel, Column, Entity, Model};
use crate::lease::end_of;
use crate::time::now_of;
use crate::{Store, StoreError};

const PENDING: &str = "pending";
const RUNNING: &str = "running";
const DONE: &str = "done";

/// One part of one sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
pub struct SweepPart {
    /// The interval that it is for.
    pub slot: i64,
    /// Which part.
    pub shard: i32,
}

/// A part that a worker has until its claim runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepClaim {
    /// The interval that it is for.
    pub slot: i64,
    /// Which part, from 0.
    pub shard: i32,
    /// Of how many.
    pub shards: i32,
    /// Under which only this claim may write.
    pub fence: i64,
    /// Until when, by the time of the database.
    pub claimed_until: DateTime<Utc>,
}

/// What a sweep has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepCounts {
    /// How many instruments were looked at.
    pub symbols: i32,
    /// How many triggers fired.
    pub fired: i32,
    /// The symbols that could not be judged, by the reason.
    pub skipped: BTreeMap<String, Vec<String>>,
}

impl Store {
    /// Opens the sweep of `slot` in `shards` parts under the leader's `fence`; answers whether this call did.
    pub async fn open_sweep(&self, slot: i64, shards: i32, fence: i64) -> Result<bool, StoreError> {
        self.transaction("open_sweep", async |tx| {
            let now = self.db_now(&tx).await?;
            let part = |shard| ActiveModel {
                slot: ActiveValue::Set(slot),
                shard: ActiveValue::Set(shard),
                shards: ActiveValue::Set(shards),
                fence: ActiveValue::Set(fence),
                state: ActiveValue::Set(PENDING.to_owned()),
                claimed_by: ActiveValue::Set(None),
                claimed_until: ActiveValue::Set(None),
                symbols: ActiveValue::Set(0),
                fired: ActiveValue::Set(0),
                skipped: ActiveValue::Set(serde_json::json!({})),
                created_at: ActiveValue::Set(now),
                started_at: ActiveValue::Set(None),
                finished_at: ActiveValue::Set(None),
            };
            // The first part decides: of two leaders with other numbers of parts, one opens all and the other none.
            let opened = Entity::insert(part(0))
                .on_conflict(
                    OnConflict::columns([Column::Slot, Column::Shard])
                        .do_nothing()
                        .to_owned(),
                )
                .exec_without_returning(&*tx)
                .await?;
            if opened == 0 {
                return Ok(false);
            }
            if shards > 1 {
                Entity::insert_many((1..shards).map(part))
                    .exec_without_returning(&*tx)
                    .await?;
            }
            Ok(true)
        })
        .await
    }

    /// Takes the part for `lease`, unless it is done or another worker has it.
    pub async fn claim_sweep(
        &self,
        worker: &str,
        slot: i64,
        shard: i32,
        lease: Duration,
    ) -> Result<Option<SweepClaim>, StoreError> {
        self.transaction("claim_sweep", async |tx| {
            self.claim_part(&tx, worker, SweepPart { slot, shard }, lease)
                .await
        })
        .await
    }

    /// Takes the oldest part that nobody has.
    pub async fn claim_due_sweep(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<SweepClaim>, StoreError> {
        // Looked for without a lock: while there is nothing to do, this is a read of an empty index.
        let parts = self.overdue_sweeps(Duration::ZERO, CANDIDATES_MAX).await?;
        for part in parts {
            let claim = self.claim_sweep(worker, part.slot, part.shard, lease).await?;
            if claim.is_some() {
                return Ok(claim);
            }
        }
        Ok(None)
    }

    /// The parts that nobody has, opened or lost by their worker more than `by` ago; the oldest first.
    pub async fn overdue_sweeps(&self, by: Duration, limit: u64) -> Result<Vec<SweepPart>, StoreError> {
        let before = now_of(self.read()).await? - TimeDelta::from_std(by).unwrap_or_default();
        let is_unclaimed = Condition::any()
            .add(
                Condition::all()
                    .add(Column::ClaimedUntil.is_null())
                    .add(Column::CreatedAt.lte(before)),
            )
            .add(Column::ClaimedUntil.lte(before));
        Ok(Entity::find()
            .select_only()
            .columns([Column::Slot, Column::Shard])
            .filter(Column::FinishedAt.is_null())
            .filter(is_unclaimed)
            .order_by_asc(Column::Slot)
            .order_by_asc(Column::Shard)
            .limit(limit)
            .into_model::<SweepPart>()
            .all(self.read())
            .await?)
    }

    /// Writes down what a claimed part has found.
    ///
    /// Fails with [`StoreError::Stale`] when another worker has claimed it since.
    pub async fn finish_sweep(&self, claim: &SweepClaim, counts: &SweepCounts) -> Result<(), StoreError> {
        self.transaction("finish_sweep", async |tx| {
            let now = self.db_now(&tx).await?;
            let finished = Entity::update_many()
                .col_expr(Column::State, Expr::value(DONE))
                .col_expr(Column::Symbols, Expr::value(counts.symbols))
                .col_expr(Column::Fired, Expr::value(counts.fired))
                .col_expr(Column::Skipped, Expr::value(serde_json::json!(counts.skipped)))
                .col_expr(Column::FinishedAt, Expr::value(now))
                .filter(is_part(SweepPart {
                    slot: claim.slot,
                    shard: claim.shard,
                }))
                .filter(Column::Fence.eq(claim.fence))
                .filter(Column::State.eq(RUNNING))
                .exec(&*tx)
                .await?;
            if finished.rows_affected == 0 {
                return Err(StoreError::Stale { what: "sweep" });
            }
            Ok(())
        })
        .await
    }

    /// The latest sweeps, the newest first.
    pub async fn recent_sweeps(&self, limit: u64) -> Result<Vec<Model>, StoreError> {
        Ok(Entity::find()
            .order_by_desc(Column::Slot)
            .order_by_asc(Column::Shard)
            .limit(limit)
            .all(self.read())
            .await?)
    }

    /// Forgets finished sweeps that were opened before `before`, the oldest first and no more than [`PRUNED_MAX`] parts,
    /// so that nobody waits long for it. Answers how many parts there were.
    pub async fn prune_sweeps(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let values = [before.into(), PRUNED_MAX.into()];
        let statement = Statement::from_sql_and_values(self.backend(), PRUNE, values);
        Ok(self.write().execute_raw(statement).await?.rows_affected())
    }

    async fn claim_part(
        &self,
        tx: &DatabaseTransaction,
        worker: &str,
        part: SweepPart,
        lease: Duration,
    ) -> Result<Option<SweepClaim>, StoreError> {
        // Whoever has the row is claiming the part, or was stopped while it did: waiting for it would take a connection from
        // the orders, for each signal.
        let row = Entity::find()
            .filter(is_part(part))
            .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked)
            .one(tx)
            .await?;
        // After the lock: the time before it may be that before another worker's claim.
        let now = self.db_now(tx).await?;
        let Some(row) = row.filter(|row| row.state != DONE && row.claimed_until.is_none_or(|end| end <= now))
        else {
            return Ok(None);
        };
        let claim = SweepClaim {
            slot: part.slot,
            shard: part.shard,
            shards: row.shards,
            fence: self.next_fence(tx).await?,
            claimed_until: end_of(now, lease),
        };
        Entity::update_many()
            .col_expr(Column::State, Expr::value(RUNNING))
            .col_expr(Column::Fence, Expr::value(claim.fence))
            .col_expr(Column::ClaimedBy, Expr::value(worker))
            .col_expr(Column::ClaimedUntil, Expr::value(claim.claimed_until))
            .col_expr(Column::StartedAt, Expr::value(row.started_at.unwrap_or(now)))
            .filter(is_part(part))
            .exec(tx)
            .await?;
        Ok(Some(claim))
    }
}

/// Parts that are forgotten in one go: more than a day has at one part every ten seconds.
pub const PRUNED_MAX: i64 = 10_000;

const PRUNE: &str = "
DELETE FROM sweeps WHERE (slot, shard) IN (
    SELECT slot, shard FROM sweeps
    WHERE created_at < $1 AND finished_at IS NOT NULL ORDER BY slot, shard LIMIT $2
)";

/// Parts that are tried in turn, since other workers look for the same ones.
const CANDIDATES_MAX: u64 = 16;

fn is_part(part: SweepPart) -> Condition {
    Condition::all()
        .add(Column::Slot.eq(part.slot))
        .add(Column::Shard.eq(part.shard))
}
