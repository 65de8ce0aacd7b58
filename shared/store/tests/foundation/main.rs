//! The foundation of the store, on both databases: the schema, exact values, transactions, and the aggregates that are
//! not orders.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helper functions of tests")]

extern crate arbion_store as store;

mod accounts;
mod audit_log;
mod broker_secrets;
mod credentials;
mod keeping;
mod keeping_leases;
mod leases;
mod many;
mod oauth;
mod people;
mod schema;
mod sessions;
mod sweeps;
mod transactions;
mod values;
