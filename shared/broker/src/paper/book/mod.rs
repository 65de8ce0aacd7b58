//! The venue's book in its database: the only place that knows SQL on its tables.
//!
//! Whoever changes something locks the rows of the instruments first, then those of the accounts, each in the order of
//! their ids. The row of an instrument guards its orders and positions, too: nobody touches those without it. So no two
//! transactions wait for each other in a circle, and the numbers of the journal, handed out under the account's lock,
//! are committed in their order and without gaps.

mod decode;
mod save;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::id::{AssetId, ConnectionId, OrderId};
use domain::order::Side;
use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Value};

use super::error::BookError;
use super::rows::{AccountRow, AssetRow, JournalRow, Level, OrderRow, PositionRow};
use super::sql::{Columns, Kind, Sql};

pub(super) use save::{open_accounts, save, save_assets};

const ASSET_COLUMNS: &str = "asset_id, quoted_at, bid, bid_size, ask, ask_size, last, low, high, bid_left, ask_left, \
                             bid_key, ask_key, matched_in";

const ORDER_COLUMNS: &str = "o.id, o.connection_id, o.asset_id, o.replaces, o.side, o.limit_price, o.price_key, \
                             o.time_in_force, o.quantity, o.notional, o.extended_hours, o.entered_at, o.expires_at, \
                             o.due_at, o.is_working, o.filled_quantity, o.filled_cost, o.fills, o.held, o.ended, \
                             o.reason, o.closed_at";

fn sql(connection: &impl ConnectionTrait, text: &str) -> Sql {
    Sql::new(connection.get_database_backend(), text)
}

async fn all(connection: &impl ConnectionTrait, sql: Sql) -> Result<Vec<QueryResult>, BookError> {
    Ok(connection.query_all_raw(sql.statement()).await?)
}

/// The instruments `ids`, read without a lock.
pub(super) async fn assets(
    connection: &impl ConnectionTrait,
    asset_ids: &[AssetId],
) -> Result<Vec<AssetRow>, BookError> {
    let sql = sql(connection, "SELECT ")
        .add(ASSET_COLUMNS)
        .add(" FROM paper_assets WHERE asset_id")
        .any_of(asset_ids);
    all(connection, sql).await?.iter().map(decode::asset).collect()
}

/// Locks the instruments `ids`: the first lock of every transaction.
pub(super) async fn lock_assets(
    connection: &impl ConnectionTrait,
    asset_ids: &[AssetId],
) -> Result<Vec<AssetRow>, BookError> {
    let sql = sql(connection, "SELECT ")
        .add(ASSET_COLUMNS)
        .add(" FROM paper_assets WHERE asset_id")
        .any_of(asset_ids)
        .add(" ORDER BY asset_id")
        .locking("paper_assets");
    all(connection, sql).await?.iter().map(decode::asset).collect()
}

/// What an account owns of an instrument.
pub(super) type Position = ((ConnectionId, AssetId), PositionRow);

/// Accounts, and what they own.
pub(super) type Owned = (Vec<AccountRow>, Vec<Position>);

/// Locks the accounts of these `holdings`, the second lock of every transaction, and reads what they own of the
/// instruments, which are locked already. Accounts that are not open are left out.
pub(super) async fn lock_accounts(
    connection: &impl ConnectionTrait,
    holdings: &BTreeSet<(ConnectionId, AssetId)>,
) -> Result<Owned, BookError> {
    const HOLDINGS: Columns = &[("connection_id", Kind::Uuid), ("asset_id", Kind::Uuid)];
    let rows = holdings
        .iter()
        .map(|(account, asset)| vec![account.0.into(), asset.0.into()]);
    let rows: Vec<_> = rows.collect();
    let sql = sql(
        connection,
        "SELECT a.connection_id, a.cash, a.held, a.last_seq, p.asset_id, p.quantity, p.held AS position_held FROM ",
    )
    .rows(HOLDINGS, &rows, "v")
    .add(
        " JOIN paper_accounts a ON a.connection_id = v.connection_id \
         LEFT JOIN paper_positions p ON p.connection_id = v.connection_id AND p.asset_id = v.asset_id \
         ORDER BY a.connection_id",
    )
    .locking("a");
    let (mut accounts, mut positions) = (Vec::<AccountRow>::new(), Vec::new());
    for row in all(connection, sql).await? {
        let account = decode::account(&row)?;
        positions.extend(decode::joined_position(&row)?);
        if accounts
            .last()
            .is_none_or(|last| last.connection_id != account.connection_id)
        {
            accounts.push(account);
        }
    }
    Ok((accounts, positions))
}

