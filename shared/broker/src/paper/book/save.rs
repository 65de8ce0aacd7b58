//! Writing what a [`Desk`] has changed: a handful of statements, however many orders it touched.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::id::{AssetId, ConnectionId};
use domain::money::Price;
use domain::order::{Amount, Side};
use domain::reconcile::Reported;
use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, Value};

use super::super::desk::Desk;
use super::super::error::BookError;
use super::super::rows::{AccountRow, AssetRow, JournalRow, OrderRow, PositionRow};
use super::super::sql::Kind::{BigInt, Bool, Money, Text, Time, Uuid};
use super::super::sql::{Columns, Insert, statement};

const ASSETS: Columns = &[
    ("asset_id", Uuid),
    ("quoted_at", Time),
    ("bid", Money),
    ("bid_size", Money),
    ("ask", Money),
    ("ask_size", Money),
    ("last", Money),
    ("low", Money),
    ("high", Money),
    ("bid_left", Money),
    ("ask_left", Money),
    ("bid_key", BigInt),
    ("ask_key", BigInt),
    ("matched_in", Text),
];

const ACCOUNTS: Columns = &[
    ("connection_id", Uuid),
    ("cash", Money),
    ("held", Money),
    ("last_seq", BigInt),
    ("opened_at", Time),
];

const POSITIONS: Columns = &[
    ("connection_id", Uuid),
    ("asset_id", Uuid),
    ("quantity", Money),
    ("held", Money),
];

const ORDERS: Columns = &[
    ("id", Uuid),
    ("connection_id", Uuid),
    ("asset_id", Uuid),
    ("replaces", Uuid),
    ("side", Text),
    ("limit_price", Money),
    ("price_key", BigInt),
    ("time_in_force", Text),
    ("quantity", Money),
    ("notional", Money),
    ("extended_hours", Bool),
    ("entered_at", Time),
    ("expires_at", Time),
    ("due_at", Time),
    ("is_working", Bool),
    ("filled_quantity", Money),
    ("filled_cost", Money),
    ("fills", BigInt),
    ("held", Money),
    ("ended", Text),
    ("reason", Text),
    ("closed_at", Time),
];

const JOURNAL: Columns = &[
    ("connection_id", Uuid),
    ("seq", BigInt),
    ("order_id", Uuid),
    ("at", Time),
    ("kind", Text),
    ("is_working", Bool),
    ("fill_id", Text),
    ("quantity", Money),
    ("price", Money),
    ("fee", Money),
    ("is_done", Bool),
    ("reason", Text),
];

async fn write(connection: &impl ConnectionTrait, inserts: &[Insert]) -> Result<(), BookError> {
    if let Some(statement) = statement(inserts, connection.get_database_backend()) {
        connection.execute_raw(statement).await?;
    }
    Ok(())
}

/// Opens accounts with their starting cash, where they are not open yet; in the order of their ids.
pub(in super::super) async fn open_accounts(
    connection: &impl ConnectionTrait,
    accounts: &BTreeMap<ConnectionId, Decimal>,
    now: DateTime<Utc>,
) -> Result<(), BookError> {
    let rows = accounts.iter().map(|(connection_id, cash)| {
        vec![
            connection_id.0.into(),
            (*cash).into(),
            Decimal::ZERO.into(),
            0_i64.into(),
            now.into(),
        ]
    });
    let insert = Insert {
        table: "paper_accounts",
        columns: ACCOUNTS,
        rows: rows.collect(),
        tail: " ON CONFLICT (connection_id) DO NOTHING",
    };
    write(connection, &[insert]).await
}

/// Makes rows for instruments that have none yet; in the order of their ids.
pub(in super::super) async fn save_assets(
    connection: &impl ConnectionTrait,
    asset_ids: &[AssetId],
) -> Result<(), BookError> {
    let rows = asset_ids.iter().map(|id| vec![id.0.into(), "closed".into()]);
    let insert = Insert {
        table: "paper_assets",
        columns: &[("asset_id", Uuid), ("matched_in", Text)],
        rows: rows.collect(),
        tail: " ON CONFLICT (asset_id) DO NOTHING",
    };
    write(connection, &[insert]).await
}

