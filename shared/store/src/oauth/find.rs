//! Tokens are looked up at each use, told about, and taken back.

use chrono::{DateTime, Utc};
use domain::id::{AccountId, CredentialId, UserId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, Statement};
use uuid::Uuid;

use super::{Family, TokenKind, words};
use crate::credentials::StoredCredential;
use crate::entity::oauth_tokens;
use crate::users::role_of;
use crate::{Store, StoreError};

/// A token as the database has it, with everything on which its worth depends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// The family.
    pub grant: Uuid,
    /// What kind of token it is.
    pub kind: TokenKind,
    /// The client that it was made for, by its id in this database.
    pub client: Uuid,
    /// For whom it acts.
    pub user: UserId,
    /// On which account.
    pub account: AccountId,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is refused.
    pub expires_at: DateTime<Utc>,
    /// Whether neither it nor its grant nor its client was taken back, it was not exchanged, and both the person and the
    /// client's owner are active.
    pub is_whole: bool,
}

impl TokenFacts {
    /// Whether it is good for anything at `now`.
    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.is_whole && now < self.expires_at
    }
}

/// What the revocation of a token has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRevocation {
    /// The access token alone.
    Token,
    /// The family of a refresh token, with all its access tokens.
    Family {
        /// The family.
        grant: Uuid,
    },
    /// Nothing: it was made for another client.
    OtherClient,
    /// Nothing: there is no such token.
    NotFound,
}

#[derive(Debug, FromQueryResult)]
struct TokenRow {
    id: Uuid,
    client: Uuid,
    user_id: Uuid,
    account_id: Uuid,
    kind: String,
    hash: Vec<u8>,
    scopes: String,
    role: String,
    user_is_active: bool,
    owner_is_active: bool,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
}

const FIND: &str = "
SELECT g.id, g.client, g.user_id, g.account_id, t.kind, t.hash, t.scopes, u.role, u.is_active AS user_is_active,
       o.is_active AS owner_is_active, t.created_at, t.expires_at, t.used_at,
       COALESCE(t.revoked_at, g.revoked_at, c.revoked_at) AS revoked_at, g.last_used_at
FROM oauth_tokens t
JOIN oauth_grants g ON g.id = t.grant_id
JOIN oauth_clients c ON c.id = g.client
JOIN users u ON u.id = g.user_id
JOIN users o ON o.id = c.user_id
WHERE t.hash = $1";

impl TokenRow {
    fn is_active(&self) -> bool {
        self.user_is_active && self.owner_is_active
    }

    fn credential(self) -> Result<StoredCredential, StoreError> {
        Ok(StoredCredential {
            credential_id: CredentialId(self.id),
            user_id: UserId(self.user_id),
            account_id: AccountId(self.account_id),
            user_is_active: self.is_active(),
            role: role_of(&self.role, self.user_id)?,
            hash: super::hash_of(self.hash, "oauth_tokens", self.id)?,
            scopes: words(&self.scopes),
            allowed_ips: Vec::new(),
            expires_at: Some(self.expires_at),
            revoked_at: self.revoked_at,
            last_used_at: self.last_used_at,
        })
    }

    fn facts(self) -> TokenFacts {
        TokenFacts {
            grant: self.id,
            kind: if self.kind == TokenKind::Access.as_str() {
                TokenKind::Access
            } else {
                TokenKind::Refresh
            },
            client: self.client,
            user: UserId(self.user_id),
            account: AccountId(self.account_id),
            is_whole: self.is_active() && self.used_at.is_none() && self.revoked_at.is_none(),
            scopes: words(&self.scopes),
            created_at: self.created_at,
            expires_at: self.expires_at,
        }
    }
}

impl Store {
    /// The access token with this hash, valid or not, by one query, in the form of a credential: its id is the
    /// grant's, which stays the same when the token is refreshed.
    pub async fn find_access_token(&self, hash: [u8; 32]) -> Result<Option<StoredCredential>, StoreError> {
        let row = self.find_token(hash).await?;
        row.filter(|row| row.kind == TokenKind::Access.as_str())
            .map(TokenRow::credential)
            .transpose()
    }

    /// Everything about the token with this hash, of either kind, valid or not, by one query.
    pub async fn oauth_token(&self, hash: [u8; 32]) -> Result<Option<TokenFacts>, StoreError> {
        Ok(self.find_token(hash).await?.map(TokenRow::facts))
    }

    async fn find_token(&self, hash: [u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        let statement = Statement::from_sql_and_values(self.backend(), FIND, [hash.to_vec().into()]);
        Ok(TokenRow::find_by_statement(statement).one(self.read()).await?)
    }

    /// Takes the token with this hash back at the word of `client`: an access token alone, a refresh token with its
    /// family (RFC 7009 §2.1). The first time counts.
    pub async fn revoke_oauth_token(
        &self,
        hash: [u8; 32],
        client: Uuid,
        now: DateTime<Utc>,
    ) -> Result<TokenRevocation, StoreError> {
        self.transaction("revoke_oauth_token", async |tx| {
            let token = oauth_tokens::Entity::find()
                .filter(oauth_tokens::Column::Hash.eq(hash.to_vec()))
                .one(&*tx)
                .await?;
            let Some(token) = token else {
                return Ok(TokenRevocation::NotFound);
            };
            let family = Family::lock(&tx, token.grant_id).await?;
            if family.grant.client != client {
                return Ok(TokenRevocation::OtherClient);
            }
            if token.kind == TokenKind::Refresh.as_str() {
                family.end(&tx, now).await?;
                let grant = family.grant.id;
                return Ok(TokenRevocation::Family { grant });
            }
            oauth_tokens::Entity::update_many()
                .col_expr(oauth_tokens::Column::RevokedAt, Expr::value(now))
                .filter(oauth_tokens::Column::Id.eq(token.id))
                .filter(oauth_tokens::Column::RevokedAt.is_null())
                .exec(&*tx)
                .await?;
            Ok(TokenRevocation::Token)
        })
        .await
    }
}
