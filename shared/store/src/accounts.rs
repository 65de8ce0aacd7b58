//! Accounts, with the money and the user that belong to them.

use chrono::{DateTime, Utc};
use domain::account::Balance;
use domain::id::{AccountId, ConnectionId, UserId};
use rust_decimal::Decimal;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, FromQueryResult,
    QueryFilter, QueryOrder, Statement,
};
use uuid::Uuid;

use crate::codes::random_code;
use crate::connections::{ConnectionView, connections_of};
use crate::entity::{accounts, balances, broker_connections};
use crate::users::{ACCOUNT_CURRENCY, Role, role_of};
use crate::{Money, Store, StoreError};

/// The adapter of the paper venue.
const PAPER: &str = "paper";

/// An account that was just made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAccount {
    /// The account.
    pub account: AccountId,
    /// Where its orders go; each paper account has a book of its own.
    pub connection: ConnectionId,
}

/// An account as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Its id.
    pub id: AccountId,
    /// Its number, as shown.
    pub number: String,
    /// Who owns it.
    pub user_id: UserId,
    /// The owner's role.
    pub role: Role,
    /// Whether the owner may trade.
    pub user_is_active: bool,
    /// What the owner's open orders count against the daily limit, in USD.
    pub user_notional_open: Decimal,
    /// Where its orders go.
    pub connection_id: ConnectionId,
    /// `paper` or `live`.
    pub mode: String,
    /// The currency of the balance.
    pub currency: String,
    /// Its money.
    pub balance: Balance,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, FromQueryResult)]
struct AccountRow {
    id: Uuid,
    account_number: String,
    user_id: Uuid,
    role: String,
    is_active: bool,
    notional_open: Money,
    broker_connection_id: Uuid,
    mode: String,
    currency: Option<String>,
    amount: Option<Money>,
    reserved: Option<Money>,
    created_at: DateTime<Utc>,
}

const ACCOUNT_VIEW: &str = "
SELECT a.id, a.account_number, a.user_id, u.role, u.is_active, u.notional_open, a.broker_connection_id, a.mode,
       b.currency, b.amount, b.reserved, a.created_at
FROM accounts a
JOIN users u ON u.id = a.user_id
LEFT JOIN balances b ON b.account_id = a.id AND b.currency = $2
WHERE a.id = $1";

impl AccountView {
    fn of(row: AccountRow) -> Result<Self, StoreError> {
        // Each account is made together with its balance.
        let (Some(currency), Some(amount), Some(reserved)) = (row.currency, row.amount, row.reserved) else {
            return Err(StoreError::Inconsistent {
                table: "balances",
                id: row.id.to_string(),
            });
        };
        Ok(Self {
            id: AccountId(row.id),
            number: row.account_number,
            user_id: UserId(row.user_id),
            role: role_of(&row.role, row.user_id)?,
            user_is_active: row.is_active,
            user_notional_open: row.notional_open.0,
            connection_id: ConnectionId(row.broker_connection_id),
            mode: row.mode,
            currency,
            balance: Balance {
                cash: amount.0,
                reserved: reserved.0,
            },
            created_at: row.created_at,
        })
    }
}

impl Store {
    /// The account, its money and its owner's role, by one query.
    pub async fn account_view(&self, account: AccountId) -> Result<Option<AccountView>, StoreError> {
        let values = [account.0.into(), ACCOUNT_CURRENCY.into()];
        let statement = Statement::from_sql_and_values(self.backend(), ACCOUNT_VIEW, values);
        let row = AccountRow::find_by_statement(statement).one(self.read()).await?;
        row.map(AccountView::of).transpose()
    }

    /// The accounts of `user`, the oldest first.
    pub async fn accounts_of(&self, user: UserId) -> Result<Vec<accounts::Model>, StoreError> {
        Ok(accounts::Entity::find()
            .filter(accounts::Column::UserId.eq(user.0))
            .order_by_asc(accounts::Column::CreatedAt)
            .order_by_asc(accounts::Column::Id)
            .all(self.read())
            .await?)
    }

    /// Whether `account` is one of `user`'s, by one query.
    pub async fn account_of_user(&self, user: UserId, account: AccountId) -> Result<bool, StoreError> {
        let row = accounts::Entity::find_by_id(account.0)
            .filter(accounts::Column::UserId.eq(user.0))
            .one(self.read())
            .await?;
        Ok(row.is_some())
    }

    /// Where the orders of `account` go.
    pub async fn connection_of(&self, account: AccountId) -> Result<ConnectionView, StoreError> {
        let mut found = connections_of(self.read(), &[account]).await?;
        found
            .remove(&account)
            .ok_or(StoreError::NotFound { table: "accounts" })
    }

    /// The connection with this id.
    pub async fn connection(&self, id: ConnectionId) -> Result<Option<ConnectionView>, StoreError> {
        Ok(self.connections([id]).await?.pop())
    }
}

/// The oldest account of `user`.
pub(crate) async fn oldest_account(
    tx: &DatabaseTransaction,
    user: UserId,
) -> Result<Option<AccountId>, StoreError> {
    let row = accounts::Entity::find()
        .filter(accounts::Column::UserId.eq(user.0))
        .order_by_asc(accounts::Column::CreatedAt)
        .order_by_asc(accounts::Column::Id)
        .one(tx)
        .await?;
    Ok(row.map(|row| AccountId(row.id)))
}

/// Makes a connection to the paper venue and an account on it, with `starting_cash` in its balance. The caller holds the
/// user's row.
pub(crate) async fn insert_account(
    tx: &DatabaseTransaction,
    user: UserId,
    starting_cash: Decimal,
    now: DateTime<Utc>,
) -> Result<NewAccount, StoreError> {
    let connection = broker_connections::ActiveModel {
        id: ActiveValue::Set(Uuid::now_v7()),
        user_id: ActiveValue::Set(user.0),
        broker: ActiveValue::Set(PAPER.to_owned()),
        mode: ActiveValue::Set(PAPER.to_owned()),
        starting_cash: ActiveValue::Set(Money(starting_cash)),
        created_at: ActiveValue::Set(now),
    }
    .insert(tx)
    .await?;
    let account = accounts::ActiveModel {
        id: ActiveValue::Set(Uuid::now_v7()),
        // Alpaca's form: PA for paper, and ten characters.
        account_number: ActiveValue::Set(format!("PA{}", random_code(10))),
        user_id: ActiveValue::Set(user.0),
        broker_connection_id: ActiveValue::Set(connection.id),
        mode: ActiveValue::Set(PAPER.to_owned()),
        last_event_seq: ActiveValue::Set(0),
        risk_version: ActiveValue::Set(0),
        created_at: ActiveValue::Set(now),
    }
    .insert(tx)
    .await?;
    balances::ActiveModel {
        account_id: ActiveValue::Set(account.id),
        currency: ActiveValue::Set(ACCOUNT_CURRENCY.to_owned()),
        amount: ActiveValue::Set(Money(starting_cash)),
        reserved: ActiveValue::Set(Money::ZERO),
    }
    .insert(tx)
    .await?;
    Ok(NewAccount {
        account: AccountId(account.id),
        connection: ConnectionId(connection.id),
    })
}
