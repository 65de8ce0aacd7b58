//! Remembers for a moment that Redis did not answer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Closed: calls go through. Open: they do not, for a pause; after it one call a pause goes through until one
/// succeeds.
#[derive(Debug)]
pub struct Breaker {
    pause: Duration,
    open_until: Mutex<Option<Instant>>,
}

impl Breaker {
    /// A closed breaker; `pause` is how long it stays open after a failure.
    pub fn new(pause: Duration) -> Breaker {
        Breaker {
            pause,
            open_until: Mutex::new(None),
        }
    }

    /// Whether the last failure, if any, was followed by an answer or is older than the pause. Changes nothing.
    pub fn is_closed(&self) -> bool {
        self.is_closed_at(Instant::now())
    }

    /// Whether this call may go through. After a failure, each pause lets one call try.
    pub fn allows(&self) -> bool {
        self.allows_at(Instant::now())
    }

    /// Notes that no answer came; says whether that is news.
    pub fn open(&self) -> bool {
        self.open_at(Instant::now())
    }

    /// Notes an answer; says whether that is news.
    pub fn close(&self) -> bool {
        self.lock().take().is_some()
    }

    fn is_closed_at(&self, now: Instant) -> bool {
        self.lock().is_none_or(|until| until <= now)
    }

    fn allows_at(&self, now: Instant) -> bool {
        let mut open_until = self.lock();
        match *open_until {
            None => true,
            Some(until) if until > now => false,
            Some(_) => {
                // This caller tries; the others go on falling back until it succeeds or the pause is over.
                *open_until = now.checked_add(self.pause);
                true
            }
        }
    }

    fn open_at(&self, now: Instant) -> bool {
        let until = now.checked_add(self.pause);
        std::mem::replace(&mut *self.lock(), until).is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.open_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_it_says_no_for_the_pause_and_then_lets_one_call_a_pause_try() {
        let breaker = Breaker::new(Duration::from_secs(1));
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert!(breaker.is_closed_at(start) && breaker.allows_at(start));

        assert!(breaker.open_at(start), "the first failure is news");
        assert!(!breaker.is_closed_at(at(999)) && !breaker.allows_at(at(999)));

        assert!(breaker.is_closed_at(at(1000)), "looking does not use up the try");
        assert!(breaker.allows_at(at(1000)), "one call tries");
        assert!(
            !breaker.allows_at(at(1001)) && !breaker.is_closed_at(at(1001)),
            "the others fall back"
        );
        assert!(
            breaker.allows_at(at(2000)),
            "the try got no answer, so another one follows"
        );

        assert!(!breaker.open_at(at(2000)), "a further failure is not");
        assert!(breaker.close() && !breaker.close());
        assert!(breaker.is_closed_at(at(2001)) && breaker.allows_at(at(2001)) && breaker.allows_at(at(2001)));
    }
}
