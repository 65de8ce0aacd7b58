//! Table `triggers`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// A protection of a position.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "triggers")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// The account it belongs to.
    pub account_id: Uuid,
    /// The instrument.
    pub asset_id: Uuid,
    /// The instrument's symbol, as shown.
    pub symbol: String,
    /// The instrument's class.
    pub asset_class: String,
    /// `falling` or `rising`.
    pub direction: String,
    /// `last`, `bid`, `ask` or `mid`.
    pub reference: String,
    /// The price at which it fires, in quote currency.
    pub stop_price: Money,
    /// The stop price times 10⁹.
    pub price_key: i64,
    /// How many units it sells; none is the whole position.
    pub quantity: Option<Money>,
    /// `armed`, `firing`, `done` or `canceled`.
    pub state: String,
    /// How often it has been armed; starts at 1.
    pub generation: i32,
    /// The exit of the present generation.
    pub exit_order_id: Option<Uuid>,
    /// The price that fired it, in quote currency.
    pub fired_price: Option<Money>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it last changed.
    pub updated_at: DateTimeUtc,
    /// When it fired.
    pub fired_at: Option<DateTimeUtc>,
    /// Why it ended, in a word.
    pub ended_because: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
