//! The rows of some accounts, page by page.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use crate::AuditError;
use crate::accounts::CURRENCY;
use crate::report::Findings;
use crate::rows::{BalanceRow, DayRow, EventRow, FillRow, OrderRow, PositionRow};
use crate::snapshot::{PAGE, Snapshot, placeholders, texts};
use crate::walk::Walk;

fn ids_of(ids: &[Uuid]) -> Vec<Value> {
    ids.iter().map(|id| (*id).into()).collect()
}

pub(crate) async fn orders(
    snapshot: &Snapshot<'_>,
    ids: &[Uuid],
    walks: &mut BTreeMap<Uuid, Walk>,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let decimals = texts(&[
        "quantity",
        "notional",
        "reserve_rate",
        "exposure_rate",
        "filled_quantity",
        "filled_cost",
    ]);
    let select = format!(
        "SELECT id, user_id, account_id, group_id, asset_id, side, {decimals}, trading_date, replaces, submitted_at,
                submission, is_working, held_by_trigger, cancel_requested_at, replaced_by, closed_at, closed_how,
                reject_reason
         FROM orders WHERE account_id IN ({})",
        placeholders(1, ids.len())
    );
    let mut take = |rows: &[QueryResult]| {
        let mut last = None;
        for row in rows {
            let row = OrderRow::read(row)?;
            findings.counts.orders += 1;
            last = Some((row.submitted_at, row.id));
            if let Some(walk) = walks.get_mut(&row.account_id) {
                walk.add_order(row);
            }
        }
        Ok::<_, AuditError>(last)
    };
    if ids.len() > 1 {
        take(&snapshot.rows(&select, ids_of(ids)).await?)?;
        return Ok(());
    }
    // The index of an account's orders: the latest first.
    let order = format!("ORDER BY submitted_at DESC, id LIMIT {PAGE}");
    let mut last = take(&snapshot.rows(&format!("{select} {order}"), ids_of(ids)).await?)?;
    while let Some((at, id)) = last {
        let more = format!("{select} AND submitted_at <= $2 AND (submitted_at < $2 OR id > $3) {order}");
        let values = ids_of(ids).into_iter().chain([at.into(), id.into()]);
        last = take(&snapshot.rows(&more, values).await?)?;
    }
    Ok(())
}

pub(crate) async fn fills(
    snapshot: &Snapshot<'_>,
    ids: &[Uuid],
    walks: &mut BTreeMap<Uuid, Walk>,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let select = format!(
        "SELECT connection_id, broker_fill_id, order_id, account_id, asset_id, side, {}, at, recorded_at, event_seq
         FROM fills WHERE account_id IN ({})",
        texts(&["quantity", "price", "cost", "fee"]),
        placeholders(1, ids.len())
    );
    let mut take = |rows: &[QueryResult]| {
        let mut last = None;
        for row in rows {
            let row = FillRow::read(row)?;
            findings.counts.fills += 1;
            last = Some((row.at, row.broker_fill_id.clone()));
            if let Some(walk) = walks.get_mut(&row.account_id) {
                walk.add_fill(row);
            }
        }
        Ok::<_, AuditError>(last)
    };
    if ids.len() > 1 {
        take(&snapshot.rows(&select, ids_of(ids)).await?)?;
        return Ok(());
    }
    let order = format!("ORDER BY at, broker_fill_id LIMIT {PAGE}");
    let mut last = take(&snapshot.rows(&format!("{select} {order}"), ids_of(ids)).await?)?;
    while let Some((at, fill)) = last {
        let more = format!("{select} AND at >= $2 AND (at > $2 OR broker_fill_id > $3) {order}");
        let values = ids_of(ids).into_iter().chain([at.into(), fill.into()]);
        last = take(&snapshot.rows(&more, values).await?)?;
    }
    Ok(())
}

pub(crate) async fn events(
    snapshot: &Snapshot<'_>,
    ids: &[Uuid],
    walks: &mut BTreeMap<Uuid, Walk>,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let sql = format!(
        "SELECT account_id, seq, order_id, kind, at, {}
         FROM order_events WHERE account_id IN ({}) AND (account_id, seq) > (${}, ${})
         ORDER BY account_id, seq LIMIT {PAGE}",
        texts(&["cause", "data"]),
        placeholders(1, ids.len()),
        ids.len() + 1,
        ids.len() + 2
    );
    let mut last = (Uuid::nil(), i64::MIN);
    loop {
        let values = ids_of(ids).into_iter().chain([last.0.into(), last.1.into()]);
        let rows = snapshot.rows(&sql, values).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            let event = EventRow::read(row)?;
            findings.counts.events += 1;
            last = (event.account_id, event.seq);
            if let Some(walk) = walks.get_mut(&event.account_id) {
                walk.follow(&event, findings);
            }
        }
    }
}

/// What accounts are said to have.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub balances: HashMap<Uuid, BalanceRow>,
    pub positions: HashMap<Uuid, Vec<PositionRow>>,
    pub days: HashMap<Uuid, Vec<DayRow>>,
}

impl Stored {
    pub(crate) async fn read(snapshot: &Snapshot<'_>, ids: &[Uuid]) -> Result<Self, AuditError> {
        let mut stored = Self::default();
        let of = format!("WHERE account_id IN ({})", placeholders(1, ids.len()));
        let money = texts(&["amount", "reserved"]);
        let sql =
            format!("SELECT account_id, currency, {money} FROM balances {of} AND currency = '{CURRENCY}'");
        for row in snapshot.rows(&sql, ids_of(ids)).await? {
            let row = BalanceRow::read(&row)?;
            stored.balances.insert(row.account_id, row);
        }
        let units = texts(&["quantity", "reserved", "cost_basis", "realized"]);
        let sql = format!("SELECT account_id, asset_id, {units} FROM positions {of}");
        for row in snapshot.rows(&sql, ids_of(ids)).await? {
            let row = PositionRow::read(&row)?;
            stored.positions.entry(row.account_id).or_default().push(row);
        }
        let filled = texts(&["notional_filled"]);
        let sql = format!("SELECT account_id AS owner, trading_date, {filled} FROM account_days {of}");
        for row in snapshot.rows(&sql, ids_of(ids)).await? {
            let row = DayRow::read(&row)?;
            stored.days.entry(row.owner).or_default().push(row);
        }
        Ok(stored)
    }
}
