//! Sessions of people, the addresses from which a key is taken, and limits of a user's own.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Adds `sessions`, `credentials.allowed_ips`, `users.order_notional_max` and `users.day_notional_max`.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261128_000001_people"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = dialect::render(include_str!("people.sql"), manager.get_database_backend());
        manager.get_connection().execute_unprepared(&sql).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
