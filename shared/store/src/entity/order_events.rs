//! Table `order_events`.

use sea_orm::entity::prelude::*;

/// Something that happened to an order; never changed, never deleted.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "order_events")]
pub struct Model {
    /// The account it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// Its number within the account, from 1, without gaps.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// The order.
    pub order_id: Uuid,
    /// What happened.
    pub kind: String,
    /// When.
    pub at: DateTimeUtc,
    /// Why: the request, the rule, the quote or the words of the venue.
    pub cause: Json,
    /// The facts that it brought.
    pub data: Json,
    /// Always empty: the hashes of events stand in `audit_seals`, so that no event is ever rewritten.
    pub hash: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
