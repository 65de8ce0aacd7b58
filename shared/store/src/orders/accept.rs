//! Accepting orders, as a batch.
//!
//! 1. An order is accepted when its row, its event, its work, its reservation and its idempotency key are committed:
//!    together, or not at all.
//! 2. Every order is decided in the order of arrival, on state that is read under the locks and moved by the orders
//!    before it: so orders that arrive together cannot jointly pass a limit that one would break.
//! 3. A refusal uses up neither the client order id nor the idempotency key, and one bad order never fails its
//!    neighbours.
//! 4. The number of statements is the same for one order and for many.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::asset::MarketHours;
use domain::id::{AccountId, AssetId, CredentialId, OrderId};
use domain::order::{NewOrder, Order};
use domain::quote::Quote;
use domain::risk::{self, Approved, Blocked, Limits, Snapshot};
use sea_orm::{ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::taken::{IdempotencyKeyName, Taken, name_of};
use crate::Store;
use crate::book::{self, Scope};
use crate::cause::Cause;
use crate::entity::idempotency_keys;
use crate::error::StoreError;
use crate::ledger::{Fees, Ledger};
use crate::rows;
use crate::users::Role;

/// What makes a repeated request recognisable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey {
    /// Who asks.
    pub credential_id: CredentialId,
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The caller's key.
    pub key: String,
    /// SHA-256 of the raw body.
    pub body_hash: [u8; 32],
}

/// The finished answer to a request, kept to be given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Headers that belong to it.
    pub headers: serde_json::Value,
    /// The order that the request made.
    pub order_id: Option<OrderId>,
}

/// An order that asks to be accepted, with what is recorded beside it.
#[derive(Debug, Clone)]
pub struct AcceptRequest {
    /// The order.
    pub order: NewOrder,
    /// Why it is there.
    pub cause: Cause,
    /// The caller's key, where they sent one.
    pub idempotency: Option<IdempotencyKey>,
}

/// Limits by role; they hold for whoever has none of their own ([`UserLimits`](crate::users::UserLimits)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleLimits {
    /// For standard users.
    pub standard: Limits,
    /// For admins.
    pub admin: Limits,
    /// For superadmins.
    pub superadmin: Limits,
}

impl RoleLimits {
    /// The limits of `role`.
    pub const fn of(&self, role: Role) -> Limits {
        match role {
            Role::Superadmin => self.superadmin,
            Role::Admin => self.admin,
            Role::Standard => self.standard,
        }
    }
}

/// What deciding needs beside the database.
#[derive(Clone, Copy)]
pub struct AcceptContext<'a> {
    /// The time of acceptance.
    pub now: DateTime<Utc>,
    /// Whether equities keep the exchange's hours.
    pub hours: MarketHours,
    /// Limits by role.
    pub limits: RoleLimits,
    /// Fees that the broker takes.
    pub fees: Fees,
    /// The latest quotes of the orders' instruments.
    pub quotes: &'a HashMap<AssetId, Quote>,
    /// The finished answer to the request that made an order.
    pub answer: &'a (dyn Fn(&Order) -> SavedAnswer + Send + Sync),
}

/// An order that is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The order; of a replay, the one that the first request made, as it stands now.
    pub order: Order,
    /// The answer to the first request with this idempotency key: to be given again.
    pub replay: Option<SavedAnswer>,
}

/// Why an order is not accepted. Final: decided on state that was read under the locks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A rule of risk.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// The account has used this client order id before.
    #[error("client_order_id must be unique")]
    DuplicateClientOrderId {
        /// The order that has it.
        existing: OrderId,
    },
    /// The idempotency key came with another body before.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused {
        /// The order that the first request made.
        first: Option<OrderId>,
    },
    /// No such account, or its user may not trade.
    #[error("the account is not open for trading")]
    AccountClosed,
}

/// The name of the transaction that accepts orders.
pub(super) const ACCEPT: &str = "accept_orders";

