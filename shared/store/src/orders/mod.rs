//! Orders: accepting, reading, cancelling, replacing and expiring them.

pub mod accept;
pub mod acceptor;
pub mod cancel;
pub mod expire;
mod express;
mod names;
pub mod read;
pub mod replace;
pub(crate) mod row;
mod taken;

pub use accept::{AcceptContext, AcceptRequest, Accepted, IdempotencyKey, Refusal, RoleLimits, SavedAnswer};
pub use acceptor::Acceptor;
pub use cancel::CancelAnswer;
pub use read::{ExitCause, OrderEventRow, OrderFilter, PositionRow, StatusFilter, SubmissionView};
pub use replace::{ReplaceRefusal, Replacement};
