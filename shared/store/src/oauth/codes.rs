//! Codes become tokens, once.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::{Family, Issued};
use crate::entity::oauth_codes::{Column, Entity, Model};
use crate::{Store, StoreError};

/// What a code was made for; whoever brings it has to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeFacts {
    /// The client that it was made for, by its id in this database.
    pub client: Uuid,
    /// Where it was sent, as the request named it.
    pub redirect_uri: Option<String>,
    /// What the verifier has to answer.
    pub code_challenge: String,
}

/// What became of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redemption {
    /// It gave these tokens.
    Redeemed(Issued),
    /// It was tried before: the family has ended, with all its tokens.
    Replayed {
        /// The family.
        grant: Uuid,
    },
    /// Whoever brought it does not fit. The code is used up by that: it has leaked.
    Misused {
        /// The family, which has ended.
        grant: Uuid,
    },
    /// It came too late.
    Expired,
    /// What it would give was taken back, or its person may not log in.
    Ended,
    /// There is no such code.
    NotFound,
}

impl Store {
    /// Exchanges the code with this hash for tokens when `fits` says that whoever brings it is the one that it was made
    /// for. Of many who try at once at most one gets tokens, and the others end the family.
    ///
    /// A try uses the code up, whatever comes of it (RFC 6749 §10.5: several attempts are the sign of a code that
    /// leaked), unless the code has expired.
    pub async fn redeem_oauth_code(
        &self,
        hash: [u8; 32],
        fits: impl Fn(&CodeFacts) -> bool + Send + Sync,
        now: DateTime<Utc>,
    ) -> Result<Redemption, StoreError> {
        let fits = &fits;
        self.transaction("redeem_oauth_code", async |tx| {
            let Some(found) = read(&tx, hash).await? else {
                return Ok(Redemption::NotFound);
            };
            let family = Family::lock(&tx, found.grant_id).await?;
            // Read again: while this waited for the lock, another may have used it.
            let Some(code) = read(&tx, hash).await? else {
                return Ok(Redemption::NotFound);
            };
            let grant = family.grant.id;
            if code.used_at.is_some() {
                family.end(&tx, now).await?;
                return Ok(Redemption::Replayed { grant });
            }
            if code.expires_at <= now {
                return Ok(Redemption::Expired);
            }
            use_up(&tx, hash, now).await?;
            let facts = CodeFacts {
                client: family.grant.client,
                redirect_uri: code.redirect_uri,
                code_challenge: code.code_challenge,
            };
            if !fits(&facts) {
                family.end(&tx, now).await?;
                return Ok(Redemption::Misused { grant });
            }
            if !family.is_live {
                return Ok(Redemption::Ended);
            }
            let issued = family.issue_pair(&tx, &family.grant.scopes, now).await?;
            Ok(Redemption::Redeemed(issued))
        })
        .await
    }
}

async fn read(tx: &DatabaseTransaction, hash: [u8; 32]) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find()
        .filter(Column::Hash.eq(hash.to_vec()))
        .one(tx)
        .await?)
}

async fn use_up(tx: &DatabaseTransaction, hash: [u8; 32], now: DateTime<Utc>) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::UsedAt, Expr::value(now))
        .filter(Column::Hash.eq(hash.to_vec()))
        .exec(tx)
        .await?;
    Ok(())
}
