//! Grants: what people let apps do.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AccountId, CredentialId, UserId};
use platform::secrets::{new_token, sha256};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter,
    Statement, Value,
};
use uuid::Uuid;

use super::{CODE_LIFETIME, CONSENT, words};
use crate::acting::lock_actor;
use crate::entity::{accounts, oauth_codes, oauth_grants};
use crate::{AuditEvent, Store, StoreError};

/// How exact `last_used_at` is.
const TOUCH_EVERY: TimeDelta = TimeDelta::seconds(60);

/// What a person has just agreed to.
#[derive(Debug, Clone)]
pub struct NewGrant {
    /// The app, by its id in this database.
    pub client: Uuid,
    /// Who agreed.
    pub user: UserId,
    /// The account to reach, one of the user's.
    pub account: AccountId,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Where the code is sent, as the request named it; none where it named no place.
    pub redirect_uri: Option<String>,
    /// The challenge that the client's verifier has to answer.
    pub code_challenge: String,
}

/// A code that was just made, known to nobody else.
#[derive(Clone)]
pub struct NewCode {
    /// What it gives.
    pub grant: Uuid,
    /// Good for one try within [`CODE_LIFETIME`].
    pub code: String,
}

impl fmt::Debug for NewCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewCode")
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

/// An app that can act for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectedApp {
    /// The grant.
    pub id: Uuid,
    /// The app's public name in the protocol.
    pub client_id: String,
    /// What people see.
    pub name: String,
    /// The account that it reaches.
    pub account: AccountId,
    /// The account's number, as shown.
    pub account_number: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When the person agreed.
    pub created_at: DateTime<Utc>,
    /// When it was last there, to about a minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

#[derive(Debug, FromQueryResult)]
struct AppRow {
    id: Uuid,
    client_id: String,
    name: String,
    account_id: Uuid,
    account_number: String,
    scopes: String,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
}

impl AppRow {
    fn app(self) -> ConnectedApp {
        ConnectedApp {
            id: self.id,
            client_id: self.client_id,
            name: self.name,
            account: AccountId(self.account_id),
            account_number: self.account_number,
            scopes: words(&self.scopes),
            created_at: self.created_at,
            last_used_at: self.last_used_at,
        }
    }
}

/// A grant whose code was never fetched, or whose tokens have all run out, connects nothing any more.
const APPS: &str = "
SELECT g.id, c.client_id, c.name, g.account_id, a.account_number, g.scopes, g.created_at, g.last_used_at
FROM oauth_grants g
JOIN oauth_clients c ON c.id = g.client
JOIN accounts a ON a.id = g.account_id
WHERE g.user_id = $1 AND g.kind = 'consent' AND g.revoked_at IS NULL AND c.revoked_at IS NULL
  AND EXISTS (SELECT 1 FROM oauth_tokens t
              WHERE t.grant_id = g.id AND t.used_at IS NULL AND t.revoked_at IS NULL AND t.expires_at > $2)";

impl Store {
    /// Keeps what a person has agreed to, makes the code by which the app fetches its tokens, and puts `event` on record.
    ///
    /// Fails with [`StoreError::NotFound`] when the account is another user's, and with [`StoreError::Ended`] when whoever
    /// does it, by the event, may no more.
    pub async fn create_oauth_grant_on_record(
        &self,
        new: &NewGrant,
        event: &AuditEvent,
        now: DateTime<Utc>,
    ) -> Result<NewCode, StoreError> {
        self.transaction("create_oauth_grant", async |tx| {
            lock_actor(&tx, event).await?;
            let account = accounts::Entity::find_by_id(new.account.0)
                .filter(accounts::Column::UserId.eq(new.user.0))
                .one(&*tx)
                .await?;
            account.ok_or(StoreError::NotFound { table: "accounts" })?;
            let grant = oauth_grants::ActiveModel {
                id: ActiveValue::Set(Uuid::now_v7()),
                client: ActiveValue::Set(new.client),
                user_id: ActiveValue::Set(new.user.0),
                account_id: ActiveValue::Set(new.account.0),
                kind: ActiveValue::Set(CONSENT.to_owned()),
                scopes: ActiveValue::Set(new.scopes.join(" ")),
                created_at: ActiveValue::Set(now),
                last_used_at: ActiveValue::Set(None),
                revoked_at: ActiveValue::Set(None),
            };
            let grant = grant.insert(&*tx).await?;
            let code = new_token();
            let row = oauth_codes::ActiveModel {
                hash: ActiveValue::Set(sha256(&code).to_vec()),
                grant_id: ActiveValue::Set(grant.id),
                redirect_uri: ActiveValue::Set(new.redirect_uri.clone()),
                code_challenge: ActiveValue::Set(new.code_challenge.clone()),
                created_at: ActiveValue::Set(now),
                expires_at: ActiveValue::Set(now + CODE_LIFETIME),
                used_at: ActiveValue::Set(None),
            };
            row.insert(&*tx).await?;
            self.audit_within(&tx, event).await?;
            Ok(NewCode {
                grant: grant.id,
                code,
            })
        })
        .await
    }

