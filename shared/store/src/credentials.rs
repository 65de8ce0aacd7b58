//! API keys: how a request proves who is asking.
//!
//! Of the secret only its SHA-256 is kept. It has 256 random bits, so a slow hash would add nothing but time.

use std::fmt;
use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AccountId, CredentialId, UserId};
use ipnet::{AddrParseError, IpNet};
use platform::secrets::{new_token, sha256};
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, Statement,
};
use uuid::Uuid;

use crate::codes::random_code;
use crate::entity::{accounts, credentials};
use crate::users::{Role, role_of};
use crate::{Store, StoreError};

/// The only kind there is.
const API_KEY: &str = "api_key";

/// Keys of one page at most.
pub const KEYS_PAGE_MAX: u64 = 100;

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

fn list(networks: &[IpNet]) -> String {
    let texts: Vec<String> = networks.iter().map(ToString::to_string).collect();
    texts.join(" ")
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
    /// Makes a key.
    ///
    /// Fails with [`StoreError::NotFound`] when the account is another user's.
    pub async fn create_api_key(&self, new: NewKey) -> Result<NewApiKey, StoreError> {
        self.transaction("create_api_key", async |tx| {
            let row = accounts::Entity::find_by_id(new.account.0)
                .filter(accounts::Column::UserId.eq(new.user.0))
                .one(&*tx)
                .await?
                .ok_or(StoreError::NotFound { table: "accounts" })?;
            let prefix = if row.mode == "live" { "AK" } else { "PK" };
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

    async fn api_keys_where(
        &self,
        whose: SimpleExpr,
        before: Option<CredentialId>,
        limit: u64,
    ) -> Result<Vec<ApiKeyView>, StoreError> {
        // Ids are UUID v7, so their order is that in which the keys were made.
        let rows = credentials::Entity::find()
            .filter(whose)
            .filter(credentials::Column::Kind.eq(API_KEY))
            .filter(Condition::all().add_option(before.map(|before| credentials::Column::Id.lt(before.0))))
            .order_by_desc(credentials::Column::Id)
            .limit(limit.min(KEYS_PAGE_MAX))
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
