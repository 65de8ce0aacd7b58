//! A place for what a broker connection logs in with.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Creates `broker_secrets`.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261128_000004_broker_secrets"
    }
}

/// The index is for a change of the encryption key, which looks for what another key than the newest one has sealed. Each
/// sealed text begins with the version of its format and a time that is always zero, so a plain one is refused here, too.
const UP: &str = "
CREATE TABLE broker_secrets (
    connection_id {uuid} NOT NULL PRIMARY KEY REFERENCES broker_connections (id),
    sealed {text} NOT NULL CHECK (sealed LIKE 'gAAAAAAAAAAA%'),
    key_fingerprint {text} NOT NULL CHECK (length(key_fingerprint) = 16),
    updated_at {time} NOT NULL
){updated_table};

CREATE INDEX broker_secrets_key ON broker_secrets (key_fingerprint, connection_id);
";

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
