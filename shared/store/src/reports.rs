//! What brokers report, recorded exactly once and in their order.
//!
//! 1. The cursor moves in the transaction that records the reports: a crash between the two cannot happen.
//! 2. A fill is known by its broker's id; the same fill again changes nothing.
//! 3. A report that makes no sense is logged and left out; one poisoned order never stops the others.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::id::{ConnectionId, OrderId};
use domain::lifecycle::Transition;
use domain::money::USD;
use domain::reconcile::{Report, Reported};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    Statement,
};

use crate::Store;
use crate::book::{self, Scope};
use crate::cause::Cause;
use crate::entity::{broker_cursors, fills};
use crate::error::StoreError;
use crate::ledger::{ApplyError, Ledger, NewFill};
use crate::money::Money;
use crate::rows::{Rows, Writes, is_among};

/// Reports of a connection, as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportsRead {
    /// Whose they are.
    pub connection: ConnectionId,
    /// The broker that told them.
    pub broker: &'static str,
    /// The cursor from which they were read.
    pub from_cursor: String,
    /// In the venue's order.
    pub reports: Vec<Report>,
    /// The cursor after them.
    pub to_cursor: String,
}

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
        let mut cursors = self.report_cursors([connection]).await?;
        Ok(cursors.remove(&connection).unwrap_or_default())
    }

    /// Where reading the reports of these connections goes on; none of those that were never read.
    pub async fn report_cursors(
        &self,
        connections: impl IntoIterator<Item = ConnectionId>,
    ) -> Result<BTreeMap<ConnectionId, String>, StoreError> {
        let ids = connections.into_iter().map(|connection| connection.0);
        let rows = broker_cursors::Entity::find()
            .filter(is_among(self.read(), broker_cursors::Column::ConnectionId, ids))
            .all(self.read())
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| (ConnectionId(row.connection_id), row.cursor))
            .collect())
    }

    /// Records `reports`, which were read from `from_cursor` on, and moves the cursor.
    ///
    /// [`StoreError::Stale`] when someone else has moved it: read it again.
    pub async fn record_reports(
        &self,
        connection: ConnectionId,
        broker: &'static str,
        from_cursor: &str,
        reports: &[Report],
        to_cursor: &str,
        now: DateTime<Utc>,
    ) -> Result<Recorded, StoreError> {
        let read = ReportsRead {
            connection,
            broker,
            from_cursor: from_cursor.to_owned(),
            reports: reports.to_vec(),
            to_cursor: to_cursor.to_owned(),
        };
        let recorded = self.record(&[], &[read], now).await;
        recorded
            .reports
            .into_iter()
            .next()
            .unwrap_or_else(|| Ok(Recorded::default()))
    }
}

/// The reports that one transaction records, under the locks of their cursors.
pub(crate) struct Pages<'a> {
    /// In their order; `false` where someone else has moved the cursor.
    read: Vec<(&'a ReportsRead, bool)>,
    /// Where each connection's cursor stands after them.
    cursors: BTreeMap<ConnectionId, String>,
    /// Orders of ours.
    known: BTreeSet<OrderId>,
    fills: Vec<fills::Model>,
}

impl<'a> Pages<'a> {
    /// Locks the cursors of these reports, before any other lock, by ascending id.
    pub(crate) async fn lock(
        tx: &DatabaseTransaction,
        pages: Vec<&'a ReportsRead>,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let connections: BTreeSet<ConnectionId> = pages.iter().map(|page| page.connection).collect();
        let mut cursors = lock_cursors(tx, &connections, now).await?;
        let moved = pages.into_iter().map(|page| {
            let is_next = cursors.get(&page.connection) == Some(&page.from_cursor);
            if is_next {
                cursors.insert(page.connection, page.to_cursor.clone());
            }
            (page, is_next)
        });
        Ok(Self {
            read: moved.collect(),
            cursors,
            known: BTreeSet::new(),
            fills: Vec::new(),
        })
    }

