//! Table `trigger_exits`.

use sea_orm::entity::prelude::*;

/// The exit order of one generation of a trigger.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "trigger_exits")]
pub struct Model {
    /// The trigger.
    #[sea_orm(primary_key, auto_increment = false)]
    pub trigger_id: Uuid,
    /// The generation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub generation: i32,
    /// The exit.
    pub order_id: Uuid,
}

impl ActiveModelBehavior for ActiveModel {}
