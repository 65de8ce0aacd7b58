//! Table `leases`.

use sea_orm::entity::prelude::*;

/// Who may do what only one may do.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "leases")]
pub struct Model {
    /// What is led.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Who has it.
    pub holder: String,
    /// Grows with each change of holder.
    pub fence: i64,
    /// Until when, by the time of the database.
    pub expires_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
