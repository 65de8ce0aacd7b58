//! Orders against real databases: accepted, sent, filled, canceled, replaced, protected.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests and their support")]

extern crate arbion_store as store;

mod acceptance;
mod acceptor;
mod batches;
mod connections;
mod execution;
mod given;
mod limits;
mod protection;
mod salvo;
