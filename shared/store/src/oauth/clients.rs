//! Clients: who registered which app, and what it may ask for.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::id::{AccountId, UserId};
use platform::secrets::{new_token, sha256};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, FromQueryResult,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value,
};
use uuid::Uuid;

use super::{Issued, OWN, TokenKind, hash_of, issue, issued, words};
use crate::acting::lock_actor;
use crate::codes::random_code;
use crate::entity::{accounts, oauth_clients, oauth_grants};
use crate::users::lock_user;
use crate::{AuditEvent, Store, StoreError};

/// How many clients one person has at most, so that every list of them is short.
pub const CLIENTS_MAX: u64 = 100;

/// An app to register.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// Who registers it.
    pub user: UserId,
    /// The account that it reaches by its own credentials, one of the user's.
    pub account: AccountId,
    /// What people will see.
    pub name: String,
    /// Whether it can keep a secret.
    pub is_confidential: bool,
    /// How it may get tokens.
    pub grant_types: Vec<String>,
    /// Where answers may be sent.
    pub redirect_uris: Vec<String>,
    /// The most that it may ask for.
    pub scopes: Vec<String>,
}

/// A client as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthClient {
    /// Its id in this database.
    pub id: Uuid,
    /// Its public name in the protocol.
    pub client_id: String,
    /// Who registered it.
    pub owner: UserId,
    /// The owner's e-mail address.
    pub owner_email: String,
    /// The owner's account that the client reaches by its own credentials.
    pub account: AccountId,
    /// What people see.
    pub name: String,
    /// SHA-256 of its secret; none: a public client.
    pub hash: Option<[u8; 32]>,
    /// How it may get tokens.
    pub grant_types: Vec<String>,
    /// Where answers may be sent.
    pub redirect_uris: Vec<String>,
    /// The most that it may ask for.
    pub scopes: Vec<String>,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// Whether it was not taken back, and its owner is active.
    pub is_live: bool,
}

impl OAuthClient {
    /// Whether the client can keep no secret.
    pub const fn is_public(&self) -> bool {
        self.hash.is_none()
    }
}

/// What became of a registration.
#[derive(Clone)]
pub enum Registration {
    /// It is registered.
    Registered {
        /// The client.
        client: Box<OAuthClient>,
        /// Its secret, known to nobody else, which cannot be read again; none for a public client.
        secret: Option<String>,
    },
    /// The user has [`CLIENTS_MAX`] already.
    TooMany,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered { client, .. } => f
                .debug_struct("Registered")
                .field("client", client)
                .finish_non_exhaustive(),
            Self::TooMany => f.write_str("TooMany"),
        }
    }
}

#[derive(Debug, FromQueryResult)]
struct ClientRow {
    id: Uuid,
    client_id: String,
    user_id: Uuid,
    email: String,
    account_id: Uuid,
    name: String,
    hash: Option<Vec<u8>>,
    grant_types: String,
    redirect_uris: serde_json::Value,
    scopes: String,
    created_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
    is_active: bool,
}

const COLUMNS: &str = "
SELECT c.id, c.client_id, c.user_id, u.email, c.account_id, c.name, c.hash, c.grant_types, c.redirect_uris, c.scopes,
       c.created_at, c.revoked_at, u.is_active
FROM oauth_clients c
JOIN users u ON u.id = c.user_id";

impl OAuthClient {
    fn of(row: ClientRow) -> Result<Self, StoreError> {
        let uris = serde_json::from_value(row.redirect_uris).map_err(|_| StoreError::Inconsistent {
            table: "oauth_clients",
            id: row.id.to_string(),
        })?;
        let hash = row.hash.map(|hash| hash_of(hash, "oauth_clients", row.id));
        Ok(Self {
            id: row.id,
            client_id: row.client_id,
            owner: UserId(row.user_id),
            owner_email: row.email,
            account: AccountId(row.account_id),
            name: row.name,
            hash: hash.transpose()?,
            grant_types: words(&row.grant_types),
            redirect_uris: uris,
            scopes: words(&row.scopes),
            created_at: row.created_at,
            is_live: row.revoked_at.is_none() && row.is_active,
        })
    }
}

