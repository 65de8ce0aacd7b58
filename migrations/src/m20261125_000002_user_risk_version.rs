//! A number that tells whether a user's room under the limits of the day has shrunk since it was read.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Adds `users.risk_version`.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261125_000002_user_risk_version"
    }
}

const COLUMN: &str = "ALTER TABLE users ADD COLUMN risk_version {bigint} NOT NULL DEFAULT 0;";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = dialect::render(COLUMN, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&sql).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
