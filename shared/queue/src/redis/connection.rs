//! Connections to Redis for pushing and for apalis, with times that fit their use.
//!
//! A push may keep an accepted order for a few milliseconds only, so its link rests after a failure and lets one
//! call through now and then. A worker has time: it waits [`ANSWER_TIME`] before it gives a connection up, so a
//! Redis that stalls for two seconds costs it nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisError, RedisFuture, Value};
use tokio::time::Instant;
use tokio::time::error::Elapsed;

/// So long a worker waits for an answer before it counts its connection as lost.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(4);

/// So long one attempt to connect may take.
const CONNECT_TIME: Duration = Duration::from_secs(1);

/// After a failed push the link rests this long; pushes meanwhile fail at once.
const REST_TIME: Duration = Duration::from_millis(250);

/// After so many failures in a row the connection is made anew: it may lead to a machine that is gone.
const FAILURES_MAX: u32 = 4;

/// Why a call on the link did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The last call failed a moment ago.
    #[error("Redis did not answer a moment ago")]
    Resting,
    /// No answer in time.
    #[error("Redis did not answer in time")]
    Late(#[source] Elapsed),
    /// Redis answered with an error, or could not be reached.
    #[error("Redis failed: {0}")]
    Redis(#[from] RedisError),
    /// The configured address is none.
    #[error("the address of Redis cannot be read: {0}")]
    Address(String),
    /// A signal could not be written as JSON.
    #[error("a signal could not be written: {0}")]
    Signal(#[from] serde_json::Error),
}

/// The connection of those who push, with a rest after a failure.
#[derive(Debug)]
pub(super) struct Link {
    address: Result<ConnectionInfo, String>,
    state: Mutex<LinkState>,
}

#[derive(Debug, Default)]
struct LinkState {
    connection: Option<ConnectionManager>,
    failures: u32,
    resting_until: Option<Instant>,
}

impl Link {
    pub(super) fn new(url: &str) -> Link {
        Link {
            address: address(url),
            state: Mutex::default(),
        }
    }

    /// A connection for a call that must be short; refused while the link rests.
    pub(super) fn admit(&self) -> Result<ConnectionManager, LinkError> {
        let mut state = self.lock();
        if let Some(until) = state.resting_until {
            let now = Instant::now();
            if now < until {
                return Err(LinkError::Resting);
            }
            // This call tries for all; the others rest on until it is judged.
            state.resting_until = Some(now + REST_TIME);
        }
        self.connection_of(&mut state)
    }

    /// A connection for a call that is made whatever happened before.
    pub(super) fn connection(&self) -> Result<ConnectionManager, LinkError> {
        self.connection_of(&mut self.lock())
    }

    /// Learns from the end of a call, and returns what it answered.
    pub(super) fn judge<T>(&self, answer: Result<Result<T, RedisError>, Elapsed>) -> Result<T, LinkError> {
        let result = match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(LinkError::Redis(error)),
            Err(late) => Err(LinkError::Late(late)),
        };
        let mut state = self.lock();
        if result.is_ok() {
            state.failures = 0;
            state.resting_until = None;
            return result;
        }
        state.failures = state.failures.saturating_add(1);
        // One late answer is most often our own busy machine, and the signal arrives all the same.
        if state.failures > 1 || !matches!(result, Err(LinkError::Late(_))) {
            state.resting_until = Some(Instant::now() + REST_TIME);
        }
        if state.failures >= FAILURES_MAX {
            state.failures = 0;
            state.connection = None;
        }
        result
    }

    fn connection_of(&self, state: &mut LinkState) -> Result<ConnectionManager, LinkError> {
        if let Some(connection) = &state.connection {
            return Ok(connection.clone());
        }
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(ANSWER_TIME))
            .set_connection_timeout(Some(CONNECT_TIME))
            .set_number_of_retries(8)
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(Duration::from_millis(200));
        let connection = ConnectionManager::new_lazy_with_config(self.client()?, config)?;
        // A caller's patience is shorter than a connect over TLS may take; this task sees it through.
        let mut warming = connection.clone();
        tokio::spawn(async move { redis::cmd("PING").query_async::<()>(&mut warming).await });
        state.connection = Some(connection.clone());
        Ok(connection)
    }

    /// A connection of its own for one worker.
    pub(super) async fn for_worker(&self) -> Result<Line, LinkError> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(ANSWER_TIME))
            .set_connection_timeout(Some(CONNECT_TIME))
            .set_number_of_retries(0);
        let inner = ConnectionManager::new_with_config(self.client()?, config).await?;
        Ok(Line {
            inner,
            under_way: Arc::default(),
        })
    }

    fn client(&self) -> Result<Client, LinkError> {
        let address = self.address.clone().map_err(LinkError::Address)?;
        Ok(Client::open(address)?)
    }

    fn lock(&self) -> MutexGuard<'_, LinkState> {
        // Fields are replaced one by one and fit together in any mixture.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address in `url`, with database 0: eviction rules of a cache in another database must not touch jobs.
fn address(url: &str) -> Result<ConnectionInfo, String> {
    let address = url.into_connection_info().map_err(|error| error.to_string())?;
    let settings = address.redis_settings().clone().set_db(0);
    Ok(address.set_redis_settings(settings))
}

/// A worker's connection that can tell whether a call is under way.
#[derive(Clone, Debug)]
pub(super) struct Line {
    inner: ConnectionManager,
    under_way: Arc<AtomicUsize>,
}

impl Line {
    /// The number of calls under way, as a value that stays current.
    pub(super) fn under_way(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.under_way)
    }
}

impl ConnectionLike for Line {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let _call = Call::begin(&self.under_way);
            self.inner.req_packed_command(command).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let _call = Call::begin(&self.under_way);
            self.inner.req_packed_commands(pipeline, offset, count).await
        })
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }
}

/// One call under way, until it is dropped.
struct Call(Arc<AtomicUsize>);

impl Call {
    fn begin(under_way: &Arc<AtomicUsize>) -> Call {
        under_way.fetch_add(1, Ordering::SeqCst);
        Call(Arc::clone(under_way))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
