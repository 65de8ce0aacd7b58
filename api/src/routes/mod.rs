//! The API, one file a resource: wire types and handlers, nothing else.

pub mod account;
pub mod assets;
pub mod calendar;
pub mod clock;
pub mod events;
pub mod health;
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
    /// Instruments, sessions and the time.
    Market,
    /// For operators and probes.
    Health,
}
