//! What earlier requests have taken: client order ids and idempotency keys.

use super::accept::{AcceptRequest, IdempotencyKey};
use crate::book::{self};
use crate::entity::{idempotency_keys, orders};
use crate::error::StoreError;
use domain::id::{AccountId, OrderId};
use domain::order::Order;
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Client order ids and idempotency keys that are taken already.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) client_ids: BTreeMap<(AccountId, String), Order>,
    pub(super) keys: BTreeMap<(AccountId, IdempotencyKeyName), (idempotency_keys::Model, Option<Order>)>,
}

/// A key without the hash of its body.
pub(super) type IdempotencyKeyName = (Uuid, String, String, String);

pub(super) fn name_of(key: &IdempotencyKey) -> IdempotencyKeyName {
    (
        key.credential_id.0,
        key.method.clone(),
        key.path.clone(),
        key.key.clone(),
    )
}

impl Taken {
    pub(super) async fn read(
        tx: &DatabaseTransaction,
        requests: &[AcceptRequest],
    ) -> Result<Self, StoreError> {
        let mut taken = Self::default();
        // A few rows too many (another account's order of the same name) cost less than a condition for each pair.
        let accounts = requests.iter().map(|request| request.order.account_id.0);
        let names = requests
            .iter()
            .map(|request| request.order.client_order_id.as_str());
        let any = Condition::all()
            .add(orders::Column::AccountId.is_in(accounts))
            .add(orders::Column::ClientOrderId.is_in(names));
        for row in orders::Entity::find().filter(any).all(tx).await? {
            let order = super::row::order_of(row)?;
            taken.client_ids.insert(
                (order.account_id, order.client_order_id.as_str().to_owned()),
                order,
            );
        }
        taken.read_keys(tx, requests).await?;
        Ok(taken)
    }

    async fn read_keys(
        &mut self,
        tx: &DatabaseTransaction,
        requests: &[AcceptRequest],
    ) -> Result<(), StoreError> {
        let keys: Vec<&str> = requests
            .iter()
            .filter_map(|request| request.idempotency.as_ref().map(|key| key.key.as_str()))
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let accounts = requests.iter().map(|request| request.order.account_id.0);
        let any = Condition::all()
            .add(idempotency_keys::Column::AccountId.is_in(accounts))
            .add(idempotency_keys::Column::Key.is_in(keys));
        let rows = idempotency_keys::Entity::find().filter(any).all(tx).await?;
        let made: Vec<OrderId> = rows.iter().filter_map(|row| row.order_id.map(OrderId)).collect();
        let mut made: HashMap<Uuid, Order> = book::peek(tx, &made)
            .await?
            .into_iter()
            .map(|order| (order.id.0, order))
            .collect();
        for row in rows {
            let name = (
                row.credential_id,
                row.method.clone(),
                row.path.clone(),
                row.key.clone(),
            );
            let order = row.order_id.and_then(|id| made.remove(&id));
            self.keys.insert((AccountId(row.account_id), name), (row, order));
        }
        Ok(())
    }
}
