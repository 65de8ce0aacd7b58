//! What brokers report, recorded exactly once and in their order.
//!
//! 1. The cursor moves in the transaction that records the reports: a crash between the two cannot happen.
//! 2. A fill is known by its broker's id; the same fill again changes nothing.
//! 3. A report that makes no sense is logged and left out; one poisoned order never stops the others.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::id::{ConnectionId, OrderId};
use domain::lifecycle::Transition;
use domain::order::Order;
use domain::reconcile::{Report, Reported};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};

use crate::Store;
use crate::book::{self, Scope};
use crate::cause::Cause;
use crate::entity::{broker_cursors, fills};
use crate::error::StoreError;
use crate::ledger::ApplyError;

/// What recording reports did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Reports that changed something.
    pub applied: usize,
    /// Reports that changed nothing: known already, or of an order that is not ours.
    pub skipped: usize,
    /// Reports against our own book: someone must look.
    pub alarms: usize,
    /// Orders that moved.
    pub orders: BTreeSet<OrderId>,
}

impl Store {
    /// Where reading the reports of `connection` goes on; empty at the beginning.
    pub async fn report_cursor(&self, connection: ConnectionId) -> Result<String, StoreError> {
        let row = broker_cursors::Entity::find_by_id(connection.0)
            .one(self.read())
            .await?;
        Ok(row.map_or_else(String::new, |row| row.cursor))
    }

    /// Records `reports`, which were read from `from_cursor` on, and moves the cursor.
    ///
    /// [`StoreError::Stale`] when someone else has moved it: read it again.
    pub async fn record_reports(
        &self,
        connection: ConnectionId,
        broker: &str,
        from_cursor: &str,
        reports: &[Report],
        to_cursor: &str,
        now: DateTime<Utc>,
    ) -> Result<Recorded, StoreError> {
        self.transaction("record_reports", async |tx| {
            let tx = &*tx;
            move_cursor(tx, connection, from_cursor, to_cursor, now).await?;
            let ids: Vec<OrderId> = reports.iter().map(|report| report.order_id).collect();
            let known: BTreeMap<OrderId, Order> =
                book::peek(tx, &ids).await?.into_iter().map(|order| (order.id, order)).collect();
            let mut scope = Scope::default();
            for order in known.values() {
                scope.add_order(order);
            }
            let mut ledger = book::open(tx, &scope, now).await?;
            let mut seen = known_fills(tx, connection, reports).await?;
            let mut recorded = Recorded::default();
            for report in reports {
                if !known.contains_key(&report.order_id) {
                    tracing::warn!(order.id = %report.order_id, broker.name = broker, "the venue reports an order that is not ours");
                    recorded.skipped += 1;
                    recorded.alarms += 1;
                    continue;
                }
                if let Reported::Filled(fill) = &report.what
                    && !seen.insert(fill.broker_fill_id.clone())
                {
                    recorded.skipped += 1;
                    continue;
                }
                let cause = Cause::Venue { broker: broker.to_owned(), at: report.at };
                note(&mut recorded, report, &ledger.apply(report.order_id, &report.event(), &cause))?;
            }
            book::write(self, tx, &ledger, Some(connection)).await?;
            Ok(recorded)
        })
        .await
    }
}

fn note(
    recorded: &mut Recorded,
    report: &Report,
    result: &Result<Transition, ApplyError>,
) -> Result<(), StoreError> {
    match result {
        Ok(step) if step.is_change => {
            recorded.applied += 1;
            recorded.orders.insert(report.order_id);
            if step.is_surprise {
                recorded.alarms += 1;
                tracing::error!(order.id = %report.order_id, order.phase = ?step.from, report = ?report.what,
                    "the venue reports a fact against our book");
            }
            Ok(())
        }
        Ok(_) => {
            recorded.skipped += 1;
            Ok(())
        }
        Err(ApplyError::Transition(error)) => {
            recorded.skipped += 1;
            recorded.alarms += 1;
            tracing::warn!(order.id = %report.order_id, %error, "a report makes no sense and is left out");
            Ok(())
        }
        Err(error @ (ApplyError::NotLoaded(_) | ApplyError::NoUser(_) | ApplyError::NoAccount(_))) => {
            Err(error.clone().into_inconsistent())
        }
    }
}

async fn move_cursor(
    tx: &DatabaseTransaction,
    connection: ConnectionId,
    from: &str,
    to: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    // The row has to exist before it can be locked.
    let empty = broker_cursors::Model {
        connection_id: connection.0,
        cursor: String::new(),
        updated_at: now,
    };
    broker_cursors::Entity::insert(empty.into_active_model())
        .on_conflict(
            OnConflict::column(broker_cursors::Column::ConnectionId)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    let row = broker_cursors::Entity::find_by_id(connection.0)
        .lock(LockType::NoKeyUpdate)
        .one(tx)
        .await?;
    if row.is_none_or(|row| row.cursor != from) {
        return Err(StoreError::Stale {
            what: "the report cursor",
        });
    }
    let moved = broker_cursors::Model {
        connection_id: connection.0,
        cursor: to.to_owned(),
        updated_at: now,
    };
    let mut active = moved.into_active_model();
    active.cursor = sea_orm::ActiveValue::Set(to.to_owned());
    active.updated_at = sea_orm::ActiveValue::Set(now);
    broker_cursors::Entity::update(active).exec(tx).await?;
    Ok(())
}

async fn known_fills(
    tx: &DatabaseTransaction,
    connection: ConnectionId,
    reports: &[Report],
) -> Result<BTreeSet<String>, StoreError> {
    let ids: Vec<String> = reports
        .iter()
        .filter_map(|report| match &report.what {
            Reported::Filled(fill) => Some(fill.broker_fill_id.clone()),
            Reported::Acknowledged { .. }
            | Reported::Canceled
            | Reported::CancelRefused { .. }
            | Reported::Expired
            | Reported::Refused { .. }
            | Reported::Replaced
            | Reported::ReplaceRefused { .. } => None,
        })
        .collect();
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = fills::Entity::find()
        .filter(fills::Column::ConnectionId.eq(connection.0))
        .filter(fills::Column::BrokerFillId.is_in(ids))
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| row.broker_fill_id).collect())
}
