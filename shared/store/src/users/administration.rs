//! What admins see and change of users: role, state, limits.

use chrono::{DateTime, Utc};
use domain::id::{CredentialId, UserId};
use platform::email;
use rust_decimal::Decimal;
use sea_orm::sea_query::{Expr, ExprTrait, LikeExpr, LockType, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use thiserror::Error;

use super::{Role, UserLimits, has_nul, role_of};
use crate::acting::require_standing;
use crate::entity::users;
use crate::sessions::end_all;
use crate::{AuditEvent, Money, Store, StoreError};

/// Users of one page at most.
pub const USERS_PAGE_MAX: u64 = 100;

/// Why a user is not changed.
#[derive(Debug, Clone, Error)]
pub enum UserChangeError {
    /// Without this user nobody could administer the installation.
    #[error("this is the last active superadmin")]
    LastSuperadmin,
    /// Whoever asks for it may not change this user.
    #[error("whoever asks for it may not change this user")]
    NotAllowed,
    /// The database did not do its part, or there is no such user.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A user as admins see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    /// Its id.
    pub id: UserId,
    /// In lower case.
    pub email: String,
    /// What the user may do.
    pub role: Role,
    /// Whether the user may log in and trade.
    pub is_active: bool,
    /// Whether the user can log in by password.
    pub has_password: bool,
    /// The user's own limits.
    pub limits: UserLimits,
    /// What the user's open orders count against the daily limit, in USD.
    pub notional_open: Decimal,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What becomes of one of a user's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitChange {
    /// That of the user's role holds.
    OfRole,
    /// The user has their own, in USD.
    Own(Decimal),
}

/// What becomes of a user. What is not named stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserChange {
    /// The user gets this role.
    pub role: Option<Role>,
    /// The user may log in and trade, or no longer.
    pub is_active: Option<bool>,
    /// The greatest notional of one order that adds exposure.
    pub order_notional: Option<LimitChange>,
    /// The greatest notional of one trading date.
    pub day_notional: Option<LimitChange>,
}

impl UserChange {
    /// Whether a superadmin to whom this happens is none any more, or can do nothing as one.
    fn may_remove_a_superadmin(&self) -> bool {
        self.role.is_some_and(|role| role != Role::Superadmin) || self.is_active == Some(false)
    }

    /// The columns that it names, with their values.
    fn columns(&self) -> impl Iterator<Item = (users::Column, SimpleExpr)> {
        let limit = |column, change: Option<LimitChange>| {
            change.map(|change| {
                let own = match change {
                    LimitChange::OfRole => None,
                    LimitChange::Own(limit) => Some(Money(limit)),
                };
                (column, Expr::value(own))
            })
        };
        let role = self
            .role
            .map(|role| (users::Column::Role, Expr::value(role.as_str())));
        let is_active = self
            .is_active
            .map(|is_active| (users::Column::IsActive, Expr::value(is_active)));
        [
            role,
            is_active,
            limit(users::Column::OrderNotionalMax, self.order_notional),
            limit(users::Column::DayNotionalMax, self.day_notional),
        ]
        .into_iter()
        .flatten()
    }
}

/// Which users to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// What the email begins with.
    pub email_prefix: Option<String>,
    /// Of this role.
    pub role: Option<Role>,
    /// Those who may trade, or those who may not.
    pub is_active: Option<bool>,
}

impl UserView {
    fn of(row: users::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: UserId(row.id),
            role: role_of(&row.role, row.id)?,
            limits: UserLimits::of(&row),
            has_password: row.password_hash.is_some(),
            email: row.email,
            is_active: row.is_active,
            notional_open: row.notional_open.0,
            created_at: row.created_at,
        })
    }
}

impl UserFilter {
    fn condition(&self) -> Condition {
        let prefix = self.email_prefix.as_deref().map(|prefix| {
            let mut pattern = String::new();
            for letter in email::normal(prefix).chars() {
                if matches!(letter, '%' | '_' | '\\') {
                    pattern.push('\\');
                }
                pattern.push(letter);
            }
            pattern.push('%');
            users::Column::Email.like(LikeExpr::new(pattern).escape('\\'))
        });
        Condition::all()
            .add_option(prefix)
            .add_option(self.role.map(|role| users::Column::Role.eq(role.as_str())))
            .add_option(
                self.is_active
                    .map(|is_active| users::Column::IsActive.eq(is_active)),
            )
    }
}

impl Store {
    /// The user with this id, as admins see them.
    pub async fn user_view(&self, user: UserId) -> Result<Option<UserView>, StoreError> {
        let row = users::Entity::find_by_id(user.0).one(self.read()).await?;
        row.map(UserView::of).transpose()
    }

