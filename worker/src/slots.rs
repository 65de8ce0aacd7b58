//! The room to work: one slot for each order that may be worked on at once, whether a signal or a look brought it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a look that found hardly any room waits for more, so that a backlog is claimed in batches.
const GATHER: Duration = Duration::from_millis(2);

/// Room for one order, until it is dropped.
pub(crate) type Slot = OwnedSemaphorePermit;

/// The slots of one worker.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    concurrency: usize,
}

impl Slots {
    /// So many slots, and at least one.
    pub(crate) fn new(concurrency: usize) -> Slots {
        let concurrency = concurrency.max(1);
        Slots {
            free: Arc::new(Semaphore::new(concurrency)),
            concurrency,
        }
    }

    /// Waits for room for one order.
    pub(crate) async fn one(&self) -> Option<Slot> {
        // The semaphore is never closed; without it the work would still be guarded by its claim.
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Waits for room for one order, and takes whatever else is free.
    ///
    /// Never waits for several at once: the semaphore is fair, so every signal behind would wait as well, with slots free.
    pub(crate) async fn all_free(&self) -> Vec<Slot> {
        let mut slots: Vec<Slot> = self.one().await.into_iter().collect();
        self.take_free(&mut slots);
        if slots.len() < self.concurrency / 2 {
            tokio::time::sleep(GATHER).await;
            self.take_free(&mut slots);
        }
        slots
    }

    fn take_free(&self, slots: &mut Vec<Slot>) {
        while let Ok(slot) = Arc::clone(&self.free).try_acquire_owned() {
            slots.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_look_takes_the_little_room_there_is_and_keeps_no_signal_waiting_for_more() {
        let slots = Slots::new(8);
        let mut busy = Vec::new();
        for _ in 0..6 {
            busy.extend(slots.one().await);
        }
        let look = tokio::time::timeout(LONG, slots.all_free()).await.unwrap();
        assert_eq!(look.len(), 2, "half of the room would be four");
        let signal = slots.one();
        drop(look);
        assert!(tokio::time::timeout(LONG, signal).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_look_takes_all_the_room_of_a_worker_that_does_nothing() {
        let slots = Slots::new(0);
        assert_eq!(slots.all_free().await.len(), 1, "one slot at least");
        let slots = Slots::new(4);
        let first = slots.all_free().await;
        assert_eq!(first.len(), 4);
        assert!(
            tokio::time::timeout(Duration::from_millis(1), slots.one())
                .await
                .is_err()
        );
        drop(first);
        assert!(slots.one().await.is_some());
    }
}
