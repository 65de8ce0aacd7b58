//! Writing what a transaction changed: one statement per table.

use chrono::TimeDelta;
use domain::id::{ConnectionId, OrderId};
use domain::money::USD;
use sea_orm::sea_query::{ExprTrait, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, Value,
};
use uuid::Uuid;

use crate::entity::{
    account_days, balances, fills, order_events, order_work, orders, positions, reservations, user_days,
};
use crate::error::StoreError;
use crate::ledger::{Ledger, reserved_asset};
use crate::money::Money;
use crate::orders::row::order_row;
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
    let new = rows(true);
    if !new.is_empty() {
        orders::Entity::insert_many(new)
            .exec_without_returning(tx)
            .await?;
    }
    let changed = rows(false);
    if changed.is_empty() {
        return Ok(());
    }
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
    orders::Entity::insert_many(changed)
        .on_conflict(on_conflict)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

async fn write_events(
    tx: &DatabaseTransaction,
    ledger: &Ledger,
    connection: Option<ConnectionId>,
) -> Result<(), StoreError> {
    if !ledger.events.is_empty() {
        let rows = ledger.events.iter().map(|event| {
            order_events::Model {
                account_id: event.account_id.0,
                seq: event.seq,
                order_id: event.order_id.0,
                kind: event.kind.to_owned(),
                at: ledger.now,
                cause: event.cause.clone(),
                data: event.data.clone(),
                hash: None,
            }
            .into_active_model()
        });
        order_events::Entity::insert_many(rows)
            .exec_without_returning(tx)
            .await?;
    }
    let Some(connection) = connection.filter(|_| !ledger.fills.is_empty()) else {
        return Ok(());
    };
    let rows = ledger.fills.iter().map(|new| {
        fills::Model {
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
        }
        .into_active_model()
    });
    fills::Entity::insert_many(rows)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

async fn write_counters(tx: &DatabaseTransaction, ledger: &Ledger) -> Result<(), StoreError> {
    let users = ledger.users.iter().filter(|(_, user)| user.is_changed());
    let open = users
        .clone()
        .map(|(id, user)| vec![Value::from(id.0), Money(user.get().notional_open).into()]);
    update_many(tx, "users", &["id"], &["notional_open"], open.collect()).await?;
    let days: Vec<_> = users
        .filter(|(_, user)| !user.get().notional_filled.is_zero())
        .map(|(id, user)| user_days::Model {
            user_id: id.0,
            trading_date: ledger.trading_date,
            notional_filled: Money(user.get().notional_filled),
        })
        .map(IntoActiveModel::into_active_model)
        .collect();
    if !days.is_empty() {
        let mut on_conflict =
            OnConflict::columns([user_days::Column::UserId, user_days::Column::TradingDate]);
        on_conflict.update_column(user_days::Column::NotionalFilled);
        user_days::Entity::insert_many(days)
            .on_conflict(on_conflict)
            .exec_without_returning(tx)
            .await?;
    }
    let accounts = ledger.accounts.iter().filter(|(_, account)| account.is_changed());
    let numbers = accounts.clone().map(|(id, account)| {
        vec![
            Value::from(id.0),
            account.get().last_event_seq.into(),
            account.get().risk_version.into(),
        ]
    });
    update_many(
        tx,
        "accounts",
        &["id"],
        &["last_event_seq", "risk_version"],
        numbers.collect(),
    )
    .await?;
    let days: Vec<_> = accounts
        .filter(|(_, account)| !account.get().notional_filled.is_zero())
        .map(|(id, account)| account_days::Model {
            account_id: id.0,
            trading_date: ledger.trading_date,
            notional_filled: Money(account.get().notional_filled),
        })
        .map(IntoActiveModel::into_active_model)
        .collect();
    if !days.is_empty() {
        let mut on_conflict =
            OnConflict::columns([account_days::Column::AccountId, account_days::Column::TradingDate]);
        on_conflict.update_column(account_days::Column::NotionalFilled);
        account_days::Entity::insert_many(days)
            .on_conflict(on_conflict)
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

async fn write_holdings(tx: &DatabaseTransaction, ledger: &Ledger) -> Result<(), StoreError> {
    let money: Vec<_> = ledger
        .balances
        .iter()
        .filter(|(_, balance)| balance.is_changed())
        .map(|(account, balance)| balances::Model {
            account_id: account.0,
            currency: USD.to_owned(),
            amount: Money(balance.get().cash),
            reserved: Money(balance.get().reserved),
        })
        .map(IntoActiveModel::into_active_model)
        .collect();
    if !money.is_empty() {
        let mut on_conflict = OnConflict::columns([balances::Column::AccountId, balances::Column::Currency]);
        on_conflict.update_columns([balances::Column::Amount, balances::Column::Reserved]);
        balances::Entity::insert_many(money)
            .on_conflict(on_conflict)
            .exec_without_returning(tx)
            .await?;
    }
    let units: Vec<_> = ledger
        .positions
        .iter()
        .filter(|(_, position)| position.is_changed())
        .map(|((account, asset), position)| positions::Model {
            account_id: account.0,
            asset_id: asset.0,
            quantity: Money(position.get().quantity),
            reserved: Money(position.get().reserved),
            cost_basis: Money(position.get().cost_basis),
            realized: Money(position.get().realized),
            updated_at: ledger.now,
        })
        .map(IntoActiveModel::into_active_model)
        .collect();
    if !units.is_empty() {
        let mut on_conflict = OnConflict::columns([positions::Column::AccountId, positions::Column::AssetId]);
        on_conflict.update_columns([
            positions::Column::Quantity,
            positions::Column::Reserved,
            positions::Column::CostBasis,
            positions::Column::Realized,
            positions::Column::UpdatedAt,
        ]);
        positions::Entity::insert_many(units)
            .on_conflict(on_conflict)
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

async fn write_reservations(tx: &DatabaseTransaction, ledger: &Ledger) -> Result<(), StoreError> {
    let changed = || ledger.groups.iter().filter(|(_, group)| group.is_changed());
    let ended: Vec<Uuid> = changed()
        .filter(|(_, group)| group.get().reserved.is_zero())
        .map(|(id, _)| id.0)
        .collect();
    if !ended.is_empty() {
        reservations::Entity::delete_many()
            .filter(reservations::Column::GroupId.is_in(ended))
            .exec(tx)
            .await?;
    }
    let held: Vec<_> = changed()
        .filter(|(_, group)| !group.get().reserved.is_zero())
        .filter_map(|(id, group)| {
            let order = ledger
                .orders
                .values()
                .map(|entry| &entry.order)
                .find(|order| order.group_id == *id)?;
            let asset = reserved_asset(order);
            Some(reservations::Model {
                group_id: id.0,
                account_id: order.account_id.0,
                currency: asset.is_none().then(|| USD.to_owned()),
                asset_id: asset.map(Uuid::from),
                remaining: Money(group.get().reserved),
            })
        })
        .map(IntoActiveModel::into_active_model)
        .collect();
    if !held.is_empty() {
        let mut on_conflict = OnConflict::column(reservations::Column::GroupId);
        on_conflict.update_column(reservations::Column::Remaining);
        reservations::Entity::insert_many(held)
            .on_conflict(on_conflict)
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

async fn write_work(store: &Store, tx: &DatabaseTransaction, ledger: &Ledger) -> Result<(), StoreError> {
    let done: Vec<_> = ledger
        .done_work
        .iter()
        .filter(|(id, _)| !is_new(ledger, *id))
        .collect();
    if !done.is_empty() {
        let mut any = Condition::any();
        for (id, kind) in done {
            any = any.add(
                order_work::Column::OrderId
                    .eq(id.0)
                    .and(order_work::Column::Kind.eq(kind.as_str())),
            );
        }
        order_work::Entity::delete_many().filter(any).exec(tx).await?;
    }
    if ledger.new_work.is_empty() {
        return Ok(());
    }
    let now = store.db_now(tx).await?;
    let rows: Vec<_> = ledger
        .new_work
        .iter()
        .filter_map(|((id, kind), due_in)| {
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
        })
        .map(IntoActiveModel::into_active_model)
        .collect();
    let mut on_conflict = OnConflict::columns([order_work::Column::OrderId, order_work::Column::Kind]);
    on_conflict.update_column(order_work::Column::DueAt);
    order_work::Entity::insert_many(rows)
        .on_conflict(on_conflict)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

fn is_new(ledger: &Ledger, id: OrderId) -> bool {
    ledger.orders.get(&id).is_some_and(|entry| entry.is_new)
}
