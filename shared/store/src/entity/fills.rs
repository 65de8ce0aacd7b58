//! Table `fills`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// A fill, known by the broker's id for it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "fills")]
pub struct Model {
    /// The connection that reported it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub connection_id: Uuid,
    /// The broker's id; a report that comes twice is recorded once.
    #[sea_orm(primary_key, auto_increment = false)]
    pub broker_fill_id: String,
    /// The order.
    pub order_id: Uuid,
    /// The account it belongs to.
    pub account_id: Uuid,
    /// The instrument.
    pub asset_id: Uuid,
    /// `buy` or `sell`.
    pub side: String,
    /// Units.
    pub quantity: Money,
    /// Price of one unit, in quote currency.
    pub price: Money,
    /// Price times quantity, rounded once, in quote currency.
    pub cost: Money,
    /// What the broker took, in `fee_currency`.
    pub fee: Money,
    /// ISO code.
    pub fee_currency: String,
    /// The venue's time.
    pub at: DateTimeUtc,
    /// When it was recorded.
    pub recorded_at: DateTimeUtc,
    /// The event that tells of it.
    pub event_seq: i64,
}

impl ActiveModelBehavior for ActiveModel {}
