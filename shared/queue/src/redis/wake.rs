//! The wake-up: a subscriber that rings the bell of its consumer for each push.
//!
//! It is an accelerator only. While it is away, the poll of the worker finds the jobs; the counter of starts by
//! poll shows it.

use std::sync::Arc;
use std::time::Duration;

use fred::prelude::{Builder, ClientLike, Config, Error, EventInterface, PubsubInterface, ReconnectPolicy};
use fred::types::RespVersion;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::WAKE_CHANNEL;
use super::net::Bell;

/// The longest that connecting or one command may take.
const COMMAND_TIME: Duration = Duration::from_secs(1);

/// A subscription is silent by nature, so the connection is tested this often.
const TEST_TIME: Duration = Duration::from_secs(5);

/// The pause before a lost subscriber is built anew grows from the first to the second.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Rings `bell` for each push until `shutdown`.
pub(super) async fn ring_for_each_push(url: &str, bell: Arc<Bell>, shutdown: CancellationToken) {
    let mut pause = PAUSE_MIN;
    loop {
        let mut subscribed = false;
        let end = tokio::select! {
            () = shutdown.cancelled() => return,
            end = listen(url, &bell, &mut subscribed) => end,
        };
        if subscribed {
            pause = PAUSE_MIN;
        }
        // Once per outage; while it lasts, the counter of starts by poll tells of it.
        if pause == PAUSE_MIN {
            let reason = end.map_or_else(
                |error| error.to_string(),
                |()| "the connection was lost".to_owned(),
            );
            tracing::warn!(reason, "the queue's wake-up is away; jobs start by the poll");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(pause) => pause = pause.saturating_mul(2).min(PAUSE_MAX),
        }
    }
}

/// Listens until the connection is lost for longer than fred can mend.
async fn listen(url: &str, bell: &Bell, subscribed: &mut bool) -> Result<(), Error> {
    let mut config = Config::from_url(url)?;
    config.version = RespVersion::RESP3;
    config.database = None;
    let client = Builder::from_config(config)
        .set_policy(ReconnectPolicy::new_exponential(0, 50, 1_000, 2))
        .with_performance_config(|performance| performance.default_command_timeout = COMMAND_TIME)
        .with_connection_config(|connection| {
            connection.connection_timeout = COMMAND_TIME;
            connection.internal_command_timeout = COMMAND_TIME;
            connection.max_command_attempts = 1;
        })
        .build_subscriber_client()?;
    let mut messages = client.message_rx();
    let mut reconnects = client.reconnect_rx();
    let connection = AbortOnDrop(client.init().await?);
    let resubscribing = AbortOnDrop(client.manage_subscriptions());
    client.subscribe(WAKE_CHANNEL).await?;
    *subscribed = true;
    // Whatever was pushed before the subscription stood is looked for now.
    bell.ring();
    let mut tests = interval(TEST_TIME);
    tests.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed_tests = 0_u8;
    while failed_tests < 3 {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(_) | Err(RecvError::Lagged(_)) => bell.ring(),
                Err(RecvError::Closed) => break,
            },
            reconnect = reconnects.recv() => match reconnect {
                Ok(_) | Err(RecvError::Lagged(_)) => bell.ring(),
                Err(RecvError::Closed) => break,
            },
            _ = tests.tick() => {
                let answer: Result<(), Error> = client.ping(None).await;
                failed_tests = if answer.is_ok() { 0 } else { failed_tests.saturating_add(1) };
            }
        }
    }
    drop((resubscribing, connection));
    Ok(())
}

/// A background task of fred that ends with its owner.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
