//! Table `oauth_tokens`.

use sea_orm::entity::prelude::*;

/// An access or a refresh token.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_tokens")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The family that it belongs to.
    pub grant_id: Uuid,
    /// `access` or `refresh`.
    pub kind: String,
    /// SHA-256 of the token, 32 bytes, unique.
    pub hash: Vec<u8>,
    /// What it may do, separated by spaces.
    pub scopes: String,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// From when on it is refused.
    pub expires_at: DateTimeUtc,
    /// When a refresh token was exchanged for the next one.
    pub used_at: Option<DateTimeUtc>,
    /// When it was taken back by itself; a family ends with its grant.
    pub revoked_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
