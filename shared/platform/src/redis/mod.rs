//! Redis, through the `fred` client, as something that may be away at any time.
//!
//! Invariants:
//!
//! 1. No caller waits for a connection: it is made in the background, again and again with growing pauses.
//! 2. No command takes longer than [`COMMAND_TIMEOUT`]; `fred` by itself would wait for ever (down or hung).
//! 3. After a time-out [`RedisHandle::is_up`] says no for [`BREAKER_PAUSE`], so that callers fall back at once
//!    in place of waiting each for itself; then one call at a time tries again.
//! 4. A command that timed out may still run later: scripts must tolerate that.

mod breaker;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error as FredError, ErrorKind};
use fred::interfaces::{ClientLike as _, EventInterface as _};
use fred::types::Builder;
use fred::types::RespVersion;
use fred::types::config::{Config as FredConfig, ReconnectPolicy, UnresponsiveConfig};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::secret_url::SecretUrl;
pub use breaker::Breaker;

/// The database numbers of the one Redis server.
pub mod databases {
    /// Queue signals.
    pub const QUEUE: u8 = 0;
    /// The application cache.
    pub const CACHE: u8 = 1;
    /// Rate limits.
    pub const RATE_LIMITS: u8 = 2;
}

/// What a Redis URL starts with; clusters and sentinels have no database numbers.
pub const SCHEMES: [&str; 2] = ["redis", "rediss"];
/// How long one command may take.
pub const COMMAND_TIMEOUT: Duration = Duration::from_millis(250);
/// How long one [`RedisHandle::call`] may take, which may be several commands.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(500);
/// How long Redis counts as down after a time-out.
pub const BREAKER_PAUSE: Duration = Duration::from_secs(1);
const CONNECTION_TIMEOUT: Duration = Duration::from_millis(500);
const UNRESPONSIVE_TIMEOUT: Duration = Duration::from_secs(2);
const UNRESPONSIVE_CHECK: Duration = Duration::from_millis(500);
const RECONNECT_MS_MIN: u32 = 50;
const RECONNECT_MS_MAX: u32 = 1_000;
/// Pause before a client that gave up (a refused password, for instance) is started anew.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// The URL is not one of a Redis server.
#[derive(Debug, thiserror::Error)]
#[error("{url} is not the URL of a Redis server")]
pub struct RedisUrlError {
    /// The URL; its password is not shown.
    pub url: SecretUrl,
    /// What the client says about it.
    #[source]
    pub source: FredError,
}

/// A call did not give an answer.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// Not connected, or just timed out: nothing was sent.
    #[error("Redis is down")]
    Down,
    /// The time was over; the command may still run later.
    #[error("Redis did not answer in time")]
    TimedOut,
    /// Redis or the client refused the command.
    #[error("a Redis command failed")]
    Command(#[source] FredError),
}

/// A connection to one database of Redis. Clones share it; the last one dropped closes it.
#[derive(Clone)]
pub struct RedisHandle {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    breaker: Breaker,
    url: SecretUrl,
    _stop: DropGuard,
}

impl RedisHandle {
    /// Starts to connect and returns at once, whether or not Redis is there. Needs a tokio runtime.
    ///
    /// Fails only on a URL that no server could have.
    pub fn connect(url: &SecretUrl, database: u8) -> Result<RedisHandle, RedisUrlError> {
        let url = database_url(url, database);
        let client = new_client(&url)?;
        let stop = CancellationToken::new();
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(report_changes(client.clone(), url.clone())),
        );
        tokio::spawn(keep_connected(client.clone(), stop.clone()));
        let inner = Inner {
            client,
            breaker: Breaker::new(BREAKER_PAUSE),
            url,
            _stop: stop.drop_guard(),
        };
        Ok(RedisHandle {
            inner: Arc::new(inner),
        })
    }

    /// Whether a command is likely to be answered: connected, and no time-out within the last second.
    pub fn is_up(&self) -> bool {
        self.inner.client.is_connected() && self.inner.breaker.is_closed()
    }

    /// Runs commands, or answers [`RedisError::Down`] at once when that would only be a wait.
    ///
    /// A time-out or a lost connection opens the breaker.
    pub async fn call<T, F, Fut>(&self, commands: F) -> Result<T, RedisError>
    where
        F: FnOnce(Client) -> Fut,
        Fut: Future<Output = Result<T, FredError>>,
    {
        if !self.inner.client.is_connected() || !self.inner.breaker.allows() {
            return Err(RedisError::Down);
        }
        let answer = match tokio::time::timeout(CALL_TIMEOUT, commands(self.client())).await {
            Err(_) => Err(RedisError::TimedOut),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if is_silence(&error) => Err(RedisError::TimedOut),
            // An error of the server is an answer, too.
            Ok(Err(error)) => Err(RedisError::Command(error)),
        };
        match answer {
            Err(RedisError::TimedOut) => {
                if self.inner.breaker.open() {
                    tracing::warn!(redis.url = %self.inner.url, "Redis does not answer in time");
                }
            }
            Ok(_) | Err(RedisError::Down | RedisError::Command(_)) => {
                if self.inner.breaker.close() {
                    tracing::info!(redis.url = %self.inner.url, "Redis answers again");
                }
            }
        }
        answer
    }

    /// The client itself, for what [`RedisHandle::call`] does not cover. Its commands time out, too.
    pub fn client(&self) -> Client {
        self.inner.client.clone()
    }

    /// The breaker, for callers that use the client directly.
    pub fn breaker(&self) -> &Breaker {
        &self.inner.breaker
    }

    /// The URL with the database number.
    pub fn url(&self) -> &SecretUrl {
        &self.inner.url
    }
}

