//! Changes of people, keys and apps as tests make them: by nobody, who may everything.

use chrono::{DateTime, Utc};
use domain::id::{AccountId, UserId};
use rust_decimal::Decimal;

use crate::credentials::new_key::make_key;
use crate::oauth::{NewClient, NewCode, NewGrant, Registration};
use crate::users::{Role, UserLimits};
use crate::{
    AuditEvent, AuditKind, LimitChange, NewApiKey, NewKey, NewUser, Store, StoreError, UserChange,
    UserChangeError, UserView,
};

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
        self.change_user(user, &change, None, |_| true, |_, _| Vec::new(), now)
            .await
    }

    /// Makes a user with a paper account.
    pub async fn register_user(&self, new: &NewUser) -> Result<(UserId, AccountId), StoreError> {
        let event = |_, _| AuditEvent::new(AuditKind::Registered, new.now);
        self.register_user_on_record(new, event).await
    }

    /// Registers an app.
    pub async fn register_oauth_client(
        &self,
        new: &NewClient,
        now: DateTime<Utc>,
    ) -> Result<Registration, StoreError> {
        let event = AuditEvent::new(AuditKind::OauthClientRegistered, now);
        self.register_oauth_client_on_record(new, event, now).await
    }

    /// Keeps what a person has agreed to.
    pub async fn create_oauth_grant(
        &self,
        new: &NewGrant,
        now: DateTime<Utc>,
    ) -> Result<NewCode, StoreError> {
        let event = AuditEvent::new(AuditKind::OauthConsentGiven, now);
        self.create_oauth_grant_on_record(new, &event, now).await
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
