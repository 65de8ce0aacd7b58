//! Table `audit_events`.

use sea_orm::entity::prelude::*;

/// Something that concerns security; never changed, never deleted.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    /// The chain: an account, a user, or the installation (nil).
    #[sea_orm(primary_key, auto_increment = false)]
    pub chain_id: Uuid,
    /// Its number within the chain, from 1, without gaps.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// When.
    pub at: DateTimeUtc,
    /// What happened.
    pub kind: String,
    /// Who did it.
    pub user_id: Option<Uuid>,
    /// With which credential or session.
    pub credential_id: Option<Uuid>,
    /// On which account.
    pub account_id: Option<Uuid>,
    /// What it was done to: an id or an e-mail.
    pub subject: Option<String>,
    /// From where.
    pub ip: Option<String>,
    /// By which request.
    pub request_id: Option<String>,
    /// What else there is to know.
    pub data: Json,
}

impl ActiveModelBehavior for ActiveModel {}
