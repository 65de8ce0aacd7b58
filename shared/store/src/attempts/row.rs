//! The rows of calls: made before the first byte leaves, ended with what the call came to.

use super::{AttemptOutcome, Dispatch, MISSED};

use chrono::{DateTime, Utc};
use domain::lifecycle::Submission;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use crate::book::{self};
use crate::connections::connection_of;
use crate::entity::broker_attempts;
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::work::{Claim, WorkKind};

pub(super) async fn record_attempt(
    tx: &DatabaseTransaction,
    ledger: &Ledger,
    claim: &Claim,
    correlation_id: &str,
    now: DateTime<Utc>,
) -> Result<Dispatch, StoreError> {
    let missing = || StoreError::NotFound { table: "orders" };
    let order = ledger.order(claim.order_id).cloned().ok_or_else(missing)?;
    let of_kind = |kind: WorkKind| {
        broker_attempts::Entity::find()
            .filter(broker_attempts::Column::OrderId.eq(claim.order_id.0))
            .filter(broker_attempts::Column::Kind.eq(kind.as_str()))
    };
    // Nobody else holds this work any more: what its unfinished attempts came to, nobody knows.
    let taken_over = end_open_attempts(tx, claim, now).await?;
    let last = of_kind(claim.kind)
        .order_by_desc(broker_attempts::Column::N)
        .one(tx)
        .await?;
    let n = last.as_ref().map_or(0, |attempt| attempt.n) + 1;
    let (is_repeat, attempted_at) = match claim.kind {
        WorkKind::Submit | WorkKind::Cancel => (false, now),
        WorkKind::Replace => {
            // The first of them that may have sent it: those after it may have only looked.
            let unknown = of_kind(claim.kind)
                .filter(broker_attempts::Column::Outcome.eq("unknown"))
                .order_by_asc(broker_attempts::Column::N)
                .one(tx)
                .await?;
            (unknown.is_some(), unknown.map_or(now, |sent| sent.started_at))
        }
        WorkKind::Reconcile => {
            let sent = of_kind(WorkKind::Submit).order_by_desc(broker_attempts::Column::N);
            (false, sent.one(tx).await?.map_or(now, |sent| sent.started_at))
        }
    };
    let replacement = order
        .facts
        .replaced_by
        .filter(|_| claim.kind == WorkKind::Replace);
    let replacement = replacement.and_then(|id| ledger.order(id)).cloned();
    let row = broker_attempts::Model {
        order_id: claim.order_id.0,
        kind: claim.kind.as_str().to_owned(),
        n,
        fence: claim.fence,
        id_sent: replacement.as_ref().map_or(order.id, |new| new.id).to_string(),
        broker_order_id: order.broker_order_id.as_ref().map(|id| id.0.clone()),
        correlation_id: correlation_id.to_owned(),
        started_at: now,
        ended_at: None,
        outcome: None,
        detail: None,
    };
    broker_attempts::Entity::insert(row.into_active_model())
        .exec_without_returning(tx)
        .await?;
    Ok(Dispatch {
        claim: claim.clone(),
        n,
        attempted_at,
        is_repeat,
        // What a dead worker has sent meanwhile, no look has missed yet.
        was_missed: taken_over == 0 && claim.last_error.as_deref() == Some(MISSED),
        connection: connection_of(tx, order.account_id).await?,
        order,
        replacement,
    })
}

pub(super) const fn name_of(outcome: &AttemptOutcome) -> &'static str {
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

pub(super) async fn end_attempt(
    tx: &DatabaseTransaction,
    dispatch: &Dispatch,
    outcome: &AttemptOutcome,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let broker_order_id = match outcome {
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
    };
    let detail = (name_of(outcome) != "acknowledged").then(|| reason_of(outcome).to_owned());
    let ended = broker_attempts::Entity::update_many()
        .col_expr(broker_attempts::Column::EndedAt, Expr::value(now))
        .col_expr(broker_attempts::Column::Outcome, Expr::value(name_of(outcome)))
        .col_expr(
            broker_attempts::Column::BrokerOrderId,
            Expr::value(broker_order_id),
        )
        .col_expr(broker_attempts::Column::Detail, Expr::value(detail))
        .filter(broker_attempts::Column::OrderId.eq(dispatch.order.id.0))
        .filter(broker_attempts::Column::Kind.eq(dispatch.claim.kind.as_str()))
        .filter(broker_attempts::Column::N.eq(dispatch.n))
        .filter(broker_attempts::Column::Fence.eq(dispatch.claim.fence))
        .filter(broker_attempts::Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    Ok(ended.rows_affected)
}

/// Attempts of this work that nobody finished: what they sent is unknown. Answers how many there were.
pub(super) async fn end_open_attempts(
    tx: &DatabaseTransaction,
    claim: &Claim,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let ended = broker_attempts::Entity::update_many()
        .col_expr(broker_attempts::Column::EndedAt, Expr::value(now))
        .col_expr(broker_attempts::Column::Outcome, Expr::value("unknown"))
        .col_expr(broker_attempts::Column::Detail, Expr::value("taken over"))
        .filter(broker_attempts::Column::OrderId.eq(claim.order_id.0))
        .filter(broker_attempts::Column::Kind.eq(claim.kind.as_str()))
        .filter(broker_attempts::Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    Ok(ended.rows_affected)
}

/// Our work is gone. Where the venue's reports have settled it meanwhile, only the attempt's row is left to end.
pub(super) async fn finish_overtaken(
    tx: &DatabaseTransaction,
    dispatch: &Dispatch,
    outcome: &AttemptOutcome,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let order = book::peek(tx, &[dispatch.order.id]).await?;
    let is_settled = order.first().is_some_and(|order| {
        order.facts.closed.is_some() || order.facts.submission == Submission::Acknowledged
    });
    if is_settled && end_attempt(tx, dispatch, outcome, now).await? == 1 {
        return Ok(());
    }
    Err(StoreError::Stale { what: "the claim" })
}
