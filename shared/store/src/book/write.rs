//! Writing what a transaction changed: all tables in one statement, where that saves a round trip.

use chrono::TimeDelta;
use domain::id::OrderId;
use domain::money::USD;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, IntoActiveModel, Value};
use uuid::Uuid;

use crate::Store;
use crate::entity::{
    account_days, balances, order_events, order_work, orders, positions, reservations, user_days,
};
use crate::error::StoreError;
use crate::ledger::{Ledger, reserved_asset};
use crate::money::Money;
use crate::orders::row::order_row;
use crate::rows::{Upsert, Writes};

/// Writes everything that `ledger` changed but its fills, which whoever records reports writes with their connection.
pub(crate) async fn write(
    store: &Store,
    tx: &DatabaseTransaction,
    ledger: &Ledger,
) -> Result<(), StoreError> {
    write_with(store, tx, ledger, Writes::new(tx.get_database_backend())).await
}

/// [`write`], together with what stands in `writes` already, which touches none of the ledger's rows.
pub(crate) async fn write_with(
    store: &Store,
    tx: &DatabaseTransaction,
    ledger: &Ledger,
    mut writes: Writes,
) -> Result<(), StoreError> {
    write_orders(&mut writes, ledger);
    writes.insert(new_events(ledger), None);
    write_counters(&mut writes, ledger);
    write_holdings(&mut writes, ledger);
    write_reservations(&mut writes, ledger);
    write_work(store, tx, &mut writes, ledger).await?;
    writes.run(tx).await?;
    crate::triggers::follow_orders(tx, ledger).await
}

fn write_orders(writes: &mut Writes, ledger: &Ledger) {
    writes.insert(new_orders(ledger), None);
    let changed = ledger
        .orders
        .values()
        .filter(|entry| entry.is_changed && !entry.is_new);
    let changed = changed.map(|entry| {
        let row = order_row(&entry.order);
        vec![
            Value::from(row.id),
            row.quantity.into(),
            row.updated_at.into(),
            row.broker_order_id.into(),
            row.submission.into(),
            row.is_working.into(),
            row.held_by_trigger.into(),
            row.cancel_requested_at.into(),
            row.replaced_by.into(),
            row.filled_quantity.into(),
            row.filled_cost.into(),
            row.closed_at.into(),
            row.closed_how.into(),
            row.reject_reason.into(),
        ]
    });
    writes.update("orders", &["id"], &CHANGING, changed.collect());
}

/// The columns of an order that change during its life.
const CHANGING: [&str; 13] = [
    "quantity",
    "updated_at",
    "broker_order_id",
    "submission",
    "is_working",
    "held_by_trigger",
    "cancel_requested_at",
    "replaced_by",
    "filled_quantity",
    "filled_cost",
    "closed_at",
    "closed_how",
    "reject_reason",
];

/// The rows of new orders.
pub(crate) fn new_orders(ledger: &Ledger) -> Vec<orders::ActiveModel> {
    let new = ledger.orders.values().filter(|entry| entry.is_new);
    new.map(|entry| order_row(&entry.order).into_active_model())
        .collect()
}

/// The rows of new events, numbered as the ledger has numbered them.
pub(crate) fn new_events(ledger: &Ledger) -> Vec<order_events::ActiveModel> {
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
    events.map(IntoActiveModel::into_active_model).collect()
}

fn write_counters(writes: &mut Writes, ledger: &Ledger) {
    let users = ledger.users.iter().filter(|(_, user)| user.is_changed());
    let open = users.clone().map(|(id, user)| {
        let user = user.get();
        vec![
            Value::from(id.0),
            Money(user.notional_open).into(),
            user.risk_version.into(),
        ]
    });
    let room = ["notional_open", "risk_version"];
    writes.update("users", &["id"], &room, open.collect());
    let days = users
        .filter(|(_, user)| !user.get().notional_filled.is_zero())
        .map(|(id, user)| user_days::Model {
            user_id: id.0,
            trading_date: ledger.trading_date,
            notional_filled: Money(user.get().notional_filled),
        });
    let upsert = Upsert {
        keys: &["user_id", "trading_date"],
        set: &["notional_filled"],
    };
    let days = days.map(IntoActiveModel::into_active_model).collect();
    writes.insert(days, Some(upsert));
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
    writes.update("accounts", &["id"], &counters, numbers.collect());
    let days = accounts
        .filter(|(_, account)| !account.get().notional_filled.is_zero())
        .map(|(id, account)| account_days::Model {
            account_id: id.0,
            trading_date: ledger.trading_date,
            notional_filled: Money(account.get().notional_filled),
        });
    let upsert = Upsert {
        keys: &["account_id", "trading_date"],
        set: &["notional_filled"],
    };
    let days = days.map(IntoActiveModel::into_active_model).collect();
    writes.insert(days, Some(upsert));
}

fn write_holdings(writes: &mut Writes, ledger: &Ledger) {
    let money = ledger.balances.iter().filter(|(_, balance)| balance.is_changed());
    let money = money.map(|(account, balance)| balances::Model {
        account_id: account.0,
        currency: USD.to_owned(),
        amount: Money(balance.get().cash),
        reserved: Money(balance.get().reserved),
    });
    let upsert = Upsert {
        keys: &["account_id", "currency"],
        set: &["amount", "reserved"],
    };
    let money = money.map(IntoActiveModel::into_active_model).collect();
    writes.insert(money, Some(upsert));
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
    let upsert = Upsert {
        keys: &["account_id", "asset_id"],
        set: &["quantity", "reserved", "cost_basis", "realized", "updated_at"],
    };
    let units = units.map(IntoActiveModel::into_active_model).collect();
    writes.insert(units, Some(upsert));
}

fn write_reservations(writes: &mut Writes, ledger: &Ledger) {
    let changed = ledger.groups.iter().filter(|(_, group)| group.is_changed());
    let ended = changed
        .filter(|(_, group)| group.get().reserved.is_zero())
        .map(|(id, _)| vec![Value::from(id.0)]);
    writes.delete("reservations", &["group_id"], ended.collect());
    let upsert = Upsert {
        keys: &["group_id"],
        set: &["remaining"],
    };
    writes.insert(held_reservations(ledger), Some(upsert));
}

/// The rows of reservations that changed, those that ended left out.
pub(crate) fn held_reservations(ledger: &Ledger) -> Vec<reservations::ActiveModel> {
    let changed = ledger.groups.iter().filter(|(_, group)| group.is_changed());
    let held = changed.filter(|(_, group)| !group.get().reserved.is_zero());
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
    held.map(IntoActiveModel::into_active_model).collect()
}

async fn write_work(
    store: &Store,
    tx: &DatabaseTransaction,
    writes: &mut Writes,
    ledger: &Ledger,
) -> Result<(), StoreError> {
    let done = ledger.done_work.iter().filter(|(id, _)| !is_new(ledger, *id));
    let done = done.map(|(id, kind)| vec![Value::from(id.0), kind.as_str().into()]);
    writes.delete("order_work", &["order_id", "kind"], done.collect());
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
    let upsert = Upsert {
        keys: &["order_id", "kind"],
        set: &["due_at"],
    };
    let rows = rows.map(IntoActiveModel::into_active_model).collect();
    writes.insert(rows, Some(upsert));
    Ok(())
}

fn is_new(ledger: &Ledger, id: OrderId) -> bool {
    ledger.orders.get(&id).is_some_and(|entry| entry.is_new)
}
