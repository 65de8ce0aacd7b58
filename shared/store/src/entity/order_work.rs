//! Table `order_work`.

use sea_orm::entity::prelude::*;

/// Something that remains to be done for an order.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "order_work")]
pub struct Model {
    /// The order.
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: Uuid,
    /// `submit`, `cancel`, `replace` or `reconcile`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// The account it belongs to.
    pub account_id: Uuid,
    /// Not before this time of the database.
    pub due_at: DateTimeUtc,
    /// The worker that has it.
    pub claimed_by: Option<String>,
    /// Until when, by the time of the database.
    pub claimed_until: Option<DateTimeUtc>,
    /// The number of the claim; only its holder may write.
    pub fence: i64,
    /// How often it was tried.
    pub attempts: i32,
    /// Why the last try failed.
    pub last_error: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
