//! Table `oauth_clients`.

use sea_orm::entity::prelude::*;

/// An app that people may let act for them.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_clients")]
pub struct Model {
    /// Its id in this database.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its public name in the protocol, unique.
    pub client_id: String,
    /// Who registered it.
    pub user_id: Uuid,
    /// The owner's account that the client reaches by its own credentials.
    pub account_id: Uuid,
    /// What people see.
    pub name: String,
    /// SHA-256 of its secret, 32 bytes; none: a public client, which can keep no secret.
    pub hash: Option<Vec<u8>>,
    /// How it may get tokens, separated by spaces: `authorization_code`, `client_credentials`.
    pub grant_types: String,
    /// Where answers may be sent, a list of texts.
    pub redirect_uris: Json,
    /// The most that it may ask for, separated by spaces.
    pub scopes: String,
    /// When it was registered.
    pub created_at: DateTimeUtc,
    /// When it was taken back, with everything that it was let do.
    pub revoked_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
