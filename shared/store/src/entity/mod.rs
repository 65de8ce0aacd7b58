//! One entity for each table, without logic.

pub mod account_days;
pub mod accounts;
pub mod assets;
pub mod balances;
pub mod broker_attempts;
pub mod broker_connections;
pub mod broker_cursors;
pub mod credentials;
pub mod fills;
pub mod idempotency_keys;
pub mod leases;
pub mod order_events;
pub mod order_work;
pub mod orders;
pub mod positions;
pub mod price_marks;
pub mod reservations;
pub mod sweeps;
pub mod trigger_exits;
pub mod triggers;
pub mod user_days;
pub mod users;

/// The names of all tables.
pub const TABLES: [&str; 22] = [
    "account_days",
    "accounts",
    "assets",
    "balances",
    "broker_attempts",
    "broker_connections",
    "broker_cursors",
    "credentials",
    "fills",
    "idempotency_keys",
    "leases",
    "order_events",
    "order_work",
    "orders",
    "positions",
    "price_marks",
    "reservations",
    "sweeps",
    "trigger_exits",
    "triggers",
    "user_days",
    "users",
];
