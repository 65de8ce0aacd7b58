//! The tables of the authorization server.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Creates the tables of clients, grants, codes and tokens.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261128_000002_oauth"
    }
}

const UP: &str = include_str!("m20261128_000002_oauth.sql");

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let up = dialect::render(UP, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&up).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
