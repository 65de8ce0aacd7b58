//! Broker connections, as workers need them.

use std::collections::BTreeSet;

use domain::id::{AccountId, ConnectionId};
use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use crate::Store;
use crate::entity::{accounts, broker_connections, orders};
use crate::error::StoreError;

/// Where an account's orders go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionView {
    /// Ours.
    pub id: ConnectionId,
    /// The broker's name, as its adapter says it.
    pub broker: String,
    /// `paper` or `live`: a property of the account's row, checked when an order is sent.
    pub mode: String,
    /// Money that a paper account starts with, in quote currency.
    pub starting_cash: Decimal,
}

impl ConnectionView {
    fn of(row: broker_connections::Model) -> Self {
        Self {
            id: ConnectionId(row.id),
            broker: row.broker,
            mode: row.mode,
            starting_cash: row.starting_cash.0,
        }
    }
}

/// The connection of `account`.
pub(crate) async fn connection_of<C: ConnectionTrait>(
    connection: &C,
    account: AccountId,
) -> Result<ConnectionView, StoreError> {
    let row = accounts::Entity::find_by_id(account.0).one(connection).await?;
    let id = row
        .ok_or(StoreError::NotFound { table: "accounts" })?
        .broker_connection_id;
    let row = broker_connections::Entity::find_by_id(id).one(connection).await?;
    row.map(ConnectionView::of).ok_or(StoreError::NotFound {
        table: "broker_connections",
    })
}

impl Store {
    /// Connections of accounts with open orders: those whose venue may have news.
    pub async fn connections_with_open_orders(&self) -> Result<Vec<ConnectionView>, StoreError> {
        let open: Vec<Uuid> = orders::Entity::find()
            .select_only()
            .column(orders::Column::AccountId)
            .filter(orders::Column::ClosedAt.is_null())
            .distinct()
            .into_tuple()
            .all(self.read())
            .await?;
        let rows = accounts::Entity::find()
            .filter(accounts::Column::Id.is_in(open))
            .all(self.read())
            .await?;
        let ids: BTreeSet<Uuid> = rows.into_iter().map(|row| row.broker_connection_id).collect();
        self.connections(ids.into_iter().map(ConnectionId)).await
    }

    /// The connections named.
    pub async fn connections(
        &self,
        ids: impl IntoIterator<Item = ConnectionId>,
    ) -> Result<Vec<ConnectionView>, StoreError> {
        let rows = broker_connections::Entity::find()
            .filter(broker_connections::Column::Id.is_in(ids.into_iter().map(|id| id.0)))
            .all(self.read())
            .await?;
        Ok(rows.into_iter().map(ConnectionView::of).collect())
    }
}
