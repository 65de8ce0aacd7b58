//! What one worker of all does by the clock, under a lease in the database.
//!
//! Each duty may be done by two workers for a moment without harm; the lease only saves the others the effort. A worker
//! that dies is followed by another within [`LEASE`].

use std::time::{Duration, Instant};

use platform::Shutdown;
use tokio_util::sync::CancellationToken;

use crate::jobs::{feed_paper, read_reports, watch_triggers};
use crate::worker::Worker;

/// How long a duty stays with a worker that says nothing any more.
const LEASE: Duration = Duration::from_secs(6);

/// How often the holder says that it is there.
const RENEW_EVERY: Duration = Duration::from_secs(2);

/// A thing to do again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Feed the paper venue with quotes of what rests there.
    FeedPaper,
    /// Compare armed stops with live prices between the sweeps.
    WatchTriggers,
    /// Read the reports of connections with open orders: the net under lost signals.
    ReadReports,
}

impl Duty {
    /// Every duty.
    pub(crate) const ALL: [Duty; 3] = [Duty::FeedPaper, Duty::WatchTriggers, Duty::ReadReports];

    /// The name of its lease and in the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Duty::FeedPaper => "paper-feed",
            Duty::WatchTriggers => "trigger-watch",
            Duty::ReadReports => "reports",
        }
    }

    /// The pause between two passes.
    const fn every(self) -> Duration {
        match self {
            Duty::FeedPaper => Duration::from_millis(250),
            Duty::WatchTriggers => Duration::from_secs(1),
            Duty::ReadReports => Duration::from_secs(3),
        }
    }

    async fn pass(self, worker: &Worker) {
        match self {
            Duty::FeedPaper => feed_paper::feed(worker).await,
            Duty::WatchTriggers => watch_triggers::watch(worker).await,
            Duty::ReadReports => read_reports::read_all(worker).await,
        }
    }

    /// Does the duty whenever this worker has its lease, until the end is requested.
    pub(crate) async fn run(self, worker: &Worker, shutdown: &Shutdown) {
        let token = shutdown.token();
        let mut hold = Hold::default();
        while !token.is_cancelled() {
            if hold.is_to_be_renewed() {
                hold.acquire(self, worker).await;
            }
            let pause = if hold.is_valid() {
                worker.guarded(self.name(), Box::pin(self.pass(worker))).await;
                self.every()
            } else {
                RENEW_EVERY
            };
            sleep(pause, &token).await;
        }
        if hold.is_valid() {
            self.hand_over(worker).await;
        }
    }

    /// Lets another worker go on at once.
    async fn hand_over(self, worker: &Worker) {
        let released = worker
            .app
            .store
            .release_lease(self.name(), &worker.app.options.name)
            .await;
        if let Err(error) = released {
            tracing::debug!(%error, duty = self.name(), "the lease runs out by itself");
        }
    }
}

/// How long this worker may count on a lease, by its own monotonic clock.
#[derive(Debug, Default)]
struct Hold {
    asked: Option<Instant>,
    until: Option<Instant>,
}

impl Hold {
    fn is_valid(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    fn is_to_be_renewed(&self) -> bool {
        self.asked.is_none_or(|asked| asked.elapsed() >= RENEW_EVERY)
    }

    async fn acquire(&mut self, duty: Duty, worker: &Worker) {
        // Counted from before the question, so never longer than the database counts.
        let asked = Instant::now();
        self.asked = Some(asked);
        let had = self.is_valid();
        match worker
            .app
            .store
            .acquire_lease(duty.name(), &worker.app.options.name, LEASE)
            .await
        {
            Ok(lease) => {
                self.until = lease.is_some().then(|| asked + LEASE);
                if self.until.is_some() && !had {
                    tracing::info!(duty = duty.name(), "this worker does the duty now");
                }
            }
            Err(error) => tracing::warn!(%error, duty = duty.name(), "no answer about the lease"),
        }
    }
}

/// Waits for `pause`, or until the end is requested.
pub(crate) async fn sleep(pause: Duration, token: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = token.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_duty_has_a_lease_of_its_own() {
        let names: BTreeSet<_> = Duty::ALL.map(Duty::name).into_iter().collect();
        assert_eq!(names.len(), Duty::ALL.len());
    }

    #[test]
    fn a_holder_speaks_up_several_times_before_its_lease_is_over() {
        assert!(RENEW_EVERY * 3 <= LEASE);
        for duty in Duty::ALL {
            assert!(duty.every() + RENEW_EVERY < LEASE, "{}", duty.name());
        }
    }
}
