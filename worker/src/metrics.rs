//! What a worker counts about itself. Counters only grow while the process lives.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use chrono::TimeDelta;

/// A snapshot of a worker's counters, since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerMetrics {
    /// Calls that the broker acknowledged.
    pub acknowledged: u64,
    /// Calls that the broker refused.
    pub refused: u64,
    /// Calls that certainly did not leave.
    pub not_sent: u64,
    /// Calls without a known outcome.
    pub unknown: u64,
    /// Look-ups of unknown outcomes.
    pub looked_up: u64,
    /// The way from the acceptance of an order to its first broker call.
    pub accept_to_call: Latency,
    /// Passes of handlers and duties that ended by a panic.
    pub panics: u64,
}

/// Times of one kind, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Their mean, rounded down.
    pub mean_micros: u64,
    /// The largest.
    pub max_micros: u64,
}

/// The counters behind the snapshots.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    acknowledged: AtomicU64,
    refused: AtomicU64,
    not_sent: AtomicU64,
    unknown: AtomicU64,
    looked_up: AtomicU64,
    panics: AtomicU64,
    calls: AtomicU64,
    micros: AtomicU64,
    micros_max: AtomicU64,
}

impl Counters {
    pub(crate) fn acknowledged(&self) {
        self.acknowledged.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn not_sent(&self) {
        self.not_sent.fetch_add(1, Relaxed);
    }

    pub(crate) fn unknown(&self) {
        self.unknown.fetch_add(1, Relaxed);
    }

    pub(crate) fn looked_up(&self) {
        self.looked_up.fetch_add(1, Relaxed);
    }

    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Relaxed);
    }

    /// A first broker call began so long after its order was accepted.
    pub(crate) fn accept_to_call(&self, waited: TimeDelta) {
        // A clock of another host may be ahead of ours.
        let micros = waited
            .num_microseconds()
            .and_then(|micros| u64::try_from(micros).ok())
            .unwrap_or(0);
        self.calls.fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
        self.micros_max.fetch_max(micros, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> WorkerMetrics {
        let count = self.calls.load(Relaxed);
        WorkerMetrics {
            acknowledged: self.acknowledged.load(Relaxed),
            refused: self.refused.load(Relaxed),
            not_sent: self.not_sent.load(Relaxed),
            unknown: self.unknown.load(Relaxed),
            looked_up: self.looked_up.load(Relaxed),
            panics: self.panics.load(Relaxed),
            accept_to_call: Latency {
                count,
                mean_micros: self.micros.load(Relaxed).checked_div(count).unwrap_or(0),
                max_micros: self.micros_max.load(Relaxed),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_acceptance_to_the_call_is_measured() {
        let counters = Counters::default();
        for micros in [900, 1_100, -5] {
            counters.accept_to_call(TimeDelta::microseconds(micros));
        }
        let expected = Latency {
            count: 3,
            mean_micros: 666,
            max_micros: 1_100,
        };
        assert_eq!(counters.snapshot().accept_to_call, expected);
    }

    #[test]
    fn nothing_measured_is_zero() {
        assert_eq!(Counters::default().snapshot(), WorkerMetrics::default());
    }
}