impl fmt::Debug for RedisHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisHandle")
            .field("url", &self.inner.url)
            .field("is_up", &self.is_up())
            .finish()
    }
}

/// Whether the error means that no answer came, as opposed to an answer that says no.
fn is_silence(error: &FredError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Timeout | ErrorKind::IO | ErrorKind::Canceled
    )
}

/// The URL with another database number; whatever path it had is replaced.
pub fn database_url(url: &SecretUrl, database: u8) -> SecretUrl {
    url.with_path(&format!("/{database}"))
}

/// Makes ring the provider of cryptography for TLS in this process. Further calls do nothing.
///
/// Where a dependency brings a second provider, rustls refuses to choose between the two by itself.
pub fn install_crypto_provider() {
    // An error only says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Whether a server can have this URL; the configuration asks before anything connects.
pub(crate) fn is_usable(url: &SecretUrl) -> bool {
    parse_url(url).is_ok()
}

fn parse_url(url: &SecretUrl) -> Result<FredConfig, FredError> {
    if SCHEMES.contains(&url.scheme()) {
        FredConfig::from_url(url.expose())
    } else {
        Err(FredError::new(
            ErrorKind::Url,
            "the scheme is neither redis nor rediss",
        ))
    }
}

/// A client that was not started yet, with every time-out set.
fn new_client(url: &SecretUrl) -> Result<Client, RedisUrlError> {
    install_crypto_provider();
    let refused = |source| RedisUrlError {
        url: url.clone(),
        source,
    };
    let mut config = parse_url(url).map_err(refused)?;
    config.version = RespVersion::RESP3;
    config.fail_fast = false;
    Builder::from_config(config)
        .with_performance_config(|performance| {
            performance.default_command_timeout = COMMAND_TIMEOUT;
        })
        .with_connection_config(|connection| {
            connection.connection_timeout = CONNECTION_TIMEOUT;
            connection.internal_command_timeout = CONNECTION_TIMEOUT;
            connection.max_command_attempts = 1;
            connection.reconnect_on_auth_error = true;
            connection.unresponsive = UnresponsiveConfig {
                max_timeout: Some(UNRESPONSIVE_TIMEOUT),
                interval: UNRESPONSIVE_CHECK,
            };
        })
        .set_policy(ReconnectPolicy::new_exponential(
            0,
            RECONNECT_MS_MIN,
            RECONNECT_MS_MAX,
            2,
        ))
        .build()
        .map_err(refused)
}

/// Keeps the client's connection task alive until `stop`; the client itself reconnects, but gives up on some
/// errors.
async fn keep_connected(client: Client, stop: CancellationToken) {
    loop {
        let mut connection = client.connect();
        tokio::select! {
            () = stop.cancelled() => {
                // Only says that there was no connection to end.
                let _ = client.quit().await;
                connection.abort();
                return;
            }
            ended = &mut connection => {
                if let Ok(Err(error)) = ended {
                    tracing::warn!(%error, "the Redis client gave up and starts anew");
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RESTART_PAUSE) => {}
        }
    }
}

/// Logs each loss of Redis and each return once, however often the client tries in between.
async fn report_changes(client: Client, url: SecretUrl) {
    let (mut connections, mut errors) = (client.reconnect_rx(), client.error_rx());
    let mut was_up = None;
    loop {
        tokio::select! {
            connection = connections.recv() => match connection {
                Ok(_) if was_up != Some(true) => {
                    tracing::info!(redis.url = %url, "Redis is connected");
                    was_up = Some(true);
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            error = errors.recv() => match error {
                Ok((error, _)) if was_up != Some(false) && !client.is_connected() => {
                    tracing::warn!(redis.url = %url, %error, "Redis is away; this process goes on without it");
                    was_up = Some(false);
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}
