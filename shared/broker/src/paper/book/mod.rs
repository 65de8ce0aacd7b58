//! The venue's book in its database: the only place that knows SQL on its tables.
//!
//! Whoever changes something locks the rows of the instruments first, then those of the accounts, each in the order of
//! their ids. The row of an instrument guards its orders and positions, too: nobody touches those without it. So no two
//! transactions wait for each other in a circle, and the numbers of the journal, handed out under the account's lock,
//! are committed in their order and without gaps.

mod decode;
mod save;

use chrono::{DateTime, Utc};
use domain::id::{AssetId, ConnectionId, OrderId};
use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::error::BookError;
use super::rows::{AccountRow, AssetRow, JournalRow, OrderRow, PositionRow};
use super::sql::Sql;

pub(super) use save::{open_accounts, save, save_assets};

const ASSET_COLUMNS: &str = "asset_id, quoted_at, bid, bid_size, ask, ask_size, last, low, high, bid_left, ask_left, \
                             bid_key, ask_key, matched_in";

const ORDER_COLUMNS: &str = "o.id, o.connection_id, o.asset_id, o.replaces, o.side, o.limit_price, o.price_key, \
                             o.time_in_force, o.quantity, o.notional, o.extended_hours, o.entered_at, o.expires_at, \
                             o.due_at, o.is_working, o.filled_quantity, o.filled_cost, o.fills, o.held, o.ended, \
                             o.reason, o.closed_at";

/// The most ids in one list.
const IDS_MAX: usize = 500;

async fn all(connection: &impl ConnectionTrait, sql: Sql) -> Result<Vec<QueryResult>, BookError> {
    let statement = sql.on(connection.get_database_backend());
    Ok(connection.query_all_raw(statement).await?)
}

fn ids<T: Copy + Into<uuid::Uuid>>(ids: &[T]) -> impl Iterator<Item = Value> {
    ids.iter().map(|id| Value::from((*id).into()))
}

/// The instruments `ids`, read without a lock.
pub(super) async fn assets(
    connection: &impl ConnectionTrait,
    asset_ids: &[AssetId],
) -> Result<Vec<AssetRow>, BookError> {
    let sql = Sql::new("SELECT ")
        .add(ASSET_COLUMNS)
        .add(" FROM paper_assets WHERE asset_id IN ")
        .list(ids(asset_ids));
    all(connection, sql).await?.iter().map(decode::asset).collect()
}

/// Locks the instruments `ids`: the first lock of every transaction.
pub(super) async fn lock_assets(
    connection: &impl ConnectionTrait,
    asset_ids: &[AssetId],
) -> Result<Vec<AssetRow>, BookError> {
    let sql = Sql::new("SELECT ")
        .add(ASSET_COLUMNS)
        .add(" FROM paper_assets WHERE asset_id IN ")
        .list(ids(asset_ids))
        .add(" ORDER BY asset_id")
        .locking("paper_assets", connection.get_database_backend());
    all(connection, sql).await?.iter().map(decode::asset).collect()
}

/// Locks the accounts `ids`: the second lock of every transaction. Those that are not open are left out.
pub(super) async fn lock_accounts(
    connection: &impl ConnectionTrait,
    connection_ids: &[ConnectionId],
) -> Result<Vec<AccountRow>, BookError> {
    let mut accounts = Vec::with_capacity(connection_ids.len());
    for chunk in connection_ids.chunks(IDS_MAX) {
        let sql = Sql::new(
            "SELECT connection_id, cash, held, last_seq FROM paper_accounts WHERE connection_id IN ",
        )
        .list(ids(chunk))
        .add(" ORDER BY connection_id")
        .locking("paper_accounts", connection.get_database_backend());
        for row in all(connection, sql).await? {
            accounts.push(decode::account(&row)?);
        }
    }
    Ok(accounts)
}

/// What the accounts own of the instruments, with the keys.
pub(super) async fn positions(
    connection: &impl ConnectionTrait,
    connection_ids: &[ConnectionId],
    asset_ids: &[AssetId],
) -> Result<Vec<((ConnectionId, AssetId), PositionRow)>, BookError> {
    let mut positions = Vec::new();
    for chunk in connection_ids.chunks(IDS_MAX) {
        let sql = Sql::new(
            "SELECT connection_id, asset_id, quantity, held FROM paper_positions WHERE connection_id IN ",
        )
        .list(ids(chunk))
        .add(" AND asset_id IN ")
        .list(ids(asset_ids));
        for row in all(connection, sql).await? {
            positions.push(decode::position(&row)?);
        }
    }
    Ok(positions)
}

