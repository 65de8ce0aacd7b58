//! Table `oauth_codes`.

use sea_orm::entity::prelude::*;

/// An authorization code: proof that a person agreed a moment ago, good for one pair of tokens.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_codes")]
pub struct Model {
    /// SHA-256 of the code, 32 bytes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: Vec<u8>,
    /// What it gives.
    pub grant_id: Uuid,
    /// Where it was sent, as the request named it; none where the request named no place.
    pub redirect_uri: Option<String>,
    /// The challenge (S256) that the verifier has to answer.
    pub code_challenge: String,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// From when on it is refused.
    pub expires_at: DateTimeUtc,
    /// When somebody tried it.
    pub used_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