/// The orders `ids`.
pub(super) async fn orders(
    connection: &impl ConnectionTrait,
    order_ids: &[OrderId],
) -> Result<Vec<OrderRow>, BookError> {
    let sql = sql(connection, "SELECT ")
        .add(ORDER_COLUMNS)
        .add(" FROM paper_orders o WHERE o.id")
        .any_of(order_ids);
    all(connection, sql).await?.iter().map(decode::order).collect()
}

/// The instruments of the orders `ids`, which never change: they can be read before a lock is taken.
pub(super) async fn order_assets(
    connection: &impl ConnectionTrait,
    order_ids: &[OrderId],
) -> Result<HashMap<OrderId, AssetId>, BookError> {
    let sql = sql(connection, "SELECT id, asset_id FROM paper_orders WHERE id").any_of(order_ids);
    all(connection, sql)
        .await?
        .iter()
        .map(decode::order_asset)
        .collect()
}

/// At most `limit` open orders of the instruments whose time has come by `now`, the longest due first.
pub(super) async fn due_orders(
    connection: &impl ConnectionTrait,
    asset_ids: &[AssetId],
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<OrderRow>, BookError> {
    let sql = sql(connection, "SELECT ")
        .add(ORDER_COLUMNS)
        .add(" FROM paper_orders o WHERE o.closed_at IS NULL AND o.due_at <= ")
        .bind(now)
        .add(" AND o.asset_id")
        .any_of(asset_ids)
        .add(" ORDER BY o.due_at LIMIT ")
        .bind(limit);
    all(connection, sql).await?.iter().map(decode::order).collect()
}

/// At most `limit` open orders that reach each of `levels`: those that come first at it.
pub(super) async fn crossing_orders(
    connection: &impl ConnectionTrait,
    levels: &[Level],
    limit: i64,
) -> Result<Vec<OrderRow>, BookError> {
    const LEVELS: Columns = &[
        ("asset_id", Kind::Uuid),
        ("key", Kind::BigInt),
        ("is_regular", Kind::Bool),
    ];
    let backend = connection.get_database_backend();
    let side = |side: Side, reaches: &str, order: &str| {
        let rows: Vec<Vec<Value>> = levels
            .iter()
            .filter(|level| level.side == side)
            .map(|level| vec![level.asset_id.0.into(), level.key.into(), level.is_regular.into()])
            .collect();
        // SQLite knows no LATERAL, PostgreSQL plans the other form badly.
        let (join, columns, end) = match backend {
            DbBackend::Postgres => (" CROSS JOIN LATERAL (SELECT ", "i.*", ") AS o"),
            _ => (" CROSS JOIN paper_orders o WHERE o.id IN (SELECT ", "i.id", ")"),
        };
        let best = format!(
            "{columns} FROM paper_orders i WHERE i.asset_id = v.asset_id AND i.closed_at IS NULL AND i.side = '{}' \
             AND i.price_key {reaches} v.key AND (i.extended_hours OR v.is_regular) \
             ORDER BY i.price_key {order}, i.entered_at, i.id LIMIT ",
            side.as_str()
        );
        Sql::new(backend, "SELECT ")
            .add(ORDER_COLUMNS)
            .add(" FROM ")
            .rows(LEVELS, &rows, "v")
            .add(join)
            .add(&best)
            .bind(limit)
            .add(end)
    };
    let sql = side(Side::Sell, "<=", "ASC")
        .add(" UNION ALL ")
        .append(side(Side::Buy, ">=", "DESC"));
    all(connection, sql).await?.iter().map(decode::order).collect()
}

/// At most `limit` instruments with orders whose time has come by `now`.
pub(super) async fn due_assets(
    connection: &impl ConnectionTrait,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<AssetId>, BookError> {
    let sql = sql(
        connection,
        "SELECT DISTINCT asset_id FROM paper_orders WHERE closed_at IS NULL AND due_at <= ",
    )
    .bind(now)
    .add(" LIMIT ")
    .bind(limit);
    all(connection, sql).await?.iter().map(decode::asset_id).collect()
}

/// Instruments with open orders.
pub(super) async fn resting_assets(connection: &impl ConnectionTrait) -> Result<Vec<AssetId>, BookError> {
    let rests = |side: &str| {
        format!(
            "EXISTS (SELECT 1 FROM paper_orders o WHERE o.asset_id = a.asset_id AND o.closed_at IS NULL AND o.side = '{side}')"
        )
    };
    let text = format!(
        "SELECT a.asset_id FROM paper_assets a WHERE {} OR {} ORDER BY a.asset_id",
        rests("buy"),
        rests("sell")
    );
    let sql = sql(connection, &text);
    all(connection, sql).await?.iter().map(decode::asset_id).collect()
}

/// Where an account's journal is read from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) connection_id: ConnectionId,
    /// Rows after this number.
    pub(super) after: i64,
}

/// At most `limit` journal rows after each of `places`, in the order of their numbers: one answer for each. A row that makes
/// no sense is its account's failure alone.
pub(super) async fn journal(
    connection: &impl ConnectionTrait,
    places: &[Place],
    limit: u64,
) -> Result<Vec<Result<Vec<JournalRow>, BookError>>, BookError> {
    const PLACES: Columns = &[
        ("place", Kind::BigInt),
        ("connection_id", Kind::Uuid),
        ("after", Kind::BigInt),
        ("upto", Kind::BigInt),
    ];
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows: Vec<Vec<Value>> = (0_i64..)
        .zip(places)
        .map(|(index, place)| {
            vec![
                index.into(),
                place.connection_id.0.into(),
                place.after.into(),
                // An account's numbers have no gaps.
                place.after.saturating_add(limit).into(),
            ]
        })
        .collect();
    let sql = sql(
        connection,
        "SELECT v.place, j.connection_id, j.seq, j.order_id, j.at, j.kind, j.is_working, j.fill_id, j.quantity, \
         j.price, j.fee, j.is_done, j.reason FROM ",
    )
    .rows(PLACES, &rows, "v")
    .add(match connection.get_database_backend() {
        // With an OFFSET, the key is asked for each place, however small the journal was when this was planned.
        DbBackend::Postgres => {
            " CROSS JOIN LATERAL (SELECT * FROM paper_journal j WHERE j.connection_id = v.connection_id \
              AND j.seq > v.after AND j.seq <= v.upto OFFSET 0) j"
        }
        _ => {
            " CROSS JOIN paper_journal j WHERE j.connection_id = v.connection_id AND j.seq > v.after \
              AND j.seq <= v.upto"
        }
    })
    .add(" ORDER BY v.place, j.seq");
    let mut pages: Vec<_> = places.iter().map(|_| Ok(Vec::new())).collect();
    for row in all(connection, sql).await? {
        let place = decode::place(&row)?;
        if let Some(page) = pages.get_mut(place)
            && let Ok(rows) = page
        {
            match decode::journal(&row) {
                Ok(row) => rows.push(row),
                Err(error) => *page = Err(error),
            }
        }
    }
    Ok(pages)
}

/// What an account owns.
pub(super) async fn holdings(
    connection: &impl ConnectionTrait,
    connection_id: ConnectionId,
) -> Result<Vec<(AssetId, Decimal)>, BookError> {
    let sql = sql(
        connection,
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
    let sql = sql(
        connection,
        "SELECT connection_id, cash, held, last_seq FROM paper_accounts WHERE connection_id = ",
    )
    .bind(connection_id.0);
    let rows = all(connection, sql).await?;
    rows.first()
        .map(|row| decode::account(row).map(|account| account.cash))
        .transpose()
}