/// The orders `ids`.
pub(super) async fn orders(
    connection: &impl ConnectionTrait,
    order_ids: &[OrderId],
) -> Result<Vec<OrderRow>, BookError> {
    let sql = Sql::new("SELECT ")
        .add(ORDER_COLUMNS)
        .add(" FROM paper_orders o WHERE o.id IN ")
        .list(ids(order_ids));
    all(connection, sql).await?.iter().map(decode::order).collect()
}

/// Open orders of the instruments `due` whose time has come by `now`, and those of `met` that its quote may fill.
pub(super) async fn orders_to_act_on(
    connection: &impl ConnectionTrait,
    due: &[AssetId],
    met: &[AssetId],
    now: DateTime<Utc>,
) -> Result<Vec<OrderRow>, BookError> {
    let mut sql = Sql::new("SELECT ")
        .add(ORDER_COLUMNS)
        .add(" FROM paper_orders o WHERE o.closed_at IS NULL AND o.due_at <= ")
        .bind(now)
        .add(" AND o.asset_id IN ")
        .list(ids(due));
    if !met.is_empty() {
        for (side, is_met) in [
            ("buy", "o.price_key >= a.ask_key"),
            ("sell", "o.price_key <= a.bid_key"),
        ] {
            sql = sql
                .add(" UNION ALL SELECT ")
                .add(ORDER_COLUMNS)
                .add(" FROM paper_assets a JOIN paper_orders o ON o.asset_id = a.asset_id AND o.closed_at IS NULL AND o.side = '")
                .add(side)
                .add("' AND ")
                .add(is_met)
                .add(" WHERE a.asset_id IN ")
                .list(ids(met));
        }
    }
    all(connection, sql).await?.iter().map(decode::order).collect()
}

/// At most `limit` instruments with orders whose time has come by `now`.
pub(super) async fn due_assets(
    connection: &impl ConnectionTrait,
    now: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<AssetId>, BookError> {
    let sql = Sql::new("SELECT DISTINCT asset_id FROM paper_orders WHERE closed_at IS NULL AND due_at <= ")
        .bind(now)
        .add(" LIMIT ")
        .bind(clamped(limit));
    all(connection, sql).await?.iter().map(decode::asset_id).collect()
}

/// Instruments with open orders.
pub(super) async fn resting_assets(connection: &impl ConnectionTrait) -> Result<Vec<AssetId>, BookError> {
    let sql = Sql::new(
        "SELECT a.asset_id FROM paper_assets a WHERE EXISTS \
         (SELECT 1 FROM paper_orders o WHERE o.asset_id = a.asset_id AND o.closed_at IS NULL) ORDER BY a.asset_id",
    );
    all(connection, sql).await?.iter().map(decode::asset_id).collect()
}

/// At most `limit` journal rows of an account after number `after`.
pub(super) async fn journal(
    connection: &impl ConnectionTrait,
    connection_id: ConnectionId,
    after: i64,
    limit: u64,
) -> Result<Vec<JournalRow>, BookError> {
    let sql = Sql::new(
        "SELECT connection_id, seq, order_id, at, kind, is_working, fill_id, quantity, price, fee, is_done, reason \
         FROM paper_journal WHERE connection_id = ",
    )
    .bind(connection_id.0)
    .add(" AND seq > ")
    .bind(after)
    .add(" ORDER BY seq LIMIT ")
    .bind(clamped(limit));
    all(connection, sql).await?.iter().map(decode::journal).collect()
}

/// What an account owns.
pub(super) async fn holdings(
    connection: &impl ConnectionTrait,
    connection_id: ConnectionId,
) -> Result<Vec<(AssetId, Decimal)>, BookError> {
    let sql = Sql::new(
        "SELECT connection_id, asset_id, quantity, held FROM paper_positions WHERE connection_id = ",
    )
    .bind(connection_id.0)
    .add(" ORDER BY asset_id");
    let rows = all(connection, sql).await?;
    let positions = rows.iter().map(decode::position);
    positions
        .map(|position| position.map(|((_, asset_id), position)| (asset_id, position.quantity)))
        .collect()
}

/// The money of an account; `None` while it is not open.
pub(super) async fn cash(
    connection: &impl ConnectionTrait,
    connection_id: ConnectionId,
) -> Result<Option<Decimal>, BookError> {
    let sql =
        Sql::new("SELECT connection_id, cash, held, last_seq FROM paper_accounts WHERE connection_id = ")
            .bind(connection_id.0);
    let rows = all(connection, sql).await?;
    rows.first()
        .map(|row| decode::account(row).map(|account| account.cash))
        .transpose()
}

fn clamped(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
