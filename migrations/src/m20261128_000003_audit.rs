//! The audit log, and what seals it and the log of orders.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Creates the tables of the audit log, and of the seals of both logs.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261128_000003_audit"
    }
}

const UP: &str = include_str!("m20261128_000003_audit.sql");

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = dialect::render(UP, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&sql).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
