//! The rows of calls: made before the first byte leaves, ended with what the call came to.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::id::OrderId;
use domain::order::Order;
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult, IntoActiveModel, Statement, Value};

use super::{AttemptOutcome, Dispatch, MISSED, NewAttempt, TAKEN_OVER};
use crate::connections::ConnectionView;
use crate::entity::broker_attempts;
use crate::error::StoreError;
use crate::rows::{Rows, Writes, insert};
use crate::work::WorkKind;

/// What earlier calls of one kind for one order matter for the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Earlier {
    /// Number and begin of the last one.
    last: Option<(i32, DateTime<Utc>)>,
    /// By the id that travelled, number and begin of the first one that sent it, or may have: those after it may have only
    /// looked.
    first_sent: BTreeMap<String, (i32, DateTime<Utc>)>,
    /// Numbers and fences of those that are unfinished.
    open: Vec<(i32, i64)>,
}

impl Earlier {
    /// Those before which `last` was the last one; all have ended.
    pub(super) fn after(last: Option<(i32, DateTime<Utc>)>) -> Self {
        Self {
            last,
            first_sent: BTreeMap::new(),
            open: Vec::new(),
        }
    }

    /// Whether one is unfinished.
    pub(super) const fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether call `n`, made under `fence`, is unfinished.
    pub(super) fn has_open(&self, n: i32, fence: i64) -> bool {
        self.open.contains(&(n, fence))
    }
}

/// The earlier calls of an order, by order and kind.
pub(super) type AllEarlier = BTreeMap<(OrderId, WorkKind), Earlier>;

/// Of each order and kind the last call, those unfinished, and of each id the first that sent it, or may have.
const EARLIER: &str = "NOT EXISTS (SELECT 1 FROM broker_attempts AS b
        WHERE b.order_id = a.order_id AND b.kind = a.kind AND b.n > a.n)
    OR a.ended_at IS NULL
    OR (a.outcome IN ('unknown', 'acknowledged') AND NOT EXISTS (SELECT 1 FROM broker_attempts AS b
        WHERE b.order_id = a.order_id AND b.kind = a.kind AND b.n < a.n AND b.id_sent = a.id_sent
        AND b.outcome IN ('unknown', 'acknowledged')))";

/// Reads what matters of the earlier calls of these orders.
pub(super) async fn earlier(
    tx: &DatabaseTransaction,
    orders: impl Iterator<Item = OrderId>,
) -> Result<AllEarlier, StoreError> {
    let backend = tx.get_database_backend();
    let ids = Rows::new(&["order_id"], orders.map(|id| vec![id.0.into()]).collect());
    let (source, values) = ids.source(backend, "v", 1);
    let sql = format!(
        "SELECT a.* FROM broker_attempts AS a WHERE a.order_id IN (SELECT order_id FROM {source}) AND ({EARLIER})"
    );
    let rows = tx
        .query_all_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?;
    let mut all = AllEarlier::new();
    for row in &rows {
        let row = broker_attempts::Model::from_query_result(row, "")?;
        let Some(kind) = WorkKind::of(&row.kind) else {
            continue;
        };
        let known = all.entry((OrderId(row.order_id), kind)).or_default();
        let this = (row.n, row.started_at);
        known.last = known.last.max(Some(this));
        if row.ended_at.is_none() {
            known.open.push((row.n, row.fence));
        }
        // A broker that has a request and is slow to report must not get it again either.
        if matches!(row.outcome.as_deref(), None | Some("unknown" | "acknowledged")) {
            let first = known.first_sent.entry(row.id_sent).or_insert(this);
            *first = this.min(*first);
        }
    }
    Ok(all)
}

/// The call that `wish` may make now, for an order as it stands once the call has begun.
pub(super) fn dispatch(
    wish: &NewAttempt,
    all: &AllEarlier,
    order: Order,
    replacement: Option<Order>,
    connection: ConnectionView,
    now: DateTime<Utc>,
) -> Dispatch {
    let claim = &wish.claim;
    let of_kind = |kind: WorkKind| all.get(&(claim.order_id, kind)).cloned().unwrap_or_default();
    let mine = of_kind(claim.kind);
    let begin_of = |call: Option<(i32, DateTime<Utc>)>| call.map_or(now, |(_, at)| at);
    let (is_repeat, attempted_at) = match claim.kind {
        WorkKind::Submit | WorkKind::Cancel => (false, now),
        WorkKind::Replace => {
            let sent = replacement
                .as_ref()
                .and_then(|new| mine.first_sent.get(&new.id.to_string()));
            (sent.is_some(), begin_of(sent.copied()))
        }
        WorkKind::Reconcile => (false, begin_of(of_kind(WorkKind::Submit).last)),
    };
    Dispatch {
        claim: claim.clone(),
        n: mine.last.map_or(0, |(n, _)| n) + 1,
        attempted_at,
        is_repeat,
        // What a dead worker has sent meanwhile, no look has missed yet.
        was_missed: !mine.is_open() && claim.last_error.as_deref() == Some(MISSED),
        connection,
        order,
        replacement,
    }
}

