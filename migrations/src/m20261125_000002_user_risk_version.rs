//! A number that tells whether a user's room under the limits of the day has shrunk since it was read.

use crate::dialect::SqlMigration;

/// Adds `users.risk_version`.
pub(crate) const MIGRATION: SqlMigration = SqlMigration {
    name: "m20261125_000002_user_risk_version",
    sql: "ALTER TABLE users ADD COLUMN risk_version {bigint} NOT NULL DEFAULT 0;",
};
