//! Table `broker_secrets`.

use sea_orm::entity::prelude::*;

/// What a broker connection logs in with, sealed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "broker_secrets")]
pub struct Model {
    /// The connection, for which alone it opens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub connection_id: Uuid,
    /// A token of the vault.
    pub sealed: String,
    /// Which key sealed it.
    pub key_fingerprint: String,
    /// When it was last written: by its owner, or by a change of the encryption key.
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