    /// At most `limit` users, up to [`USERS_PAGE_MAX`], the oldest first, behind the user `after`; one query.
    pub async fn users_page(
        &self,
        filter: &UserFilter,
        after: Option<UserId>,
        limit: u64,
    ) -> Result<Vec<UserView>, StoreError> {
        if filter.email_prefix.as_deref().is_some_and(has_nul) {
            return Ok(Vec::new());
        }
        // Ids are UUID v7, so their order is that in which the users came.
        let rows = users::Entity::find()
            .filter(filter.condition())
            .filter(Condition::all().add_option(after.map(|after| users::Column::Id.gt(after.0))))
            .order_by_asc(users::Column::Id)
            .limit(std::cmp::min(limit, USERS_PAGE_MAX))
            .all(self.read())
            .await?;
        rows.into_iter().map(UserView::of).collect()
    }

    /// Changes what `change` names of a user, and nothing else: all of it or nothing. The answer is the user at that moment.
    ///
    /// `by` names who does it, with which credential; none: the operator. Fails with [`StoreError::Ended`] when they may no
    /// more. `may_change` judges the user as the row stands, locked, so nobody is let through on what was true a moment before.
    /// What `events` makes of the user before and after is recorded together with the change. Sessions end where the role
    /// becomes another one, or the user is deactivated. Limits hold for every order that is stored after this has
    /// committed, whichever process decided on it; what was accepted before stays.
    pub async fn change_user(
        &self,
        user: UserId,
        change: &UserChange,
        by: Option<(UserId, CredentialId)>,
        may_change: impl Fn(&UserView) -> bool + Send + Sync,
        events: impl Fn(&UserView, &UserView) -> Vec<AuditEvent> + Send + Sync,
        now: DateTime<Utc>,
    ) -> Result<UserView, UserChangeError> {
        let (may_change, events) = (&may_change, &events);
        let changed = self.transaction("change_user", async |tx| {
            let (before, is_last_superadmin) = lock_for(&tx, user, change, by).await?;
            if !may_change(&before) {
                return Ok(Err(UserChangeError::NotAllowed));
            }
            if is_last_superadmin && change.may_remove_a_superadmin() {
                return Ok(Err(UserChangeError::LastSuperadmin));
            }
            let after = write_change(&tx, user, change).await?;
            if after.role != before.role || (before.is_active && !after.is_active) {
                end_all(&tx, user, None, now).await?;
            }
            for event in events(&before, &after) {
                self.audit_within(&tx, &event).await?;
            }
            Ok(Ok(after))
        });
        changed.await?
    }
}

/// Locks the rows of `user` and of who changes them, and answers the user and whether this is the only active superadmin.
/// Where `change` may take the last one, all of them are locked, so that of two who are to go at once the second finds the
/// first gone.
async fn lock_for(
    tx: &DatabaseTransaction,
    user: UserId,
    change: &UserChange,
    by: Option<(UserId, CredentialId)>,
) -> Result<(UserView, bool), StoreError> {
    let is_superadmin = |row: &users::Model| row.is_active && row.role == Role::Superadmin.as_str();
    let concerned = [Some(user), by.map(|(actor, _)| actor)].into_iter().flatten();
    let is_active_superadmin = Condition::all()
        .add(users::Column::Role.eq(Role::Superadmin.as_str()))
        .add(users::Column::IsActive.eq(true));
    let counted = change.may_remove_a_superadmin().then_some(is_active_superadmin);
    let rows = users::Entity::find()
        // All by one query, so that locks of users are taken by ascending id.
        .filter(
            Condition::any()
                .add(users::Column::Id.is_in(concerned.map(|user| user.0)))
                .add_option(counted),
        )
        .order_by_asc(users::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    if let Some((actor, credential)) = by {
        let is_active = rows.iter().any(|row| row.id == actor.0 && row.is_active);
        require_standing(tx, is_active, actor, credential).await?;
    }
    let has_another = rows.iter().any(|row| row.id != user.0 && is_superadmin(row));
    let row = rows.into_iter().find(|row| row.id == user.0);
    let row = row.ok_or(StoreError::NotFound { table: "users" })?;
    let is_last = is_superadmin(&row) && !has_another;
    Ok((UserView::of(row)?, is_last))
}

/// Sets the columns that `change` names, and moves the version on which approvals rest.
async fn write_change(
    tx: &DatabaseTransaction,
    user: UserId,
    change: &UserChange,
) -> Result<UserView, StoreError> {
    let mut update = users::Entity::update_many().col_expr(
        users::Column::RiskVersion,
        Expr::col(users::Column::RiskVersion).add(1),
    );
    for (column, value) in change.columns() {
        update = update.col_expr(column, value);
    }
    let rows = update
        .filter(users::Column::Id.eq(user.0))
        .exec_with_returning(tx)
        .await?;
    let row = rows.into_iter().next();
    UserView::of(row.ok_or(StoreError::NotFound { table: "users" })?)
}
