//! Who gets in, and to what.
//!
//! [`rules`] is the one table of what each operation needs; [`Gate`] stands before all handlers and holds everybody to
//! it; [`Scope`] is what a credential may do.
//!
//! 1. No handler runs for whom its rule does not admit, and none that has no rule.
//! 2. A request is counted before its credential is looked at twice: guessing costs the guesser's budget.
//! 3. What came with a cookie changes something only with the session's CSRF token, from an origin that is allowed.

mod budget;
mod gate;
pub(crate) mod rules;
mod scope;

pub(crate) use budget::Budgets;
pub(crate) use gate::{Gate, not_authorized};
pub use scope::{Scope, UnknownScope};
