//! The tables of the authorization server.

use crate::dialect::SqlMigration;

/// Creates the tables of clients, grants, codes and tokens.
pub(crate) const MIGRATION: SqlMigration = SqlMigration {
    name: "m20261128_000002_oauth",
    sql: include_str!("m20261128_000002_oauth.sql"),
};
