//! The point at which a test may end the process, as `kill -9` would, by the variable `FAILPOINTS`
//! (`FAILPOINTS='scheduler::between_slot_and_signal=return'`). Without the feature `fault-points` nothing of this is
//! compiled in.

/// The row of a sweep is committed; no worker has been told.
pub const BETWEEN_SLOT_AND_SIGNAL: &str = "scheduler::between_slot_and_signal";

/// Passes the point `name`, unless a test has something else in mind.
#[cfg(feature = "fault-points")]
pub(crate) fn pass(name: &'static str) {
    // The answer says only whether the point was switched on.
    let _: Option<()> = fail::eval(name, |_| std::process::abort());
}

/// Passes the point `name`.
#[cfg(not(feature = "fault-points"))]
pub(crate) const fn pass(_name: &'static str) {}
