//! A place for what a broker connection logs in with.

use crate::dialect::SqlMigration;

/// Creates `broker_secrets`.
///
/// The index is for a change of the encryption key, which looks for what another key than the newest one has sealed. Each
/// sealed text begins with the version of its format and a time that is always zero, so a plain one is refused here, too.
pub(crate) const MIGRATION: SqlMigration = SqlMigration {
    name: "m20261128_000004_broker_secrets",
    sql: "
CREATE TABLE broker_secrets (
    connection_id {uuid} NOT NULL PRIMARY KEY REFERENCES broker_connections (id),
    sealed {text} NOT NULL CHECK (sealed LIKE 'gAAAAAAAAAAA%'),
    key_fingerprint {text} NOT NULL CHECK (length(key_fingerprint) = 16),
    updated_at {time} NOT NULL
){updated_table};

CREATE INDEX broker_secrets_key ON broker_secrets (key_fingerprint, connection_id);
",
};
