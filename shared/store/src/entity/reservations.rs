//! Table `reservations`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// What the open orders of one group hold.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "reservations")]
pub struct Model {
    /// The group.
    #[sea_orm(primary_key, auto_increment = false)]
    pub group_id: Uuid,
    /// The account it belongs to.
    pub account_id: Uuid,
    /// Money of this currency is held; else units.
    pub currency: Option<String>,
    /// Units of this instrument are held; else money.
    pub asset_id: Option<Uuid>,
    /// How much is still held, in the currency or in units.
    pub remaining: Money,
}

impl ActiveModelBehavior for ActiveModel {}
