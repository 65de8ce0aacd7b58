//! When this process has to look for due work again, beside its regular polls.
//!
//! Work that a worker put off for a moment is due long before the next regular poll of a healthy system. The times kept
//! here bring the poll forward; they are hints in memory, and a lost one costs only the wait for the regular poll.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// So many times are kept at most; more would hardly be apart.
const TIMES_MAX: usize = 1_024;

/// A little later than asked, so that the database's clock agrees that the work is due.
const AFTER_DUE: Duration = Duration::from_millis(2);

/// The times at which to look.
#[derive(Debug, Default)]
pub(crate) struct DueTimes {
    times: Mutex<BTreeSet<Instant>>,
    earlier: Notify,
}

impl DueTimes {
    /// Asks for a look in `delay` from now.
    pub(crate) fn look_in(&self, delay: Duration) {
        self.add(Instant::now() + delay + AFTER_DUE);
    }

    fn add(&self, at: Instant) {
        let mut times = self.lock();
        let is_earliest = times.first().is_none_or(|first| at < *first);
        if times.len() < TIMES_MAX || is_earliest {
            times.insert(at);
        }
        while times.len() > TIMES_MAX {
            times.pop_last();
        }
        drop(times);
        if is_earliest {
            self.earlier.notify_one();
        }
    }

    /// Waits until the earliest time, at most for `longest`. Answers whether that time has come.
    pub(crate) async fn wait(&self, longest: Duration) -> bool {
        let end = Instant::now() + longest;
        loop {
            let earliest = self.earliest().filter(|first| *first <= end);
            if earliest.unwrap_or(end) <= Instant::now() {
                return earliest.is_some();
            }
            tokio::select! {
                () = tokio::time::sleep_until(earliest.unwrap_or(end).into()) => {}
                () = self.earlier.notified() => {}
            }
        }
    }

    /// Forgets the times that have come; call it before looking.
    pub(crate) fn clear(&self) {
        let now = Instant::now();
        self.lock().retain(|at| *at > now);
    }

    fn earliest(&self) -> Option<Instant> {
        self.lock().first().copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Instant>> {
        // Every change is one call on the set, so a panic elsewhere leaves it whole.
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_ends_at_the_earliest_time_and_not_at_the_regular_poll() {
        let due = DueTimes::default();
        due.look_in(Duration::from_hours(1));
        due.look_in(Duration::from_millis(5));
        let before = Instant::now();
        assert!(due.wait(Duration::from_mins(1)).await);
        assert!(before.elapsed() >= Duration::from_millis(5));
        assert!(before.elapsed() < Duration::from_secs(30));
        due.clear();
        assert_eq!(due.lock().len(), 1, "only the time that has come is forgotten");
    }

    #[tokio::test]
    async fn a_time_that_is_added_during_a_wait_brings_it_forward() {
        let due = DueTimes::default();
        let before = Instant::now();
        let add = async {
            tokio::task::yield_now().await;
            due.look_in(Duration::ZERO);
        };
        let (has_come, ()) = tokio::join!(due.wait(Duration::from_mins(1)), add);
        assert!(has_come);
        assert!(before.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_wait_for_nothing_lasts_as_long_as_it_may() {
        let due = DueTimes::default();
        due.look_in(Duration::from_hours(1));
        assert!(!due.wait(Duration::from_millis(2)).await);
    }

    #[test]
    fn of_too_many_times_the_earliest_are_kept() {
        let due = DueTimes::default();
        let start = Instant::now();
        let at = |number: usize| start + Duration::from_secs(u64::try_from(number).unwrap());
        for number in (0..TIMES_MAX + 50).rev() {
            due.add(at(number));
        }
        assert_eq!(due.lock().len(), TIMES_MAX);
        assert_eq!(due.earliest(), Some(at(0)));
        assert_eq!(due.lock().last(), Some(&at(TIMES_MAX - 1)));
    }
}
