//! Table `broker_connections`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// A login at a broker; the paper venue counts as one.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "broker_connections")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// The adapter's name (`paper`).
    pub broker: String,
    /// `paper` or `live`.
    pub mode: String,
    /// What a paper book starts with, in USD; zero at a real broker.
    pub starting_cash: Money,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
