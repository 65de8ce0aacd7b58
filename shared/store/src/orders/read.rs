//! Reading orders, events, positions and money: one query each, whatever the length.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::account::Balance;
use domain::asset::AssetClass;
use domain::id::{AccountId, AssetId, OrderId, TriggerId};
use domain::lifecycle::Submission;
use domain::money::USD;
use domain::order::{Order, Side};
use domain::position::Position;
use sea_orm::{ColumnTrait, EntityTrait, Order as Sort, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::row::order_of;
use crate::Store;
use crate::attempts::in_words;
use crate::book::position_of;
use crate::entity::{balances, broker_attempts, order_events, order_work, orders, positions, trigger_exits};
use crate::error::StoreError;

/// Which orders to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// Those that have not ended.
    Open,
    /// Those that have.
    Closed,
    /// Both.
    All,
}

/// A question for orders; see `GET /v2/orders`.
#[derive(Debug, Clone)]
pub struct OrderFilter {
    /// Open, closed or both.
    pub status: StatusFilter,
    /// How many at most.
    pub limit: u64,
    /// Only those accepted after this time.
    pub after: Option<DateTime<Utc>>,
    /// Only those accepted before this time.
    pub until: Option<DateTime<Utc>>,
    /// The oldest first.
    pub ascending: bool,
    /// Only those of these instruments; empty for all.
    pub assets: Vec<AssetId>,
    /// Only those on this side.
    pub side: Option<Side>,
    /// Only those of this class.
    pub asset_class: Option<AssetClass>,
    /// Only those accepted before this order.
    pub before_order_id: Option<OrderId>,
    /// Only those accepted after this order.
    pub after_order_id: Option<OrderId>,
}

/// How far the sending of an order got, for a reader who waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionView {
    /// Unsent, sending, unconfirmed or acknowledged.
    pub state: Submission,
    /// When the last attempt began.
    pub since: Option<DateTime<Utc>>,
    /// How many attempts there were.
    pub attempts: i32,
    /// When it is looked at again.
    pub next_check: Option<DateTime<Utc>>,
    /// Why nobody knows whether the venue has it, in the venue's words or in ours. Only while it is unconfirmed.
    pub reason: Option<String>,
}

/// The trigger that made an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCause {
    /// The trigger.
    pub trigger_id: TriggerId,
    /// How often it had been armed.
    pub generation: i32,
}

/// A line of an account's log.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderEventRow {
    /// Counts per account, without gaps.
    pub seq: i64,
    /// The order.
    pub order_id: OrderId,
    /// What happened, by Alpaca's trade events where one fits.
    pub kind: String,
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// Why.
    pub cause: serde_json::Value,
    /// The facts.
    pub data: serde_json::Value,
}

/// What an account owns of one instrument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionRow {
    /// The instrument.
    pub asset_id: AssetId,
    /// How much, and at what cost.
    pub position: Position,
}

impl Store {
    /// An order of `account`.
    pub async fn order(&self, account: AccountId, id: OrderId) -> Result<Option<Order>, StoreError> {
        let row = orders::Entity::find_by_id(id.0)
            .filter(orders::Column::AccountId.eq(account.0))
            .one(self.read())
            .await?;
        row.map(order_of).transpose()
    }

    /// The order of `account` that its caller named so.
    pub async fn order_by_client_id(
        &self,
        account: AccountId,
        client_order_id: &str,
    ) -> Result<Option<Order>, StoreError> {
        let row = orders::Entity::find()
            .filter(orders::Column::AccountId.eq(account.0))
            .filter(orders::Column::ClientOrderId.eq(client_order_id))
            .one(self.read())
            .await?;
        row.map(order_of).transpose()
    }

    /// Orders of `account`, by the time of their acceptance.
    pub async fn orders(&self, account: AccountId, filter: &OrderFilter) -> Result<Vec<Order>, StoreError> {
        let mut query = orders::Entity::find().filter(orders::Column::AccountId.eq(account.0));
        query = match filter.status {
            StatusFilter::Open => query.filter(orders::Column::ClosedAt.is_null()),
            StatusFilter::Closed => query.filter(orders::Column::ClosedAt.is_not_null()),
            StatusFilter::All => query,
        };
        if let Some(after) = filter.after {
            query = query.filter(orders::Column::SubmittedAt.gt(after));
        }
        if let Some(until) = filter.until {
            query = query.filter(orders::Column::SubmittedAt.lt(until));
        }
        if !filter.assets.is_empty() {
            query = query.filter(orders::Column::AssetId.is_in(filter.assets.iter().map(|id| id.0)));
        }
        if let Some(side) = filter.side {
            query = query.filter(orders::Column::Side.eq(side.as_str()));
        }
        if let Some(class) = filter.asset_class {
            query = query.filter(orders::Column::AssetClass.eq(class.as_str()));
        }
        // Ids are version 7 UUIDs: they sort by the time of acceptance.
        if let Some(before) = filter.before_order_id {
            query = query.filter(orders::Column::Id.lt(before.0));
        }
        if let Some(after) = filter.after_order_id {
            query = query.filter(orders::Column::Id.gt(after.0));
        }
        let direction = if filter.ascending { Sort::Asc } else { Sort::Desc };
        let rows = query
            .order_by(orders::Column::SubmittedAt, direction.clone())
            .order_by(orders::Column::Id, direction)
            .limit(filter.limit)
            .all(self.read())
            .await?;
        rows.into_iter().map(order_of).collect()
    }

