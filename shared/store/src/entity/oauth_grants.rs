//! Table `oauth_grants`.

use sea_orm::entity::prelude::*;

/// What one person let one app do with one account: a family of tokens that live and end together.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_grants")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The app, by its id in this database.
    pub client: Uuid,
    /// Who let it.
    pub user_id: Uuid,
    /// The only account that it reaches.
    pub account_id: Uuid,
    /// `consent`: a person agreed; `own`: the client acts for its owner's account.
    pub kind: String,
    /// What it may do, separated by spaces.
    pub scopes: String,
    /// When it was given.
    pub created_at: DateTimeUtc,
    /// When a token of it was last used, to about a minute.
    pub last_used_at: Option<DateTimeUtc>,
    /// When it was taken back, with all its tokens.
    pub revoked_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
