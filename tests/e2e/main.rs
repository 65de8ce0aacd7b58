//! End-to-end tests: the promises of the README, kept by the real binaries on real databases.
//!
//! One file a promise. `./test` builds the binaries with their fault points and starts the servers; CONTRIBUTING.md says
//! how to run one test in seconds.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "test support: what a test cannot go on without fails it"
)]

mod alpaca_sdk;
mod audit_log;
mod backlog;
mod bad_changes;
mod bad_input;
mod broker_faults;
mod browser;
mod browser_access;
mod browser_docs;
mod browser_spa;
mod crash_safety;
mod degradation;
mod errors;
mod first_trade;
mod hand_over;
mod idempotency;
mod leaders;
mod lifecycle;
mod oauth_attacks;
mod oauth_clients;
mod openapi;
mod operations;
mod oracle;
mod readme;
mod risk_races;
mod rotation;
mod stale_workers;
mod start;
mod stops;
mod support;
mod tidy;
mod wakeups;
