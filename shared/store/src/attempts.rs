//! Calls to a broker: a row before the first byte leaves, and its outcome after.
//!
//! 1. An attempt begins only under a claim that still holds, for an order that still wants it.
//! 2. A claim that is taken over finds the attempt of the one before unfinished: what it sent is *unknown*, and is
//!    looked up, never sent again blindly.
//! 3. A stale worker's outcome is refused by its fence.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::id::{BrokerOrderId, OrderId};
use domain::lifecycle::{OrderEvent, Phase, Submission};
use domain::order::{Amount, Order};
use domain::reconcile::VenueOrder;
use domain::trigger;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder,
};

use crate::Store;
use crate::book::{self, Scope};
use crate::cause::Cause;
use crate::connections::{ConnectionView, connection_of};
use crate::entity::{broker_attempts, order_work};
use crate::error::StoreError;
use crate::ledger::{ApplyError, Ledger};
use crate::work::{Claim, WorkKind, delta, held_by};

/// An exit looks again after this long whether the sells that hold its quantity have ended.
const HOLD_CHECK: Duration = Duration::from_millis(100);

/// A cancel or replace whose order the venue does not know yet looks again after this long.
const SUBMISSION_CHECK: Duration = Duration::from_millis(100);

/// A venue that took a cancel or a replace is asked again when it has not reported after this long.
const ANSWER_EXPECTED_WITHIN: Duration = Duration::from_secs(10);

/// A look-up that found nothing is repeated after this long: absence counts when it is seen twice.
const ABSENCE_CHECK: Duration = Duration::from_secs(3);

/// How `last_error` remembers that a look-up found nothing.
const ABSENT_ONCE: &str = "absent";

/// One call to a broker that may be made now.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// The right to make it.
    pub claim: Claim,
    /// The number of the attempt.
    pub n: i32,
    /// The order.
    pub order: Order,
    /// Of a replace, the order that shall take its place.
    pub replacement: Option<Order>,
    /// Where the call goes.
    pub connection: ConnectionView,
    /// When the order was last sent; of a look-up, when to look for it.
    pub attempted_at: DateTime<Utc>,
    /// An earlier attempt of this work has an unknown outcome: look before sending.
    pub is_repeat: bool,
}

/// Whether a call may be made.
#[derive(Debug, Clone)]
pub enum Begin {
    /// Yes: the attempt is on record.
    Go(Box<Dispatch>),
    /// Not now; the work is due again later.
    Later {
        /// When.
        due_in: Duration,
        /// What it waits for.
        reason: &'static str,
    },
    /// Not any more: the work is gone.
    Gone,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The broker has the order, or the request.
    Acknowledged {
        /// The broker's id, where the answer names it.
        broker_order_id: Option<BrokerOrderId>,
        /// Whether the order is at work already.
        is_working: bool,
    },
    /// The broker does not want it.
    Refused {
        /// The broker's words.
        reason: String,
    },
    /// Nothing left, for certain.
    NotSent {
        /// What was in the way.
        reason: String,
        /// When to try again.
        retry_in: Duration,
    },
    /// Nobody knows.
    Unknown {
        /// What was seen.
        reason: String,
        /// When to look.
        check_in: Duration,
    },
}

/// What a look-up came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUp {
    /// The venue has the order.
    Present(VenueOrder),
    /// The venue does not have it.
    Absent,
    /// More than one order would fit: a person has to look.
    Ambiguous,
    /// The venue could not be asked.
    Failed {
        /// What was seen.
        reason: String,
    },
}

impl Store {
    /// Puts a call on record, if it may be made.
    pub async fn begin_attempt(
        &self,
        claim: &Claim,
        correlation_id: &str,
        now: DateTime<Utc>,
    ) -> Result<Begin, StoreError> {
        self.transaction("begin_attempt", async |tx| {
            let tx = &*tx;
            let Some(mut ledger) = open_claimed(tx, claim, now).await? else {
                return Ok(Begin::Gone);
            };
            let step = match claim.kind {
                WorkKind::Submit => begin_submit(tx, &mut ledger, claim).await?,
                WorkKind::Cancel => begin_cancel(&ledger, claim),
                WorkKind::Replace => begin_replace(&mut ledger, claim)?,
                WorkKind::Reconcile => begin_reconcile(&ledger, claim),
            };
            let begin = match step {
                Step::Go => Begin::Go(Box::new(
                    record_attempt(tx, &ledger, claim, correlation_id, now).await?,
                )),
                Step::Later { due_in, reason } => {
                    postpone(self, tx, claim, due_in, reason).await?;
                    Begin::Later { due_in, reason }
                }
                Step::Gone => {
                    ledger.end_work(claim.order_id, claim.kind);
                    Begin::Gone
                }
                Step::LookUp => {
                    end_open_attempts(tx, claim, now).await?;
                    ledger.end_work(claim.order_id, WorkKind::Submit);
                    ledger.add_work(claim.order_id, WorkKind::Reconcile, Duration::ZERO);
                    Begin::Gone
                }
            };
            book::write(self, tx, &ledger, None).await?;
            Ok(begin)
        })
        .await
    }

