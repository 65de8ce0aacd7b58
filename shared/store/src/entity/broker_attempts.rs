//! Table `broker_attempts`.

use sea_orm::entity::prelude::*;

/// A call to a broker, written before the first byte leaves.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "broker_attempts")]
pub struct Model {
    /// The order.
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: Uuid,
    /// `submit`, `cancel`, `replace` or `reconcile`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// The how manieth of its kind for this order, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub n: i32,
    /// The claim under which it was made.
    pub fence: i64,
    /// The client id that travels with it.
    pub id_sent: String,
    /// The broker's id for the order, once known.
    pub broker_order_id: Option<String>,
    /// What both logs are searched by.
    pub correlation_id: String,
    /// When it began.
    pub started_at: DateTimeUtc,
    /// When it ended; none while it is under way.
    pub ended_at: Option<DateTimeUtc>,
    /// `acknowledged`, `refused`, `not_sent` or `unknown`.
    pub outcome: Option<String>,
    /// The broker's words, or the fault.
    pub detail: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
