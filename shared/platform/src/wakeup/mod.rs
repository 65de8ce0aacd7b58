//! "Look now": wake-ups between tasks and, through Redis, between processes.
//!
//! A wake-up carries no data and may be lost, doubled or merged with others: it makes a reader look earlier at
//! what the database says, and a timer of the reader is the net below it.
//!
//! Invariants:
//!
//! 1. [`Wakeups::notify`] never waits and never fails.
//! 2. Subscribers of the same process are woken directly, with or without Redis.
//! 3. Subscribers of other processes are woken through one Redis channel a topic. After Redis was away, every
//!    subscriber is woken once, because something may have been missed.
//! 4. Pending notifications are merged by topic, and their number is limited.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;

use crate::redis::RedisHandle;

mod local;
mod remote;
#[cfg(test)]
mod tests;

use local::Topics;
use remote::Remote;

/// The wake-ups of one process. Clones are the same.
#[derive(Debug, Clone)]
pub struct Wakeups {
    topics: Arc<Topics>,
    remote: Option<Arc<Remote>>,
}

impl Wakeups {
    /// Wake-ups within this process only.
    pub fn local() -> Wakeups {
        Wakeups {
            topics: Arc::default(),
            remote: None,
        }
    }

    /// Wake-ups within this process and, through pub/sub of the server behind `redis`, in all others. Needs a
    /// tokio runtime.
    pub fn with_redis(redis: &RedisHandle) -> Wakeups {
        let topics = Arc::<Topics>::default();
        let remote = Some(Arc::new(Remote::start(redis, Arc::clone(&topics))));
        Wakeups { topics, remote }
    }

    /// Wakes every subscriber of `topic`. Returns at once.
    pub fn notify(&self, topic: &str) {
        self.topics.wake(topic);
        if let Some(remote) = &self.remote {
            remote.publish(topic);
        }
    }

    /// A stream that yields after each notification from now on; several at once may yield once. It never ends.
    ///
    /// With Redis it also yields when the subscription there is made anew, as something may have been missed.
    pub fn subscribe(&self, topic: &str) -> Subscription {
        let waker = Topics::listen(&self.topics, topic);
        if let Some(remote) = &self.remote {
            remote.look();
        }
        Subscription {
            waker,
            _remote: self.remote.clone(),
        }
    }
}

/// The wake-ups of one topic. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    waker: local::Listener,
    /// Keeps the tasks behind Redis alive as long as somebody listens.
    _remote: Option<Arc<Remote>>,
}

impl Stream for Subscription {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<()>> {
        self.get_mut().waker.poll(context)
    }
}