    /// Records what a call came to. [`StoreError::Stale`] when the claim is no longer ours.
    pub async fn finish_attempt(
        &self,
        dispatch: &Dispatch,
        outcome: AttemptOutcome,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let claim = &dispatch.claim;
        self.transaction("finish_attempt", async |tx| {
            let tx = &*tx;
            let opened = open_claimed(tx, claim, now).await?;
            let Some(mut ledger) = opened else {
                return finish_overtaken(tx, dispatch, &outcome, now).await;
            };
            end_attempt(tx, dispatch, &outcome, now).await?;
            let cause = Cause::Worker {
                reason: format!("{} answered", claim.kind.as_str()),
            };
            let due_in = match claim.kind {
                WorkKind::Submit => finish_submit(&mut ledger, claim, &outcome, &cause)?,
                WorkKind::Cancel => finish_cancel(&mut ledger, claim, &outcome, &cause)?,
                WorkKind::Replace => finish_replace(&mut ledger, dispatch, &outcome, &cause)?,
                WorkKind::Reconcile => None,
            };
            if let Some(due_in) = due_in {
                postpone(self, tx, claim, due_in, reason_of(&outcome)).await?;
            }
            book::write(self, tx, &ledger, None).await
        })
        .await
    }

    /// Records what a look-up came to. [`StoreError::Stale`] when the claim is no longer ours.
    pub async fn finish_lookup(
        &self,
        dispatch: &Dispatch,
        found: LookUp,
        next_check: Duration,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let claim = &dispatch.claim;
        self.transaction("finish_lookup", async |tx| {
            let tx = &*tx;
            let opened = open_claimed(tx, claim, now).await?;
            let Some(mut ledger) = opened else { return Ok(()) };
            let outcome = match &found {
                LookUp::Present(_) => AttemptOutcome::Acknowledged {
                    broker_order_id: None,
                    is_working: true,
                },
                LookUp::Absent => AttemptOutcome::NotSent {
                    reason: ABSENT_ONCE.into(),
                    retry_in: next_check,
                },
                LookUp::Ambiguous => AttemptOutcome::Unknown {
                    reason: "ambiguous".into(),
                    check_in: next_check,
                },
                LookUp::Failed { reason } => AttemptOutcome::Unknown {
                    reason: reason.clone(),
                    check_in: next_check,
                },
            };
            end_attempt(tx, dispatch, &outcome, now).await?;
            let cause = Cause::Worker {
                reason: "looked up".into(),
            };
            match &found {
                LookUp::Present(venue) => {
                    follow(&mut ledger, claim.order_id, &venue.event(), &cause)?;
                    ledger.end_work(claim.order_id, WorkKind::Reconcile);
                }
                LookUp::Absent if claim.last_error.as_deref() == Some(ABSENT_ONCE) => {
                    follow(&mut ledger, claim.order_id, &OrderEvent::NotSent, &cause)?;
                    ledger.end_work(claim.order_id, WorkKind::Reconcile);
                    if is_unsent(&ledger, claim.order_id) {
                        ledger.add_work(claim.order_id, WorkKind::Submit, Duration::ZERO);
                    }
                }
                LookUp::Absent => {
                    postpone(self, tx, claim, ABSENCE_CHECK.min(next_check), ABSENT_ONCE).await?;
                }
                LookUp::Ambiguous => postpone(self, tx, claim, next_check, "ambiguous").await?,
                LookUp::Failed { reason } => postpone(self, tx, claim, next_check, reason).await?,
            }
            book::write(self, tx, &ledger, None).await
        })
        .await
    }
}

