//! Changes of people and keys as tests make them: nobody is asked whether they may, and nothing is put on record.

use chrono::{DateTime, Utc};
use domain::id::UserId;
use rust_decimal::Decimal;

use crate::credentials::new_key::make_key;
use crate::users::{Role, UserLimits};
use crate::{LimitChange, NewApiKey, NewKey, Store, StoreError, UserChange, UserChangeError, UserView};

impl Store {
    /// Gives a user another role.
    pub async fn set_role(
        &self,
        user: UserId,
        role: Role,
        now: DateTime<Utc>,
    ) -> Result<UserView, UserChangeError> {
        let change = UserChange {
            role: Some(role),
            ..UserChange::default()
        };
        self.change_unasked(user, change, now).await
    }

    /// Lets a user log in and trade, or no longer.
    pub async fn set_user_active(
        &self,
        user: UserId,
        is_active: bool,
        now: DateTime<Utc>,
    ) -> Result<UserView, UserChangeError> {
        let change = UserChange {
            is_active: Some(is_active),
            ..UserChange::default()
        };
        self.change_unasked(user, change, now).await
    }

    /// Sets both of a user's own limits.
    pub async fn set_user_limits(
        &self,
        user: UserId,
        limits: UserLimits,
    ) -> Result<UserView, UserChangeError> {
        let own = |limit: Option<Decimal>| Some(limit.map_or(LimitChange::OfRole, LimitChange::Own));
        let change = UserChange {
            order_notional: own(limits.order_notional),
            day_notional: own(limits.day_notional),
            ..UserChange::default()
        };
        self.change_unasked(user, change, super::now()).await
    }

    async fn change_unasked(
        &self,
        user: UserId,
        change: UserChange,
        now: DateTime<Utc>,
    ) -> Result<UserView, UserChangeError> {
        self.change_user(user, &change, |_| true, |_, _| Vec::new(), now)
            .await
    }

    /// Makes a key.
    ///
    /// Fails with [`StoreError::NotFound`] when the account is another user's.
    pub async fn create_api_key(&self, new: NewKey) -> Result<NewApiKey, StoreError> {
        self.transaction("create_api_key", async |tx| {
            let made = make_key(&tx, &new).await?;
            Ok(made.expect("Invariant: no test makes more keys than an account may have"))
        })
        .await
    }
}
