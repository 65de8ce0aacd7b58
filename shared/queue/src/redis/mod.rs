//! The queue in Redis: apalis-redis, with each of its faults made harmless.
//!
//! | what apalis-redis 1.0.0 does | what is done about it |
//! |---|---|
//! | a normal push goes into `scheduled`; 8 000 due ids there stop every worker for good | `scripts::PUSH` writes straight into `active`; nothing of ours is ever scheduled |
//! | failed jobs are tried again by rules of its own | handlers never fail towards it: retries are in the database |
//! | a fetched buffer keeps heartbeats and acknowledgements back, so jobs run twice | batches of one |
//! | any error, a stall of half a second included, ends the worker | `consume` builds another one, under a fresh name; answers may take [`connection::ANSWER_TIME`] |
//! | a dead worker's jobs come back after the orphan window, also those that ran | `scripts::RETIRE` gives back what was not started, and only that |
//! | a job without readable data ends every worker that fetches it | `scripts::RETIRE` drops such jobs; unknown content is read as JSON and counted |
//! | a wake-up that arrives while a fetch is under way is lost | `net::Net` owes the worker another look |
//! | finished jobs stay in Redis for ever | `scripts::CLEAN`, 500 at a time |

mod connection;
mod consume;
mod net;
mod scripts;
mod wake;

use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use crate::job::Signal;
use crate::metrics::Counters;
use crate::{PUSH_TIME, QueueHealth, WAITING_MAX};

use self::connection::{Link, LinkError};

/// The name under which apalis keeps our keys.
pub(crate) const QUEUE: &str = "arbion:jobs";

/// The channel on which a push wakes the consumers. Channels belong to no database.
pub(crate) const WAKE_CHANNEL: &str = "arbion:jobs:wake";

/// The longest that a question about health or length may take.
const QUESTION_TIME: Duration = Duration::from_millis(400);

/// The queue of one Redis. Nothing is connected before the first use.
#[derive(Debug)]
pub(crate) struct RedisQueue {
    url: String,
    link: Link,
}

impl RedisQueue {
    pub(crate) fn new(url: &str) -> RedisQueue {
        RedisQueue {
            url: url.to_owned(),
            link: Link::new(url),
        }
    }

    /// Hands the signals over, or counts why not. Returns within [`PUSH_TIME`].
    pub(crate) async fn push(&self, signals: impl ExactSizeIterator<Item = Signal>, counters: &Counters) {
        let offered = count(signals.len());
        // More than the cap can never be taken, so they need not travel.
        match self
            .push_at_most(signals.take(WAITING_MAX).collect(), WAITING_MAX, PUSH_TIME)
            .await
        {
            Ok(taken) => {
                counters.pushed(taken);
                counters.skipped_full(offered.saturating_sub(taken));
            }
            Err(error) => {
                counters.push_failed(offered);
                // The link is closed for a while after a failure, so this line is as rare as the first failures.
                if !matches!(error, LinkError::Resting) {
                    tracing::warn!(
                        signals = offered,
                        %error,
                        "signals not sent; the work starts by its due time"
                    );
                }
            }
        }
    }

    /// Pushes as many signals as fit under `waiting_max` and tells how many did.
    pub(crate) async fn push_at_most(
        &self,
        signals: Vec<Signal>,
        waiting_max: usize,
        time: Duration,
    ) -> Result<u64, LinkError> {
        let mut connection = self.link.admit()?;
        let mut call = scripts::PUSH.prepare_invoke();
        call.key(scripts::data())
            .key(scripts::active())
            .key(scripts::meta());
        call.arg(waiting_max).arg(WAKE_CHANNEL);
        for signal in &signals {
            call.arg(Uuid::now_v7().to_string())
                .arg(serde_json::to_string(signal)?);
        }
        let answer = timeout(time, call.invoke_async::<u64>(&mut connection)).await;
        self.link.judge(answer)
    }

    pub(crate) async fn health(&self) -> QueueHealth {
        let answer = async {
            let mut connection = self.link.connection()?;
            let ping = redis::cmd("PING");
            let answer = timeout(QUESTION_TIME, ping.query_async::<()>(&mut connection)).await;
            self.link.judge(answer)
        };
        match answer.await {
            Ok(()) => QueueHealth::Up,
            Err(error) => QueueHealth::Degraded {
                reason: error.to_string(),
            },
        }
    }

    pub(crate) async fn waiting(&self) -> Option<u64> {
        let mut connection = self.link.admit().ok()?;
        let mut length = redis::cmd("LLEN");
        length.arg(scripts::active());
        let answer = timeout(QUESTION_TIME, length.query_async::<u64>(&mut connection)).await;
        self.link.judge(answer).ok()
    }
}

fn count(signals: usize) -> u64 {
    u64::try_from(signals).unwrap_or(u64::MAX)
}
