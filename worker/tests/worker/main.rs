//! A worker on real databases, between a market and a broker that follow a script.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests and their support")]

extern crate arbion_worker as worker;

mod batches;
mod broker_script;
mod execution;
mod feeding;
mod given;
mod stops;