    /// How far the sending of an order got.
    pub async fn submission(&self, order: OrderId) -> Result<SubmissionView, StoreError> {
        let row = orders::Entity::find_by_id(order.0)
            .one(self.read())
            .await?
            .ok_or(StoreError::NotFound { table: "orders" })?;
        let attempt = broker_attempts::Entity::find()
            .filter(broker_attempts::Column::OrderId.eq(order.0))
            .filter(broker_attempts::Column::Kind.eq("submit"))
            .order_by_desc(broker_attempts::Column::N)
            .one(self.read())
            .await?;
        let work = order_work::Entity::find()
            .filter(order_work::Column::OrderId.eq(order.0))
            .filter(order_work::Column::Kind.is_in(["submit", "reconcile"]))
            .order_by_asc(order_work::Column::DueAt)
            .one(self.read())
            .await?;
        let state = order_of(row)?.facts.submission;
        // What the last look saw, or before the first one, what the call came to.
        let seen = work.as_ref().and_then(|work| work.last_error.as_deref());
        let came_to = attempt.as_ref().and_then(|attempt| attempt.detail.as_deref());
        let reason = seen.or(came_to).filter(|_| state == Submission::Unconfirmed);
        Ok(SubmissionView {
            state,
            reason: reason.map(|reason| in_words(reason).to_owned()),
            since: attempt.as_ref().map(|attempt| attempt.started_at),
            attempts: attempt.map_or(0, |attempt| attempt.n),
            next_check: work.map(|work| work.due_at),
        })
    }

    /// Which of `orders` are exits of triggers, and of which.
    pub async fn exit_causes(&self, orders: &[OrderId]) -> Result<HashMap<OrderId, ExitCause>, StoreError> {
        if orders.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = trigger_exits::Entity::find()
            .filter(trigger_exits::Column::OrderId.is_in(orders.iter().map(|id| id.0)))
            .all(self.read())
            .await?;
        let cause = |row: trigger_exits::Model| ExitCause {
            trigger_id: TriggerId(row.trigger_id),
            generation: row.generation,
        };
        Ok(rows
            .into_iter()
            .map(|row| (OrderId(row.order_id), cause(row)))
            .collect())
    }

    /// The account's log after `after_seq`, oldest first.
    pub async fn order_events(
        &self,
        account: AccountId,
        after_seq: i64,
        limit: u64,
    ) -> Result<Vec<OrderEventRow>, StoreError> {
        let rows = order_events::Entity::find()
            .filter(order_events::Column::AccountId.eq(account.0))
            .filter(order_events::Column::Seq.gt(after_seq))
            .order_by_asc(order_events::Column::Seq)
            .limit(limit)
            .all(self.read())
            .await?;
        let line = |row: order_events::Model| OrderEventRow {
            seq: row.seq,
            order_id: OrderId(row.order_id),
            kind: row.kind,
            at: row.at,
            cause: row.cause,
            data: row.data,
        };
        Ok(rows.into_iter().map(line).collect())
    }

    /// Everything that `account` owns, by instrument.
    pub async fn positions(&self, account: AccountId) -> Result<Vec<PositionRow>, StoreError> {
        let rows = positions::Entity::find()
            .filter(positions::Column::AccountId.eq(account.0))
            .order_by_asc(positions::Column::AssetId)
            .all(self.read())
            .await?;
        let row = |row: positions::Model| PositionRow {
            asset_id: AssetId(row.asset_id),
            position: position_of(&row),
        };
        Ok(rows
            .into_iter()
            .map(row)
            .filter(|row| !row.position.is_flat())
            .collect())
    }

    /// What `account` owns of `asset`.
    pub async fn position(&self, account: AccountId, asset: AssetId) -> Result<Option<Position>, StoreError> {
        let row = positions::Entity::find_by_id((account.0, asset.0))
            .one(self.read())
            .await?;
        Ok(row
            .map(|row| position_of(&row))
            .filter(|position| !position.is_flat()))
    }

    /// The account's money.
    pub async fn balance(&self, account: AccountId) -> Result<Balance, StoreError> {
        let row = balances::Entity::find_by_id((account.0, USD.to_owned()))
            .one(self.read())
            .await?;
        Ok(row.map_or_else(Balance::default, |row| Balance {
            cash: row.amount.0,
            reserved: row.reserved.0,
        }))
    }

    /// Open sells of `asset`, exits of triggers left out: what an exit has to wait for.
    pub(crate) async fn holding_sells<C: sea_orm::ConnectionTrait>(
        connection: &C,
        pairs: &[(AccountId, AssetId)],
    ) -> Result<Vec<Order>, StoreError> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let rows = orders::Entity::find()
            .filter(orders::Column::AccountId.is_in(pairs.iter().map(|(account, _)| account.0)))
            .filter(orders::Column::AssetId.is_in(pairs.iter().map(|(_, asset)| asset.0)))
            .filter(orders::Column::Side.eq(Side::Sell.as_str()))
            .filter(orders::Column::ClosedAt.is_null())
            .all(connection)
            .await?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let exits: Vec<Uuid> = trigger_exits::Entity::find()
            .filter(trigger_exits::Column::OrderId.is_in(ids))
            .all(connection)
            .await?
            .into_iter()
            .map(|exit| exit.order_id)
            .collect();
        let orders = rows
            .into_iter()
            .filter(|row| !exits.contains(&row.id))
            .map(order_of);
        let wanted = |order: &Order| pairs.contains(&(order.account_id, order.asset_id));
        orders
            .filter(|order| order.as_ref().map_or(true, wanted))
            .collect()
    }
}
