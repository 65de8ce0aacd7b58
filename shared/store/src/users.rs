//! Who may log in and trade.
//!
//! [`administration`] is what an admin changes of others, [`logins`] what people change of themselves.
//!
//! 1. Whatever lowers what a user may do ends their sessions and moves their `risk_version`, in its own transaction: an
//!    order that was approved before is not stored after it.
//! 2. There is always an active superadmin, once there is one.
//! 3. A password is set by its owner. The first start may give one to a superadmin who has none.

pub mod administration;
pub mod logins;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use domain::id::{AccountId, UserId};
use domain::money::USD;
use domain::risk::Limits;
use platform::email;
use rust_decimal::Decimal;
use sea_orm::sea_query::{Expr, LockType, OnConflict};
use sea_orm::{ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::accounts::{NewAccount, insert_account, oldest_account};
use crate::entity::users;
use crate::{Money, Store, StoreError};

/// What a user may do, and which limits hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Trades.
    Standard,
    /// Trades with wider limits, and administers standard users.
    Admin,
    /// Runs the installation.
    Superadmin,
}

/// A text that names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown role")]
pub struct UnknownRole;

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Admin, Self::Superadmin];

    /// The name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Admin => "admin",
            Self::Superadmin => "superadmin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

/// The role of the row `user`.
pub(crate) fn role_of(role: &str, user: Uuid) -> Result<Role, StoreError> {
    role.parse().map_err(|UnknownRole| StoreError::Inconsistent {
        table: "users",
        id: user.to_string(),
    })
}

/// An admin's own limits for one user, in USD. Those that are absent are those of the user's role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserLimits {
    /// The greatest notional of one order that adds exposure.
    pub order_notional: Option<Decimal>,
    /// The greatest notional of one trading date.
    pub day_notional: Option<Decimal>,
}

impl UserLimits {
    /// What holds for a user whose role has the limits `role`.
    pub fn instead_of(self, role: Limits) -> Limits {
        Limits {
            order_notional: self.order_notional.unwrap_or(role.order_notional),
            day_notional: self.day_notional.unwrap_or(role.day_notional),
        }
    }

    pub(crate) fn of(row: &users::Model) -> Self {
        Self {
            order_notional: row.order_notional_max.map(|Money(limit)| limit),
            day_notional: row.day_notional_max.map(|Money(limit)| limit),
        }
    }
}

/// What the first start of an installation makes.
#[derive(Debug, Clone)]
pub struct BootstrapOptions {
    /// Of the superadmin.
    pub email: String,
    /// The hash of the superadmin's password (`platform::password`); none: no login by password until one is set.
    ///
    /// It counts only while the user has no password: the first start decides, and another value of
    /// `SUPERADMIN_PASSWORD` later never overwrites what the person has chosen since.
    pub password_hash: Option<SecretString>,
    /// What the paper account starts with, in USD.
    pub starting_cash: Decimal,
    /// The time of the start.
    pub now: DateTime<Utc>,
}

/// The superadmin and the account to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// The user with the email of the options.
    pub user_id: UserId,
    /// The user's oldest account.
    pub account_id: AccountId,
    /// Whether this call made the account.
    pub was_created: bool,
}

impl Store {
    /// Makes the superadmin with a paper account, unless they are there. Several processes may start at once.
    ///
    /// A user who has the email already keeps role and state: the first start decides, and administration afterwards.
    pub async fn bootstrap(&self, options: &BootstrapOptions) -> Result<Bootstrap, StoreError> {
        self.transaction("bootstrap", async |tx| {
            let user = user_row(&options.email, Role::Superadmin, options.now);
            let on_conflict = OnConflict::column(users::Column::Email).do_nothing().to_owned();
            // Waits for another start that has inserted the same email and not committed yet.
            users::Entity::insert(user)
                .on_conflict(on_conflict)
                .exec_without_returning(&*tx)
                .await?;
            let user = lock_by_email(&tx, &options.email).await?;
            if let Some(hash) = &options.password_hash {
                give_first_password(&tx, user, hash).await?;
            }
            let present = oldest_account(&tx, user).await?;
            let account_id = if let Some(account) = present {
                account
            } else {
                let made = insert_account(&tx, user, options.starting_cash, options.now).await?;
                made.account
            };
            Ok(Bootstrap {
                user_id: user,
                account_id,
                was_created: present.is_none(),
            })
        })
        .await
    }

    /// Makes a user without a password.
    ///
    /// Fails with [`StoreError::Conflict`] when the email is taken.
    pub async fn create_user(
        &self,
        email: &str,
        role: Role,
        now: DateTime<Utc>,
    ) -> Result<UserId, StoreError> {
        let row = user_row(email, role, now);
        self.transaction("create_user", async |tx| {
            let user = users::Entity::insert(row.clone())
                .exec_with_returning(&*tx)
                .await?;
            Ok(UserId(user.id))
        })
        .await
    }

    /// Makes an account of the paper venue for `user`, with `starting_cash` in USD.
    pub async fn create_account(
        &self,
        user: UserId,
        starting_cash: Decimal,
        now: DateTime<Utc>,
    ) -> Result<NewAccount, StoreError> {
        self.transaction("create_account", async |tx| {
            lock_user(&tx, user).await?;
            insert_account(&tx, user, starting_cash, now).await
        })
        .await
    }

    /// The user with this id.
    pub async fn user(&self, id: UserId) -> Result<Option<users::Model>, StoreError> {
        Ok(users::Entity::find_by_id(id.0).one(self.read()).await?)
    }
}

fn user_row(email: &str, role: Role, now: DateTime<Utc>) -> users::ActiveModel {
    users::ActiveModel {
        id: ActiveValue::Set(Uuid::now_v7()),
        email: ActiveValue::Set(email::normal(email)),
        password_hash: ActiveValue::Set(None),
        role: ActiveValue::Set(role.as_str().to_owned()),
        is_active: ActiveValue::Set(true),
        notional_open: ActiveValue::Set(Money::ZERO),
        risk_version: ActiveValue::Set(0),
        order_notional_max: ActiveValue::Set(None),
        day_notional_max: ActiveValue::Set(None),
        created_at: ActiveValue::Set(now),
    }
}

/// Whether `text` holds the one character that no text of PostgreSQL can: nobody has such an email.
fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

/// Changes no password that is there.
async fn give_first_password(
    tx: &DatabaseTransaction,
    user: UserId,
    hash: &SecretString,
) -> Result<(), StoreError> {
    users::Entity::update_many()
        .col_expr(users::Column::PasswordHash, Expr::value(hash.expose_secret()))
        .filter(users::Column::Id.eq(user.0))
        .filter(users::Column::PasswordHash.is_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// The row of `user`, which nobody else changes until the transaction ends.
pub(crate) async fn lock_user(tx: &DatabaseTransaction, user: UserId) -> Result<users::Model, StoreError> {
    let row = users::Entity::find_by_id(user.0)
        .lock(LockType::NoKeyUpdate)
        .one(tx)
        .await?;
    row.ok_or(StoreError::NotFound { table: "users" })
}

async fn lock_by_email(tx: &DatabaseTransaction, email: &str) -> Result<UserId, StoreError> {
    let row = users::Entity::find()
        .filter(users::Column::Email.eq(email::normal(email)))
        .lock(LockType::NoKeyUpdate)
        .one(tx)
        .await?;
    row.map(|row| UserId(row.id))
        .ok_or(StoreError::NotFound { table: "users" })
}

/// The currency in which accounts are kept.
pub(crate) const ACCOUNT_CURRENCY: &str = USD;