/// Writes everything that `desk` has changed, in one call.
pub(in super::super) async fn save(
    connection: &impl ConnectionTrait,
    desk: &mut Desk<'_>,
) -> Result<(), BookError> {
    let changes = desk.take_changes();
    let now = desk.now;
    let inserts = [
        Insert {
            table: "paper_assets",
            columns: ASSETS,
            rows: changes.assets.iter().filter_map(asset_values).collect(),
            tail: " ON CONFLICT (asset_id) DO UPDATE SET quoted_at = excluded.quoted_at, bid = excluded.bid, \
                   bid_size = excluded.bid_size, ask = excluded.ask, ask_size = excluded.ask_size, \
                   last = excluded.last, low = excluded.low, high = excluded.high, bid_left = excluded.bid_left, \
                   ask_left = excluded.ask_left, bid_key = excluded.bid_key, ask_key = excluded.ask_key, \
                   matched_in = excluded.matched_in",
        },
        // The accounts are there, and locked: only their amounts are written.
        Insert {
            table: "paper_accounts",
            columns: ACCOUNTS,
            rows: changes
                .accounts
                .iter()
                .map(|account| account_values(account, now))
                .collect(),
            tail: " ON CONFLICT (connection_id) DO UPDATE SET cash = excluded.cash, held = excluded.held, \
                   last_seq = excluded.last_seq",
        },
        Insert {
            table: "paper_positions",
            columns: POSITIONS,
            rows: changes
                .positions
                .iter()
                .map(|(key, position)| position_values(*key, position))
                .collect(),
            tail: " ON CONFLICT (connection_id, asset_id) DO UPDATE SET quantity = excluded.quantity, \
                   held = excluded.held",
        },
        // An id that another instrument's transaction takes at this moment is refused by the key.
        Insert {
            table: "paper_orders",
            columns: ORDERS,
            rows: changes.new_orders.iter().map(order_values).collect(),
            tail: "",
        },
        Insert {
            table: "paper_orders",
            columns: ORDERS,
            rows: changes.orders.iter().map(order_values).collect(),
            tail: " ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at, is_working = excluded.is_working, \
                   filled_quantity = excluded.filled_quantity, filled_cost = excluded.filled_cost, \
                   fills = excluded.fills, held = excluded.held, ended = excluded.ended, reason = excluded.reason, \
                   closed_at = excluded.closed_at",
        },
        Insert {
            table: "paper_journal",
            columns: JOURNAL,
            rows: changes.journal.iter().map(journal_values).collect(),
            tail: "",
        },
    ];
    write(connection, &inserts).await
}

fn account_values(account: &AccountRow, now: DateTime<Utc>) -> Vec<Value> {
    vec![
        account.connection_id.0.into(),
        account.cash.into(),
        account.held.into(),
        account.last_seq.into(),
        now.into(),
    ]
}

fn asset_values(asset: &AssetRow) -> Option<Vec<Value>> {
    let quoted = asset.quoted.as_ref()?;
    let (quote, step) = (&quoted.quote, &quoted.step);
    Some(vec![
        asset.asset_id.0.into(),
        quote.at.into(),
        quote.bid.get().into(),
        quote.bid_size.get().into(),
        quote.ask.get().into(),
        quote.ask_size.get().into(),
        quote.last.get().into(),
        quote.low.get().into(),
        quote.high.get().into(),
        step.bid_left.into(),
        step.ask_left.into(),
        quoted.price_key(Side::Sell).into(),
        quoted.price_key(Side::Buy).into(),
        quoted.matched_in.as_str().into(),
    ])
}

fn position_values((connection_id, asset_id): (ConnectionId, AssetId), position: &PositionRow) -> Vec<Value> {
    vec![
        connection_id.0.into(),
        asset_id.0.into(),
        position.quantity.into(),
        position.held.into(),
    ]
}

fn order_values(order: &OrderRow) -> Vec<Value> {
    let (quantity, notional) = match order.amount {
        Amount::Quantity(quantity) => (Some(quantity.get()), None),
        Amount::Notional(notional) => (None, Some(notional.get())),
    };
    vec![
        order.id.0.into(),
        order.connection_id.0.into(),
        order.asset_id.0.into(),
        order.replaces.map(|id| id.0).into(),
        order.side.as_str().into(),
        order.kind.limit_price().map(Price::get).into(),
        order.price_key().into(),
        order.time_in_force.as_str().into(),
        quantity.into(),
        notional.into(),
        order.extended_hours.into(),
        order.entered_at.into(),
        order.expires_at.into(),
        order.due_at.into(),
        order.is_working.into(),
        order.filled_quantity.into(),
        order.filled_cost.into(),
        order.fills.into(),
        order.held.into(),
        order.ended.map(|ended| ended.as_str().to_owned()).into(),
        order.reason.clone().into(),
        order.closed_at.into(),
    ]
}

fn journal_values(row: &JournalRow) -> Vec<Value> {
    let mut values = vec![
        row.connection_id.0.into(),
        row.seq.into(),
        row.order_id.0.into(),
        row.at.into(),
    ];
    let (kind, is_working, fill, reason) = match &row.what {
        Reported::Acknowledged { is_working } => ("acknowledged", Some(*is_working), None, None),
        Reported::Filled(fill) => ("filled", None, Some(fill), None),
        Reported::Canceled => ("canceled", None, None, None),
        Reported::CancelRefused { reason } => ("cancel_refused", None, None, Some(reason)),
        Reported::Expired => ("expired", None, None, None),
        Reported::Refused { reason } => ("refused", None, None, Some(reason)),
        Reported::Replaced => ("replaced", None, None, None),
        Reported::ReplaceRefused { reason } => ("replace_refused", None, None, Some(reason)),
    };
    values.extend([
        kind.into(),
        is_working.into(),
        fill.map(|fill| fill.broker_fill_id.clone()).into(),
        fill.map(|fill| fill.quantity.get()).into(),
        fill.map(|fill| fill.price.get()).into(),
        fill.map(|fill| fill.fee).into(),
        fill.and_then(|fill| fill.venue_done).into(),
        reason.cloned().into(),
    ]);
    values
}
