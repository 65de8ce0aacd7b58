//! Audits of real databases: a clean history, and one value changed behind the product's back.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests and their support")]

extern crate arbion_audit as audit;

// `on_both!` makes tokio's tests.
use tokio as _;

mod chains;
mod given;
mod planted;
