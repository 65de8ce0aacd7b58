//! Work: what has to be done for an order, claimed by one worker at a time.
//!
//! 1. A row is due, then claimed until its lease ends, then due again. The claim's fence is never reused: only its
//!    holder may write.
//! 2. Leases and due times go by the database's clock.
//! 3. A row goes away when its work is done, in the transaction that records the result.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AccountId, OrderId};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, Statement, Value,
};

use crate::Store;
use crate::entity::order_work;
use crate::error::StoreError;
use crate::rows::{array_text, is_among, update_many};
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

    pub(crate) fn of(text: &str) -> Option<Self> {
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
        self.claim(worker, lease, limit, None).await
    }

    /// Claims the due work of one order.
    pub async fn claim_order(
        &self,
        worker: &str,
        order: OrderId,
        lease: Duration,
    ) -> Result<Vec<Claim>, StoreError> {
        self.claim_orders(worker, &[order], lease).await
    }

    /// Claims the due work of these orders, at once.
    pub async fn claim_orders(
        &self,
        worker: &str,
        orders: &[OrderId],
        lease: Duration,
    ) -> Result<Vec<Claim>, StoreError> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let limit = orders.len().saturating_mul(WorkKind::ALL.len()) as u64;
        self.claim(worker, lease, limit, Some(orders)).await
    }

    async fn claim(
        &self,
        worker: &str,
        lease: Duration,
        limit: u64,
        only: Option<&[OrderId]>,
    ) -> Result<Vec<Claim>, StoreError> {
        let deadline = Instant::now() + lease;
        let rows = match self.backend() {
            DbBackend::Postgres => self.claim_by_statement(worker, lease, limit, only).await?,
            _ => self.claim_under_lock(worker, lease, limit, only).await?,
        };
        rows.into_iter().map(|row| claim_of(row, deadline)).collect()
    }

    /// One statement: finds what is due, passes over what another claim has locked, and claims.
    async fn claim_by_statement(
        &self,
        worker: &str,
        lease: Duration,
        limit: u64,
        only: Option<&[OrderId]>,
    ) -> Result<Vec<order_work::Model>, StoreError> {
        let micros = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut values = vec![Value::from(worker), micros.into(), limit.into()];
        let sql = match only {
            None => claim_sql("true", "ORDER BY due_at"),
            Some(orders) => {
                let ids: Vec<Value> = orders.iter().map(|order| order.0.into()).collect();
                values.push(array_text(ids.iter()).into());
                // Without an order by time: for that, the whole backlog would be walked through.
                claim_sql("order_id = ANY((SELECT $4::text::uuid[])::uuid[])", "")
            }
        };
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let rows = self.single("claim_work", statement).await?;
        let rows = rows
            .iter()
            .map(|row| order_work::Model::from_query_result(row, ""));
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Where there is one writer: a look that finds nothing writes nothing.
    async fn claim_under_lock(
        &self,
        worker: &str,
        lease: Duration,
        limit: u64,
        only: Option<&[OrderId]>,
    ) -> Result<Vec<order_work::Model>, StoreError> {
        self.transaction("claim_work", async |tx| {
            let tx = &*tx;
            let now = self.db_now(tx).await?;
            let mut due = order_work::Entity::find().filter(is_free(now));
            if let Some(orders) = only {
                due = due.filter(is_among(
                    tx,
                    order_work::Column::OrderId,
                    orders.iter().map(|id| id.0),
                ));
            }
            let mut due = due
                .order_by_asc(order_work::Column::DueAt)
                .limit(limit)
                .all(tx)
                .await?;
            if due.is_empty() {
                return Ok(due);
            }
            let fence = self.next_fence(tx).await?;
            for row in &mut due {
                row.claimed_by = Some(worker.to_owned());
                row.claimed_until = Some(now + delta(lease));
                row.fence = fence;
                row.attempts += 1;
            }
            let claimed = due.iter().map(|row| {
                vec![
                    Value::from(row.order_id),
                    row.kind.as_str().into(),
                    row.claimed_by.clone().into(),
                    row.claimed_until.into(),
                    row.fence.into(),
                    row.attempts.into(),
                ]
            });
            let set = ["claimed_by", "claimed_until", "fence", "attempts"];
            update_many(tx, "order_work", &["order_id", "kind"], &set, claimed.collect()).await?;
            Ok(due)
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
            let back = Postponed {
                claim,
                due_in,
                last_error: last_error.into(),
            };
            postpone(self, &tx, &[back]).await
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

/// Claimed work that is due again later.
#[derive(Debug, Clone)]
pub(crate) struct Postponed<'a> {
    pub claim: &'a Claim,
    /// How much later.
    pub due_in: Duration,
    /// What it waits for.
    pub last_error: Cow<'a, str>,
}

/// Makes claimed work due again; nothing happens to what is no longer its claim's.
pub(crate) async fn postpone(
    store: &Store,
    tx: &DatabaseTransaction,
    later: &[Postponed<'_>],
) -> Result<(), StoreError> {
    if later.is_empty() {
        return Ok(());
    }
    let now = store.db_now(tx).await?;
    let rows = later.iter().map(
        |Postponed {
             claim,
             due_in,
             last_error,
         }| {
            vec![
                Value::from(claim.order_id.0),
                claim.kind.as_str().into(),
                claim.fence.into(),
                Option::<DateTime<Utc>>::None.into(),
                (now + delta(*due_in)).into(),
                last_error.as_ref().into(),
            ]
        },
    );
    let set = ["claimed_until", "due_at", "last_error"];
    update_many(
        tx,
        "order_work",
        &["order_id", "kind", "fence"],
        &set,
        rows.collect(),
    )
    .await?;
    Ok(())
}

/// The fences under which the work of these orders is claimed now.
pub(crate) async fn fences(
    tx: &DatabaseTransaction,
    orders: impl Iterator<Item = OrderId>,
) -> Result<BTreeMap<(OrderId, WorkKind), i64>, StoreError> {
    let rows = order_work::Entity::find()
        .filter(is_among(tx, order_work::Column::OrderId, orders.map(|id| id.0)))
        .all(tx)
        .await?;
    let known = |row: order_work::Model| Some(((OrderId(row.order_id), WorkKind::of(&row.kind)?), row.fence));
    Ok(rows.into_iter().filter_map(known).collect())
}

/// The claim on PostgreSQL, of those rows of `order_work` for which `which` holds.
///
/// What is due is found by the time at which the statement began, so that the index serves; a lease begins when its row
/// is written. All rows of one claim share a fence.
fn claim_sql(which: &str, order: &str) -> String {
    format!(
        "WITH due AS (
            SELECT order_id, kind FROM order_work
            WHERE due_at <= statement_timestamp()
              AND (claimed_until IS NULL OR claimed_until < statement_timestamp()) AND {which}
            {order} LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
        ), next AS (SELECT nextval('work_fences') AS fence WHERE EXISTS (SELECT FROM due))
        UPDATE order_work AS w
        SET claimed_by = $1, claimed_until = clock_timestamp() + $2 * interval '1 microsecond',
            fence = (SELECT fence FROM next), attempts = w.attempts + 1
        FROM due WHERE w.order_id = due.order_id AND w.kind = due.kind
        RETURNING w.*"
    )
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

pub(crate) fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

fn claim_of(row: order_work::Model, deadline: Instant) -> Result<Claim, StoreError> {
    let kind = WorkKind::of(&row.kind).ok_or_else(|| StoreError::Inconsistent {
        table: "order_work",
        id: row.order_id.to_string(),
    })?;
    Ok(Claim {
        order_id: OrderId(row.order_id),
        account_id: AccountId(row.account_id),
        kind,
        fence: row.fence,
        attempts: row.attempts,
        last_error: row.last_error,
        deadline,
    })
}
