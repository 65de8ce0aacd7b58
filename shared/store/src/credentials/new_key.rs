//! New API keys.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::id::{AccountId, CredentialId, UserId};
use ipnet::IpNet;
use platform::secrets::{new_token, sha256};
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait,
    QueryFilter, QuerySelect,
};
use uuid::Uuid;

use super::{API_KEY, is_live};
use crate::acting::lock_actor;
use crate::codes::random_code;
use crate::entity::{accounts, credentials};
use crate::{AuditEvent, Store, StoreError};

/// How many keys an account has at most that are neither revoked nor expired.
pub const KEYS_MAX: u64 = 200;

/// A key that was just made. The secret is known to nobody else and cannot be read again.
#[derive(Clone)]
pub struct NewApiKey {
    /// Its id.
    pub credential_id: CredentialId,
    /// The public part: `PK` for paper or `AK` for live, and 18 characters.
    pub key_id: String,
    /// The secret part: 256 random bits as url-safe base64.
    pub secret: String,
}

impl fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewApiKey")
            .field("credential_id", &self.credential_id)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// A key that is to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Whose it will be.
    pub user: UserId,
    /// The only account that it will reach.
    pub account: AccountId,
    /// The owner's name for it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// From when on it is refused; none: never.
    pub expires_at: Option<DateTime<Utc>>,
    /// The networks from which it is taken; none: from everywhere.
    pub allowed_ips: Vec<IpNet>,
    /// The time of its making.
    pub now: DateTime<Utc>,
}

impl NewKey {
    /// A key that never expires and is taken from everywhere.
    pub fn new(user: UserId, account: AccountId, name: &str, scopes: &[&str], now: DateTime<Utc>) -> Self {
        Self {
            user,
            account,
            name: name.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            expires_at: None,
            allowed_ips: Vec::new(),
            now,
        }
    }
}

impl Store {
    /// Makes a key and puts `event` on record, both or neither; the event's subject becomes the public part of the key. None,
    /// where the account has [`KEYS_MAX`] live keys already.
    ///
    /// Fails with [`StoreError::NotFound`] when the account is another user's, and with [`StoreError::Ended`] when whoever
    /// does it, by the event, may no more.
    pub async fn create_api_key_on_record(
        &self,
        new: NewKey,
        event: AuditEvent,
    ) -> Result<Option<NewApiKey>, StoreError> {
        self.transaction("create_api_key", async |tx| {
            lock_actor(&tx, &event).await?;
            let made = make_key(&tx, &new).await?;
            if let Some(key) = &made {
                let event = AuditEvent {
                    subject: Some(key.key_id.clone()),
                    ..event.clone()
                };
                self.audit_within(&tx, &event).await?;
            }
            Ok(made)
        })
        .await
    }
}

/// Makes a key, unless the account has [`KEYS_MAX`] live ones.
pub(crate) async fn make_key(
    tx: &DatabaseTransaction,
    new: &NewKey,
) -> Result<Option<NewApiKey>, StoreError> {
    let account = accounts::Entity::find_by_id(new.account.0)
        .filter(accounts::Column::UserId.eq(new.user.0))
        // So that two who make a key of the account at once count each other's.
        .lock(LockType::NoKeyUpdate)
        .one(tx)
        .await?
        .ok_or(StoreError::NotFound { table: "accounts" })?;
    let live = credentials::Entity::find()
        .filter(credentials::Column::AccountId.eq(new.account.0))
        .filter(is_live(new.now))
        .count(tx)
        .await?;
    if live >= KEYS_MAX {
        return Ok(None);
    }
    let prefix = if account.mode == "live" { "AK" } else { "PK" };
    let secret = new_token();
    let row = credentials::ActiveModel {
        id: ActiveValue::Set(Uuid::now_v7()),
        user_id: ActiveValue::Set(new.user.0),
        account_id: ActiveValue::Set(new.account.0),
        kind: ActiveValue::Set(API_KEY.to_owned()),
        key_id: ActiveValue::Set(format!("{prefix}{}", random_code(18))),
        hash: ActiveValue::Set(sha256(&secret).to_vec()),
        name: ActiveValue::Set(new.name.clone()),
        scopes: ActiveValue::Set(new.scopes.join(" ")),
        allowed_ips: ActiveValue::Set(list(&new.allowed_ips)),
        expires_at: ActiveValue::Set(new.expires_at),
        revoked_at: ActiveValue::Set(None),
        last_used_at: ActiveValue::Set(None),
        created_at: ActiveValue::Set(new.now),
    };
    let row = row.insert(tx).await?;
    Ok(Some(NewApiKey {
        credential_id: CredentialId(row.id),
        key_id: row.key_id,
        secret,
    }))
}

fn list(networks: &[IpNet]) -> String {
    let texts: Vec<String> = networks.iter().map(ToString::to_string).collect();
    texts.join(" ")
}
