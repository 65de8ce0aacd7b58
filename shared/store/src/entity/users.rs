//! Table `users`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// A person or program that logs in; its row is the first lock of every transaction that moves money.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Unique, in lower case.
    pub email: String,
    /// Argon2 string; none where no password is set.
    pub password_hash: Option<String>,
    /// `superadmin`, `admin` or `standard`.
    pub role: String,
    /// Whether it may log in and trade.
    pub is_active: bool,
    /// What its open orders count against the daily limit, over all accounts and days, in USD.
    pub notional_open: Money,
    /// Moves when an approval decided on older state could pass the limits of the day.
    pub risk_version: i64,
    /// The greatest notional of one order, in USD; none: its role's.
    pub order_notional_max: Option<Money>,
    /// The greatest notional of one trading date, in USD; none: its role's.
    pub day_notional_max: Option<Money>,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
