//! What earlier requests have taken: client order ids and idempotency keys.

use super::accept::{AcceptRequest, IdempotencyKey};
use crate::book::{self};
use crate::entity::{idempotency_keys, orders};
use crate::error::StoreError;
use crate::rows::{Rows, is_among};
use domain::id::{AccountId, OrderId};
use domain::order::Order;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter, Statement, Value};
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
        requests: &[&AcceptRequest],
    ) -> Result<Self, StoreError> {
        let mut taken = Self::default();
        for row in orders_named(tx, requests).await? {
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
        requests: &[&AcceptRequest],
    ) -> Result<(), StoreError> {
        let keys: Vec<&str> = requests
            .iter()
            .filter_map(|request| request.idempotency.as_ref().map(|key| key.key.as_str()))
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let accounts = requests.iter().map(|request| request.order.account_id.0);
        let rows = idempotency_keys::Entity::find()
            .filter(is_among(tx, idempotency_keys::Column::AccountId, accounts))
            .filter(is_among(tx, idempotency_keys::Column::Key, keys))
            .all(tx)
            .await?;
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

/// The orders that have the client order ids of `requests`.
async fn orders_named(
    tx: &DatabaseTransaction,
    requests: &[&AcceptRequest],
) -> Result<Vec<orders::Model>, StoreError> {
    let rows = requests.iter().map(|request| {
        let order = &request.order;
        vec![
            Value::from(order.account_id.0),
            order.client_order_id.as_str().into(),
        ]
    });
    let backend = tx.get_database_backend();
    let names = Rows::new(&["account_id", "client_order_id"], rows.collect());
    let (source, values) = names.source(backend, "v", 1);
    let same = "o.account_id = v.account_id AND o.client_order_id = v.client_order_id";
    let sql = match backend {
        // One look into the index for each name, whatever the planner believes about the tables.
        DbBackend::Postgres => format!(
            "SELECT o.* FROM {source} CROSS JOIN LATERAL (SELECT * FROM orders o WHERE {same} OFFSET 0) o"
        ),
        _ => format!("SELECT o.* FROM {source} CROSS JOIN orders o ON {same}"),
    };
    let found = orders::Entity::find().from_raw_sql(Statement::from_sql_and_values(backend, sql, values));
    Ok(found.all(tx).await?)
}
