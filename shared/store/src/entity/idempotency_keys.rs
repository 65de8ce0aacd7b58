//! Table `idempotency_keys`.

use sea_orm::entity::prelude::*;

/// The answer that was given to a request, for its twins.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    /// The account it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// The credential that asked.
    #[sea_orm(primary_key, auto_increment = false)]
    pub credential_id: Uuid,
    /// The HTTP method.
    #[sea_orm(primary_key, auto_increment = false)]
    pub method: String,
    /// The path.
    #[sea_orm(primary_key, auto_increment = false)]
    pub path: String,
    /// The `Idempotency-Key` header.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// SHA-256 of the raw body.
    pub body_hash: Vec<u8>,
    /// The HTTP status of the answer.
    pub status: i32,
    /// The body of the answer.
    pub body: String,
    /// Chosen headers of the answer.
    pub headers: Json,
    /// The order that it made.
    pub order_id: Option<Uuid>,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
