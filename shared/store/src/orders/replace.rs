//! Asking for another order in the place of one.
//!
//! A replacement is a new order that shares the group of the old one, so the larger of both needs is reserved until one
//! of them ends. It is sent by the *old* order's work; the venue's word decides, and a fill of the old order may win.

use domain::asset::Asset;
use domain::id::{AccountId, ClientOrderId, OrderId};
use domain::lifecycle::{OrderEvent, Phase};
use domain::money::{Price, Quantity};
use domain::order::{Amount, NewOrder, Order, OrderKind, OrderTerms, Side, TermsError, TimeInForce};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use thiserror::Error;

use super::accept::{AcceptContext, Accepted, Refusal, review};
use crate::Store;
use crate::book::{self, Scope};
use crate::cause::Cause;
use crate::entity::orders;
use crate::error::StoreError;
use crate::ledger::Ledger;

/// What shall be different.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// The id of the new order.
    pub new_id: OrderId,
    /// The caller's name for the new order.
    pub client_order_id: ClientOrderId,
    /// What the new order shall trade, in units; left out, the old one's remainder.
    pub quantity: Option<Quantity>,
    /// The new limit, in quote currency.
    pub limit_price: Option<Price>,
    /// The new time in force.
    pub time_in_force: Option<TimeInForce>,
}

/// Why an order is not replaced.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplaceRefusal {
    /// No such order in this account.
    #[error("order not found")]
    NotFound,
    /// It has ended, or its end or replacement is being decided.
    #[error("cannot replace order in {} status", .0.facts.status())]
    NotReplaceable(Box<Order>),
    /// The venue does not have it at work yet.
    #[error("unable to replace order, order isn't sent to exchange yet")]
    NotSentYet(Box<Order>),
    /// Some of it is filled.
    #[error("cannot replace order in partially_filled status")]
    PartlyFilled(Box<Order>),
    /// Nothing is different.
    #[error("order parameters are not changed")]
    Unchanged,
    /// An order for money has nothing to change.
    #[error("notional orders cannot be replaced")]
    NotionalOrder,
    /// A market order has no limit price.
    #[error("limit_price is not used by a market order")]
    NoLimitPrice,
    /// The new terms break a rule of the instrument.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// The new order is not accepted.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Store {
    /// Asks for `replacement` in the place of an order of `account`; answers the new order.
    pub async fn request_replace(
        &self,
        account: AccountId,
        id: OrderId,
        replacement: Replacement,
        asset: &Asset,
        cause: Cause,
        context: &AcceptContext<'_>,
    ) -> Result<Result<Accepted, ReplaceRefusal>, StoreError> {
        self.transaction("request_replace", async |tx| {
            let tx = &*tx;
            let known = book::peek(tx, &[id]).await?;
            let Some(old) = known.first().filter(|order| order.account_id == account) else {
                return Ok(Err(ReplaceRefusal::NotFound));
            };
            let mut scope = Scope::default();
            scope.add_order(old);
            let mut ledger = book::open(tx, &scope, context.now).await?;
            if let Some(existing) = taken(tx, account, &replacement.client_order_id).await? {
                return Ok(Err(Refusal::DuplicateClientOrderId { existing }.into()));
            }
            let new = match decide(&mut ledger, id, &replacement, asset, &cause, context) {
                Ok(new) => new,
                Err(refusal) => return Ok(Err(refusal)),
            };
            book::write(self, tx, &ledger).await?;
            Ok(Ok(Accepted {
                order: new,
                replay: None,
            }))
        })
        .await
    }
}

async fn taken(
    tx: &DatabaseTransaction,
    account: AccountId,
    client_order_id: &ClientOrderId,
) -> Result<Option<OrderId>, StoreError> {
    let row = orders::Entity::find()
        .filter(orders::Column::AccountId.eq(account.0))
        .filter(orders::Column::ClientOrderId.eq(client_order_id.as_str()))
        .one(tx)
        .await?;
    Ok(row.map(|row| OrderId(row.id)))
}

fn decide(
    ledger: &mut Ledger,
    id: OrderId,
    replacement: &Replacement,
    asset: &Asset,
    cause: &Cause,
    context: &AcceptContext<'_>,
) -> Result<Order, ReplaceRefusal> {
    let old = ledger.order(id).cloned().ok_or(ReplaceRefusal::NotFound)?;
    let terms = new_terms(&old, replacement)?;
    terms.check(asset)?;
    let new = NewOrder {
        id: replacement.new_id,
        user_id: old.user_id,
        account_id: old.account_id,
        client_order_id: replacement.client_order_id.clone(),
        instrument: asset.instrument(),
        terms,
        held_by: None,
        submitted_at: context.now,
    };
    let approved = review(&without(ledger, &old), new, context)?;
    let order = ledger
        .accept(approved, Some((old.id, old.group_id)), cause)
        .map_err(|_| Refusal::AccountClosed)?;
    ledger
        .apply(
            id,
            &OrderEvent::ReplaceRequested {
                replaced_by: order.id,
            },
            cause,
        )
        .map_err(|_| ReplaceRefusal::NotReplaceable(Box::new(old)))?;
    Ok(order)
}

fn new_terms(old: &Order, replacement: &Replacement) -> Result<OrderTerms, ReplaceRefusal> {
    match old.facts.phase() {
        Phase::Working => {}
        Phase::Held | Phase::Unsent | Phase::Sending | Phase::Unconfirmed | Phase::VenueHolds => {
            return Err(ReplaceRefusal::NotSentYet(Box::new(old.clone())));
        }
        Phase::CancelAsked | Phase::ReplaceAsked | Phase::Closed(_) => {
            return Err(ReplaceRefusal::NotReplaceable(Box::new(old.clone())));
        }
    }
    if !old.facts.filled_quantity.is_zero() {
        return Err(ReplaceRefusal::PartlyFilled(Box::new(old.clone())));
    }
    let Amount::Quantity(old_quantity) = old.terms.amount else {
        return Err(ReplaceRefusal::NotionalOrder);
    };
    let kind = match (old.terms.kind, replacement.limit_price) {
        (kind, None) => kind,
        (OrderKind::Limit { .. }, Some(limit_price)) => OrderKind::Limit { limit_price },
        (OrderKind::Market, Some(_)) => return Err(ReplaceRefusal::NoLimitPrice),
    };
    let terms = OrderTerms {
        amount: Amount::Quantity(replacement.quantity.unwrap_or(old_quantity)),
        kind,
        time_in_force: replacement.time_in_force.unwrap_or(old.terms.time_in_force),
        ..old.terms.clone()
    };
    if terms == old.terms {
        Err(ReplaceRefusal::Unchanged)
    } else {
        Ok(terms)
    }
}

/// The ledger as if `old` had given back what it holds: its replacement needs only what goes beyond.
fn without(ledger: &Ledger, old: &Order) -> Ledger {
    let mut view = ledger.clone();
    let held = view
        .groups
        .get(&old.group_id)
        .map(|group| *group.get())
        .unwrap_or_default();
    match old.terms.side {
        Side::Buy => {
            if let Some(balance) = view.balances.get_mut(&old.account_id) {
                balance.change().reserved -= held.reserved;
            }
        }
        Side::Sell => {
            if let Some(position) = view.positions.get_mut(&(old.account_id, old.asset_id)) {
                position.change().reserved -= held.reserved;
            }
        }
    }
    if let Some(user) = view.users.get_mut(&old.user_id) {
        user.change().notional_open -= held.exposure;
    }
    view
}
