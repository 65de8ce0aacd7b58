//! The points at which a test may end the process, as `kill -9` would, by the variable `FAILPOINTS`.
//!
//! `FAILPOINTS='worker::after_send=return'` aborts the process the first time the point is reached;
//! `=2*off->return` the third time; `=sleep(500)` and `=pause` hold it up there. A point that is switched on says so in
//! the log when it is passed, so that a test knows where the process is. Without the feature `fault-points`
//! nothing of this is compiled in.

#[cfg(feature = "fault-points")]
use std::collections::BTreeSet;
#[cfg(feature = "fault-points")]
use std::sync::OnceLock;

/// Work is claimed; no attempt is written down.
pub const AFTER_CLAIM: &str = "worker::after_claim";

/// The attempt is committed; nothing has left.
pub const AFTER_BEGIN: &str = "worker::after_begin";

/// The claim was found to last for the call; nothing has left. What fencing cannot close lies behind this point.
pub const BEFORE_SEND: &str = "worker::before_send";

/// The broker has answered; nothing of it is recorded.
pub const AFTER_SEND: &str = "worker::after_send";

/// Some triggers of a sweep have fired and are committed; others are still armed.
pub const BETWEEN_FIRED_TRIGGERS: &str = "worker::between_fired_triggers";

/// A claim counts as lasting long enough, however old it is: a fault that the trials have to notice.
pub const NO_LEASE_CHECK: &str = "plant::no_lease_check";

/// An order whose outcome is unknown is sent again: a fault that the trials have to notice.
pub const BLIND_RESEND: &str = "plant::blind_resend";

/// Whether a test has planted the fault `name`, by `FAILPOINTS='plant::…=return'`.
#[cfg(feature = "fault-points")]
pub(crate) fn is_planted(name: &'static str) -> bool {
    fail::eval(name, |_| ()).is_some()
}

/// Nothing is planted.
#[cfg(not(feature = "fault-points"))]
pub(crate) const fn is_planted(_name: &'static str) -> bool {
    false
}

/// Passes the point `name`, unless a test has something else in mind.
#[cfg(feature = "fault-points")]
pub(crate) fn pass(name: &'static str) {
    if switched_on().contains(name) {
        tracing::info!(point = name, "at a fault point");
    }
    // The answer says only whether the point was switched on.
    let _: Option<()> = fail::eval(name, |_| std::process::abort());
}

/// The points that were switched on when the first one was passed.
#[cfg(feature = "fault-points")]
fn switched_on() -> &'static BTreeSet<String> {
    static POINTS: OnceLock<BTreeSet<String>> = OnceLock::new();
    POINTS.get_or_init(|| fail::list().into_iter().map(|(name, _)| name).collect())
}

/// Passes the point `name`.
#[cfg(not(feature = "fault-points"))]
pub(crate) const fn pass(_name: &'static str) {}
