//! The audit log, and what seals it and the log of orders.

use crate::dialect::SqlMigration;

/// Creates the tables of the audit log, and of the seals of both logs.
pub(crate) const MIGRATION: SqlMigration = SqlMigration {
    name: "m20261128_000003_audit",
    sql: include_str!("m20261128_000003_audit.sql"),
};
