//! Fills a [`Ledger`] under locks, and writes what it changed.
//!
//! 1. Locks are taken in one order: users, accounts, orders, each by ascending id, `FOR NO KEY UPDATE` (which does not
//!    block foreign-key checks). SQLite has one writer and needs none.
//! 2. The number of statements does not depend on the number of orders.
//! 3. Money, positions and reservations are written as values: whoever writes them holds their account's lock.

mod write;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::account::Balance;
use domain::id::{AccountId, AssetId, OrderId, UserId};
use domain::money::USD;
use domain::order::{NewOrder, Order};
use domain::position::Position;
use rust_decimal::Decimal;
use sea_orm::sea_query::LockType;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::entity::{account_days, accounts, balances, orders, positions, reservations, user_days, users};
use crate::error::StoreError;
use crate::ledger::{AccountState, GroupState, Ledger, Tracked, UserState};
use crate::orders::row::order_of;
use crate::rows::{among_statement, is_among};
use crate::users::{UserLimits, role_of};

/// What a transaction will touch, known before the first lock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    users: BTreeSet<Uuid>,
    accounts: BTreeSet<Uuid>,
    positions: BTreeSet<(Uuid, Uuid)>,
    orders: BTreeSet<Uuid>,
    groups: BTreeSet<Uuid>,
}

impl Scope {
    /// Adds what accepting `order` touches.
    pub(crate) fn add_new(&mut self, order: &NewOrder) {
        self.add_position(order.user_id, order.account_id, order.instrument.id);
    }

    /// Adds what an event of `order` touches: the order, and all orders of its group, which are found under the locks.
    pub(crate) fn add_order(&mut self, order: &Order) {
        self.add_position(order.user_id, order.account_id, order.asset_id);
        self.groups.insert(order.group_id.0);
        self.orders.insert(order.id.0);
    }

    /// Adds an account's position in an asset.
    pub(crate) fn add_position(&mut self, user: UserId, account: AccountId, asset: AssetId) {
        self.users.insert(user.0);
        self.accounts.insert(account.0);
        self.positions.insert((account.0, asset.0));
    }
}

/// Orders by id, without locks: what they say of users, accounts and groups never changes.
pub(crate) async fn peek(tx: &DatabaseTransaction, ids: &[OrderId]) -> Result<Vec<Order>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids = ids.iter().map(|id| id.0);
    let rows = orders::Entity::find()
        .filter(is_among(tx, orders::Column::Id, ids))
        .all(tx)
        .await?;
    rows.into_iter().map(order_of).collect()
}

/// Locks and reads everything in `scope`.
pub(crate) async fn open(
    tx: &DatabaseTransaction,
    scope: &Scope,
    now: DateTime<Utc>,
) -> Result<Ledger, StoreError> {
    let mut ledger = Ledger::new(now);
    lock_users(tx, scope, &mut ledger).await?;
    lock_accounts(tx, scope, &mut ledger).await?;
    read_holdings(tx, scope, &mut ledger).await?;
    if !scope.orders.is_empty() {
        lock_orders(tx, scope, &mut ledger).await?;
    }
    Ok(ledger)
}

