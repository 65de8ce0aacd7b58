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
mod backlog;
mod bad_changes;
mod bad_input;
mod broker_faults;
mod crash_safety;
mod degradation;
mod errors;
mod first_trade;
mod hand_over;
mod idempotency;
mod leaders;
mod lifecycle;
mod openapi;
mod operations;
mod oracle;
mod readme;
mod risk_races;
mod stale_workers;
mod start;
mod stops;
mod support;
mod tidy;
mod wakeups;
