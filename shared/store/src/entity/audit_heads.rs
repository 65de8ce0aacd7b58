//! Table `audit_heads`.

use sea_orm::entity::prelude::*;

/// How far a chain is sealed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_heads")]
pub struct Model {
    /// `audit` for `audit_events`, `orders` for `order_events`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
    /// The chain: an account, a user, or the installation (nil).
    #[sea_orm(primary_key, auto_increment = false)]
    pub chain_id: Uuid,
    /// Its last sealed row.
    pub seq: i64,
    /// The hash of that row.
    pub hash: Vec<u8>,
    /// Which key made it.
    pub key_fingerprint: String,
    /// When.
    pub at: DateTimeUtc,
    /// The row of the last anchor; 0 for none.
    pub anchored_seq: i64,
    /// When that was.
    pub anchored_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