    /// The apps that can act for `user` at `now` (on `account`, where one is named), the oldest first, `limit` at most
    /// and only those after `after`.
    pub async fn oauth_grants_of(
        &self,
        user: UserId,
        account: Option<AccountId>,
        after: Option<Uuid>,
        limit: u64,
        now: DateTime<Utc>,
    ) -> Result<Vec<ConnectedApp>, StoreError> {
        let mut sql = APPS.to_owned();
        let mut values: Vec<Value> = vec![user.0.into(), now.into()];
        let filters = [
            (account.map(|account| account.0), "g.account_id ="),
            (after, "g.id >"),
        ];
        for (value, filter) in filters {
            if let Some(value) = value {
                values.push(value.into());
                sql = format!("{sql} AND {filter} ${}", values.len());
            }
        }
        values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        sql = format!("{sql} ORDER BY g.id LIMIT ${}", values.len());
        let statement = Statement::from_sql_and_values(self.backend(), sql, values);
        let rows = AppRow::find_by_statement(statement).all(self.read()).await?;
        Ok(rows.into_iter().map(AppRow::app).collect())
    }

    /// Takes a grant of `user` (on `account`, where one is named) back, with all its tokens. The first time counts.
    ///
    /// Fails with [`StoreError::NotFound`] when there is no such grant of theirs.
    pub async fn revoke_oauth_grant(
        &self,
        user: UserId,
        account: Option<AccountId>,
        grant: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut is_it = Condition::all()
            .add(oauth_grants::Column::Id.eq(grant))
            .add(oauth_grants::Column::UserId.eq(user.0));
        if let Some(account) = account {
            is_it = is_it.add(oauth_grants::Column::AccountId.eq(account.0));
        }
        self.transaction("revoke_oauth_grant", async |tx| {
            let row = oauth_grants::Entity::find()
                .filter(is_it.clone())
                .one(&*tx)
                .await?;
            row.ok_or(StoreError::NotFound {
                table: "oauth_grants",
            })?;
            oauth_grants::Entity::update_many()
                .col_expr(oauth_grants::Column::RevokedAt, Expr::value(now))
                .filter(is_it.clone())
                .filter(oauth_grants::Column::RevokedAt.is_null())
                .exec(&*tx)
                .await?;
            Ok(())
        })
        .await
    }

    /// Notes that a token of a grant was used, at most once a minute; answers whether it was noted. The credential of an
    /// access token is its grant.
    pub async fn touch_oauth_grant(
        &self,
        grant: CredentialId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let is_old = Condition::any()
            .add(oauth_grants::Column::LastUsedAt.is_null())
            .add(oauth_grants::Column::LastUsedAt.lt(now - TOUCH_EVERY));
        let noted = oauth_grants::Entity::update_many()
            .col_expr(oauth_grants::Column::LastUsedAt, Expr::value(now))
            .filter(oauth_grants::Column::Id.eq(grant.0))
            .filter(is_old)
            .exec(self.write())
            .await?;
        Ok(noted.rows_affected > 0)
    }
}
