//! When a worker looks for jobs: at a wake-up, and at short ticks as the net under lost ones.
//!
//! apalis asks a poll strategy once at each poll and drops what it says. A wake-up that arrives while a fetch is
//! under way is thereby lost: the fetch may have seen the list before the push, and nobody looks again. So a
//! wake-up that met a call under way is *owed*: as soon as the worker goes to sleep, it is woken once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use apalis::prelude::{PollSnapshot, PollStrategy};
use futures::task::AtomicWaker;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::metrics::Cause;

/// A worker without wake-ups looks for jobs this often.
pub(super) const POLL_TIME: Duration = Duration::from_millis(50);

/// Rung for each push; one worker listens.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    listener: AtomicWaker,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.rung.store(true, Ordering::SeqCst);
        self.listener.wake();
    }

    /// Whether it was rung since the last time; else the caller is woken at the next ring.
    fn heard(&self, context: &Context<'_>) -> bool {
        self.listener.register(context.waker());
        self.rung.swap(false, Ordering::SeqCst)
    }
}

/// What brought the worker to look last, shared with those who start its jobs.
#[derive(Clone, Debug, Default)]
pub(super) struct LastCause {
    by_wake_up: Arc<AtomicBool>,
}

impl LastCause {
    pub(super) fn get(&self) -> Cause {
        if self.by_wake_up.load(Ordering::Relaxed) {
            Cause::WakeUp
        } else {
            Cause::Poll
        }
    }

    fn set(&self, cause: Cause) {
        self.by_wake_up.store(cause == Cause::WakeUp, Ordering::Relaxed);
    }
}

/// The poll strategy of a worker.
pub(super) struct Net {
    bell: Option<Arc<Bell>>,
    ticks: Interval,
    calls_under_way: Arc<AtomicUsize>,
    cause: LastCause,
    worker: Option<Waker>,
    owed: bool,
}

impl Net {
    /// A strategy that listens to `bell`, if there is one, and to its own ticks.
    pub(super) fn new(
        bell: Option<Arc<Bell>>,
        poll_time: Duration,
        calls_under_way: Arc<AtomicUsize>,
        cause: LastCause,
    ) -> Net {
        let mut ticks = interval(poll_time);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Net {
            bell,
            ticks,
            calls_under_way,
            cause,
            worker: None,
            owed: false,
        }
    }

    fn is_call_under_way(&self) -> bool {
        self.calls_under_way.load(Ordering::SeqCst) > 0
    }
}

impl PollStrategy for Net {
    fn poll_drive(&mut self, context: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        self.worker = Some(context.waker().clone());
        let mut look = None;
        while self.ticks.poll_tick(context).is_ready() {
            look = Some(Cause::Poll);
        }
        if self.bell.as_ref().is_some_and(|bell| bell.heard(context)) {
            look = Some(Cause::WakeUp);
        }
        let Some(cause) = look else { return Poll::Pending };
        self.cause.set(cause);
        // Without a call under way the fetch that follows is younger than what woke us.
        if cause == Cause::WakeUp && self.is_call_under_way() {
            self.owed = true;
        }
        Poll::Ready(Some(()))
    }

    fn on_poll(&mut self, snapshot: &PollSnapshot) {
        let goes_to_sleep = snapshot.is_idle() && !self.is_call_under_way();
        if self.owed && goes_to_sleep {
            self.owed = false;
            if let Some(worker) = &self.worker {
                worker.wake_by_ref();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    /// No second tick comes while a test runs.
    const LONG: Duration = Duration::from_hours(1);

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn a_wake_up_that_met_a_fetch_wakes_the_worker_again_when_it_would_sleep() {
        let (bell, calls, woken) = (
            Arc::new(Bell::default()),
            Arc::new(AtomicUsize::new(0)),
            Arc::new(Woken::default()),
        );
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let idle = PollSnapshot::new();
        let mut net = Net::new(
            Some(Arc::clone(&bell)),
            LONG,
            Arc::clone(&calls),
            LastCause::default(),
        );
        let _ = net.poll_drive(&mut context, &idle);

        calls.store(1, Ordering::SeqCst);
        bell.ring();
        assert!(net.poll_drive(&mut context, &idle).is_ready());
        net.on_poll(&idle);
        let before = woken.0.load(Ordering::SeqCst);
        assert_eq!(before, 1, "the ring itself; the fetch is still under way");

        calls.store(0, Ordering::SeqCst);
        assert!(net.poll_drive(&mut context, &idle).is_pending());
        net.on_poll(&idle);
        assert_eq!(woken.0.load(Ordering::SeqCst), before + 1, "the owed look");
        net.on_poll(&idle);
        assert_eq!(woken.0.load(Ordering::SeqCst), before + 1, "owed once");
    }

    #[tokio::test]
    async fn a_wake_up_before_the_fetch_owes_nothing() {
        let (bell, woken) = (Arc::new(Bell::default()), Arc::new(Woken::default()));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let idle = PollSnapshot::new();
        let cause = LastCause::default();
        let mut net = Net::new(Some(Arc::clone(&bell)), LONG, Arc::default(), cause.clone());
        let _ = net.poll_drive(&mut context, &idle);
        assert_eq!(cause.get(), Cause::Poll, "the first tick");

        bell.ring();
        assert!(net.poll_drive(&mut context, &idle).is_ready());
        assert_eq!(cause.get(), Cause::WakeUp);
        net.on_poll(&idle);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "the ring alone");
    }
}
