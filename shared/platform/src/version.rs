//! Which build this is, and since when the process runs.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::clock::Clock;

/// The version of the workspace, as `--version` and `/health` show it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The start of a process: the time of day for people, a monotonic instant for the uptime.
///
/// The uptime does not follow the wall clock, so setting the clock back never makes it negative.
#[derive(Debug, Clone, Copy)]
pub struct Started {
    at: DateTime<Utc>,
    since: Instant,
}

impl Started {
    /// Notes the start; call it once, early in `main`.
    pub fn now(clock: &dyn Clock) -> Started {
        Started {
            at: clock.now(),
            since: Instant::now(),
        }
    }

    /// When the process started.
    pub fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// How long the process has been running.
    pub fn uptime(&self) -> Duration {
        self.since.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn the_start_is_read_from_the_clock_and_the_uptime_is_not() {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        let started = Started::now(&clock);
        clock.advance(chrono::TimeDelta::hours(5));
        assert_eq!(started.at(), DateTime::UNIX_EPOCH);
        assert!(started.uptime() < Duration::from_hours(1));
    }

    #[test]
    fn the_version_has_three_numbers() {
        let numbers: Vec<u32> = VERSION.split('.').map(|part| part.parse().unwrap()).collect();
        assert_eq!(numbers.len(), 3);
    }
}
