//! Table `credentials`.

use sea_orm::entity::prelude::*;

/// How a request proves who is asking.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "credentials")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// The account it belongs to.
    pub account_id: Uuid,
    /// `api_key`.
    pub kind: String,
    /// The public part, unique.
    pub key_id: String,
    /// SHA-256 of the secret part, 32 bytes.
    pub hash: Vec<u8>,
    /// The owner's name for it.
    pub name: String,
    /// What it may do, separated by spaces.
    pub scopes: String,
    /// The networks from which it is taken, separated by spaces; empty: from everywhere.
    pub allowed_ips: String,
    /// From when on it is refused; none: never.
    pub expires_at: Option<DateTimeUtc>,
    /// When it was taken back.
    pub revoked_at: Option<DateTimeUtc>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<DateTimeUtc>,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
