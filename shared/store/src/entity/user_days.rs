//! Table `user_days`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// What a user has traded on one date, over all accounts.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "user_days")]
pub struct Model {
    /// Whose it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    /// The date in New York.
    #[sea_orm(primary_key, auto_increment = false)]
    pub trading_date: Date,
    /// Filled notional of orders that added exposure, in USD.
    pub notional_filled: Money,
}

impl ActiveModelBehavior for ActiveModel {}
