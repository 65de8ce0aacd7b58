//! Builds the parts of the API's process from the configuration.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::money::{AmountError, Quantity};
use market::replay::ReplayOptions;
use market::tape::{Tape, TapeError};
use market::{CachedQuotes, MarketData, Replay, Sim};
use platform::SharedClock;
use platform::config::{self, Config};
use platform::redis::{RedisHandle, RedisUrlError, databases};
use platform::version::Started;
use queue::Queue;
use store::{Store, StoreError, StoreOptions};
use thiserror::Error;

use crate::app::{App, AppParts, Rules};

/// The file of the data directory that says when a recording began to play; all processes share it.
const REPLAY_ANCHOR_FILE: &str = "replay.anchor";

/// The file of the data directory by which a recording that stands still is moved.
const REPLAY_ROW_FILE: &str = "replay.row";

/// The units on each side of a recorded bar's prices.
const REPLAY_QUOTED_SIZE: i64 = 1_000;

/// Why the API can't start.
#[derive(Debug, Error)]
pub enum SetupError {
    /// No database is named.
    #[error(
        "DATABASE_URL is not set: name the database that all processes share, \
         for example postgres://arbion@localhost/arbion (for one process with everything, run arbion)"
    )]
    NoDatabase,
    /// The database did not do its part.
    #[error("cannot use the database")]
    Store(#[from] StoreError),
    /// The schema could not be brought up to date.
    #[error("cannot migrate the database")]
    Migrate(#[source] StoreError),
    /// The Redis URL is none.
    #[error(transparent)]
    RedisUrl(#[from] RedisUrlError),
    /// The recording can't be used.
    #[error("the recording can't be played")]
    Tape(#[from] TapeError),
    /// A constant of this file is no quantity.
    #[error("the quoted size of recorded bars is no quantity")]
    QuotedSize(#[from] AmountError),
    /// The file that all processes of an installation share can't be used.
    #[error("{} can't be used", path.display())]
    Anchor {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Everything that the API's process needs. Needs a tokio runtime.
pub async fn app(config: &Config, clock: SharedClock) -> Result<Arc<App>, SetupError> {
    let started = Started::now(clock.as_ref());
    let store = store(config).await?;
    store.upsert_assets(&market::catalog::assets()).await?;
    let quotes = quotes(config, &clock)?;
    let parts = AppParts {
        assets: store.all_assets().await?,
        store,
        queue: queue(config),
        clock,
        started,
        rules: Rules::of(config),
    };
    Ok(App::new(parts, quotes))
}

/// The database, migrated: of several processes that start at once, one applies what is pending and the others wait.
async fn store(config: &Config) -> Result<Store, SetupError> {
    let url = config.database_url.as_ref().ok_or(SetupError::NoDatabase)?;
    let mut options = StoreOptions::new(url.expose());
    options.max_connections = config.database_max_connections;
    "arbion-api".clone_into(&mut options.application_name);
    let store = Store::connect(&options).await?;
    let applied = migrations::migrate::<migrations::Migrator>(store.write())
        .await
        .map_err(|error| SetupError::Migrate(error.into()))?;
    if !applied.is_empty() {
        tracing::info!(migrations = applied.join(","), "migrated the database");
    }
    Ok(store)
}

fn queue(config: &Config) -> Queue {
    let redis = config.redis_url.as_ref();
    redis.map_or_else(Queue::memory, |url| Queue::redis(url.expose()))
}

fn quotes(config: &Config, clock: &SharedClock) -> Result<CachedQuotes, SetupError> {
    let hours = Rules::of(config).hours;
    let provider: Arc<dyn MarketData> = match config.market_data {
        config::MarketData::Sim => {
            Arc::new(Sim::new(config.market_seed, Arc::clone(clock)).with_hours(hours))
        }
        config::MarketData::Replay => Arc::new(replay(config, clock)?),
    };
    let url = config.redis_url.as_ref();
    let redis = url
        .map(|url| RedisHandle::connect(url, databases::CACHE))
        .transpose()?;
    Ok(CachedQuotes::new(provider, Arc::clone(clock), hours, redis))
}

fn replay(config: &Config, clock: &SharedClock) -> Result<Replay, SetupError> {
    let tape = match &config.replay_file {
        Some(path) => Tape::open(path)?,
        None => Tape::shipped()?,
    };
    let path = config.data_dir.join(REPLAY_ANCHOR_FILE);
    let anchor =
        read_or_write_anchor(&path, clock.now()).map_err(|source| SetupError::Anchor { path, source })?;
    let options = ReplayOptions {
        speed: config.replay_speed,
        start_row: usize::try_from(config.replay_start_row).unwrap_or(usize::MAX),
        hours: Rules::of(config).hours,
        row_file: Some(config.data_dir.join(REPLAY_ROW_FILE)),
        ..ReplayOptions::new(anchor, Quantity::new(REPLAY_QUOTED_SIZE.into())?)
    };
    Ok(Replay::new(tape, Arc::clone(clock), options))
}

/// When the recording began to play: written down by the first process, read by all others and after restarts.
fn read_or_write_anchor(path: &Path, now: DateTime<Utc>) -> io::Result<DateTime<Utc>> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // The file appears whole or not at all, and the first of several wins.
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let mut file = fs::File::create(&draft)?;
    writeln!(file, "{}", now.to_rfc3339())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let text = fs::read_to_string(path)?;
    DateTime::parse_from_rfc3339(text.trim())
        .map(|at| at.with_timezone(&Utc))
        .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}
