//! Table `audit_seals`.

use sea_orm::entity::prelude::*;

/// The hashes of some rows of a chain that follow each other; never changed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_seals")]
pub struct Model {
    /// `audit` for `audit_events`, `orders` for `order_events`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
    /// The chain: an account, a user, or the installation (nil).
    #[sea_orm(primary_key, auto_increment = false)]
    pub chain_id: Uuid,
    /// The first row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq_from: i64,
    /// The last row.
    pub seq_to: i64,
    /// 32 bytes for each row, in order.
    pub hashes: Vec<u8>,
    /// Which key made them.
    pub key_fingerprint: String,
    /// When.
    pub at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
