//! Table `assets`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// An instrument that can be asked for.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "assets")]
pub struct Model {
    /// UUID version 5 of class and symbol.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// `AAPL`, `BTC/USD`.
    pub symbol: String,
    /// `us_equity` or `crypto`.
    pub class: String,
    /// The listing exchange.
    pub exchange: String,
    /// Its full name.
    pub name: String,
    /// Whether orders are accepted at all.
    pub tradable: bool,
    /// Whether parts of a unit can be traded.
    pub fractionable: bool,
    /// The smallest quantity of one order, in units.
    pub min_order_size: Money,
    /// Quantities are multiples of this, in units.
    pub min_trade_increment: Money,
    /// Prices are multiples of this, in quote currency.
    pub price_increment: Money,
}

impl ActiveModelBehavior for ActiveModel {}
