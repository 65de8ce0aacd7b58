//! How a handler ends.
//!
//! The queue only counts outcomes. To apalis a handled job is always done: retries, back-off and the end of
//! an attempt are facts of the work row in the database, which the handler has written before it returns.

use chrono::{DateTime, Utc};

/// The end of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The work is done, or the row no longer asked for it.
    Done,
    /// The work is due again at this time; the row says so, too.
    RetryAt(DateTime<Utc>),
    /// The work has ended without success, for the reason that this code names.
    Dead(&'static str),
}
