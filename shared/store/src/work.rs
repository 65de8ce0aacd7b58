//! Work: what has to be done for an order, claimed by one worker at a time.
//!
//! 1. A row is due, then claimed until its lease ends, then due again. The claim's fence is never reused: only its
//!    holder may write.
//! 2. Leases and due times go by the database's clock.
//! 3. A row goes away when its work is done, in the transaction that records the result.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AccountId, OrderId};
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::Store;
use crate::entity::order_work;
use crate::error::StoreError;
use crate::time::now_of;

/// What has to be done for an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkKind {
    /// Send it.
    Submit,
    /// Ask the venue for its end.
    Cancel,
    /// Ask the venue for another order in its place.
    Replace,
    /// Find out whether the venue has it.
    Reconcile,
}

impl WorkKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Submit, Self::Cancel, Self::Replace, Self::Reconcile];

    /// The name in the database and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Cancel => "cancel",
            Self::Replace => "replace",
            Self::Reconcile => "reconcile",
        }
    }

    fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The right to do one piece of work, until its deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The order.
    pub order_id: OrderId,
    /// Its account.
    pub account_id: AccountId,
    /// What to do.
    pub kind: WorkKind,
    /// Proof of the claim; never reused.
    pub fence: i64,
    /// How often this work was claimed, this time included.
    pub attempts: i32,
    /// What the time before came to.
    pub last_error: Option<String>,
    /// The lease is over at the latest now; measured from before it was asked for.
    pub deadline: Instant,
}

impl Store {
    /// Claims at most `limit` pieces of due work, the longest due first.
    pub async fn claim_due(
        &self,
        worker: &str,
        lease: Duration,
        limit: u64,
    ) -> Result<Vec<Claim>, StoreError> {
        self.claim(worker, lease, limit, Condition::all()).await
    }

    /// Claims the due work of one order.
    pub async fn claim_order(
        &self,
        worker: &str,
        order: OrderId,
        lease: Duration,
    ) -> Result<Vec<Claim>, StoreError> {
        let only = Condition::all().add(order_work::Column::OrderId.eq(order.0));
        self.claim(worker, lease, WorkKind::ALL.len() as u64, only).await
    }

    async fn claim(
        &self,
        worker: &str,
        lease: Duration,
        limit: u64,
        which: Condition,
    ) -> Result<Vec<Claim>, StoreError> {
        let deadline = Instant::now() + lease;
        self.transaction("claim_work", async |tx| {
            let tx = &*tx;
            let now = self.db_now(tx).await?;
            let due = order_work::Entity::find()
                .filter(which.clone())
                .filter(is_free(now))
                .order_by_asc(order_work::Column::DueAt)
                .limit(limit)
                .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked)
                .all(tx)
                .await?;
            if due.is_empty() {
                return Ok(Vec::new());
            }
            let fence = self.next_fence(tx).await?;
            order_work::Entity::update_many()
                .col_expr(order_work::Column::ClaimedBy, Expr::value(worker))
                .col_expr(order_work::Column::ClaimedUntil, Expr::value(now + delta(lease)))
                .col_expr(order_work::Column::Fence, Expr::value(fence))
                .col_expr(
                    order_work::Column::Attempts,
                    Expr::col(order_work::Column::Attempts).add(1),
                )
                .filter(rows(due.iter().map(|row| (row.order_id, row.kind.as_str()))))
                .exec(tx)
                .await?;
            due.into_iter()
                .map(|row| claim_of(row, fence, deadline))
                .collect()
        })
        .await
    }

    /// Gives a claim back, due again after `due_in`; nothing happens when it is no longer ours.
    pub async fn release_claim(
        &self,
        claim: &Claim,
        due_in: Duration,
        last_error: &str,
    ) -> Result<(), StoreError> {
        self.transaction("release_claim", async |tx| {
            let tx = &*tx;
            postpone(self, tx, claim, due_in, last_error).await
        })
        .await
    }

    /// Orders with work that has been due for longer than `by` and that nobody holds.
    pub async fn overdue_work(&self, by: Duration, limit: u64) -> Result<Vec<OrderId>, StoreError> {
        let now = now_of(self.read()).await?;
        let rows = order_work::Entity::find()
            .filter(is_free(now - delta(by)))
            .order_by_asc(order_work::Column::DueAt)
            .limit(limit)
            .all(self.read())
            .await?;
        Ok(rows.into_iter().map(|row| OrderId(row.order_id)).collect())
    }
}

/// Makes claimed work due again after `due_in`; nothing happens when the claim is no longer ours.
pub(crate) async fn postpone(
    store: &Store,
    tx: &DatabaseTransaction,
    claim: &Claim,
    due_in: Duration,
    last_error: &str,
) -> Result<(), StoreError> {
    let now = store.db_now(tx).await?;
    order_work::Entity::update_many()
        .col_expr(
            order_work::Column::ClaimedUntil,
            Expr::value(Option::<DateTime<Utc>>::None),
        )
        .col_expr(order_work::Column::DueAt, Expr::value(now + delta(due_in)))
        .col_expr(order_work::Column::LastError, Expr::value(last_error))
        .filter(held_by(claim))
        .exec(tx)
        .await?;
    Ok(())
}

/// Due at `now`, and claimed by nobody whose lease still runs.
fn is_free(now: DateTime<Utc>) -> Condition {
    let unclaimed = Condition::any()
        .add(order_work::Column::ClaimedUntil.is_null())
        .add(order_work::Column::ClaimedUntil.lt(now));
    Condition::all()
        .add(order_work::Column::DueAt.lte(now))
        .add(unclaimed)
}

/// The row of `claim`, as long as its fence stands.
pub(crate) fn held_by(claim: &Claim) -> Condition {
    rows([(claim.order_id.0, claim.kind.as_str())]).add(order_work::Column::Fence.eq(claim.fence))
}

/// The rows of these keys: one condition per kind, however many there are.
fn rows<'a>(keys: impl IntoIterator<Item = (uuid::Uuid, &'a str)>) -> Condition {
    let mut by_kind: BTreeMap<&str, Vec<uuid::Uuid>> = BTreeMap::new();
    for (order, kind) in keys {
        by_kind.entry(kind).or_default().push(order);
    }
    let mut any = Condition::any();
    for (kind, orders) in by_kind {
        let of_kind = Condition::all()
            .add(order_work::Column::Kind.eq(kind))
            .add(order_work::Column::OrderId.is_in(orders));
        any = any.add(of_kind);
    }
    Condition::all().add(any)
}

pub(crate) fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

fn claim_of(row: order_work::Model, fence: i64, deadline: Instant) -> Result<Claim, StoreError> {
    let kind = WorkKind::of(&row.kind).ok_or_else(|| StoreError::Inconsistent {
        table: "order_work",
        id: row.order_id.to_string(),
    })?;
    Ok(Claim {
        order_id: OrderId(row.order_id),
        account_id: AccountId(row.account_id),
        kind,
        fence,
        attempts: row.attempts + 1,
        last_error: row.last_error,
        deadline,
    })
}
