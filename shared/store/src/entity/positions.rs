//! Table `positions`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// An account's units of one instrument.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "positions")]
pub struct Model {
    /// The account it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// The instrument.
    #[sea_orm(primary_key, auto_increment = false)]
    pub asset_id: Uuid,
    /// Units owned.
    pub quantity: Money,
    /// Units that open sells hold.
    pub reserved: Money,
    /// What the units cost, in quote currency.
    pub cost_basis: Money,
    /// Profit and loss of what was sold, in quote currency.
    pub realized: Money,
    /// When it last changed.
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
