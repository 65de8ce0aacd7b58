//! Table `account_days`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// What an account has traded on one date.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "account_days")]
pub struct Model {
    /// The account it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// The date in New York.
    #[sea_orm(primary_key, auto_increment = false)]
    pub trading_date: Date,
    /// Filled notional of orders that added exposure, in USD.
    pub notional_filled: Money,
}

impl ActiveModelBehavior for ActiveModel {}
