//! Asking for the end of orders.
//!
//! What never left ends at once. What may have left is asked for at the venue: its word decides, and a fill may win.

use chrono::{DateTime, Utc};
use domain::id::{AccountId, OrderId};
use domain::lifecycle::{OrderEvent, Phase};
use domain::order::Order;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::row::order_of;
use crate::Store;
use crate::book::{self, Scope};
use crate::cause::Cause;
use crate::entity::orders;
use crate::error::StoreError;
use crate::ledger::{ApplyError, Ledger};

/// What asking for an order's end came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelAnswer {
    /// It has ended: nothing had left.
    Canceled(Order),
    /// The venue is asked; its work is due.
    Requested(Order),
    /// No such order in this account.
    NotFound,
    /// It has ended already.
    NotCancelable(Order),
    /// Another order is about to take its place: ask again when that is decided.
    ReplacePending(Order),
}

impl Store {
    /// Asks for the end of an order of `account`.
    pub async fn request_cancel(
        &self,
        account: AccountId,
        id: OrderId,
        cause: Cause,
        now: DateTime<Utc>,
    ) -> Result<CancelAnswer, StoreError> {
        self.transaction("request_cancel", async |tx| {
            let tx = &*tx;
            let known = book::peek(tx, &[id]).await?;
            let Some(order) = known.first().filter(|order| order.account_id == account) else {
                return Ok(CancelAnswer::NotFound);
            };
            let mut scope = Scope::default();
            scope.add_order(order);
            let mut ledger = book::open(tx, &scope, now).await?;
            let answer = ask(&mut ledger, id, &cause);
            book::write(self, tx, &ledger).await?;
            Ok(answer)
        })
        .await
    }

    /// Asks for the end of every open order of `account`, oldest first.
    pub async fn request_cancel_all(
        &self,
        account: AccountId,
        cause: Cause,
        now: DateTime<Utc>,
    ) -> Result<Vec<(OrderId, CancelAnswer)>, StoreError> {
        self.transaction("request_cancel_all", async |tx| {
            let tx = &*tx;
            let rows = orders::Entity::find()
                .filter(orders::Column::AccountId.eq(account.0))
                .filter(orders::Column::ClosedAt.is_null())
                .order_by_asc(orders::Column::SubmittedAt)
                .order_by_asc(orders::Column::Id)
                .all(tx)
                .await?;
            let open = rows.into_iter().map(order_of).collect::<Result<Vec<_>, _>>()?;
            let mut scope = Scope::default();
            for order in &open {
                scope.add_order(order);
            }
            let mut ledger = book::open(tx, &scope, now).await?;
            let mut answers = Vec::with_capacity(open.len());
            for order in &open {
                answers.push((order.id, ask(&mut ledger, order.id, &cause)));
            }
            book::write(self, tx, &ledger).await?;
            Ok(answers)
        })
        .await
    }
}

/// Lets the request happen in the ledger.
pub(crate) fn ask(ledger: &mut Ledger, id: OrderId, cause: &Cause) -> CancelAnswer {
    let result = ledger.apply(id, &OrderEvent::CancelRequested, cause);
    let Some(order) = ledger.order(id).cloned() else {
        return CancelAnswer::NotFound;
    };
    match result {
        Ok(step) => match step.to {
            Phase::Closed(_) => CancelAnswer::Canceled(order),
            Phase::Held
            | Phase::Unsent
            | Phase::Sending
            | Phase::Unconfirmed
            | Phase::VenueHolds
            | Phase::Working
            | Phase::CancelAsked
            | Phase::ReplaceAsked => CancelAnswer::Requested(order),
        },
        Err(ApplyError::NotLoaded(_) | ApplyError::NoUser(_) | ApplyError::NoAccount(_)) => {
            CancelAnswer::NotFound
        }
        Err(ApplyError::Transition(error)) => match error.from {
            Phase::ReplaceAsked => CancelAnswer::ReplacePending(order),
            Phase::Held
            | Phase::Unsent
            | Phase::Sending
            | Phase::Unconfirmed
            | Phase::VenueHolds
            | Phase::Working
            | Phase::CancelAsked
            | Phase::Closed(_) => CancelAnswer::NotCancelable(order),
        },
    }
}
