//! Table `sweeps`.

use sea_orm::entity::prelude::*;

/// One part of one sweep over all armed triggers.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sweeps")]
pub struct Model {
    /// The minute, or other interval, that it is for: seconds since 1970 divided by the interval.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i64,
    /// Which part, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub shard: i32,
    /// How many parts this slot has.
    pub shards: i32,
    /// The leader's fence at first, then the number of the claim.
    pub fence: i64,
    /// `pending`, `running` or `done`.
    pub state: String,
    /// The worker that has it.
    pub claimed_by: Option<String>,
    /// Until when its worker has it, by the time of the database.
    pub claimed_until: Option<DateTimeUtc>,
    /// How many instruments were looked at.
    pub symbols: i32,
    /// How many triggers fired.
    pub fired: i32,
    /// Instruments that could not be judged, and why.
    pub skipped: Json,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When a worker first took it.
    pub started_at: Option<DateTimeUtc>,
    /// When it was done.
    pub finished_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
