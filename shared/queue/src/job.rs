//! What a signal can ask a worker to do.
//!
//! Invariants:
//!
//! 1. A job carries ids, never state: the worker reads the row again and believes only the row.
//! 2. A job that is delivered twice, late or never does no harm. Twice: the row no longer needs the work, so
//!    the second run ends quietly. Never: the due time in the database finds the row.

use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One piece of work that a worker can be woken up for.
///
/// A new variant is read by older workers as an unknown job: they count it and drop it, and the database's
/// own due time brings the work back.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Do what is due for this order: submit, cancel, replace or look it up.
    ExecuteOrder {
        /// The order whose work row is to be claimed.
        order_id: Uuid,
    },
    /// Compare the armed stops of one shard with the quotes of one time slot.
    SweepStops {
        /// The time slot, as the scheduler numbers them.
        slot: i64,
        /// The share of the instruments that this sweep covers.
        shard: i32,
    },
    /// Read what a broker reports for one connection since its cursor.
    ReadReports {
        /// The broker connection to read from.
        connection_id: Uuid,
    },
}

impl Job {
    /// The job's name in log fields and metric labels.
    pub const fn name(&self) -> &'static str {
        match self {
            Job::ExecuteOrder { .. } => "execute_order",
            Job::SweepStops { .. } => "sweep_stops",
            Job::ReadReports { .. } => "read_reports",
        }
    }
}

/// A job as it travels: with the moment of its push, so that a worker can tell how long the way took.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) job: Job,
    /// Microseconds since the Unix epoch by the pusher's clock. Only a measurement, never a decision.
    pub(crate) pushed_at_micros: u64,
}

impl Signal {
    /// A signal that leaves now.
    pub(crate) fn now(job: Job) -> Signal {
        Signal {
            job,
            pushed_at_micros: micros_since_epoch(),
        }
    }

    /// How long this signal has been under way; zero when the pusher's clock is ahead of ours.
    pub(crate) fn age_micros(&self) -> u64 {
        micros_since_epoch().saturating_sub(self.pushed_at_micros)
    }
}

/// The age of a signal is measured between processes, so it needs the machine's clock: an injected clock that
/// stands still would measure nothing.
fn micros_since_epoch() -> u64 {
    UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_survives_the_way_through_the_queue() {
        let jobs = [
            Job::ExecuteOrder {
                order_id: Uuid::from_u128(1),
            },
            Job::SweepStops { slot: -7, shard: 3 },
            Job::ReadReports {
                connection_id: Uuid::from_u128(2),
            },
        ];
        for job in jobs {
            let signal = Signal::now(job.clone());
            let text = serde_json::to_string(&signal).unwrap();
            assert_eq!(serde_json::from_str::<Signal>(&text).unwrap(), signal, "{text}");
            let value = serde_json::from_str::<serde_json::Value>(&text).unwrap();
            assert_eq!(serde_json::from_value::<Signal>(value).unwrap(), signal, "{text}");
        }
    }

    #[test]
    fn the_written_form_of_a_job_does_not_change() {
        let signal = Signal {
            job: Job::SweepStops { slot: 5, shard: 1 },
            pushed_at_micros: 9,
        };
        assert_eq!(
            serde_json::to_string(&signal).unwrap(),
            r#"{"job":{"sweep_stops":{"slot":5,"shard":1}},"pushed_at_micros":9}"#
        );
    }

    #[test]
    fn a_signal_from_a_clock_that_is_ahead_has_no_age() {
        let signal = Signal {
            job: Job::SweepStops { slot: 5, shard: 1 },
            pushed_at_micros: u64::MAX,
        };
        assert_eq!(signal.age_micros(), 0);
    }
}
