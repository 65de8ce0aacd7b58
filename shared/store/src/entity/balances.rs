//! Table `balances`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// An account's money in one currency.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "balances")]
pub struct Model {
    /// The account it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// ISO code.
    #[sea_orm(primary_key, auto_increment = false)]
    pub currency: String,
    /// Everything it owns, reserved money included.
    pub amount: Money,
    /// What its open orders hold: the sum of its reservations.
    pub reserved: Money,
}

impl ActiveModelBehavior for ActiveModel {}
