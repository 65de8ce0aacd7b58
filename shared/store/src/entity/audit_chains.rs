//! Table `audit_chains`.

use sea_orm::entity::prelude::*;

/// Hands out the numbers of a chain of `audit_events`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_chains")]
pub struct Model {
    /// The chain.
    #[sea_orm(primary_key, auto_increment = false)]
    pub chain_id: Uuid,
    /// The last number that was given out.
    pub last_seq: i64,
}

impl ActiveModelBehavior for ActiveModel {}
