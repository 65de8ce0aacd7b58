//! API keys: how a request proves who is asking.
//!
//! Of the secret only its SHA-256 is kept. It has 256 random bits, so a slow hash would add nothing but time.

pub(crate) mod new_key;

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AccountId, CredentialId, UserId};
use ipnet::{AddrParseError, IpNet};
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Statement,
};
use uuid::Uuid;

pub use self::new_key::{KEYS_MAX, NewApiKey, NewKey};

use crate::entity::credentials;
use crate::users::{Role, role_of};
use crate::{Store, StoreError};

/// The only kind there is.
const API_KEY: &str = "api_key";

/// Keys of one page at most.
pub const KEYS_PAGE_MAX: u64 = 100;

/// How exact `last_used_at` is: a key that is used each millisecond is written once in this time.
const TOUCH_EVERY: TimeDelta = TimeDelta::seconds(60);

/// A key as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyView {
    /// Its id.
    pub id: CredentialId,
    /// The only account that it reaches.
    pub account_id: AccountId,
    /// The public part.
    pub key_id: String,
    /// The owner's name for it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The networks from which it is taken; none: from everywhere.
    pub allowed_ips: Vec<IpNet>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl ApiKeyView {
    fn of(row: credentials::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: CredentialId(row.id),
            account_id: AccountId(row.account_id),
            scopes: words(&row.scopes),
            allowed_ips: networks(&row.allowed_ips, row.id)?,
            key_id: row.key_id,
            name: row.name,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
            created_at: row.created_at,
        })
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A list that cannot be read lets nobody in, instead of everybody.
fn networks(text: &str, credential: Uuid) -> Result<Vec<IpNet>, StoreError> {
    let parsed: Result<_, _> = text.split_whitespace().map(str::parse).collect();
    parsed.map_err(|_: AddrParseError| StoreError::Inconsistent {
        table: "credentials",
        id: credential.to_string(),
    })
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
    /// The networks from which it is taken; none: from everywhere.
    pub allowed_ips: Vec<IpNet>,
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

    /// Whether it is taken from a client with this address.
    pub fn is_allowed_from(&self, client: IpAddr) -> bool {
        // An IPv4 client of a socket that speaks both is one of IPv4.
        let client = client.to_canonical();
        self.allowed_ips.is_empty() || self.allowed_ips.iter().any(|network| network.contains(&client))
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
            scopes: words(&row.scopes),
            allowed_ips: networks(&row.allowed_ips, row.id)?,
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
    allowed_ips: String,
    role: String,
    is_active: bool,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
}

const FIND: &str = "
SELECT c.id, c.user_id, c.account_id, c.hash, c.scopes, c.allowed_ips, u.role, u.is_active, c.expires_at,
       c.revoked_at, c.last_used_at
FROM credentials c
JOIN users u ON u.id = c.user_id
WHERE c.key_id = $1";

impl Store {
    /// The credential with this public part, valid or not, by one query.
    pub async fn find_credential(&self, key_id: &str) -> Result<Option<StoredCredential>, StoreError> {
        let statement = Statement::from_sql_and_values(self.backend(), FIND, [key_id.into()]);
        let row = CredentialRow::find_by_statement(statement)
            .one(self.read())
            .await?;
        row.map(StoredCredential::of).transpose()
    }

    /// At most `limit` keys of `account`, up to [`KEYS_PAGE_MAX`], the newest first, made before the key `before`; one query.
    pub async fn api_keys_of_account(
        &self,
        account: AccountId,
        before: Option<CredentialId>,
        limit: u64,
    ) -> Result<Vec<ApiKeyView>, StoreError> {
        self.api_keys_where(credentials::Column::AccountId.eq(account.0), before, limit)
            .await
    }

    /// As [`Store::api_keys_of_account`], of all accounts of `user`.
    pub async fn api_keys_of_user(
        &self,
        user: UserId,
        before: Option<CredentialId>,
        limit: u64,
    ) -> Result<Vec<ApiKeyView>, StoreError> {
        self.api_keys_where(credentials::Column::UserId.eq(user.0), before, limit)
            .await
    }

    /// The keys of all accounts of `user` that are neither revoked nor expired at `now`, the newest first: at most `limit`, up
    /// to [`KEYS_MAX`].
    pub async fn live_api_keys_of_user(
        &self,
        user: UserId,
        now: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<ApiKeyView>, StoreError> {
        let is_theirs = is_live(now).add(credentials::Column::UserId.eq(user.0));
        self.newest_api_keys(is_theirs, limit.min(KEYS_MAX)).await
    }

    async fn api_keys_where(
        &self,
        whose: SimpleExpr,
        before: Option<CredentialId>,
        limit: u64,
    ) -> Result<Vec<ApiKeyView>, StoreError> {
        let is_wanted = Condition::all()
            .add(whose)
            .add(credentials::Column::Kind.eq(API_KEY))
            .add_option(before.map(|before| credentials::Column::Id.lt(before.0)));
        self.newest_api_keys(is_wanted, limit.min(KEYS_PAGE_MAX)).await
    }

    async fn newest_api_keys(&self, is_wanted: Condition, limit: u64) -> Result<Vec<ApiKeyView>, StoreError> {
        // Ids are UUID v7, so their order is that in which the keys were made.
        let rows = credentials::Entity::find()
            .filter(is_wanted)
            .order_by_desc(credentials::Column::Id)
            .limit(limit)
            .all(self.read())
            .await?;
        rows.into_iter().map(ApiKeyView::of).collect()
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
        self.revoke(is_it, now).await
    }

    /// Takes a key of `user` back, whichever account it reaches. The first time counts.
    pub async fn revoke_api_key(
        &self,
        user: UserId,
        credential: CredentialId,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let is_it = Condition::all()
            .add(credentials::Column::Id.eq(credential.0))
            .add(credentials::Column::UserId.eq(user.0))
            .add(credentials::Column::Kind.eq(API_KEY));
        self.revoke(is_it, now).await
    }

    async fn revoke(&self, is_it: Condition, now: DateTime<Utc>) -> Result<(), StoreError> {
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

/// The keys that still let somebody in at `now`, as far as they go.
fn is_live(now: DateTime<Utc>) -> Condition {
    let has_time_left = Condition::any()
        .add(credentials::Column::ExpiresAt.is_null())
        .add(credentials::Column::ExpiresAt.gt(now));
    Condition::all()
        .add(credentials::Column::Kind.eq(API_KEY))
        .add(credentials::Column::RevokedAt.is_null())
        .add(has_time_left)
}