/// The row of a call that begins.
pub(super) fn row_of(
    dispatch: &Dispatch,
    correlation_id: &str,
    now: DateTime<Utc>,
) -> broker_attempts::Model {
    let Dispatch {
        claim,
        order,
        replacement,
        ..
    } = dispatch;
    broker_attempts::Model {
        order_id: claim.order_id.0,
        kind: claim.kind.as_str().to_owned(),
        n: dispatch.n,
        fence: claim.fence,
        id_sent: replacement.as_ref().map_or(order.id, |new| new.id).to_string(),
        broker_order_id: order.broker_order_id.as_ref().map(|id| id.0.clone()),
        correlation_id: correlation_id.to_owned(),
        started_at: now,
        ended_at: None,
        outcome: None,
        detail: None,
    }
}

/// Writes the rows of calls that begin.
pub(super) async fn insert_rows(
    tx: &DatabaseTransaction,
    rows: Vec<broker_attempts::Model>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    insert(tx, rows.collect(), None).await
}

/// Ends unfinished calls of these works, whose claims others have taken over: what they sent, nobody knows.
pub(super) async fn end_taken_over(
    tx: &DatabaseTransaction,
    works: &[(OrderId, WorkKind)],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if works.is_empty() {
        return Ok(());
    }
    let backend = tx.get_database_backend();
    let rows = works
        .iter()
        .map(|(id, kind)| vec![id.0.into(), kind.as_str().into()]);
    let rows = Rows::new(&["order_id", "kind"], rows.collect());
    let (source, keys) = rows.source(backend, "v", 2);
    let sql = format!(
        "UPDATE broker_attempts SET ended_at = $1, outcome = 'unknown', detail = '{TAKEN_OVER}'
         WHERE ended_at IS NULL AND (order_id, kind) IN (SELECT order_id, kind FROM {source})"
    );
    let values = std::iter::once(Value::from(now)).chain(keys);
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?;
    Ok(())
}

/// A call whose row is to be ended.
#[derive(Debug)]
pub(super) struct EndedRow<'a> {
    pub dispatch: &'a Dispatch,
    pub outcome: AttemptOutcome,
}

/// Ends the rows of these calls.
pub(super) fn end_rows(writes: &mut Writes, ended: &[EndedRow<'_>], now: DateTime<Utc>) {
    let rows = ended.iter().map(|EndedRow { dispatch, outcome }| {
        let detail = (name_of(outcome) != "acknowledged").then(|| reason_of(outcome).to_owned());
        vec![
            Value::from(dispatch.claim.order_id.0),
            dispatch.claim.kind.as_str().into(),
            dispatch.n.into(),
            dispatch.claim.fence.into(),
            Some(now).into(),
            Some(name_of(outcome).to_owned()).into(),
            broker_order_id_of(dispatch, outcome).into(),
            detail.into(),
        ]
    });
    let set = ["ended_at", "outcome", "broker_order_id", "detail"];
    let keys = ["order_id", "kind", "n", "fence"];
    writes.update("broker_attempts", &keys, &set, rows.collect());
}

fn broker_order_id_of(dispatch: &Dispatch, outcome: &AttemptOutcome) -> Option<String> {
    match outcome {
        AttemptOutcome::Acknowledged {
            broker_order_id: Some(id),
            ..
        } => Some(id.0.clone()),
        AttemptOutcome::Acknowledged {
            broker_order_id: None,
            ..
        }
        | AttemptOutcome::Refused { .. }
        | AttemptOutcome::NotSent { .. }
        | AttemptOutcome::Unknown { .. }
        | AttemptOutcome::Missed => dispatch.order.broker_order_id.as_ref().map(|id| id.0.clone()),
    }
}

const fn name_of(outcome: &AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Acknowledged { .. } => "acknowledged",
        AttemptOutcome::Refused { .. } => "refused",
        AttemptOutcome::NotSent { .. } | AttemptOutcome::Missed => "not_sent",
        AttemptOutcome::Unknown { .. } => "unknown",
    }
}

pub(super) fn reason_of(outcome: &AttemptOutcome) -> &str {
    match outcome {
        AttemptOutcome::Acknowledged { .. } => "the venue has not reported yet",
        AttemptOutcome::Refused { reason }
        | AttemptOutcome::NotSent { reason, .. }
        | AttemptOutcome::Unknown { reason, .. } => reason,
        AttemptOutcome::Missed => MISSED,
    }
}
