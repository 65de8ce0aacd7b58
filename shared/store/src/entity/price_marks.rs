//! Table `price_marks`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// The last believed price of an instrument, against which a new one is judged.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "price_marks")]
pub struct Model {
    /// The instrument.
    #[sea_orm(primary_key, auto_increment = false)]
    pub asset_id: Uuid,
    /// The price, in quote currency.
    pub price: Money,
    /// The provider's time of it.
    pub at: DateTimeUtc,
    /// A jump that waits for a second quote, in quote currency.
    pub suspect_price: Option<Money>,
    /// The provider's time of the jump.
    pub suspect_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
