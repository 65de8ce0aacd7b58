//! Writing what a transaction changed: one statement per table.

use chrono::TimeDelta;
use domain::id::{ConnectionId, OrderId};
use domain::money::USD;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, Value,
};
use uuid::Uuid;

use crate::entity::{
    account_days, balances, fills, order_events, order_work, orders, positions, reservations, user_days,
};
use crate::error::StoreError;
use crate::ledger::{Ledger, reserved_asset};
use crate::money::Money;
use crate::orders::row::order_row;
use crate::work::WorkKind;
use crate::{Store, update_many};

/// Writes everything that `ledger` changed. `connection` is where its fills came from.
pub(crate) async fn write(
    store: &Store,
    tx: &DatabaseTransaction,
    ledger: &Ledger,
    connection: Option<ConnectionId>,
) -> Result<(), StoreError> {
    write_orders(tx, ledger).await?;
    write_events(tx, ledger, connection).await?;
    write_counters(tx, ledger).await?;
    write_holdings(tx, ledger).await?;
    write_reservations(tx, ledger).await?;
    write_work(store, tx, ledger).await?;
    crate::triggers::follow_orders(tx, ledger).await
}

/// Rows of one statement: few enough for the values that SQLite binds (32 766) and for a statement of readable size.
const ROWS_MAX: usize = 500;

/// Inserts `rows`, or changes those that are there as `on_conflict` says.
async fn put<A>(
    tx: &DatabaseTransaction,
    rows: Vec<A>,
    on_conflict: Option<OnConflict>,
) -> Result<(), StoreError>
where
    A: ActiveModelTrait + Send,
{
    for chunk in rows.chunks(ROWS_MAX) {
        let mut insert = <A::Entity as EntityTrait>::insert_many(chunk.to_vec());
        if let Some(on_conflict) = &on_conflict {
            insert = insert.on_conflict(on_conflict.clone());
        }
        insert.exec_without_returning(tx).await?;
    }
    Ok(())
}

async fn write_orders(tx: &DatabaseTransaction, ledger: &Ledger) -> Result<(), StoreError> {
    let rows = |is_new: bool| {
        let entries = ledger
            .orders
            .values()
            .filter(move |entry| entry.is_changed && entry.is_new == is_new);
        entries
            .map(|entry| order_row(&entry.order).into_active_model())
            .collect::<Vec<_>>()
    };
    put(tx, rows(true), None).await?;
    let mut on_conflict = OnConflict::column(orders::Column::Id);
    on_conflict.update_columns([
        orders::Column::Quantity,
        orders::Column::UpdatedAt,
        orders::Column::BrokerOrderId,
        orders::Column::Submission,
        orders::Column::IsWorking,
        orders::Column::HeldByTrigger,
        orders::Column::CancelRequestedAt,
        orders::Column::ReplacedBy,
        orders::Column::FilledQuantity,
        orders::Column::FilledCost,
        orders::Column::ClosedAt,
        orders::Column::ClosedHow,
        orders::Column::RejectReason,
    ]);
    put(tx, rows(false), Some(on_conflict)).await
}

async fn write_events(
    tx: &DatabaseTransaction,
    ledger: &Ledger,
    connection: Option<ConnectionId>,
) -> Result<(), StoreError> {
    let events = ledger.events.iter().map(|event| order_events::Model {
        account_id: event.account_id.0,
        seq: event.seq,
        order_id: event.order_id.0,
        kind: event.kind.to_owned(),
        at: ledger.now,
        cause: event.cause.clone(),
        data: event.data.clone(),
        hash: None,
    });
    put(tx, events.map(IntoActiveModel::into_active_model).collect(), None).await?;
    let Some(connection) = connection else {
        return Ok(());
    };
    let fills = ledger.fills.iter().map(|new| fills::Model {
        connection_id: connection.0,
        broker_fill_id: new.fill.broker_fill_id.clone(),
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
        recorded_at: ledger.now,
        event_seq: new.event_seq,
    });
    put(tx, fills.map(IntoActiveModel::into_active_model).collect(), None).await
}

async fn write_counters(tx: &DatabaseTransaction, ledger: &Ledger) -> Result<(), StoreError> {
    let users = ledger.users.iter().filter(|(_, user)| user.is_changed());
    let open = users
        .clone()
        .map(|(id, user)| vec![Value::from(id.0), Money(user.get().notional_open).into()]);
    update_many(tx, "users", &["id"], &["notional_open"], open.collect()).await?;
    let days = users
        .filter(|(_, user)| !user.get().notional_filled.is_zero())
        .map(|(id, user)| user_days::Model {
            user_id: id.0,
            trading_date: ledger.trading_date,
            notional_filled: Money(user.get().notional_filled),
        });
    let mut on_conflict = OnConflict::columns([user_days::Column::UserId, user_days::Column::TradingDate]);
    on_conflict.update_column(user_days::Column::NotionalFilled);
    let days = days.map(IntoActiveModel::into_active_model).collect();
    put(tx, days, Some(on_conflict)).await?;
    let accounts = ledger.accounts.iter().filter(|(_, account)| account.is_changed());
    let numbers = accounts.clone().map(|(id, account)| {
        let account = account.get();
        vec![
            Value::from(id.0),
            account.last_event_seq.into(),
            account.risk_version.into(),
        ]
    });
    let counters = ["last_event_seq", "risk_version"];
    update_many(tx, "accounts", &["id"], &counters, numbers.collect()).await?;
    let days = accounts
        .filter(|(_, account)| !account.get().notional_filled.is_zero())
        .map(|(id, account)| account_days::Model {
            account_id: id.0,
            trading_date: ledger.trading_date,
            notional_filled: Money(account.get().notional_filled),
        });
    let mut on_conflict =
        OnConflict::columns([account_days::Column::AccountId, account_days::Column::TradingDate]);
    on_conflict.update_column(account_days::Column::NotionalFilled);
    let days = days.map(IntoActiveModel::into_active_model).collect();
    put(tx, days, Some(on_conflict)).await
}

