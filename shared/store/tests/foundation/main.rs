//! The foundation of the store, on both databases: the schema, exact values, transactions, and the aggregates that are
//! not orders.

#![expect(clippy::unwrap_used, reason = "helper functions of tests")]

extern crate arbion_store as store;

mod accounts;
mod credentials;
mod keeping;
mod keeping_leases;
mod leases;
mod many;
mod schema;
mod sweeps;
mod transactions;
mod values;
