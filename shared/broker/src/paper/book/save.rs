//! Writing what a [`Desk`] has changed: a handful of statements, however many orders it touched.

use chrono::{DateTime, Utc};
use domain::id::{AssetId, ConnectionId};
use domain::money::Price;
use domain::order::Amount;
use domain::reconcile::Reported;
use domain::trigger::{Direction, PriceKey};
use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, Value};

use super::super::desk::Desk;
use super::super::error::BookError;
use super::super::rows::{AccountRow, AssetRow, JournalRow, OrderRow, PositionRow};
use super::super::sql::{Insert, statements};
use super::{ASSET_COLUMNS, ORDER_COLUMNS};

async fn write(connection: &impl ConnectionTrait, inserts: Vec<Insert>) -> Result<(), BookError> {
    for statement in statements(inserts, connection.get_database_backend()) {
        connection.execute_raw(statement).await?;
    }
    Ok(())
}

/// Opens accounts with their starting cash, where they are not open yet; in the order of their ids.
pub(in super::super) async fn open_accounts(
    connection: &impl ConnectionTrait,
    accounts: &[(ConnectionId, Decimal)],
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
        head: "INSERT INTO paper_accounts (connection_id, cash, held, last_seq, opened_at) VALUES "
            .to_owned(),
        rows: rows.collect(),
        tail: " ON CONFLICT (connection_id) DO NOTHING",
    };
    write(connection, vec![insert]).await
}

/// Makes rows for instruments that have none yet; in the order of their ids.
pub(in super::super) async fn save_assets(
    connection: &impl ConnectionTrait,
    asset_ids: &[AssetId],
) -> Result<(), BookError> {
    let rows = asset_ids.iter().map(|id| vec![id.0.into(), "closed".into()]);
    let insert = Insert {
        head: "INSERT INTO paper_assets (asset_id, matched_in) VALUES ".to_owned(),
        rows: rows.collect(),
        tail: " ON CONFLICT (asset_id) DO NOTHING",
    };
    write(connection, vec![insert]).await
}

/// Writes everything that `desk` has changed.
pub(in super::super) async fn save(
    connection: &impl ConnectionTrait,
    desk: &mut Desk<'_>,
) -> Result<(), BookError> {
    let changes = desk.take_changes();
    let insert_order = format!(
        "INSERT INTO paper_orders ({}) VALUES ",
        ORDER_COLUMNS.replace("o.", "")
    );
    let inserts = vec![
        Insert {
            head: format!("INSERT INTO paper_assets ({ASSET_COLUMNS}) VALUES "),
            rows: changes.assets.iter().filter_map(asset_values).collect(),
            tail: " ON CONFLICT (asset_id) DO UPDATE SET quoted_at = excluded.quoted_at, bid = excluded.bid, \
                   bid_size = excluded.bid_size, ask = excluded.ask, ask_size = excluded.ask_size, \
                   last = excluded.last, low = excluded.low, high = excluded.high, bid_left = excluded.bid_left, \
                   ask_left = excluded.ask_left, bid_key = excluded.bid_key, ask_key = excluded.ask_key, \
                   matched_in = excluded.matched_in",
        },
        // The accounts are there, and locked: only their amounts are written.
        Insert {
            head: "INSERT INTO paper_accounts (connection_id, cash, held, last_seq, opened_at) VALUES ".to_owned(),
            rows: changes.accounts.iter().map(|account| account_values(account, desk.now)).collect(),
            tail: " ON CONFLICT (connection_id) DO UPDATE SET cash = excluded.cash, held = excluded.held, \
                   last_seq = excluded.last_seq",
        },
        Insert {
            head: "INSERT INTO paper_positions (connection_id, asset_id, quantity, held) VALUES ".to_owned(),
            rows: changes.positions.iter().map(|(key, position)| position_values(*key, position)).collect(),
            tail: " ON CONFLICT (connection_id, asset_id) DO UPDATE SET quantity = excluded.quantity, \
                   held = excluded.held",
        },
        // An id that another instrument's transaction takes at this moment is refused by the key.
        Insert {
            head: insert_order.clone(),
            rows: changes.new_orders.iter().map(order_values).collect(),
            tail: "",
        },
        Insert {
            head: insert_order,
            rows: changes.orders.iter().map(order_values).collect(),
            tail: " ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at, is_working = excluded.is_working, \
                   filled_quantity = excluded.filled_quantity, filled_cost = excluded.filled_cost, \
                   fills = excluded.fills, held = excluded.held, ended = excluded.ended, reason = excluded.reason, \
                   closed_at = excluded.closed_at",
        },
        Insert {
            head: "INSERT INTO paper_journal (connection_id, seq, order_id, at, kind, is_working, fill_id, quantity, \
                   price, fee, is_done, reason) VALUES "
                .to_owned(),
            rows: changes.journal.iter().map(journal_values).collect(),
            tail: "",
        },
    ];
    write(connection, inserts).await
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
        PriceKey::rounded(quote.bid.get(), Direction::Falling).0.into(),
        PriceKey::rounded(quote.ask.get(), Direction::Rising).0.into(),
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