/// Whether and how a piece of work goes on.
enum Step {
    Go,
    Later { due_in: Duration, reason: &'static str },
    Gone,
    LookUp,
}

/// The order of `claim` under locks; `None` when the claim is no longer ours or its work is gone.
async fn open_claimed(
    tx: &DatabaseTransaction,
    claim: &Claim,
    now: DateTime<Utc>,
) -> Result<Option<Ledger>, StoreError> {
    let known = book::peek(tx, &[claim.order_id]).await?;
    let Some(order) = known.first() else {
        return Ok(None);
    };
    let mut scope = Scope::default();
    scope.add_order(order);
    let ledger = book::open(tx, &scope, now).await?;
    let is_ours = order_work::Entity::find()
        .filter(held_by(claim))
        .count(tx)
        .await?
        == 1;
    Ok(is_ours.then_some(ledger))
}

async fn begin_submit(
    tx: &DatabaseTransaction,
    ledger: &mut Ledger,
    claim: &Claim,
) -> Result<Step, StoreError> {
    let Some(order) = ledger.order(claim.order_id).cloned() else {
        return Ok(Step::Gone);
    };
    let cause = Cause::Worker {
        reason: "submit".into(),
    };
    match order.facts.phase() {
        Phase::Held => match release_exit(tx, ledger, &order).await? {
            Some(Step::Go) | None => {}
            Some(other) => return Ok(other),
        },
        Phase::Unsent => {}
        // The worker before us may have sent it.
        Phase::Sending => {
            follow(ledger, order.id, &OrderEvent::OutcomeUnknown, &cause)?;
            return Ok(Step::LookUp);
        }
        Phase::Unconfirmed => return Ok(Step::LookUp),
        Phase::CancelAsked if order.facts.submission == Submission::Sending => {
            follow(ledger, order.id, &OrderEvent::OutcomeUnknown, &cause)?;
            return Ok(Step::LookUp);
        }
        Phase::CancelAsked if order.facts.submission == Submission::Unconfirmed => return Ok(Step::LookUp),
        Phase::VenueHolds | Phase::Working | Phase::CancelAsked | Phase::ReplaceAsked | Phase::Closed(_) => {
            return Ok(Step::Gone);
        }
    }
    follow(ledger, claim.order_id, &OrderEvent::SendStarted, &cause)?;
    Ok(Step::Go)
}

/// Settles how much an exit sells, once no other sell holds its quantity.
async fn release_exit(
    tx: &DatabaseTransaction,
    ledger: &mut Ledger,
    order: &Order,
) -> Result<Option<Step>, StoreError> {
    let holding = Store::holding_sells(tx, &[(order.account_id, order.asset_id)]).await?;
    if !holding.is_empty() {
        return Ok(Some(Step::Later {
            due_in: HOLD_CHECK,
            reason: "sells hold the quantity",
        }));
    }
    let position = ledger.position(order.account_id, order.asset_id);
    let cause = Cause::Worker {
        reason: "release the exit".into(),
    };
    match trigger::exit_quantity(
        order.terms.amount.quantity(),
        position.quantity,
        position.reserved,
    ) {
        None => {
            follow(ledger, order.id, &OrderEvent::CancelRequested, &cause)?;
            Ok(Some(Step::Gone))
        }
        Some(quantity) => {
            if order.terms.amount != Amount::Quantity(quantity) {
                follow(ledger, order.id, &OrderEvent::Restated { quantity }, &cause)?;
            }
            follow(ledger, order.id, &OrderEvent::Released, &cause)?;
            Ok(None)
        }
    }
}

fn begin_cancel(ledger: &Ledger, claim: &Claim) -> Step {
    let Some(order) = ledger.order(claim.order_id) else {
        return Step::Gone;
    };
    match (order.facts.phase(), order.facts.submission) {
        (Phase::CancelAsked, Submission::Acknowledged) => Step::Go,
        (Phase::CancelAsked, Submission::Unsent | Submission::Sending | Submission::Unconfirmed) => {
            Step::Later {
                due_in: SUBMISSION_CHECK,
                reason: "the submission is not known yet",
            }
        }
        (
            Phase::Held
            | Phase::Unsent
            | Phase::Sending
            | Phase::Unconfirmed
            | Phase::VenueHolds
            | Phase::Working
            | Phase::ReplaceAsked
            | Phase::Closed(_),
            _,
        ) => Step::Gone,
    }
}

fn begin_replace(ledger: &mut Ledger, claim: &Claim) -> Result<Step, StoreError> {
    let Some(order) = ledger.order(claim.order_id).cloned() else {
        return Ok(Step::Gone);
    };
    let Some(replacement) = order.facts.replaced_by.and_then(|id| ledger.order(id)).cloned() else {
        return Ok(Step::Gone);
    };
    if order.facts.phase() != Phase::ReplaceAsked {
        return Ok(Step::Gone);
    }
    let cause = Cause::Worker {
        reason: "replace".into(),
    };
    match replacement.facts.phase() {
        Phase::Unsent => {
            follow(ledger, replacement.id, &OrderEvent::SendStarted, &cause)?;
            Ok(Step::Go)
        }
        Phase::Sending | Phase::Unconfirmed => Ok(Step::Go),
        // Its owner took the replacement back before it left.
        Phase::Closed(_) => {
            let reason = "the replacement ended first".to_owned();
            follow(ledger, order.id, &OrderEvent::ReplaceRefused { reason }, &cause)?;
            Ok(Step::Gone)
        }
        Phase::CancelAsked | Phase::Held | Phase::VenueHolds | Phase::Working | Phase::ReplaceAsked => {
            Ok(Step::Go)
        }
    }
}

fn begin_reconcile(ledger: &Ledger, claim: &Claim) -> Step {
    match ledger.order(claim.order_id) {
        Some(order) if order.facts.closed.is_none() && order.facts.submission == Submission::Unconfirmed => {
            Step::Go
        }
        Some(_) | None => Step::Gone,
    }
}

async fn record_attempt(
    tx: &DatabaseTransaction,
    ledger: &Ledger,
    claim: &Claim,
    correlation_id: &str,
    now: DateTime<Utc>,
) -> Result<Dispatch, StoreError> {
    let missing = || StoreError::NotFound { table: "orders" };
    let order = ledger.order(claim.order_id).cloned().ok_or_else(missing)?;
    let earlier = broker_attempts::Entity::find()
        .filter(broker_attempts::Column::OrderId.eq(claim.order_id.0))
        .order_by_desc(broker_attempts::Column::StartedAt)
        .all(tx)
        .await?;
    let last_of = |kind: WorkKind| earlier.iter().find(|attempt| attempt.kind == kind.as_str());
    let n = earlier
        .iter()
        .filter(|attempt| attempt.kind == claim.kind.as_str())
        .count();
    let n = i32::try_from(n).unwrap_or(i32::MAX - 1) + 1;
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
    let is_open = |attempt: &broker_attempts::Model| {
        attempt.outcome.is_none() || attempt.outcome.as_deref() == Some("unknown")
    };
    Ok(Dispatch {
        claim: claim.clone(),
        n,
        attempted_at: last_of(WorkKind::Submit).map_or(now, |attempt| attempt.started_at),
        is_repeat: last_of(claim.kind).is_some_and(is_open),
        connection: connection_of(tx, order.account_id).await?,
        order,
        replacement,
    })
}

const fn name_of(outcome: &AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Acknowledged { .. } => "acknowledged",
        AttemptOutcome::Refused { .. } => "refused",
        AttemptOutcome::NotSent { .. } => "not_sent",
        AttemptOutcome::Unknown { .. } => "unknown",
    }
}