async fn write_holdings(tx: &DatabaseTransaction, ledger: &Ledger) -> Result<(), StoreError> {
    let money = ledger.balances.iter().filter(|(_, balance)| balance.is_changed());
    let money = money.map(|(account, balance)| balances::Model {
        account_id: account.0,
        currency: USD.to_owned(),
        amount: Money(balance.get().cash),
        reserved: Money(balance.get().reserved),
    });
    let mut on_conflict = OnConflict::columns([balances::Column::AccountId, balances::Column::Currency]);
    on_conflict.update_columns([balances::Column::Amount, balances::Column::Reserved]);
    let money = money.map(IntoActiveModel::into_active_model).collect();
    put(tx, money, Some(on_conflict)).await?;
    let units = ledger
        .positions
        .iter()
        .filter(|(_, position)| position.is_changed());
    let units = units.map(|((account, asset), position)| positions::Model {
        account_id: account.0,
        asset_id: asset.0,
        quantity: Money(position.get().quantity),
        reserved: Money(position.get().reserved),
        cost_basis: Money(position.get().cost_basis),
        realized: Money(position.get().realized),
        updated_at: ledger.now,
    });
    let mut on_conflict = OnConflict::columns([positions::Column::AccountId, positions::Column::AssetId]);
    on_conflict.update_columns([
        positions::Column::Quantity,
        positions::Column::Reserved,
        positions::Column::CostBasis,
        positions::Column::Realized,
        positions::Column::UpdatedAt,
    ]);
    let units = units.map(IntoActiveModel::into_active_model).collect();
    put(tx, units, Some(on_conflict)).await
}

async fn write_reservations(tx: &DatabaseTransaction, ledger: &Ledger) -> Result<(), StoreError> {
    let changed = || ledger.groups.iter().filter(|(_, group)| group.is_changed());
    let ended: Vec<Uuid> = changed()
        .filter(|(_, group)| group.get().reserved.is_zero())
        .map(|(id, _)| id.0)
        .collect();
    for chunk in ended.chunks(ROWS_MAX) {
        reservations::Entity::delete_many()
            .filter(reservations::Column::GroupId.is_in(chunk.iter().copied()))
            .exec(tx)
            .await?;
    }
    let held = changed().filter(|(_, group)| !group.get().reserved.is_zero());
    let held = held.filter_map(|(id, group)| {
        let order = ledger.member_of(*id)?;
        let asset = reserved_asset(order);
        Some(reservations::Model {
            group_id: id.0,
            account_id: order.account_id.0,
            currency: asset.is_none().then(|| USD.to_owned()),
            asset_id: asset.map(Uuid::from),
            remaining: Money(group.get().reserved),
        })
    });
    let mut on_conflict = OnConflict::column(reservations::Column::GroupId);
    on_conflict.update_column(reservations::Column::Remaining);
    let held = held.map(IntoActiveModel::into_active_model).collect();
    put(tx, held, Some(on_conflict)).await
}

async fn write_work(store: &Store, tx: &DatabaseTransaction, ledger: &Ledger) -> Result<(), StoreError> {
    for kind in WorkKind::ALL {
        let done = ledger.done_work.iter();
        let done = done.filter(|(id, of)| *of == kind && !is_new(ledger, *id));
        let done: Vec<Uuid> = done.map(|(id, _)| id.0).collect();
        for chunk in done.chunks(ROWS_MAX) {
            order_work::Entity::delete_many()
                .filter(order_work::Column::Kind.eq(kind.as_str()))
                .filter(order_work::Column::OrderId.is_in(chunk.iter().copied()))
                .exec(tx)
                .await?;
        }
    }
    if ledger.new_work.is_empty() {
        return Ok(());
    }
    let now = store.db_now(tx).await?;
    let rows = ledger.new_work.iter().filter_map(|((id, kind), due_in)| {
        let order = ledger.order(*id)?;
        Some(order_work::Model {
            order_id: id.0,
            kind: kind.as_str().to_owned(),
            account_id: order.account_id.0,
            due_at: now + TimeDelta::from_std(*due_in).unwrap_or_default(),
            claimed_by: None,
            claimed_until: None,
            fence: 0,
            attempts: 0,
            last_error: None,
        })
    });
    let mut on_conflict = OnConflict::columns([order_work::Column::OrderId, order_work::Column::Kind]);
    on_conflict.update_column(order_work::Column::DueAt);
    let rows = rows.map(IntoActiveModel::into_active_model).collect();
    put(tx, rows, Some(on_conflict)).await
}

fn is_new(ledger: &Ledger, id: OrderId) -> bool {
    ledger.orders.get(&id).is_some_and(|entry| entry.is_new)
}
