//! What one worker of all does by the clock, under a lease in the database.
//!
//! Each duty may be done by two workers for a moment without harm; the lease only saves the others the effort. A worker
//! that dies is followed by another within [`LEASE`].

use std::time::Duration;

use platform::Shutdown;
use store::{LEASE, LeaseKeeper};
use tokio_util::sync::CancellationToken;

use crate::jobs::{feed_paper, read_reports, watch_triggers};
use crate::worker::Worker;

/// The pause of a worker whose duty another does, between two looks whether it still does.
const IDLE_EVERY: Duration = Duration::from_secs(1);

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
        let (token, app) = (shutdown.token(), &worker.app);
        let mut lease = LeaseKeeper::new(app.store.clone(), self.name(), app.options.name.clone(), LEASE);
        while !token.is_cancelled() {
            let kept = lease.keep().await;
            if kept.has_begun {
                tracing::info!(duty = self.name(), "this worker does the duty now");
            }
            let pause = if kept.fence.is_some() {
                worker.guarded(self.name(), Box::pin(self.pass(worker))).await;
                self.every()
            } else {
                IDLE_EVERY
            };
            sleep(pause, &token).await;
        }
        lease.hand_over().await;
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
    fn a_holder_speaks_up_before_its_lease_is_over() {
        for duty in Duty::ALL {
            assert!(duty.every() < LEASE * 2 / 3, "{}", duty.name());
        }
    }
}