async fn lock_users(tx: &DatabaseTransaction, scope: &Scope, ledger: &mut Ledger) -> Result<(), StoreError> {
    let rows = users::Entity::find()
        .filter(is_among(tx, users::Column::Id, scope.users.iter().copied()))
        .order_by_asc(users::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    for row in rows {
        let state = UserState {
            role: role_of(&row.role, row.id)?,
            is_active: row.is_active,
            limits: UserLimits::of(&row),
            risk_version: row.risk_version,
            notional_open: row.notional_open.0,
            notional_filled: Decimal::ZERO,
        };
        ledger.users.insert(UserId(row.id), Tracked::loaded(state));
    }
    let days = user_days::Entity::find()
        .filter(is_among(
            tx,
            user_days::Column::UserId,
            scope.users.iter().copied(),
        ))
        .filter(user_days::Column::TradingDate.eq(ledger.trading_date))
        .all(tx)
        .await?;
    for day in days {
        if let Some(user) = ledger.users.get_mut(&UserId(day.user_id)) {
            let state = UserState {
                notional_filled: day.notional_filled.0,
                ..user.get().clone()
            };
            *user = Tracked::loaded(state);
        }
    }
    Ok(())
}

async fn lock_accounts(
    tx: &DatabaseTransaction,
    scope: &Scope,
    ledger: &mut Ledger,
) -> Result<(), StoreError> {
    let rows = accounts::Entity::find()
        .filter(is_among(tx, accounts::Column::Id, scope.accounts.iter().copied()))
        .order_by_asc(accounts::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    let days = account_days::Entity::find()
        .filter(is_among(
            tx,
            account_days::Column::AccountId,
            scope.accounts.iter().copied(),
        ))
        .filter(account_days::Column::TradingDate.eq(ledger.trading_date))
        .all(tx)
        .await?;
    for row in rows {
        let day = days.iter().find(|day| day.account_id == row.id);
        let state = AccountState {
            user_id: UserId(row.user_id),
            last_event_seq: row.last_event_seq,
            risk_version: row.risk_version,
            notional_filled: day.map_or(Decimal::ZERO, |day| day.notional_filled.0),
        };
        ledger.accounts.insert(AccountId(row.id), Tracked::loaded(state));
    }
    Ok(())
}

async fn read_holdings(
    tx: &DatabaseTransaction,
    scope: &Scope,
    ledger: &mut Ledger,
) -> Result<(), StoreError> {
    let money = balances::Entity::find()
        .filter(is_among(
            tx,
            balances::Column::AccountId,
            scope.accounts.iter().copied(),
        ))
        .filter(balances::Column::Currency.eq(USD))
        .all(tx)
        .await?;
    for row in money {
        let balance = Balance {
            cash: row.amount.0,
            reserved: row.reserved.0,
        };
        ledger
            .balances
            .insert(AccountId(row.account_id), Tracked::loaded(balance));
    }
    for row in positions_among(tx, scope.positions.iter().copied()).await? {
        let key = (AccountId(row.account_id), AssetId(row.asset_id));
        ledger.positions.insert(key, Tracked::loaded(position_of(&row)));
    }
    Ok(())
}

/// The positions of these accounts and assets, those that there are.
pub(crate) async fn positions_among(
    connection: &impl ConnectionTrait,
    keys: impl Iterator<Item = (Uuid, Uuid)>,
) -> Result<Vec<positions::Model>, StoreError> {
    let rows: Vec<_> = keys
        .map(|(account, asset)| vec![account.into(), asset.into()])
        .collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let backend = connection.get_database_backend();
    let statement = among_statement(backend, "positions", &["account_id", "asset_id"], rows);
    Ok(positions::Model::find_by_statement(statement)
        .all(connection)
        .await?)
}

pub(crate) const fn position_of(row: &positions::Model) -> Position {
    Position {
        quantity: row.quantity.0,
        reserved: row.reserved.0,
        cost_basis: row.cost_basis.0,
        realized: row.realized.0,
    }
}

async fn lock_orders(tx: &DatabaseTransaction, scope: &Scope, ledger: &mut Ledger) -> Result<(), StoreError> {
    let held = reservations::Entity::find()
        .filter(is_among(
            tx,
            reservations::Column::GroupId,
            scope.groups.iter().copied(),
        ))
        .all(tx)
        .await?;
    for row in held {
        let state = GroupState {
            reserved: row.remaining.0,
            exposure: Decimal::ZERO,
        };
        ledger.groups.insert(row.group_id.into(), Tracked::loaded(state));
    }
    // Under the account's lock, since a replacement may have joined the group meanwhile. The first order of a group has
    // the group's id.
    let groups = || scope.groups.iter().copied();
    let joined = Condition::all()
        .add(orders::Column::Replaces.is_not_null())
        .add(is_among(tx, orders::Column::GroupId, groups()));
    let any = Condition::any()
        .add(is_among(tx, orders::Column::Id, scope.orders.iter().copied()))
        .add(is_among(tx, orders::Column::Id, groups()))
        .add(joined);
    let rows = orders::Entity::find()
        .filter(any)
        .order_by_asc(orders::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    for row in rows {
        ledger.load_order(order_of(row)?);
    }
    Ok(())
}

pub(crate) use write::{held_reservations, new_events, new_orders, write, write_with};
