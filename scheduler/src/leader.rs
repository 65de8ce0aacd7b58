//! One leader at a time: a lease in the database, with a number that grows with each change of holder.
//!
//! 1. The leader counts on its lease by its own monotonic clock, from before it asked, so never longer than the database.
//! 2. It renews at a third of the time. When that fails until the time is over, it steps down.
//! 3. A leader that ends gives the lease back, so that the next one begins within a second; one that dies is followed
//!    when its time is over.
//! 4. Two leaders for a moment (a process stopped and woken again) do no harm: every tick is idempotent by its slot.

use std::time::{Duration, Instant};

use store::Store;

/// The lease that the leader has.
pub const LEASE_NAME: &str = "scheduler-leader";

/// How long a leader that says nothing stays the leader.
pub const LEASE: Duration = Duration::from_secs(6);

/// How often the leader renews its lease, and how often the others ask for it.
pub const RENEW_EVERY: Duration = Duration::from_secs(2);

/// The right to lead, as this process knows it.
#[derive(Debug)]
pub(crate) struct Leadership {
    store: Store,
    holder: String,
    state: State,
}

/// What this process knows; pure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
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
    SteppedDown,
}

impl State {
    /// Whether it is time to ask for the lease, or to renew it.
    fn is_to_be_asked(&self, now: Instant) -> bool {
        self.asked
            .is_none_or(|asked| now.duration_since(asked) >= RENEW_EVERY)
    }

    /// The fence under which this process leads at `now`.
    fn fence(&self, now: Instant) -> Option<i64> {
        self.held.filter(|held| now < held.until).map(|held| held.fence)
    }

    /// Takes the answer to the question asked at `asked`: the fence, or that another leads.
    fn take(&mut self, asked: Instant, answer: Option<i64>) -> Change {
        let before = self.fence(asked);
        self.held = answer.map(|fence| Held {
            fence,
            until: asked + LEASE,
        });
        match (before, answer) {
            (Some(before), Some(now)) if before == now => Change::Nothing,
            (Some(_) | None, Some(_)) => Change::Began,
            (Some(_), None) => Change::SteppedDown,
            (None, None) => Change::Nothing,
        }
    }
}

impl Leadership {
    /// Leads nothing yet.
    pub(crate) fn new(store: Store, holder: String) -> Leadership {
        Leadership {
            store,
            holder,
            state: State::default(),
        }
    }

    /// Asks or renews when it is time, and answers the fence under which this process leads.
    pub(crate) async fn keep(&mut self) -> Option<i64> {
        let asked = Instant::now();
        if self.state.is_to_be_asked(asked) {
            self.state.asked = Some(asked);
            self.ask(asked).await;
        }
        self.state.fence(Instant::now())
    }

    async fn ask(&mut self, asked: Instant) {
        let led = self.state.fence(asked).is_some();
        match self.store.acquire_lease(LEASE_NAME, &self.holder, LEASE).await {
            Ok(lease) => match self.state.take(asked, lease.map(|lease| lease.fence)) {
                Change::Nothing => {}
                Change::Began => {
                    let fence = self.state.fence(asked);
                    tracing::info!(scheduler.name = self.holder, fence, "leading from now on");
                }
                Change::SteppedDown => tracing::warn!(scheduler.name = self.holder, "another leads now"),
            },
            Err(error) if led => {
                tracing::warn!(%error, "the lease could not be renewed; leading until it ends");
            }
            Err(error) => tracing::warn!(%error, "no answer about the lease"),
        }
    }

    /// Gives the lease back.
    pub(crate) async fn hand_over(&mut self) {
        if self.state.fence(Instant::now()).is_none() {
            return;
        }
        self.state = State::default();
        if let Err(error) = self.store.release_lease(LEASE_NAME, &self.holder).await {
            tracing::debug!(%error, "the lease runs out by itself");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_counts_on_its_lease_from_before_it_asked() {
        let asked = Instant::now();
        let mut state = State::default();
        assert_eq!(state.take(asked, Some(7)), Change::Began);
        assert_eq!(state.fence(asked + RENEW_EVERY * 2), Some(7));
        assert_eq!(state.fence(asked + LEASE), None);
    }

    #[test]
    fn a_leader_steps_down_when_another_leads() {
        let asked = Instant::now();
        let mut state = State::default();
        state.take(asked, Some(7));
        assert_eq!(state.take(asked + RENEW_EVERY, Some(7)), Change::Nothing);
        assert_eq!(state.take(asked + RENEW_EVERY * 2, None), Change::SteppedDown);
        assert_eq!(state.fence(asked + RENEW_EVERY * 2), None);
        assert_eq!(state.take(asked + RENEW_EVERY * 3, None), Change::Nothing);
    }

    #[test]
    fn a_leader_that_was_away_begins_anew_under_a_greater_fence() {
        let asked = Instant::now();
        let mut state = State::default();
        state.take(asked, Some(7));
        assert_eq!(state.take(asked + RENEW_EVERY, Some(9)), Change::Began);
        assert_eq!(state.fence(asked + RENEW_EVERY), Some(9));
    }

    #[test]
    fn the_lease_is_renewed_at_a_third_of_its_time() {
        let asked = Instant::now();
        let state = State {
            asked: Some(asked),
            held: None,
        };
        assert!(State::default().is_to_be_asked(asked));
        assert!(!state.is_to_be_asked(asked + RENEW_EVERY / 2));
        assert!(state.is_to_be_asked(asked + RENEW_EVERY));
        assert_eq!(RENEW_EVERY * 3, LEASE);
    }
}