impl Store {
    /// Decides `requests` in their order and stores what is approved, in one transaction; one answer for each.
    pub async fn accept_orders(
        &self,
        requests: Vec<AcceptRequest>,
        context: &AcceptContext<'_>,
    ) -> Result<Vec<Result<Accepted, Refusal>>, StoreError> {
        let requests: Vec<&AcceptRequest> = requests.iter().collect();
        let (answers, _) = self.accept_under_locks(&requests, context, false).await?;
        Ok(answers)
    }

    /// [`Store::accept_orders`], and the ledger as the transaction left it.
    ///
    /// With `is_lost`, the answer to a statement that wrote some of `requests` was lost. What it has written is found and
    /// answered as accepted; what of it is still under way finds that the versions have moved, and writes nothing.
    pub(super) async fn accept_under_locks(
        &self,
        requests: &[&AcceptRequest],
        context: &AcceptContext<'_>,
        is_lost: bool,
    ) -> Result<(Vec<Result<Accepted, Refusal>>, Ledger), StoreError> {
        self.transaction(ACCEPT, async |tx| {
            let tx = &*tx;
            let mut scope = Scope::default();
            for request in requests {
                scope.add_new(&request.order);
            }
            let mut ledger = book::open(tx, &scope, context.now).await?;
            if is_lost {
                ledger.move_versions();
            }
            let taken = Taken::read(tx, requests).await?;
            let answers = decide(&mut ledger, requests, taken, context);
            book::write(self, tx, &ledger).await?;
            rows::insert(tx, answer_rows(requests, &answers, context), None).await?;
            Ok((answers, ledger))
        })
        .await
    }

    /// The answer that was saved under `key`, if there is one; a refusal where another body came with it.
    pub async fn saved_answer(
        &self,
        account: AccountId,
        key: &IdempotencyKey,
    ) -> Result<Option<Result<SavedAnswer, Refusal>>, StoreError> {
        let row = idempotency_keys::Entity::find()
            .filter(same_key(account, key))
            .one(self.read())
            .await?;
        Ok(row.map(|row| saved(row, key)))
    }
}

pub(super) fn same_key(account: AccountId, key: &IdempotencyKey) -> Condition {
    Condition::all()
        .add(idempotency_keys::Column::AccountId.eq(account.0))
        .add(idempotency_keys::Column::CredentialId.eq(key.credential_id.0))
        .add(idempotency_keys::Column::Method.eq(&key.method))
        .add(idempotency_keys::Column::Path.eq(&key.path))
        .add(idempotency_keys::Column::Key.eq(&key.key))
}

fn saved(row: idempotency_keys::Model, key: &IdempotencyKey) -> Result<SavedAnswer, Refusal> {
    let order_id = row.order_id.map(OrderId);
    if row.body_hash != key.body_hash {
        return Err(Refusal::IdempotencyKeyReused { first: order_id });
    }
    let status = u16::try_from(row.status).unwrap_or(200);
    Ok(SavedAnswer {
        status,
        body: row.body,
        headers: row.headers,
        order_id,
    })
}

/// Decides each request on the ledger as the ones before it left it.
pub(super) fn decide(
    ledger: &mut Ledger,
    requests: &[&AcceptRequest],
    mut taken: Taken,
    context: &AcceptContext<'_>,
) -> Vec<Result<Accepted, Refusal>> {
    let mut first_use: BTreeMap<(AccountId, IdempotencyKeyName), ([u8; 32], Accepted)> = BTreeMap::new();
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        let name = request
            .idempotency
            .as_ref()
            .map(|key| (request.order.account_id, name_of(key)));
        if let (Some(key), Some(name)) = (&request.idempotency, &name) {
            if let Some((row, Some(order))) = taken.keys.get(name) {
                if order.id == request.order.id {
                    answers.push(Ok(written_before(order)));
                    continue;
                }
                answers.push(saved(row.clone(), key).map(|answer| replay(order.clone(), answer)));
                continue;
            }
            if let Some((hash, first)) = first_use.get(name) {
                answers.push(if *hash == key.body_hash {
                    Ok(replay(first.order.clone(), (context.answer)(&first.order)))
                } else {
                    Err(Refusal::IdempotencyKeyReused {
                        first: Some(first.order.id),
                    })
                });
                continue;
            }
        }
        let answer = decide_one(ledger, request, &mut taken, context);
        if let (Ok(accepted), Some(key), Some(name)) = (&answer, &request.idempotency, name) {
            first_use.insert(name, (key.body_hash, accepted.clone()));
        }
        answers.push(answer);
    }
    answers
}

