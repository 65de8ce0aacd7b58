//! Orders by what a broker calls them, for brokers to which no ids of ours travel.

use domain::id::{BrokerOrderId, ConnectionId};
use domain::lifecycle::Submission;
use domain::order::Order;
use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use super::row::order_of;
use crate::Store;
use crate::entity::{accounts, orders};
use crate::error::StoreError;

impl Store {
    /// The orders of `connection` that the broker calls by one of `ids`, and those that were sent and are not settled yet:
    /// one statement, so that an order which settles meanwhile is seen as one or the other.
    pub async fn orders_at_broker(
        &self,
        connection: ConnectionId,
        ids: &[BrokerOrderId],
    ) -> Result<Vec<Order>, StoreError> {
        let of_connection = Query::select()
            .column(accounts::Column::Id)
            .from(accounts::Entity)
            .and_where(accounts::Column::BrokerConnectionId.eq(connection.0))
            .to_owned();
        let unsettled = [Submission::Sending, Submission::Unconfirmed].map(Submission::as_str);
        let unsettled = Condition::all()
            .add(orders::Column::ClosedAt.is_null())
            .add(orders::Column::Submission.is_in(unsettled));
        let named = orders::Column::BrokerOrderId.is_in(ids.iter().map(|id| id.0.as_str()));
        let rows = orders::Entity::find()
            .filter(orders::Column::AccountId.in_subquery(of_connection))
            .filter(Condition::any().add(named).add(unsettled))
            .all(self.read())
            .await?;
        rows.into_iter().map(order_of).collect()
    }
}
