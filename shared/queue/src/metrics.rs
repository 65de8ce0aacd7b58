//! What the queue counts about itself.
//!
//! Counters only grow while the process lives. A snapshot is read number by number, so two numbers of one
//! snapshot may be a few events apart.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::outcome::Outcome;

/// A snapshot of the queue's counters, since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueMetrics {
    /// Signals that the queue took.
    pub pushed: u64,
    /// Signals left out because enough were waiting; the database holds their work.
    pub skipped_full: u64,
    /// Signals that could not be handed over in time; the database holds their work.
    pub push_failed: u64,
    /// Handlers started.
    pub started: u64,
    /// Handlers that ended by a panic.
    pub panicked: u64,
    /// Signals whose content this version cannot read; dropped.
    pub unreadable: u64,
    /// Workers that ended by a fault of the queue's backend and were built anew.
    pub workers_rebuilt: u64,
    /// Finished jobs whose traces were removed from the backend.
    pub cleaned: u64,
    /// Handlers that returned, by what they returned.
    pub outcomes: OutcomeCounts,
    /// The way from push to start.
    pub start: StartLatency,
}

/// How often each [`Outcome`] was returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    /// [`Outcome::Done`].
    pub done: u64,
    /// [`Outcome::RetryAt`].
    pub retry_at: u64,
    /// [`Outcome::Dead`].
    pub dead: u64,
}

/// The time from push to the start of the handler, in microseconds, and what brought the worker to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartLatency {
    /// The newest measurement.
    pub last_micros: u64,
    /// The mean of all measurements, rounded down.
    pub mean_micros: u64,
    /// The largest measurement.
    pub max_micros: u64,
    /// Starts after a wake-up signal.
    pub by_wake_up: u64,
    /// Starts after a tick of the poll: the net under a lost wake-up.
    pub by_poll: u64,
}

/// What made a worker look for jobs last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    WakeUp,
    Poll,
}

/// The live counters behind [`QueueMetrics`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pushed: AtomicU64,
    skipped_full: AtomicU64,
    push_failed: AtomicU64,
    panicked: AtomicU64,
    unreadable: AtomicU64,
    workers_rebuilt: AtomicU64,
    cleaned: AtomicU64,
    done: AtomicU64,
    retry_at: AtomicU64,
    dead: AtomicU64,
    last_micros: AtomicU64,
    sum_micros: AtomicU64,
    max_micros: AtomicU64,
    by_wake_up: AtomicU64,
    by_poll: AtomicU64,
}

impl Counters {
    pub(crate) fn pushed(&self, signals: u64) {
        self.pushed.fetch_add(signals, Relaxed);
    }

    pub(crate) fn skipped_full(&self, signals: u64) {
        self.skipped_full.fetch_add(signals, Relaxed);
    }

    pub(crate) fn push_failed(&self, signals: u64) {
        self.push_failed.fetch_add(signals, Relaxed);
    }

    pub(crate) fn panicked(&self) {
        self.panicked.fetch_add(1, Relaxed);
    }

    pub(crate) fn unreadable(&self, signals: u64) {
        self.unreadable.fetch_add(signals, Relaxed);
    }

    pub(crate) fn worker_rebuilt(&self) {
        self.workers_rebuilt.fetch_add(1, Relaxed);
    }

    pub(crate) fn cleaned(&self, jobs: u64) {
        self.cleaned.fetch_add(jobs, Relaxed);
    }

    pub(crate) fn started(&self, cause: Cause, age_micros: u64) {
        match cause {
            Cause::WakeUp => self.by_wake_up.fetch_add(1, Relaxed),
            Cause::Poll => self.by_poll.fetch_add(1, Relaxed),
        };
        self.last_micros.store(age_micros, Relaxed);
        self.sum_micros.fetch_add(age_micros, Relaxed);
        self.max_micros.fetch_max(age_micros, Relaxed);
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        match outcome {
            Outcome::Done => self.done.fetch_add(1, Relaxed),
            Outcome::RetryAt(_) => self.retry_at.fetch_add(1, Relaxed),
            Outcome::Dead(_) => self.dead.fetch_add(1, Relaxed),
        };
    }

    pub(crate) fn snapshot(&self) -> QueueMetrics {
        let by_wake_up = self.by_wake_up.load(Relaxed);
        let by_poll = self.by_poll.load(Relaxed);
        let started = by_wake_up.saturating_add(by_poll);
        QueueMetrics {
            pushed: self.pushed.load(Relaxed),
            skipped_full: self.skipped_full.load(Relaxed),
            push_failed: self.push_failed.load(Relaxed),
            started,
            panicked: self.panicked.load(Relaxed),
            unreadable: self.unreadable.load(Relaxed),
            workers_rebuilt: self.workers_rebuilt.load(Relaxed),
            cleaned: self.cleaned.load(Relaxed),
            outcomes: OutcomeCounts {
                done: self.done.load(Relaxed),
                retry_at: self.retry_at.load(Relaxed),
                dead: self.dead.load(Relaxed),
            },
            start: StartLatency {
                last_micros: self.last_micros.load(Relaxed),
                mean_micros: self.sum_micros.load(Relaxed).checked_div(started).unwrap_or(0),
                max_micros: self.max_micros.load(Relaxed),
                by_wake_up,
                by_poll,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latency_record_keeps_the_last_the_mean_and_the_largest_start() {
        let counters = Counters::default();
        counters.started(Cause::WakeUp, 100);
        counters.started(Cause::Poll, 900);
        counters.started(Cause::WakeUp, 201);
        let metrics = counters.snapshot();
        assert_eq!(metrics.started, 3);
        assert_eq!(
            metrics.start,
            StartLatency {
                last_micros: 201,
                mean_micros: 400,
                max_micros: 900,
                by_wake_up: 2,
                by_poll: 1
            }
        );
    }

    #[test]
    fn a_queue_that_started_nothing_reports_zeroes() {
        assert_eq!(Counters::default().snapshot(), QueueMetrics::default());
    }
}
