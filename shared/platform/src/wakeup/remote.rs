//! The other processes, through Redis pub/sub: one channel a topic.
//!
//! Two tasks: one publishes what [`Remote::publish`] left for it, one keeps the subscriptions of its own
//! connection equal to what this process listens to and passes messages on. Both end with the last handle.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::{ClientLike as _, EventInterface as _, PubsubInterface as _};
use fred::types::Message;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::local::Topics;
use crate::redis::{RedisHandle, keep_connected, new_client};

const CHANNEL_PREFIX: &str = "arbion:wake:";
/// Topics that may wait to be published; more are dropped, as the readers' timers are there.
const PENDING_TOPICS_MAX: usize = 4_096;
/// How often subscriptions that failed are tried again, and those without listeners ended.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Checks between two pings; a connection that only listens would never notice that it is dead.
const CHECKS_PER_PING: u64 = 3;

#[derive(Debug)]
pub(super) struct Remote {
    outbox: Arc<Outbox>,
    look: Arc<Notify>,
    _stop: DropGuard,
}

/// The topics to publish, each once however often it was notified.
#[derive(Debug, Default)]
struct Outbox {
    topics: Mutex<BTreeSet<String>>,
    filled: Notify,
    dropped: AtomicU64,
}

impl Outbox {
    fn put(&self, topic: &str) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if topics.len() < PENDING_TOPICS_MAX {
            topics.insert(topic.to_owned());
        } else if !topics.contains(topic) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        drop(topics);
        self.filled.notify_one();
    }

    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.topics.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Remote {
    pub(super) fn start(redis: &RedisHandle, topics: Arc<Topics>) -> Remote {
        let (outbox, look, stop) = (
            Arc::<Outbox>::default(),
            Arc::<Notify>::default(),
            CancellationToken::new(),
        );
        // A process does not want its own messages back: its listeners were woken directly.
        let origin = uuid::Uuid::now_v7().to_string();
        tokio::spawn(stop.clone().run_until_cancelled_owned(publish(
            redis.clone(),
            Arc::clone(&outbox),
            origin.clone(),
        )));
        let listener = Listener {
            topics,
            origin,
            look: Arc::clone(&look),
            subscribed: BTreeSet::new(),
        };
        tokio::spawn(listener.run(redis.clone(), stop.clone()));
        Remote {
            outbox,
            look,
            _stop: stop.drop_guard(),
        }
    }

    /// Leaves a topic for the publishing task.
    pub(super) fn publish(&self, topic: &str) {
        self.outbox.put(topic);
    }

    /// Tells the listening task that the topics may have changed.
    pub(super) fn look(&self) {
        self.look.notify_one();
    }
}

fn channel(topic: &str) -> String {
    format!("{CHANNEL_PREFIX}{topic}")
}

async fn publish(redis: RedisHandle, outbox: Arc<Outbox>, origin: String) {
    loop {
        outbox.filled.notified().await;
        let topics = outbox.take();
        if topics.is_empty() {
            continue;
        }
        let count = topics.len();
        let origin = origin.as_str();
        let sent = redis.call(async move |client| {
            let pipeline = client.pipeline();
            for topic in &topics {
                let _: () = pipeline.publish(channel(topic), origin).await?;
            }
            pipeline.all::<Vec<i64>>().await
        });
        if let Err(error) = sent.await {
            // Other processes find the work by their timers, and look anew when Redis is back.
            tracing::debug!(%error, topics = count, "wake-ups did not reach Redis");
        }
        let dropped = outbox.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "too many topics at once; some wake-ups were not published"
            );
        }
    }
}

struct Listener {
    topics: Arc<Topics>,
    origin: String,
    look: Arc<Notify>,
    /// The topics whose channels Redis has confirmed on the present connection.
    subscribed: BTreeSet<String>,
}

impl Listener {
    async fn run(mut self, redis: RedisHandle, stop: CancellationToken) {
        let client = match new_client(redis.url()) {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(%error, "no wake-ups from other processes");
                return;
            }
        };
        let (mut messages, mut connections) = (client.message_rx(), client.reconnect_rx());
        tokio::spawn(keep_connected(client.clone(), stop.clone()));
        let mut checks = interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count: u64 = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                message = messages.recv() => match message {
                    Ok(message) => self.pass_on(&message),
                    Err(RecvError::Lagged(_)) => self.topics.wake_all(),
                    Err(RecvError::Closed) => return,
                },
                connection = connections.recv() => match connection {
                    Ok(_) | Err(RecvError::Lagged(_)) => {
                        // A new connection has no subscriptions.
                        self.subscribed.clear();
                        self.subscribe(&client).await;
                    }
                    Err(RecvError::Closed) => return,
                },
                () = self.look.notified() => self.subscribe(&client).await,
                _ = checks.tick() => {
                    count = count.wrapping_add(1);
                    self.subscribe(&client).await;
                    if count.is_multiple_of(CHECKS_PER_PING) && client.is_connected() {
                        // Without an answer the client closes the connection and makes a new one.
                        let _ = client.ping::<()>(None).await;
                    }
                }
            }
        }
    }

    fn pass_on(&self, message: &Message) {
        if message.value.as_str().is_some_and(|origin| origin == self.origin) {
            return;
        }
        if let Some(topic) = message.channel.strip_prefix(CHANNEL_PREFIX) {
            self.topics.wake(topic);
        }
    }

    /// Makes the subscriptions equal to the topics that are listened to; what fails is tried again later.
    async fn subscribe(&mut self, client: &Client) {
        if !client.is_connected() {
            return;
        }
        let wanted = self.topics.names();
        let missing: Vec<String> = wanted.difference(&self.subscribed).cloned().collect();
        let surplus: Vec<String> = self.subscribed.difference(&wanted).cloned().collect();
        if !missing.is_empty() {
            let channels: Vec<String> = missing.iter().map(|topic| channel(topic)).collect();
            match client.subscribe(channels).await {
                Ok(()) => {
                    for topic in missing {
                        // What was notified before Redis knew of the subscription may have been missed.
                        self.topics.wake(&topic);
                        self.subscribed.insert(topic);
                    }
                }
                Err(error) => tracing::debug!(%error, "a subscription failed"),
            }
        }
        if !surplus.is_empty() {
            let channels: Vec<String> = surplus.iter().map(|topic| channel(topic)).collect();
            if client.unsubscribe(channels).await.is_ok() {
                for topic in surplus {
                    self.subscribed.remove(&topic);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outbox_merges_by_topic_and_has_a_limit() {
        let outbox = Outbox::default();
        for _ in 0..3 {
            (0..PENDING_TOPICS_MAX).for_each(|topic| outbox.put(&topic.to_string()));
        }
        outbox.put("one too many");
        let taken = outbox.take();
        assert_eq!(taken.len(), PENDING_TOPICS_MAX);
        assert!(!taken.contains("one too many"));
        assert_eq!(outbox.dropped.load(Ordering::Relaxed), 1);
        assert!(outbox.take().is_empty());
    }
}
