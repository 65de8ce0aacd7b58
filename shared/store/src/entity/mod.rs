//! One entity for each table, without logic.

pub mod account_days;
pub mod accounts;
pub mod assets;
pub mod audit_anchors;
pub mod audit_chains;
pub mod audit_events;
pub mod audit_heads;
pub mod audit_seals;
pub mod balances;
pub mod broker_attempts;
pub mod broker_connections;
pub mod broker_cursors;
pub mod broker_secrets;
pub mod credentials;
pub mod fills;
pub mod idempotency_keys;
pub mod leases;
pub mod oauth_clients;
pub mod oauth_codes;
pub mod oauth_grants;
pub mod oauth_tokens;
pub mod order_events;
pub mod order_work;
pub mod orders;
pub mod positions;
pub mod price_marks;
pub mod reservations;
pub mod sessions;
pub mod sweeps;
pub mod trigger_exits;
pub mod triggers;
pub mod user_days;
pub mod users;

/// The names of all tables.
pub const TABLES: [&str; 33] = [
    "account_days",
    "accounts",
    "assets",
    "audit_anchors",
    "audit_chains",
    "audit_events",
    "audit_heads",
    "audit_seals",
    "balances",
    "broker_attempts",
    "broker_connections",
    "broker_cursors",
    "broker_secrets",
    "credentials",
    "fills",
    "idempotency_keys",
    "leases",
    "oauth_clients",
    "oauth_codes",
    "oauth_grants",
    "oauth_tokens",
    "order_events",
    "order_work",
    "orders",
    "positions",
    "price_marks",
    "reservations",
    "sessions",
    "sweeps",
    "trigger_exits",
    "triggers",
    "user_days",
    "users",
];