    fn reports(&self) -> impl Iterator<Item = (ConnectionId, &'a Report)> {
        let fresh = self.read.iter().filter(|(_, is_next)| *is_next);
        fresh.flat_map(|(page, _)| page.reports.iter().map(|report| (page.connection, report)))
    }

    /// Adds the reports' orders to `scope`, which has those of `known` already.
    pub(crate) async fn add_to(
        &mut self,
        tx: &DatabaseTransaction,
        scope: &mut Scope,
        known: BTreeSet<OrderId>,
    ) -> Result<(), StoreError> {
        self.known = known;
        let unknown: BTreeSet<OrderId> = self
            .reports()
            .map(|(_, report)| report.order_id)
            .filter(|id| !self.known.contains(id))
            .collect();
        for order in book::peek(tx, &unknown.into_iter().collect::<Vec<_>>()).await? {
            scope.add_order(&order);
            self.known.insert(order.id);
        }
        Ok(())
    }

    /// Whether any order of ours is touched, those known before included.
    pub(crate) fn has_orders(&self) -> bool {
        !self.known.is_empty()
    }

    /// Lets the reports happen in `ledger`; one answer for each connection's.
    pub(crate) async fn record(
        &mut self,
        tx: &DatabaseTransaction,
        ledger: &mut Ledger,
    ) -> Result<Vec<Result<Recorded, StoreError>>, StoreError> {
        let mut seen = known_fills(tx, self.reports()).await?;
        let mut answers = Vec::with_capacity(self.read.len());
        for (page, is_next) in &self.read {
            if !is_next {
                answers.push(Err(StoreError::Stale {
                    what: "the report cursor",
                }));
                continue;
            }
            answers.push(Ok(record_page(page, ledger, &self.known, &mut seen)?));
            let recorded_at = ledger.now;
            let new = ledger
                .fills
                .drain(..)
                .map(|fill| fill_row(fill, page.connection, recorded_at));
            self.fills.extend(new);
        }
        Ok(answers)
    }

    /// Writes the fills, and where the cursors stand.
    pub(crate) fn write(self, writes: &mut Writes, now: DateTime<Utc>) {
        let fills = self.fills.into_iter().map(IntoActiveModel::into_active_model);
        writes.insert(fills.collect(), None);
        let fresh: BTreeSet<ConnectionId> = self
            .read
            .iter()
            .filter(|(_, is_next)| *is_next)
            .map(|(page, _)| page.connection)
            .collect();
        let moved = self
            .cursors
            .into_iter()
            .filter(|(connection, _)| fresh.contains(connection));
        let moved = moved.map(|(connection, cursor)| vec![connection.0.into(), cursor.into(), now.into()]);
        let set = ["cursor", "updated_at"];
        writes.update("broker_cursors", &["connection_id"], &set, moved.collect());
    }
}

