//! Sends the signals again for work that should have begun: the net under a queue that forgot, and under dead workers.
//!
//! A worker that gets such a signal still has to claim the work, so a signal too many starts nothing twice.

use std::time::Duration;

use queue::Job;
use store::StoreError;

use crate::app::SchedulerApp;

/// Work that is due for so long and unclaimed has probably lost its signal.
const OVERDUE_AFTER: Duration = Duration::from_secs(2);

/// Signals of one tick. More wait for the next one: workers that are this far behind find them by themselves.
const SIGNALS_MAX: u64 = 1_000;

/// Signals orders with overdue work.
pub(crate) async fn orders(app: &SchedulerApp) -> Result<(), StoreError> {
    let orders = app.store.overdue_work(OVERDUE_AFTER, SIGNALS_MAX).await?;
    if !orders.is_empty() {
        let jobs: Vec<Job> = orders
            .iter()
            .map(|order| Job::ExecuteOrder { order_id: order.0 })
            .collect();
        app.queue.push(&jobs).await;
        tracing::info!(
            orders = orders.len(),
            "re-drove {}",
            counted(orders.len(), "order")
        );
    }
    Ok(())
}

/// Signals sweeps that nobody has, or whose worker went silent.
pub(crate) async fn sweeps(app: &SchedulerApp) -> Result<(), StoreError> {
    let sweeps = app.store.overdue_sweeps(OVERDUE_AFTER, SIGNALS_MAX).await?;
    if !sweeps.is_empty() {
        let jobs: Vec<Job> = sweeps
            .iter()
            .map(|sweep| Job::SweepStops {
                slot: sweep.slot,
                shard: sweep.shard,
            })
            .collect();
        app.queue.push(&jobs).await;
        tracing::info!(
            sweeps = sweeps.len(),
            "re-drove {}",
            counted(sweeps.len(), "sweep")
        );
    }
    Ok(())
}

/// `1 order`, `3 orders`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_counted_in_words() {
        assert_eq!(counted(1, "order"), "1 order");
        assert_eq!(counted(3, "sweep"), "3 sweeps");
    }
}
