//! The time of day, as a value that is handed in.
//!
//! Invariants:
//!
//! 1. [`SystemClock`] is the only place of the workspace that reads the operating system's clock
//!    (`clippy.toml` bans `Utc::now` and `SystemTime::now` everywhere else).
//! 2. Every time is UTC and cut to microseconds, which is what both databases keep. A time that was written
//!    and read back therefore equals the one that was written.
//!
//! Domain functions take `now` as an argument; only the processes around them hold a [`Clock`].

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Tells the time of day, in UTC, cut to microseconds.
pub trait Clock: Send + Sync + Debug {
    /// The present time.
    fn now(&self) -> DateTime<Utc>;
}

/// A clock as the parts of a process share it.
pub type SharedClock = Arc<dyn Clock>;

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// This clock in the form that is handed around.
    pub fn shared() -> SharedClock {
        Arc::new(SystemClock)
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the time of day"
    )]
    fn now(&self) -> DateTime<Utc> {
        to_microseconds(Utc::now())
    }
}

/// A clock that stands still until it is moved. Clones show the same time.
#[derive(Debug, Clone)]
pub struct ManualClock {
    at: Arc<Mutex<DateTime<Utc>>>,
}

impl ManualClock {
    /// A clock that stands at `at`.
    pub fn new(at: DateTime<Utc>) -> ManualClock {
        ManualClock {
            at: Arc::new(Mutex::new(to_microseconds(at))),
        }
    }

    /// Moves the clock to `at`, forwards or backwards.
    pub fn set(&self, at: DateTime<Utc>) {
        *self.lock() = to_microseconds(at);
    }

    /// Moves the clock by `by`; a negative duration moves it back. At the ends of the calendar it stays.
    pub fn advance(&self, by: TimeDelta) {
        let mut at = self.lock();
        *at = to_microseconds(at.checked_add_signed(by).unwrap_or(*at));
    }

    /// This clock in the form that is handed around; it still follows `self`.
    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, DateTime<Utc>> {
        // A time is replaced as a whole, so a panic elsewhere cannot leave half of one.
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.lock()
    }
}

/// Cuts (never rounds up) a time to microseconds.
pub fn to_microseconds(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_system_clock_is_cut_to_microseconds_and_never_stands_still() {
        let first = SystemClock.now();
        assert_eq!(first, first.trunc_subsecs(6));
        let mut later = SystemClock.now();
        for _ in 0..1_000_000 {
            if later > first {
                break;
            }
            later = SystemClock.now();
        }
        assert!(later > first);
    }

    #[test]
    fn nanoseconds_are_cut_and_not_rounded() {
        let clock = ManualClock::new(at("2026-11-24T14:30:00.123456999Z"));
        assert_eq!(clock.now(), at("2026-11-24T14:30:00.123456Z"));
        clock.set(at("2026-11-24T14:30:00.000000999Z"));
        assert_eq!(clock.now(), at("2026-11-24T14:30:00Z"));
        clock.advance(TimeDelta::nanoseconds(1_999));
        assert_eq!(clock.now(), at("2026-11-24T14:30:00.000001Z"));
    }

    #[test]
    fn clones_and_shared_handles_follow_the_same_hands() {
        let clock = ManualClock::new(at("2026-11-24T14:30:00Z"));
        let (clone, shared) = (clock.clone(), clock.shared());
        clock.advance(TimeDelta::seconds(61));
        assert_eq!(clone.now(), at("2026-11-24T14:31:01Z"));
        assert_eq!(shared.now(), at("2026-11-24T14:31:01Z"));
        clone.advance(TimeDelta::seconds(-61));
        assert_eq!(clock.now(), at("2026-11-24T14:30:00Z"));
    }

    #[test]
    fn an_advance_beyond_the_calendar_leaves_the_clock_where_it_is() {
        let clock = ManualClock::new(at("2026-11-24T14:30:00Z"));
        clock.advance(TimeDelta::MAX);
        assert_eq!(clock.now(), at("2026-11-24T14:30:00Z"));
    }
}
