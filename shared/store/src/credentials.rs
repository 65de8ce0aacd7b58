//! API keys: how a request proves who is asking.
//!
//! Of the secret only its SHA-256 is kept. It has 256 random bits, so a slow hash would add nothing but time.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AccountId, CredentialId, UserId};
use platform::secrets::{new_token, sha256};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, Statement,
};
use uuid::Uuid;

use crate::codes::random_code;
use crate::entity::{accounts, credentials};
use crate::users::{Role, role_of};
use crate::{Store, StoreError};

/// The only kind there is.
const API_KEY: &str = "api_key";

/// How exact `last_used_at` is: a key that is used each millisecond is written once in this time.
const TOUCH_EVERY: TimeDelta = TimeDelta::seconds(60);

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

/// A key as the database has it, with what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCredential {
    /// Its id.
    pub credential_id: CredentialId,
    /// Whose it is.
    pub user_id: UserId,
    /// The only account that it reaches.
    pub account_id: AccountId,
    /// The SHA-256 of the secret.
    pub hash: [u8; 32],
    /// What it may do.
    pub scopes: Vec<String>,
    /// The user's role.
    pub role: Role,
    /// Whether the user may trade.
    pub user_is_active: bool,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl StoredCredential {
    /// Whether whoever has the secret is let in at `now`.
    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.user_is_active && self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    fn of(row: CredentialRow) -> Result<Self, StoreError> {
        let hash = row.hash.try_into().map_err(|_| StoreError::Inconsistent {
            table: "credentials",
            id: row.id.to_string(),
        })?;
        Ok(Self {
            credential_id: CredentialId(row.id),
            user_id: UserId(row.user_id),
            account_id: AccountId(row.account_id),
            hash,
            scopes: row.scopes.split_whitespace().map(str::to_owned).collect(),
            role: role_of(&row.role, row.user_id)?,
            user_is_active: row.is_active,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
        })
    }
}

#[derive(Debug, FromQueryResult)]
struct CredentialRow {
    id: Uuid,
    user_id: Uuid,
    account_id: Uuid,
    hash: Vec<u8>,
    scopes: String,
    role: String,
    is_active: bool,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
}

const FIND: &str = "
SELECT c.id, c.user_id, c.account_id, c.hash, c.scopes, u.role, u.is_active, c.expires_at, c.revoked_at, c.last_used_at
FROM credentials c
JOIN users u ON u.id = c.user_id
WHERE c.key_id = $1";

impl Store {
    /// Makes a key for `account` of `user` that may do what `scopes` say.
    ///
    /// Fails with [`StoreError::NotFound`] when the account is another user's.
    pub async fn create_api_key(
        &self,
        user: UserId,
        account: AccountId,
        name: &str,
        scopes: &[&str],
        now: DateTime<Utc>,
    ) -> Result<NewApiKey, StoreError> {
        self.transaction("create_api_key", async |tx| {
            let row = accounts::Entity::find_by_id(account.0)
                .filter(accounts::Column::UserId.eq(user.0))
                .one(&*tx)
                .await?
                .ok_or(StoreError::NotFound { table: "accounts" })?;
            let prefix = if row.mode == "live" { "AK" } else { "PK" };
            let secret = new_token();
            let row = credentials::ActiveModel {
                id: ActiveValue::Set(Uuid::now_v7()),
                user_id: ActiveValue::Set(user.0),
                account_id: ActiveValue::Set(account.0),
                kind: ActiveValue::Set(API_KEY.to_owned()),
                key_id: ActiveValue::Set(format!("{prefix}{}", random_code(18))),
                hash: ActiveValue::Set(sha256(&secret).to_vec()),
                name: ActiveValue::Set(name.to_owned()),
                scopes: ActiveValue::Set(scopes.join(" ")),
                expires_at: ActiveValue::Set(None),
                revoked_at: ActiveValue::Set(None),
                last_used_at: ActiveValue::Set(None),
                created_at: ActiveValue::Set(now),
            }
            .insert(&*tx)
            .await?;
            Ok(NewApiKey {
                credential_id: CredentialId(row.id),
                key_id: row.key_id,
                secret,
            })
        })
        .await
    }

    /// The credential with this public part, valid or not, by one query.
    pub async fn find_credential(&self, key_id: &str) -> Result<Option<StoredCredential>, StoreError> {
        let statement = Statement::from_sql_and_values(self.backend(), FIND, [key_id.into()]);
        let row = CredentialRow::find_by_statement(statement)
            .one(self.read())
            .await?;
        row.map(StoredCredential::of).transpose()
    }

    /// The credentials of `account`, the newest first.
    pub async fn credentials_of(&self, account: AccountId) -> Result<Vec<credentials::Model>, StoreError> {
        Ok(credentials::Entity::find()
            .filter(credentials::Column::AccountId.eq(account.0))
            .order_by_desc(credentials::Column::CreatedAt)
            .order_by_desc(credentials::Column::Id)
            .all(self.read())
            .await?)
    }

    /// Takes a credential of `account` back. The first time counts.
    pub async fn revoke_credential(
        &self,
        account: AccountId,
        credential: CredentialId,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let is_it = Condition::all()
            .add(credentials::Column::Id.eq(credential.0))
            .add(credentials::Column::AccountId.eq(account.0));
        self.transaction("revoke_credential", async |tx| {
            let row = credentials::Entity::find()
                .filter(is_it.clone())
                .one(&*tx)
                .await?;
            row.ok_or(StoreError::NotFound { table: "credentials" })?;
            credentials::Entity::update_many()
                .col_expr(credentials::Column::RevokedAt, Expr::value(now))
                .filter(is_it.clone())
                .filter(credentials::Column::RevokedAt.is_null())
                .exec(&*tx)
                .await?;
            Ok(())
        })
        .await
    }

    /// Notes that a credential was used, at most once a minute; answers whether it was noted.
    pub async fn touch_credential(
        &self,
        credential: CredentialId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let is_old = Condition::any()
            .add(credentials::Column::LastUsedAt.is_null())
            .add(credentials::Column::LastUsedAt.lt(now - TOUCH_EVERY));
        let noted = credentials::Entity::update_many()
            .col_expr(credentials::Column::LastUsedAt, Expr::value(now))
            .filter(credentials::Column::Id.eq(credential.0))
            .filter(is_old)
            .exec(self.write())
            .await?;
        Ok(noted.rows_affected > 0)
    }
}
