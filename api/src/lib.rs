//! The HTTP API.
//!
//! ```text
//! request ─► middleware (id, log line, errors, limits) ─► routes (one file a resource) ─► store ─► queue signal
//! ```
//!
//! Reading order: [`routes`] shows the whole API; `accept` what placing an order is; [`problem`] every way to fail;
//! [`input`] what clients may send; [`oauth`] how apps are let act for people; [`app`] what handlers hold.
//!
//! Invariants:
//! 1. Validation has one order: idempotency key, shape, account, risk. A 4xx changes nothing and uses nothing up.
//! 2. An order that is stored is answered as accepted, never by a status that clients repeat.
//! 3. Every error has one form, and no internal text leaves the process.

mod accept;
pub mod access;
pub mod app;
pub mod auth;
pub mod catalogue;
mod docs_page;
#[cfg(test)]
mod generated;
pub mod idempotency;
pub mod input;
pub mod limits;
pub mod middleware;
pub mod oauth;
mod openapi;
pub mod pages;
pub mod paths;
pub mod problem;
mod record;
pub mod routes;
mod serve;
pub mod setup;
pub mod wire;

pub use app::{App, AppParts, Doors, Rules};
pub use openapi::openapi_json;
pub use problem::docs::errors_md;
pub use serve::{Listening, router, run};
