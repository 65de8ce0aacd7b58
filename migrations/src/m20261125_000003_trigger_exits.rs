//! Exits of triggers without a look-up for each.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Drops the foreign key of `trigger_exits` on PostgreSQL.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261125_000003_trigger_exits"
    }
}

/// An exit is written by the transaction that has just moved its trigger, and triggers are never deleted: the look-up and
/// the lock of the trigger's row, once for each exit, told nothing and cost as much as three of its indexes.
const UP: &str = "ALTER TABLE trigger_exits DROP CONSTRAINT trigger_exits_trigger_id_fkey;";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite cannot drop a constraint, and its look-up is a function call.
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.get_connection().execute_unprepared(UP).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
