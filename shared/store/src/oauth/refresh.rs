//! Refresh tokens become their successors, once each.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::{Family, Issued, TokenKind, words};
use crate::entity::oauth_tokens::{Column, Entity, Model};
use crate::{Store, StoreError};

/// What became of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// It gave these tokens.
    Rotated(Issued),
    /// It was used before: the family has ended, with all its tokens.
    Reused {
        /// The family.
        grant: Uuid,
    },
    /// It was made for another client. Nothing has changed: whoever cannot use it cannot take it from the one who can.
    OtherClient,
    /// More was asked for than was granted. Nothing has changed.
    TooWide,
    /// It came too late.
    Expired,
    /// The family was taken back, or its person may not log in.
    Ended,
    /// There is no such refresh token.
    NotFound,
}

impl Store {
    /// Exchanges the refresh token with this hash, brought by `client`, for an access token that may do `scopes` (all
    /// that was granted, where none are named) and the next refresh token. Of many who try at once one gets tokens, and
    /// the others end the family.
    pub async fn rotate_oauth_token(
        &self,
        hash: [u8; 32],
        client: Uuid,
        scopes: Option<&[String]>,
        now: DateTime<Utc>,
    ) -> Result<Rotation, StoreError> {
        self.transaction("rotate_oauth_token", async |tx| {
            let Some(found) = read(&tx, hash).await? else {
                return Ok(Rotation::NotFound);
            };
            let family = Family::lock(&tx, found.grant_id).await?;
            // Read again: while this waited for the lock, another may have used it.
            let Some(token) = read(&tx, hash).await? else {
                return Ok(Rotation::NotFound);
            };
            if family.grant.client != client {
                return Ok(Rotation::OtherClient);
            }
            if token.used_at.is_some() {
                family.end(&tx, now).await?;
                let grant = family.grant.id;
                return Ok(Rotation::Reused { grant });
            }
            if !family.is_live || token.revoked_at.is_some() {
                return Ok(Rotation::Ended);
            }
            if token.expires_at <= now {
                return Ok(Rotation::Expired);
            }
            let granted = words(&family.grant.scopes);
            if scopes.is_some_and(|asked| asked.iter().any(|scope| !granted.contains(scope))) {
                return Ok(Rotation::TooWide);
            }
            use_up(&tx, &token, now).await?;
            let scopes = scopes.map_or_else(|| family.grant.scopes.clone(), |asked| asked.join(" "));
            let issued = family.issue_pair(&tx, &scopes, now).await?;
            Ok(Rotation::Rotated(issued))
        })
        .await
    }
}

async fn read(tx: &DatabaseTransaction, hash: [u8; 32]) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find()
        .filter(Column::Hash.eq(hash.to_vec()))
        .filter(Column::Kind.eq(TokenKind::Refresh.as_str()))
        .one(tx)
        .await?)
}

async fn use_up(tx: &DatabaseTransaction, token: &Model, now: DateTime<Utc>) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::UsedAt, Expr::value(now))
        .filter(Column::Id.eq(token.id))
        .exec(tx)
        .await?;
    Ok(())
}
