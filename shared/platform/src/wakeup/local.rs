//! The listeners of this process, by topic.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;

/// Who listens to what. A topic without listeners has no entry.
#[derive(Debug, Default)]
pub(super) struct Topics {
    listeners: Mutex<HashMap<String, Vec<Arc<Bell>>>>,
}

/// Rung or not; ringing twice is ringing once.
#[derive(Debug, Default)]
struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Topics {
    /// Starts to listen to a topic.
    pub(super) fn listen(topics: &Arc<Topics>, topic: &str) -> Listener {
        let bell = Arc::<Bell>::default();
        topics
            .lock()
            .entry(topic.to_owned())
            .or_default()
            .push(Arc::clone(&bell));
        Listener {
            topics: Arc::clone(topics),
            topic: topic.to_owned(),
            bell,
        }
    }

    /// Wakes the listeners of one topic.
    pub(super) fn wake(&self, topic: &str) {
        self.lock()
            .get(topic)
            .into_iter()
            .flatten()
            .for_each(|bell| bell.ring());
    }

    /// Wakes all listeners.
    pub(super) fn wake_all(&self) {
        self.lock().values().flatten().for_each(|bell| bell.ring());
    }

    /// The topics that somebody listens to.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Bell>>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One listener; dropping it takes it off the list.
#[derive(Debug)]
pub(super) struct Listener {
    topics: Arc<Topics>,
    topic: String,
    bell: Arc<Bell>,
}

impl Listener {
    /// Ready once for all wake-ups since the last time.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Option<()>> {
        // Registered before looking, so that a ring between the two is not lost.
        self.bell.waker.register(context.waker());
        if self.bell.rung.swap(false, Ordering::Acquire) {
            Poll::Ready(Some(()))
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut listeners = self.topics.lock();
        if let Some(bells) = listeners.get_mut(&self.topic) {
            bells.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
            if bells.is_empty() {
                listeners.remove(&self.topic);
            }
        }
    }
}