impl Store {
    /// Registers an app and puts `event` on record, both or neither; the event's subject becomes the client's public name.
    ///
    /// Fails with [`StoreError::NotFound`] when the account is another user's, and with [`StoreError::Ended`] when whoever
    /// does it, by the event, may no more.
    pub async fn register_oauth_client_on_record(
        &self,
        new: &NewClient,
        event: AuditEvent,
        now: DateTime<Utc>,
    ) -> Result<Registration, StoreError> {
        let (client_id, secret) = self
            .transaction("register_oauth_client", async |tx| {
                // Locked, so that registrations of one user count each other, whichever account they name.
                lock_user(&tx, new.user).await?;
                lock_actor(&tx, &event).await?;
                let account = accounts::Entity::find_by_id(new.account.0)
                    .filter(accounts::Column::UserId.eq(new.user.0))
                    .one(&*tx)
                    .await?;
                account.ok_or(StoreError::NotFound { table: "accounts" })?;
                let present = oauth_clients::Entity::find()
                    .filter(oauth_clients::Column::UserId.eq(new.user.0))
                    .filter(oauth_clients::Column::RevokedAt.is_null())
                    .count(&*tx)
                    .await?;
                if present >= CLIENTS_MAX {
                    return Ok((None, None));
                }
                let secret = new.is_confidential.then(new_token);
                let row = client_row(new, secret.as_deref(), now);
                let client_id = row.insert(&*tx).await?.client_id;
                let event = AuditEvent {
                    subject: Some(client_id.clone()),
                    ..event.clone()
                };
                self.audit_within(&tx, &event).await?;
                Ok((Some(client_id), secret))
            })
            .await?;
        let Some(client_id) = client_id else {
            return Ok(Registration::TooMany);
        };
        let client = self.read_client(&client_id).await?;
        let client = client.ok_or(StoreError::NotFound {
            table: "oauth_clients",
        })?;
        Ok(Registration::Registered {
            client: Box::new(client),
            secret,
        })
    }

    /// The client with this public name, taken back or not, by one query.
    pub async fn oauth_client(&self, client_id: &str) -> Result<Option<OAuthClient>, StoreError> {
        self.read_client(client_id).await
    }

    async fn read_client(&self, client_id: &str) -> Result<Option<OAuthClient>, StoreError> {
        let sql = format!("{COLUMNS} WHERE c.client_id = $1");
        let mut found = self.read_clients(sql, vec![client_id.into()]).await?;
        Ok(found.pop())
    }

    async fn read_clients(&self, sql: String, values: Vec<Value>) -> Result<Vec<OAuthClient>, StoreError> {
        let statement = Statement::from_sql_and_values(self.backend(), sql, values);
        let rows = ClientRow::find_by_statement(statement).all(self.read()).await?;
        rows.into_iter().map(OAuthClient::of).collect()
    }

    /// The clients that `user` has registered (for `account`, where one is named) and not taken back, the oldest first.
    pub async fn oauth_clients_of(
        &self,
        user: UserId,
        account: Option<AccountId>,
    ) -> Result<Vec<OAuthClient>, StoreError> {
        let mut sql = format!("{COLUMNS} WHERE c.user_id = $1 AND c.revoked_at IS NULL");
        let mut values: Vec<Value> = vec![user.0.into()];
        if let Some(account) = account {
            sql.push_str(" AND c.account_id = $2");
            values.push(account.0.into());
        }
        sql.push_str(" ORDER BY c.created_at, c.id");
        self.read_clients(sql, values).await
    }

