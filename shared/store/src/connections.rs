//! Broker connections, as workers need them.

use std::collections::BTreeMap;

use domain::id::{AccountId, ConnectionId};
use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter, QueryResult, Statement};

use crate::Store;
use crate::entity::broker_connections;
use crate::error::StoreError;
use crate::money::Money;
use crate::rows::{Rows, is_among};

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
    /// The connection in a row that has the columns [`JOINED`].
    pub(crate) fn of_join(row: &QueryResult) -> Result<Self, StoreError> {
        Ok(Self {
            id: ConnectionId(row.try_get("", "c_id")?),
            broker: row.try_get("", "c_broker")?,
            mode: row.try_get("", "c_mode")?,
            starting_cash: row.try_get::<Money>("", "c_starting_cash")?.0,
        })
    }

    fn of(row: broker_connections::Model) -> Self {
        Self {
            id: ConnectionId(row.id),
            broker: row.broker,
            mode: row.mode,
            starting_cash: row.starting_cash.0,
        }
    }
}

/// The columns of a connection `c` under names of their own, as [`ConnectionView::of_join`] reads them.
pub(crate) const JOINED: &str =
    "c.id AS c_id, c.broker AS c_broker, c.mode AS c_mode, c.starting_cash AS c_starting_cash";

/// The connections of `accounts`.
pub(crate) async fn connections_of<C: ConnectionTrait>(
    connection: &C,
    accounts: &[AccountId],
) -> Result<BTreeMap<AccountId, ConnectionView>, StoreError> {
    let backend = connection.get_database_backend();
    let ids = Rows::new(&["id"], accounts.iter().map(|id| vec![id.0.into()]).collect());
    let (source, values) = ids.source(backend, "v", 1);
    let sql = format!(
        "SELECT a.id AS account_id, {JOINED} FROM accounts AS a
         JOIN broker_connections AS c ON c.id = a.broker_connection_id
         WHERE a.id IN (SELECT id FROM {source})"
    );
    let mut all = BTreeMap::new();
    let statement = Statement::from_sql_and_values(backend, sql, values);
    for row in connection.query_all_raw(statement).await? {
        let account = AccountId(row.try_get("", "account_id")?);
        all.insert(account, ConnectionView::of_join(&row)?);
    }
    Ok(all)
}

impl Store {
    /// Connections of accounts with open orders: those whose venue may have news.
    pub async fn connections_with_open_orders(&self) -> Result<Vec<ConnectionView>, StoreError> {
        // From one account to the next in the index of open orders, in its whole order, which keeps the planner from any
        // other one: however many wait, each account costs one look.
        let sql = format!(
            "WITH RECURSIVE open AS (
                SELECT (SELECT account_id FROM orders WHERE closed_at IS NULL
                        ORDER BY account_id, submitted_at DESC, id LIMIT 1) AS account_id
                UNION ALL
                SELECT (SELECT o.account_id FROM orders AS o WHERE o.closed_at IS NULL AND o.account_id > open.account_id
                        ORDER BY o.account_id, o.submitted_at DESC, o.id LIMIT 1)
                FROM open WHERE open.account_id IS NOT NULL
            )
            SELECT {JOINED} FROM broker_connections AS c WHERE c.id IN (
                SELECT a.broker_connection_id FROM open JOIN accounts AS a ON a.id = open.account_id
            ) ORDER BY c.id"
        );
        let rows = self
            .read()
            .query_all_raw(Statement::from_string(self.backend(), sql))
            .await?;
        rows.iter().map(ConnectionView::of_join).collect()
    }

    /// The connections named.
    pub async fn connections(
        &self,
        ids: impl IntoIterator<Item = ConnectionId>,
    ) -> Result<Vec<ConnectionView>, StoreError> {
        let rows = broker_connections::Entity::find()
            .filter(is_among(
                self.read(),
                broker_connections::Column::Id,
                ids.into_iter().map(|id| id.0),
            ))
            .all(self.read())
            .await?;
        Ok(rows.into_iter().map(ConnectionView::of).collect())
    }
}
