//! The end of orders for the day that never left.
//!
//! What was sent ends by the venue's word. What still waits to be sent when its session closes ends here, so that it
//! cannot leave a day late.

use chrono::{DateTime, Utc};
use domain::asset::MarketHours;
use domain::id::OrderId;
use domain::lifecycle::{OrderEvent, Submission};
use domain::order::{Order, TimeInForce};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::Store;
use crate::book::{self, Scope};
use crate::cause::Cause;
use crate::entity::order_work;
use crate::error::StoreError;
use crate::work::WorkKind;

impl Store {
    /// Ends orders for the day whose time is over at `now` and that never left; looks at the `limit` that have waited
    /// longest.
    pub async fn expire_unsent(
        &self,
        now: DateTime<Utc>,
        hours: MarketHours,
        limit: u64,
    ) -> Result<Vec<OrderId>, StoreError> {
        let waiting = order_work::Entity::find()
            .filter(order_work::Column::Kind.eq(WorkKind::Submit.as_str()))
            .order_by_asc(order_work::Column::DueAt)
            .limit(limit)
            .all(self.read())
            .await?;
        let waiting: Vec<OrderId> = waiting.into_iter().map(|row| OrderId(row.order_id)).collect();
        if waiting.is_empty() {
            return Ok(waiting);
        }
        self.transaction("expire_unsent", async |tx| {
            let tx = &*tx;
            let mut scope = Scope::default();
            let over: Vec<Order> = book::peek(tx, &waiting)
                .await?
                .into_iter()
                .filter(|order| is_over(order, now, hours))
                .collect();
            if over.is_empty() {
                return Ok(Vec::new());
            }
            for order in &over {
                scope.add_order(order);
            }
            let mut ledger = book::open(tx, &scope, now).await?;
            let cause = Cause::Tick {
                name: "expire_unsent".into(),
            };
            let mut expired = Vec::new();
            for order in over {
                // Under the lock: a worker may have begun to send it meanwhile.
                let is_unsent = ledger
                    .order(order.id)
                    .is_some_and(|order| order.facts.submission == Submission::Unsent);
                if is_unsent && ledger.apply(order.id, &OrderEvent::Expired, &cause).is_ok() {
                    expired.push(order.id);
                }
            }
            book::write(self, tx, &ledger).await?;
            Ok(expired)
        })
        .await
    }
}

/// Whether an order for the day never left and its time is over at `now`.
pub(crate) fn is_over(order: &Order, now: DateTime<Utc>, hours: MarketHours) -> bool {
    order.facts.closed.is_none()
        && order.facts.submission == Submission::Unsent
        && order.terms.time_in_force == TimeInForce::Day
        && order
            .asset_class
            .day_ends(order.submitted_at, order.terms.extended_hours, hours)
            .is_some_and(|end| end <= now)
}
