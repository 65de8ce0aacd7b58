//! Keeps a lease: asks for it, renews it, and steps down in time.
//!
//! 1. The holder counts on its lease by its own monotonic clock, from before it asked, so never longer than the database.
//! 2. It renews at a third of the time. When that fails until the time is over, the lease has lapsed.
//! 3. A holder that ends gives the lease back, so that the next one begins at once; one that dies is followed when its time
//!    is over.
//! 4. Two holders for a moment (a process stopped and woken again) are possible: what is done under a lease must bear that.

use std::time::{Duration, Instant};

use crate::Store;

/// How long a holder that says nothing keeps what it leads.
pub const LEASE: Duration = Duration::from_secs(6);

/// One lease, as this process knows it.
#[derive(Debug)]
pub struct LeaseKeeper {
    store: Store,
    name: &'static str,
    holder: String,
    state: State,
}

/// Whether this process has the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The fence under which it has it.
    pub fence: Option<i64>,
    /// Whether it has it only now, or under another fence than before.
    pub has_begun: bool,
}

/// What is known; pure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    lease: Duration,
    asked: Option<Instant>,
    held: Option<Held>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    fence: i64,
    until: Instant,
}

/// What an answer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    Began,
    Lost,
}

impl State {
    const fn new(lease: Duration) -> State {
        State {
            lease,
            asked: None,
            held: None,
        }
    }

    /// How often the holder renews, and how often the others ask.
    fn renew_every(&self) -> Duration {
        self.lease / 3
    }

    /// Whether it is time to ask for the lease, or to renew it.
    fn is_to_be_asked(&self, now: Instant) -> bool {
        self.asked
            .is_none_or(|asked| now.duration_since(asked) >= self.renew_every())
    }

    /// The fence under which this process has the lease at `now`.
    fn fence(&self, now: Instant) -> Option<i64> {
        self.held.filter(|held| now < held.until).map(|held| held.fence)
    }

    /// Takes the answer to the question asked at `asked`: the fence, or that another has the lease.
    fn take(&mut self, asked: Instant, answer: Option<i64>) -> Change {
        let before = self.fence(asked);
        self.held = answer.map(|fence| Held {
            fence,
            until: asked + self.lease,
        });
        match (before, answer) {
            (Some(before), Some(now)) if before == now => Change::Nothing,
            (Some(_) | None, Some(_)) => Change::Began,
            (Some(_), None) => Change::Lost,
            (None, None) => Change::Nothing,
        }
    }

    /// Lets go of a lease whose time is over at `now`. Answers whether there was one.
    fn lapse(&mut self, now: Instant) -> bool {
        self.held.take_if(|held| held.until <= now).is_some()
    }
}

impl LeaseKeeper {
    /// Wants the lease `name` for `lease` at a time, as `holder`, and has nothing yet.
    pub fn new(store: Store, name: &'static str, holder: String, lease: Duration) -> LeaseKeeper {
        LeaseKeeper {
            store,
            name,
            holder,
            state: State::new(lease),
        }
    }

    /// Asks or renews when it is time, and answers whether this process has the lease. Call it again and again.
    pub async fn keep(&mut self) -> Kept {
        let asked = Instant::now();
        self.lapse();
        let has_begun = self.state.is_to_be_asked(asked) && self.ask(asked).await;
        // The answer, or that there was none, may have taken longer than the lease lasts.
        self.lapse();
        let fence = self.state.fence(Instant::now());
        Kept {
            fence,
            has_begun: has_begun && fence.is_some(),
        }
    }

    async fn ask(&mut self, asked: Instant) -> bool {
        self.state.asked = Some(asked);
        let (name, holder, lease) = (self.name, &self.holder, self.state.lease);
        match self.store.acquire_lease(name, holder, lease).await {
            Ok(grant) => match self.state.take(asked, grant.map(|grant| grant.fence)) {
                Change::Nothing => false,
                Change::Began => true,
                Change::Lost => {
                    tracing::warn!(
                        lease.name = name,
                        lease.holder = holder,
                        "another has the lease now"
                    );
                    false
                }
            },
            Err(error) => {
                tracing::warn!(%error, lease.name = name, lease.holder = holder, "no answer about the lease");
                false
            }
        }
    }

    fn lapse(&mut self) {
        if self.state.lapse(Instant::now()) {
            tracing::warn!(
                lease.name = self.name,
                lease.holder = self.holder,
                "the lease has lapsed: it was not renewed in time"
            );
        }
    }

    /// Gives the lease back, so that another may go on at once.
    pub async fn hand_over(&mut self) {
        if self.state.held.take().is_none() {
            return;
        }
        if let Err(error) = self.store.release_lease(self.name, &self.holder).await {
            tracing::debug!(%error, lease.name = self.name, "the lease runs out by itself");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIRD: Duration = Duration::from_secs(2);

    #[test]
    fn a_holder_counts_on_its_lease_from_before_it_asked() {
        let asked = Instant::now();
        let mut state = State::new(LEASE);
        assert_eq!(state.take(asked, Some(7)), Change::Began);
        assert_eq!(state.fence(asked + THIRD * 2), Some(7));
        assert_eq!(state.fence(asked + LEASE), None);
    }

    #[test]
    fn a_holder_steps_down_when_another_has_the_lease() {
        let asked = Instant::now();
        let mut state = State::new(LEASE);
        state.take(asked, Some(7));
        assert_eq!(state.take(asked + THIRD, Some(7)), Change::Nothing);
        assert_eq!(state.take(asked + THIRD * 2, None), Change::Lost);
        assert_eq!(state.fence(asked + THIRD * 2), None);
        assert_eq!(state.take(asked + THIRD * 3, None), Change::Nothing);
    }

    #[test]
    fn a_holder_that_was_away_begins_anew_under_a_greater_fence() {
        let asked = Instant::now();
        let mut state = State::new(LEASE);
        state.take(asked, Some(7));
        assert_eq!(state.take(asked + THIRD, Some(9)), Change::Began);
        assert_eq!(state.fence(asked + THIRD), Some(9));
    }

    #[test]
    fn a_lease_lapses_once_when_its_time_is_over() {
        let asked = Instant::now();
        let mut state = State::new(LEASE);
        assert!(!state.lapse(asked), "there was none");
        state.take(asked, Some(7));
        assert!(!state.lapse(asked + THIRD * 2));
        assert!(state.lapse(asked + LEASE));
        assert!(!state.lapse(asked + LEASE));
        assert_eq!(state.take(asked + LEASE, Some(7)), Change::Began);
    }

    #[test]
    fn the_lease_is_renewed_at_a_third_of_its_time() {
        let asked = Instant::now();
        let mut state = State::new(LEASE);
        assert!(state.is_to_be_asked(asked));
        state.asked = Some(asked);
        assert!(!state.is_to_be_asked(asked + THIRD / 2));
        assert!(state.is_to_be_asked(asked + THIRD));
        assert_eq!(state.renew_every() * 3, LEASE);
    }
}
