//! Table `accounts`.

use sea_orm::entity::prelude::*;

/// A trading account.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its number, as shown; unique.
    pub account_number: String,
    /// Who owns it.
    pub user_id: Uuid,
    /// Where its orders go.
    pub broker_connection_id: Uuid,
    /// `paper` or `live`.
    pub mode: String,
    /// The `seq` of its latest event; zero while there is none.
    pub last_event_seq: i64,
    /// Moves when an approval decided on older state could use money or units twice.
    pub risk_version: i64,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