fn record_page(
    page: &ReportsRead,
    ledger: &mut Ledger,
    known: &BTreeSet<OrderId>,
    seen: &mut BTreeSet<(ConnectionId, String)>,
) -> Result<Recorded, StoreError> {
    let mut recorded = Recorded::default();
    for report in &page.reports {
        if !known.contains(&report.order_id) {
            tracing::warn!(order.id = %report.order_id, broker.name = page.broker,
                "the venue reports an order that is not ours");
            recorded.skipped += 1;
            recorded.alarms += 1;
            continue;
        }
        if let Some(fill_id) = fill_id_of(report)
            && !seen.insert((page.connection, fill_id.to_owned()))
        {
            recorded.skipped += 1;
            continue;
        }
        let cause = Cause::Venue {
            broker: page.broker.to_owned(),
            at: report.at,
        };
        let result = ledger.apply(report.order_id, &report.event(), &cause);
        note(&mut recorded, report, &result)?;
    }
    Ok(recorded)
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

/// The cursors of these connections, under locks; those that were never read get their rows first.
async fn lock_cursors(
    tx: &DatabaseTransaction,
    connections: &BTreeSet<ConnectionId>,
    now: DateTime<Utc>,
) -> Result<BTreeMap<ConnectionId, String>, StoreError> {
    if connections.is_empty() {
        return Ok(BTreeMap::new());
    }
    let locked = read_locked(tx, connections).await?;
    if locked.len() == connections.len() {
        return Ok(locked);
    }
    let missing = connections
        .iter()
        .filter(|connection| !locked.contains_key(connection));
    let rows = missing.map(|connection| broker_cursors::Model {
        connection_id: connection.0,
        cursor: String::new(),
        updated_at: now,
    });
    broker_cursors::Entity::insert_many(rows.map(IntoActiveModel::into_active_model))
        .on_conflict(
            OnConflict::column(broker_cursors::Column::ConnectionId)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    read_locked(tx, connections).await
}

async fn read_locked(
    tx: &DatabaseTransaction,
    connections: &BTreeSet<ConnectionId>,
) -> Result<BTreeMap<ConnectionId, String>, StoreError> {
    let ids = connections.iter().map(|connection| connection.0);
    let rows = broker_cursors::Entity::find()
        .filter(is_among(tx, broker_cursors::Column::ConnectionId, ids))
        .order_by_asc(broker_cursors::Column::ConnectionId)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (ConnectionId(row.connection_id), row.cursor))
        .collect())
}

/// The fill that a report tells, by the broker's id for it.
fn fill_id_of(report: &Report) -> Option<&str> {
    match &report.what {
        Reported::Filled(fill) => Some(&fill.broker_fill_id),
        Reported::Acknowledged { .. }
        | Reported::Canceled
        | Reported::CancelRefused { .. }
        | Reported::Expired
        | Reported::Refused { .. }
        | Reported::Replaced
        | Reported::ReplaceRefused { .. } => None,
    }
}

/// Those fills of `reports` that are recorded already.
async fn known_fills(
    tx: &DatabaseTransaction,
    reports: impl Iterator<Item = (ConnectionId, &Report)>,
) -> Result<BTreeSet<(ConnectionId, String)>, StoreError> {
    let ids = reports.filter_map(|(connection, report)| {
        let fill_id = fill_id_of(report)?;
        Some(vec![connection.0.into(), fill_id.into()])
    });
    let ids: Vec<_> = ids.collect();
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let ids = Rows::new(&["connection_id", "broker_fill_id"], ids);
    let backend = tx.get_database_backend();
    let (source, values) = ids.source(backend, "v", 1);
    // With an OFFSET, PostgreSQL looks each one up by the key, however small it believes the table to be.
    let sql = format!(
        "SELECT v.connection_id, v.broker_fill_id FROM {source} WHERE EXISTS (
            SELECT 1 FROM fills AS f
            WHERE f.connection_id = v.connection_id AND f.broker_fill_id = v.broker_fill_id LIMIT 1 OFFSET 0)"
    );
    let mut known = BTreeSet::new();
    for row in tx
        .query_all_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?
    {
        let connection = ConnectionId(row.try_get("", "connection_id")?);
        known.insert((connection, row.try_get("", "broker_fill_id")?));
    }
    Ok(known)
}

fn fill_row(new: NewFill, connection: ConnectionId, recorded_at: DateTime<Utc>) -> fills::Model {
    fills::Model {
        connection_id: connection.0,
        broker_fill_id: new.fill.broker_fill_id,
        order_id: new.order_id.0,
        account_id: new.account_id.0,
        asset_id: new.asset_id.0,
        side: new.side.as_str().to_owned(),
        quantity: Money(new.fill.quantity.get()),
        price: Money(new.fill.price.get()),
        cost: Money(new.cost),
        fee: Money(new.fill.fee),
        fee_currency: USD.to_owned(),
        at: new.fill.at,
        recorded_at,
        event_seq: new.event_seq,
    }
}
