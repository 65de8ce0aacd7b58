//! Registration, and passwords as logins need them. Of a password only its hash is known here.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::id::{AccountId, UserId};
use platform::email;
use rust_decimal::Decimal;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{Role, has_nul, lock_user, role_of, user_row};
use crate::accounts::insert_account;
use crate::acting::lock_actor;
use crate::entity::users;
use crate::sessions::{end_all, has_ended};
use crate::{AuditEvent, Store, StoreError};

/// Someone who registers.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Compared without regard to case and surrounding space.
    pub email: String,
    /// The hash of the password (`platform::password`).
    pub password_hash: SecretString,
    /// What the user may do; never what a request says.
    pub role: Role,
    /// What the paper account starts with, in USD.
    pub starting_cash: Decimal,
    /// The time of registration.
    pub now: DateTime<Utc>,
}

/// What a login is compared with.
#[derive(Clone)]
pub struct Login {
    /// Who logs in.
    pub user_id: UserId,
    /// The hash of the password; none where no password is set, so that none is right.
    pub password_hash: Option<SecretString>,
    /// What the user may do.
    pub role: Role,
    /// Whether the user may log in at all.
    pub is_active: bool,
}

impl Login {
    fn of(row: users::Model) -> Result<Self, StoreError> {
        Ok(Self {
            user_id: UserId(row.id),
            role: role_of(&row.role, row.id)?,
            is_active: row.is_active,
            password_hash: row.password_hash.map(SecretString::from),
        })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user_id", &self.user_id)
            .field("role", &self.role)
            .field("is_active", &self.is_active)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Makes a user with a paper account, and puts on record what `event` makes of the two: all or nothing.
    ///
    /// Fails with [`StoreError::Conflict`] when the email is taken, and with [`StoreError::Ended`] when whoever does it, by
    /// the event, may no more.
    pub async fn register_user_on_record(
        &self,
        new: &NewUser,
        event: impl Fn(UserId, AccountId) -> AuditEvent + Send + Sync,
    ) -> Result<(UserId, AccountId), StoreError> {
        let event = &event;
        self.transaction("register_user", async |tx| {
            let row = users::ActiveModel {
                password_hash: ActiveValue::Set(Some(new.password_hash.expose_secret().to_owned())),
                ..user_row(&new.email, new.role, new.now)
            };
            let user = users::Entity::insert(row).exec_with_returning(&*tx).await?;
            let user = UserId(user.id);
            let account = insert_account(&tx, user, new.starting_cash, new.now)
                .await?
                .account;
            let event = event(user, account);
            lock_actor(&tx, &event).await?;
            self.audit_within(&tx, &event).await?;
            Ok((user, account))
        })
        .await
    }

    /// What a login with this email is compared with, by one query.
    pub async fn find_login(&self, email: &str) -> Result<Option<Login>, StoreError> {
        if has_nul(email) {
            return Ok(None);
        }
        let row = users::Entity::find()
            .filter(users::Column::Email.eq(email::normal(email)))
            .one(self.read())
            .await?;
        row.map(Login::of).transpose()
    }

    /// Sets the password of `user` and ends all sessions but `keep`. Answers how many were ended.
    ///
    /// Fails with [`StoreError::Stale`] when `verified` is no longer the hash of the password, or `keep` has ended: of two
    /// who change it at once one wins, and whoever was thrown out meanwhile changes nothing.
    pub async fn set_password(
        &self,
        user: UserId,
        verified: &SecretString,
        new: &SecretString,
        keep: Option<Uuid>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        self.transaction("set_password", async |tx| {
            let present = lock_user(&tx, user).await?.password_hash;
            let mut is_stale = present.as_deref() != Some(verified.expose_secret());
            if let Some(session) = keep {
                is_stale |= has_ended(&tx, user, session).await?;
            }
            if is_stale {
                return Err(StoreError::Stale { what: "the password" });
            }
            users::Entity::update_many()
                .col_expr(users::Column::PasswordHash, Expr::value(new.expose_secret()))
                .filter(users::Column::Id.eq(user.0))
                .exec(&*tx)
                .await?;
            end_all(&tx, user, keep, now).await
        })
        .await
    }

    /// Replaces a hash by a stronger one of the same password. Answers `false`, and changes nothing, when the password was
    /// changed meanwhile.
    pub async fn rehash_password(
        &self,
        user: UserId,
        old: &SecretString,
        new: &SecretString,
    ) -> Result<bool, StoreError> {
        let changed = users::Entity::update_many()
            .col_expr(users::Column::PasswordHash, Expr::value(new.expose_secret()))
            .filter(users::Column::Id.eq(user.0))
            .filter(users::Column::PasswordHash.eq(old.expose_secret()))
            .exec(self.write())
            .await?;
        Ok(changed.rows_affected > 0)
    }
}
