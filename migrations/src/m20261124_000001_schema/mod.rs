//! The tables of the first release. The SQL stands in the files beside this one: one text for both databases, in which
//! the names of types stand in braces and [`Dialect`](crate::dialect::Dialect) puts in what the database calls them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::dialect;

/// Creates every table.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261124_000001_schema"
    }
}

/// The parts, in an order in which each refers to earlier ones only.
const PARTS: [&str; 4] = [
    include_str!("people.sql"),
    include_str!("holdings.sql"),
    include_str!("orders.sql"),
    include_str!("protection.sql"),
];

/// Fences of claims: never reused, not even by a transaction that rolls back.
const FENCES_POSTGRES: &str = "CREATE SEQUENCE work_fences;";

/// SQLite has no sequences; its one writer counts in a row.
const FENCES_SQLITE: &str = "
CREATE TABLE work_fences (id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL) STRICT;
INSERT INTO work_fences (id, value) VALUES (1, 0);";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        for part in PARTS {
            connection
                .execute_unprepared(&dialect::render(part, manager.get_database_backend()))
                .await?;
        }
        let fences = match manager.get_database_backend() {
            DbBackend::Postgres => FENCES_POSTGRES,
            _ => FENCES_SQLITE,
        };
        connection.execute_unprepared(fences).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
