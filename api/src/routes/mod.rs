//! The API, one file a resource: wire types and handlers, nothing else.

pub mod account;
pub(crate) mod admin;
pub mod assets;
pub(crate) mod audit;
pub(crate) mod auth;
pub mod calendar;
pub mod clock;
pub mod events;
pub mod health;
pub mod oauth_apps;
pub mod orders;
pub mod positions;
pub mod triggers;

use poem_openapi::Tags;

/// The groups of the document.
#[derive(Debug, Tags)]
pub(crate) enum Tag {
    /// Place, read, replace and cancel orders.
    Orders,
    /// What the account owns.
    Positions,
    /// Money of the account.
    Account,
    /// Stops that the server fires by itself.
    Triggers,
    /// Apps of others that act for people, by OAuth.
    Apps,
    /// Instruments, sessions and the time.
    Market,
    /// Sessions and API keys.
    Access,
    /// Users, roles, limits and the audit log.
    Administration,
    /// For operators and probes.
    Health,
}