const fn replay(order: Order, answer: SavedAnswer) -> Accepted {
    Accepted {
        order,
        replay: Some(answer),
    }
}

/// An order that this very request has made: the answer to the statement that wrote it was lost.
fn written_before(order: &Order) -> Accepted {
    Accepted {
        order: order.clone(),
        replay: None,
    }
}

fn decide_one(
    ledger: &mut Ledger,
    request: &AcceptRequest,
    taken: &mut Taken,
    context: &AcceptContext<'_>,
) -> Result<Accepted, Refusal> {
    let new = &request.order;
    let client_id = (new.account_id, new.client_order_id.as_str().to_owned());
    if let Some(order) = taken.client_ids.get(&client_id) {
        if order.id == new.id {
            return Ok(written_before(order));
        }
        return Err(Refusal::DuplicateClientOrderId { existing: order.id });
    }
    let approved = review(ledger, new.clone(), context)?;
    let order = ledger
        .accept(approved, None, &request.cause)
        .map_err(|_| Refusal::AccountClosed)?;
    taken.client_ids.insert(client_id, order.clone());
    Ok(Accepted { order, replay: None })
}

/// The rules of risk on the ledger as it stands.
pub(crate) fn review(
    ledger: &Ledger,
    new: NewOrder,
    context: &AcceptContext<'_>,
) -> Result<Approved, Refusal> {
    let user = ledger
        .users
        .get(&new.user_id)
        .ok_or(Refusal::AccountClosed)?
        .get();
    let owns = ledger
        .accounts
        .get(&new.account_id)
        .is_some_and(|account| account.get().user_id == new.user_id);
    if !user.is_active || !owns {
        return Err(Refusal::AccountClosed);
    }
    let snapshot = Snapshot {
        balance: ledger.balance(new.account_id),
        position: ledger.position(new.account_id, new.instrument.id),
        day_notional_used: ledger.day_notional(new.user_id),
        limits: user.limits.instead_of(context.limits.of(user.role)),
        quote: context.quotes.get(&new.instrument.id),
        in_session: new.instrument.class.is_in_session(context.now, context.hours),
        fee_basis_points: context.fees.of(new.instrument.class),
    };
    Ok(risk::review(new, &snapshot, context.now)?)
}

/// The rows that keep the answers to be given again.
pub(super) fn answer_rows(
    requests: &[&AcceptRequest],
    answers: &[Result<Accepted, Refusal>],
    context: &AcceptContext<'_>,
) -> Vec<idempotency_keys::ActiveModel> {
    requests
        .iter()
        .zip(answers)
        .filter_map(|(request, answer)| {
            let key = request.idempotency.as_ref()?;
            let accepted = answer
                .as_ref()
                .ok()
                .filter(|accepted| accepted.replay.is_none())?;
            let answer = (context.answer)(&accepted.order);
            Some(idempotency_keys::Model {
                account_id: request.order.account_id.0,
                credential_id: key.credential_id.0,
                method: key.method.clone(),
                path: key.path.clone(),
                key: key.key.clone(),
                body_hash: key.body_hash.to_vec(),
                status: i32::from(answer.status),
                body: answer.body,
                headers: answer.headers,
                order_id: Some(accepted.order.id.0),
                created_at: context.now,
            })
        })
        .map(IntoActiveModel::into_active_model)
        .collect()
}
