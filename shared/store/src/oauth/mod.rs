//! The rows of the authorization server: clients, grants, codes and tokens.
//!
//! ```text
//! client ─┬─ grant (one person, one account, some scopes) ─┬─ code, tried once
//!         └─ grant …                                       └─ refresh token ─► access token + the next refresh token …
//! ```
//!
//! Invariants:
//!
//! 1. Of codes, tokens and client secrets only the SHA-256 is kept. Each has 256 random bits, so a slow hash would add
//!    nothing but time.
//! 2. A code gives at most one pair of tokens, and a refresh token at most one successor, however many ask at once:
//!    whoever moves a family holds the lock of its grant.
//! 3. A code or a refresh token that comes a second time has been stolen, or its successor has: the family ends
//!    (RFC 9700 §4.14.2, RFC 6749 §10.5).
//! 4. A family ends by one word in its grant, a client's families by one word in the client: the tokens' own rows need
//!    no change, and every look-up of a token asks all three.

mod clients;
mod codes;
mod find;
mod grants;
mod prune;
mod refresh;

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AccountId, UserId};
use platform::secrets::{new_token, sha256};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect,
};
use uuid::Uuid;

pub use self::clients::{CLIENTS_MAX, NewClient, OAuthClient, Registration};
pub use self::codes::{CodeFacts, Redemption};
pub use self::find::{TokenFacts, TokenRevocation};
pub use self::grants::{ConnectedApp, NewCode, NewGrant};
pub use self::refresh::Rotation;
use crate::StoreError;
use crate::entity::{oauth_clients, oauth_grants, oauth_tokens, users};

/// How long an access token is good for. It is looked up at each use, so revoking does not wait for its end: the time
/// only bounds what a token that leaked unnoticed is worth.
pub const ACCESS_TOKEN_LIFETIME: TimeDelta = TimeDelta::minutes(15);

/// How long a refresh token waits for its next use: an app that nobody has used for a month asks its user again.
pub const REFRESH_TOKEN_LIFETIME: TimeDelta = TimeDelta::days(30);

/// How long a code is good for: it goes through a browser, and its client fetches the tokens at once. RFC 6749 §4.1.2
/// allows ten minutes at most.
pub const CODE_LIFETIME: TimeDelta = TimeDelta::seconds(60);

/// A grant that a person gave.
const CONSENT: &str = "consent";

/// The grant by which a client acts for its owner's account.
const OWN: &str = "own";

/// A kind of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Proves who is asking, at each request.
    Access,
    /// Is exchanged for the next access token.
    Refresh,
}

impl TokenKind {
    /// The name in the database.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        }
    }

    const fn lifetime(self) -> TimeDelta {
        match self {
            Self::Access => ACCESS_TOKEN_LIFETIME,
            Self::Refresh => REFRESH_TOKEN_LIFETIME,
        }
    }
}

/// Tokens that were just made. They are known to nobody else and cannot be read again.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The family.
    pub grant: Uuid,
    /// For whom the tokens act.
    pub user: UserId,
    /// On which account.
    pub account: AccountId,
    /// Good for [`ACCESS_TOKEN_LIFETIME`].
    pub access_token: String,
    /// Good for one use within [`REFRESH_TOKEN_LIFETIME`]; none where the client can ask again by itself.
    pub refresh_token: Option<String>,
    /// What the access token may do.
    pub scopes: Vec<String>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("grant", &self.grant)
            .field("user", &self.user)
            .field("account", &self.account)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// A grant that this transaction has locked, and whether it still holds.
struct Family {
    grant: oauth_grants::Model,
    is_live: bool,
}

impl Family {
    /// Locks `grant` until the transaction ends; its codes and tokens are to be read after that.
    async fn lock(tx: &DatabaseTransaction, grant: Uuid) -> Result<Self, StoreError> {
        let missing = |table: &'static str| StoreError::Inconsistent {
            table,
            id: grant.to_string(),
        };
        let grant = oauth_grants::Entity::find_by_id(grant)
            .lock(LockType::NoKeyUpdate)
            .one(tx)
            .await?
            .ok_or_else(|| missing("oauth_grants"))?;
        let client = oauth_clients::Entity::find_by_id(grant.client).one(tx).await?;
        let client = client.ok_or_else(|| missing("oauth_clients"))?;
        let people = users::Entity::find()
            .filter(users::Column::Id.is_in([grant.user_id, client.user_id]))
            .all(tx)
            .await?;
        let is_live = grant.revoked_at.is_none()
            && client.revoked_at.is_none()
            && people.iter().all(|person| person.is_active);
        Ok(Self { grant, is_live })
    }

    /// Ends the family. The first time counts.
    async fn end(&self, tx: &DatabaseTransaction, now: DateTime<Utc>) -> Result<(), StoreError> {
        oauth_grants::Entity::update_many()
            .col_expr(oauth_grants::Column::RevokedAt, Expr::value(now))
            .filter(oauth_grants::Column::Id.eq(self.grant.id))
            .filter(oauth_grants::Column::RevokedAt.is_null())
            .exec(tx)
            .await?;
        Ok(())
    }

    /// Makes an access token for `scopes` and a refresh token for all that was granted.
    async fn issue_pair(
        &self,
        tx: &DatabaseTransaction,
        scopes: &str,
        now: DateTime<Utc>,
    ) -> Result<Issued, StoreError> {
        let access = issue(tx, &self.grant, TokenKind::Access, scopes, now).await?;
        let refresh = issue(tx, &self.grant, TokenKind::Refresh, &self.grant.scopes, now).await?;
        Ok(issued(&self.grant, access, Some(refresh), scopes))
    }
}

fn issued(
    grant: &oauth_grants::Model,
    access_token: String,
    refresh_token: Option<String>,
    scopes: &str,
) -> Issued {
    Issued {
        grant: grant.id,
        user: UserId(grant.user_id),
        account: AccountId(grant.account_id),
        access_token,
        refresh_token,
        scopes: words(scopes),
    }
}

/// Makes one token of `grant` and answers with it.
async fn issue(
    tx: &DatabaseTransaction,
    grant: &oauth_grants::Model,
    kind: TokenKind,
    scopes: &str,
    now: DateTime<Utc>,
) -> Result<String, StoreError> {
    let token = new_token();
    let row = oauth_tokens::ActiveModel {
        id: ActiveValue::Set(Uuid::now_v7()),
        grant_id: ActiveValue::Set(grant.id),
        kind: ActiveValue::Set(kind.as_str().to_owned()),
        hash: ActiveValue::Set(sha256(&token).to_vec()),
        scopes: ActiveValue::Set(scopes.to_owned()),
        created_at: ActiveValue::Set(now),
        expires_at: ActiveValue::Set(now + kind.lifetime()),
        used_at: ActiveValue::Set(None),
        revoked_at: ActiveValue::Set(None),
    };
    row.insert(tx).await?;
    Ok(token)
}

/// A list as the database keeps it.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The 32 bytes of a hash that the row `id` of `table` keeps.
fn hash_of(hash: Vec<u8>, table: &'static str, id: Uuid) -> Result<[u8; 32], StoreError> {
    hash.try_into().map_err(|_| StoreError::Inconsistent {
        table,
        id: id.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_not_shown_in_the_log() {
        let issued = Issued {
            grant: Uuid::nil(),
            user: UserId(Uuid::nil()),
            account: AccountId(Uuid::nil()),
            access_token: "hunter2".to_owned(),
            refresh_token: Some("hunter3".to_owned()),
            scopes: words("trading  data"),
        };
        let shown = format!("{issued:?}");
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(shown.contains(r#"["trading", "data"]"#), "{shown}");
    }
}