    /// Takes a client of `user` (and of `account`, where one is named) back, with everything that it was let do. The
    /// first time counts.
    ///
    /// Fails with [`StoreError::NotFound`] when there is no such client of theirs.
    pub async fn revoke_oauth_client(
        &self,
        user: UserId,
        account: Option<AccountId>,
        client_id: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut is_it = Condition::all()
            .add(oauth_clients::Column::ClientId.eq(client_id))
            .add(oauth_clients::Column::UserId.eq(user.0));
        if let Some(account) = account {
            is_it = is_it.add(oauth_clients::Column::AccountId.eq(account.0));
        }
        self.transaction("revoke_oauth_client", async |tx| {
            let row = oauth_clients::Entity::find()
                .filter(is_it.clone())
                .one(&*tx)
                .await?;
            row.ok_or(StoreError::NotFound {
                table: "oauth_clients",
            })?;
            oauth_clients::Entity::update_many()
                .col_expr(oauth_clients::Column::RevokedAt, Expr::value(now))
                .filter(is_it.clone())
                .filter(oauth_clients::Column::RevokedAt.is_null())
                .exec(&*tx)
                .await?;
            Ok(())
        })
        .await
    }

    /// Makes an access token by which `client` acts for its owner's account; `None` when the client was taken back.
    pub async fn issue_own_token(
        &self,
        client: Uuid,
        scopes: &[String],
        now: DateTime<Utc>,
    ) -> Result<Option<Issued>, StoreError> {
        let scopes = scopes.join(" ");
        self.transaction("issue_own_token", async |tx| {
            // Locked, so that two who ask for the first time make one family.
            let client = oauth_clients::Entity::find_by_id(client)
                .lock(LockType::NoKeyUpdate)
                .one(&*tx)
                .await?;
            let Some(client) = client.filter(|client| client.revoked_at.is_none()) else {
                return Ok(None);
            };
            let grant = own_grant(&tx, &client, now).await?;
            let access = issue(&tx, &grant, TokenKind::Access, &scopes, now).await?;
            Ok(Some(issued(&grant, access, None, &scopes)))
        })
        .await
    }
}

fn client_row(new: &NewClient, secret: Option<&str>, now: DateTime<Utc>) -> oauth_clients::ActiveModel {
    oauth_clients::ActiveModel {
        id: ActiveValue::Set(Uuid::now_v7()),
        client_id: ActiveValue::Set(format!("app_{}", random_code(20))),
        user_id: ActiveValue::Set(new.user.0),
        account_id: ActiveValue::Set(new.account.0),
        name: ActiveValue::Set(new.name.clone()),
        hash: ActiveValue::Set(secret.map(|secret| sha256(secret).to_vec())),
        grant_types: ActiveValue::Set(new.grant_types.join(" ")),
        redirect_uris: ActiveValue::Set(serde_json::json!(new.redirect_uris)),
        scopes: ActiveValue::Set(new.scopes.join(" ")),
        created_at: ActiveValue::Set(now),
        revoked_at: ActiveValue::Set(None),
    }
}

/// The family of what `client`, whose row is locked, does for its owner's account.
async fn own_grant(
    tx: &DatabaseTransaction,
    client: &oauth_clients::Model,
    now: DateTime<Utc>,
) -> Result<oauth_grants::Model, StoreError> {
    let present = oauth_grants::Entity::find()
        .filter(oauth_grants::Column::Client.eq(client.id))
        .filter(oauth_grants::Column::Kind.eq(OWN))
        .filter(oauth_grants::Column::RevokedAt.is_null())
        .order_by_asc(oauth_grants::Column::Id)
        .one(tx)
        .await?;
    if let Some(grant) = present {
        return Ok(grant);
    }
    let grant = oauth_grants::ActiveModel {
        id: ActiveValue::Set(Uuid::now_v7()),
        client: ActiveValue::Set(client.id),
        user_id: ActiveValue::Set(client.user_id),
        account_id: ActiveValue::Set(client.account_id),
        kind: ActiveValue::Set(OWN.to_owned()),
        scopes: ActiveValue::Set(client.scopes.clone()),
        created_at: ActiveValue::Set(now),
        last_used_at: ActiveValue::Set(None),
        revoked_at: ActiveValue::Set(None),
    };
    Ok(grant.insert(tx).await?)
}
