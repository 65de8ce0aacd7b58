//! Table `sessions`.

use sea_orm::entity::prelude::*;

/// A person who has logged in with a browser.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// SHA-256 of the cookie's secret, 32 bytes.
    pub hash: Vec<u8>,
    /// From where it was begun.
    pub ip: String,
    /// The program that began it, in its own words.
    pub user_agent: String,
    /// When it was begun.
    pub created_at: DateTimeUtc,
    /// When its person last gave a password.
    pub authenticated_at: DateTimeUtc,
    /// When it was last used, to about a minute.
    pub last_seen_at: DateTimeUtc,
    /// From when on it is refused.
    pub expires_at: DateTimeUtc,
    /// When it was ended before that.
    pub ended_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