fn reason_of(outcome: &AttemptOutcome) -> &str {
    match outcome {
        AttemptOutcome::Acknowledged { .. } => "the venue has not reported yet",
        AttemptOutcome::Refused { reason }
        | AttemptOutcome::NotSent { reason, .. }
        | AttemptOutcome::Unknown { reason, .. } => reason,
    }
}

async fn end_attempt(
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
        | AttemptOutcome::Unknown { .. } => dispatch.order.broker_order_id.as_ref().map(|id| id.0.clone()),
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

/// Attempts of this work that nobody finished: what they sent is unknown.
async fn end_open_attempts(
    tx: &DatabaseTransaction,
    claim: &Claim,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    broker_attempts::Entity::update_many()
        .col_expr(broker_attempts::Column::EndedAt, Expr::value(now))
        .col_expr(broker_attempts::Column::Outcome, Expr::value("unknown"))
        .col_expr(broker_attempts::Column::Detail, Expr::value("taken over"))
        .filter(broker_attempts::Column::OrderId.eq(claim.order_id.0))
        .filter(broker_attempts::Column::Kind.eq(claim.kind.as_str()))
        .filter(broker_attempts::Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// Our work is gone. Where the venue's reports have settled it meanwhile, only the attempt's row is left to end.
async fn finish_overtaken(
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

fn finish_submit(
    ledger: &mut Ledger,
    claim: &Claim,
    outcome: &AttemptOutcome,
    cause: &Cause,
) -> Result<Option<Duration>, StoreError> {
    let id = claim.order_id;
    match outcome {
        AttemptOutcome::Acknowledged {
            broker_order_id,
            is_working,
        } => {
            let event = OrderEvent::Acknowledged {
                broker_order_id: broker_order_id.clone(),
                is_working: *is_working,
            };
            follow(ledger, id, &event, cause)?;
            ledger.end_work(id, WorkKind::Submit);
            Ok(None)
        }
        AttemptOutcome::Refused { reason } => {
            follow(
                ledger,
                id,
                &OrderEvent::Refused {
                    reason: reason.clone(),
                },
                cause,
            )?;
            Ok(None)
        }
        AttemptOutcome::NotSent { retry_in, .. } => {
            follow(ledger, id, &OrderEvent::NotSent, cause)?;
            Ok(is_unsent(ledger, id).then_some(*retry_in))
        }
        AttemptOutcome::Unknown { check_in, .. } => {
            follow(ledger, id, &OrderEvent::OutcomeUnknown, cause)?;
            ledger.end_work(id, WorkKind::Submit);
            ledger.add_work(id, WorkKind::Reconcile, *check_in);
            Ok(None)
        }
    }
}

fn is_unsent(ledger: &Ledger, id: OrderId) -> bool {
    ledger
        .order(id)
        .is_some_and(|order| order.facts.phase() == Phase::Unsent)
}

fn finish_cancel(
    ledger: &mut Ledger,
    claim: &Claim,
    outcome: &AttemptOutcome,
    cause: &Cause,
) -> Result<Option<Duration>, StoreError> {
    match outcome {
        AttemptOutcome::Acknowledged { .. } => Ok(Some(ANSWER_EXPECTED_WITHIN)),
        AttemptOutcome::Refused { reason } => {
            let event = OrderEvent::CancelRefused {
                reason: reason.clone(),
            };
            follow(ledger, claim.order_id, &event, cause)?;
            ledger.end_work(claim.order_id, WorkKind::Cancel);
            Ok(None)
        }
        // Asking twice for an end does no harm.
        AttemptOutcome::NotSent { retry_in, .. } => Ok(Some(*retry_in)),
        AttemptOutcome::Unknown { check_in, .. } => Ok(Some(*check_in)),
    }
}

fn finish_replace(
    ledger: &mut Ledger,
    dispatch: &Dispatch,
    outcome: &AttemptOutcome,
    cause: &Cause,
) -> Result<Option<Duration>, StoreError> {
    let old = dispatch.order.id;
    let Some(new) = dispatch.replacement.as_ref().map(|order| order.id) else {
        return Ok(None);
    };
    match outcome {
        AttemptOutcome::Acknowledged { .. } => Ok(Some(ANSWER_EXPECTED_WITHIN)),
        AttemptOutcome::Refused { reason } => {
            follow(
                ledger,
                old,
                &OrderEvent::ReplaceRefused {
                    reason: reason.clone(),
                },
                cause,
            )?;
            follow(
                ledger,
                new,
                &OrderEvent::Refused {
                    reason: reason.clone(),
                },
                cause,
            )?;
            ledger.end_work(old, WorkKind::Replace);
            Ok(None)
        }
        AttemptOutcome::NotSent { retry_in, .. } => {
            follow(ledger, new, &OrderEvent::NotSent, cause)?;
            Ok(Some(*retry_in))
        }
        AttemptOutcome::Unknown { check_in, .. } => {
            follow(ledger, new, &OrderEvent::OutcomeUnknown, cause)?;
            Ok(Some(*check_in))
        }
    }
}

/// Lets `event` happen; one that no longer makes sense (a report was faster) is logged and left out.
fn follow(ledger: &mut Ledger, id: OrderId, event: &OrderEvent, cause: &Cause) -> Result<(), StoreError> {
    match ledger.apply(id, event, cause) {
        Ok(_) => Ok(()),
        Err(ApplyError::Transition(error)) => {
            tracing::info!(order.id = %id, order.phase = ?error.from, order.event = ?error.event,
                "an answer came too late to matter");
            Ok(())
        }
        Err(ApplyError::NotLoaded(id)) => Err(StoreError::Inconsistent {
            table: "orders",
            id: id.to_string(),
        }),
    }
}

async fn postpone(
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
