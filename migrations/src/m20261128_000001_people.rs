//! Sessions of people, the addresses from which a key is taken, and limits of a user's own.

use crate::dialect::SqlMigration;

/// Adds `sessions`, `credentials.allowed_ips`, `users.order_notional_max` and `users.day_notional_max`.
pub(crate) const MIGRATION: SqlMigration = SqlMigration {
    name: "m20261128_000001_people",
    sql: include_str!("m20261128_000001_people.sql"),
};
