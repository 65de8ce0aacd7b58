//! Table `audit_anchors`.

use sea_orm::entity::prelude::*;

/// A head that was written down, here and in the log; never changed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_anchors")]
pub struct Model {
    /// `audit` for `audit_events`, `orders` for `order_events`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
    /// The chain: an account, a user, or the installation (nil).
    #[sea_orm(primary_key, auto_increment = false)]
    pub chain_id: Uuid,
    /// The row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// The hash of that row.
    pub hash: Vec<u8>,
    /// When.
    pub at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
