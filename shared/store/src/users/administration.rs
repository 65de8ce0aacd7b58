//! What admins see and change of users: role, state, limits.

use chrono::{DateTime, Utc};
use domain::id::UserId;
use rust_decimal::Decimal;
use sea_orm::sea_query::{Expr, ExprTrait, LikeExpr, LockType, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use thiserror::Error;

use super::{Role, UserLimits, normal_email, role_of};
use crate::entity::users;
use crate::sessions::end_all;
use crate::{Money, Store, StoreError};

/// Users of one page at most.
pub const USERS_PAGE_MAX: u64 = 100;

/// Why a user is not changed.
#[derive(Debug, Clone, Error)]
pub enum UserChangeError {
    /// Without this user nobody could administer the installation.
    #[error("this is the last active superadmin")]
    LastSuperadmin,
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
            for letter in normal_email(prefix).chars() {
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

    /// Gives a user another role, and ends their sessions.
    pub async fn set_role(
        &self,
        user: UserId,
        role: Role,
        now: DateTime<Utc>,
    ) -> Result<UserView, UserChangeError> {
        let set = vec![(users::Column::Role, Expr::value(role.as_str()))];
        self.change_user("set_role", user, role != Role::Superadmin, set, Some(now))
            .await
    }

    /// Lets a user log in and trade, or no longer; then the user's sessions end.
    pub async fn set_user_active(
        &self,
        user: UserId,
        is_active: bool,
        now: DateTime<Utc>,
    ) -> Result<UserView, UserChangeError> {
        let set = vec![(users::Column::IsActive, Expr::value(is_active))];
        self.change_user(
            "set_user_active",
            user,
            !is_active,
            set,
            (!is_active).then_some(now),
        )
        .await
    }

    /// Sets a user's own limits. They hold for every order that is stored after this has committed, whichever process
    /// decided on it; what was accepted before stays. The answer is the user at that moment.
    pub async fn set_user_limits(
        &self,
        user: UserId,
        limits: UserLimits,
    ) -> Result<UserView, UserChangeError> {
        let money = |limit: Option<Decimal>| Expr::value(limit.map(Money));
        let set = vec![
            (users::Column::OrderNotionalMax, money(limits.order_notional)),
            (users::Column::DayNotionalMax, money(limits.day_notional)),
        ];
        self.change_user("set_user_limits", user, false, set, None).await
    }

    /// Sets columns of a user and moves the version on which approvals rest. With `ends_sessions_at`, the sessions end
    /// then. What `may_remove_a_superadmin` is refused where no other one is left.
    async fn change_user(
        &self,
        name: &'static str,
        user: UserId,
        may_remove_a_superadmin: bool,
        set: Vec<(users::Column, SimpleExpr)>,
        ends_sessions_at: Option<DateTime<Utc>>,
    ) -> Result<UserView, UserChangeError> {
        let changed = self.transaction(name, async |tx| {
            let tx = &*tx;
            if may_remove_a_superadmin && is_last_superadmin(tx, user).await? {
                return Ok(None);
            }
            let mut update = users::Entity::update_many().col_expr(
                users::Column::RiskVersion,
                Expr::col(users::Column::RiskVersion).add(1),
            );
            for (column, value) in &set {
                update = update.col_expr(*column, value.clone());
            }
            let rows = update
                .filter(users::Column::Id.eq(user.0))
                .exec_with_returning(tx)
                .await?;
            let row = rows
                .into_iter()
                .next()
                .ok_or(StoreError::NotFound { table: "users" })?;
            if let Some(now) = ends_sessions_at {
                end_all(tx, user, None, now).await?;
            }
            UserView::of(row).map(Some)
        });
        changed.await?.ok_or(UserChangeError::LastSuperadmin)
    }
}

/// Whether `user` is the only active superadmin. It locks all of them, so that of two who are to go at once the second
/// finds the first gone.
async fn is_last_superadmin(tx: &DatabaseTransaction, user: UserId) -> Result<bool, StoreError> {
    let is_active_superadmin = Condition::all()
        .add(users::Column::Role.eq(Role::Superadmin.as_str()))
        .add(users::Column::IsActive.eq(true));
    let rows = users::Entity::find()
        // The user, too, so that all locks of users are taken by ascending id.
        .filter(
            Condition::any()
                .add(is_active_superadmin)
                .add(users::Column::Id.eq(user.0)),
        )
        .order_by_asc(users::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    let mut superadmins = rows
        .iter()
        .filter(|row| row.is_active && row.role == Role::Superadmin.as_str())
        .map(|row| row.id);
    Ok(superadmins.clone().any(|id| id == user.0) && superadmins.all(|id| id == user.0))
}
