//! Builds the parts of a worker from the configuration.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker::paper::{self, Paper, PaperOptions, PaperRules};
use broker::{Broker, BrokerError};
use chrono::{DateTime, Utc};
use domain::asset::{Asset, MarketHours};
use domain::money::Quantity;
use market::replay::ReplayOptions;
use market::tape::{Tape, TapeError};
use market::{CachedQuotes, MarketData, Replay, Sim};
use platform::SharedClock;
use platform::config::{self, Config};
use platform::redis::{RedisHandle, RedisUrlError, databases};
use queue::Queue;
use sea_orm::{DatabaseConnection, DbErr};
use sea_orm_migration::MigratorTrait;
use store::{Store, StoreError, StoreOptions};
use thiserror::Error;

use crate::app::{Assets, Brokers, WorkerApp, WorkerOptions};

/// The database of an installation that was given none.
const DATABASE_FILE: &str = "arbion.db";

/// The paper venue's book beside it.
const PAPER_FILE: &str = "paper.db";

/// The file of the data directory that says when a recording began to play.
const REPLAY_ANCHOR_FILE: &str = "replay.anchor";

/// The file of the data directory by which a recording that stands still is moved.
const REPLAY_ROW_FILE: &str = "replay.row";

/// The units on each side of a recorded bar's prices.
const REPLAY_QUOTED_SIZE: i64 = 1_000;

/// Why a worker can't be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The recording can't be used.
    #[error("the recording can't be played")]
    Tape(#[from] TapeError),
    /// The file that all processes of an installation share can't be used.
    #[error("{} can't be used", path.display())]
    Anchor {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The Redis URL is none.
    #[error(transparent)]
    RedisUrl(#[from] RedisUrlError),
    /// The data directory can't be made.
    #[error("cannot create the directory {}", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The database did not do its part.
    #[error("cannot use the database")]
    Store(#[from] StoreError),
    /// The schema could not be brought up to date.
    #[error("cannot migrate the database")]
    Migrate(#[from] DbErr),
    /// The paper venue's book could not be opened.
    #[error("cannot open the paper venue")]
    Paper(#[from] BrokerError),
    /// A constant of this file is no quantity.
    #[error("the quoted size of recorded bars is no quantity")]
    QuotedSize,
}

/// Whether equities keep the exchange's hours.
pub const fn hours(config: &Config) -> MarketHours {
    match config.market_hours {
        config::MarketHours::Real => MarketHours::Real,
        config::MarketHours::Ignore => MarketHours::Ignore,
    }
}

/// The queue of signals: in Redis, or inside this process.
pub fn queue(config: &Config) -> Queue {
    config
        .redis_url
        .as_ref()
        .map_or_else(Queue::memory, |url| Queue::redis(url.expose()))
}

/// Prices, behind a cache that the processes share where there is a Redis. Needs a tokio runtime.
pub fn quotes(config: &Config, clock: &SharedClock) -> Result<CachedQuotes, SetupError> {
    let redis = config
        .redis_url
        .as_ref()
        .map(|url| RedisHandle::connect(url, databases::CACHE))
        .transpose()?;
    Ok(CachedQuotes::new(
        provider(config, clock)?,
        Arc::clone(clock),
        hours(config),
        redis,
    ))
}

fn provider(config: &Config, clock: &SharedClock) -> Result<Arc<dyn MarketData>, SetupError> {
    Ok(match config.market_data {
        config::MarketData::Sim => {
            Arc::new(Sim::new(config.market_seed, Arc::clone(clock)).with_hours(hours(config)))
        }
        config::MarketData::Replay => Arc::new(replay(config, clock)?),
    })
}

fn replay(config: &Config, clock: &SharedClock) -> Result<Replay, SetupError> {
    let tape = match &config.replay_file {
        Some(path) => Tape::open(path)?,
        None => Tape::shipped()?,
    };
    let anchor = anchor(&config.data_dir, clock.now())?;
    let size = Quantity::new(REPLAY_QUOTED_SIZE.into()).map_err(|_| SetupError::QuotedSize)?;
    let options = ReplayOptions {
        speed: config.replay_speed,
        start_row: usize::try_from(config.replay_start_row).unwrap_or(usize::MAX),
        hours: hours(config),
        row_file: Some(config.data_dir.join(REPLAY_ROW_FILE)),
        ..ReplayOptions::new(anchor, size)
    };
    Ok(Replay::new(tape, Arc::clone(clock), options))
}

/// When the recording began to play: written down by the first process, and read by all others and after restarts.
fn anchor(data_dir: &Path, now: DateTime<Utc>) -> Result<DateTime<Utc>, SetupError> {
    let path = data_dir.join(REPLAY_ANCHOR_FILE);
    read_or_write_anchor(&path, now).map_err(|source| SetupError::Anchor { path, source })
}

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

/// The database, migrated. Several processes may start at once: one applies what is pending, the others wait.
pub async fn store(config: &Config, service: &'static str) -> Result<Store, SetupError> {
    let store = connect(config, service).await?;
    apply::<migrations::Migrator>(store.write()).await?;
    Ok(store)
}

/// Applies what is pending to the database and to the paper venue's book. Answers the names.
pub async fn migrate(config: &Config, service: &'static str) -> Result<Vec<String>, SetupError> {
    let store = connect(config, service).await?;
    let mut applied = apply::<migrations::Migrator>(store.write()).await?;
    store.close().await?;
    applied.extend(migrate_paper(config).await?);
    Ok(applied)
}

async fn connect(config: &Config, service: &'static str) -> Result<Store, SetupError> {
    make_data_dir(config)?;
    let mut options = StoreOptions::new(database_url(config));
    options.max_connections = config.database_max_connections;
    service.clone_into(&mut options.application_name);
    Ok(Store::connect(&options).await?)
}

async fn migrate_paper(config: &Config) -> Result<Vec<String>, SetupError> {
    make_data_dir(config)?;
    let connection = paper::connect_for_migrations(&paper_url(config)).await?;
    let applied = apply::<migrations::PaperMigrator>(&connection).await?;
    connection.close().await?;
    Ok(applied)
}

/// The paper venue with its book, migrated.
pub async fn paper(config: &Config, clock: &SharedClock, assets: &[Asset]) -> Result<Paper, SetupError> {
    migrate_paper(config).await?;
    let database_url = paper_url(config);
    let rules = PaperRules {
        slippage_basis_points: config.paper_slippage_bps,
        equity_fee_basis_points: config.paper_fee_bps,
        crypto_fee_basis_points: config.paper_crypto_fee_bps,
        hours: hours(config),
        assets: assets.iter().map(|asset| (asset.id, asset.clone())).collect(),
    };
    let clock = Arc::clone(clock);
    let max_connections = config.database_max_connections;
    Ok(Paper::open(PaperOptions {
        database_url,
        max_connections,
        rules,
        clock,
    })
    .await?)
}

/// Everything a worker needs, around a store, a queue and quotes that the process may share with others.
pub async fn app(config: &Config, parts: Parts) -> Result<WorkerApp, SetupError> {
    let assets = parts.store.all_assets().await?;
    let paper = paper(config, &parts.clock, &assets).await?;
    Ok(WorkerApp {
        store: parts.store,
        queue: parts.queue,
        brokers: Brokers::new([Arc::new(paper) as Arc<dyn Broker>]),
        quotes: parts.quotes,
        clock: parts.clock,
        hours: hours(config),
        assets: Assets::new(assets),
        options: WorkerOptions::of(config),
    })
}

/// What a worker shares with the other parts of its process.
#[derive(Clone)]
pub struct Parts {
    /// The truth.
    pub store: Store,
    /// Signals.
    pub queue: Queue,
    /// Prices.
    pub quotes: CachedQuotes,
    /// The time of day.
    pub clock: SharedClock,
}

/// Applies what is pending, and says so.
async fn apply<M: MigratorTrait>(connection: &DatabaseConnection) -> Result<Vec<String>, SetupError> {
    let applied = migrations::migrate::<M>(connection).await?;
    if !applied.is_empty() {
        tracing::info!(migrations = applied.join(","), "migrated the database");
    }
    Ok(applied)
}

fn make_data_dir(config: &Config) -> Result<(), SetupError> {
    if config.database_url.is_some() {
        return Ok(());
    }
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir);
    made.map_err(|source| SetupError::DataDir {
        path: config.data_dir.clone(),
        source,
    })
}

/// Where the database is: as configured, or a file of the data directory.
fn database_url(config: &Config) -> String {
    config.database_url.as_ref().map_or_else(
        || sqlite_url(&config.data_dir.join(DATABASE_FILE)),
        |url| url.expose().to_owned(),
    )
}

/// Where the paper venue's book is: in its own schema of a PostgreSQL database, or in a file beside a SQLite one.
fn paper_url(config: &Config) -> String {
    match &config.database_url {
        None => sqlite_url(&config.data_dir.join(PAPER_FILE)),
        Some(url) if url.scheme() == "sqlite" => {
            let (file, options) = url.expose().split_once('?').unwrap_or((url.expose(), ""));
            let question_mark = if options.is_empty() { "" } else { "?" };
            format!("{file}-paper{question_mark}{options}")
        }
        Some(url) => url.expose().to_owned(),
    }
}

/// The URL of a SQLite file, whatever characters its path has.
fn sqlite_url(path: &Path) -> String {
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3F");
    format!("sqlite:{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_recording_goes_on_where_it_would_be_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("new");
        let first = anchor(&data_dir, at("2026-11-24T15:00:00Z")).unwrap();
        let second = anchor(&data_dir, at("2026-11-25T15:00:00Z")).unwrap();
        assert_eq!([first, second], [at("2026-11-24T15:00:00Z"); 2]);
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "no drafts are left");
    }

    fn config(variables: &[(&str, &str)]) -> Config {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Config::from_lookup(find).unwrap()
    }

    #[test]
    fn without_a_database_url_both_files_are_in_the_data_directory() {
        let config = config(&[("ARBION_DATA_DIR", "odd?100%")]);
        assert_eq!(database_url(&config), "sqlite:odd%3F100%25/arbion.db");
        assert_eq!(paper_url(&config), "sqlite:odd%3F100%25/paper.db");
    }

    #[test]
    fn the_paper_venue_keeps_its_book_beside_the_database() {
        let with = |url| config(&[("DATABASE_URL", url)]);
        let postgres = "postgres://user:word@127.0.0.1/arbion";
        assert_eq!(paper_url(&with(postgres)), postgres, "in its own schema");
        assert_eq!(
            paper_url(&with("sqlite:///var/a.db?mode=rwc")),
            "sqlite:///var/a.db-paper?mode=rwc"
        );
        assert_eq!(paper_url(&with("sqlite://a.db")), "sqlite://a.db-paper");
    }

    #[test]
    fn a_start_that_was_written_by_hand_and_is_no_time_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(REPLAY_ANCHOR_FILE), "yesterday").unwrap();
        let error = anchor(directory.path(), at("2026-11-24T15:00:00Z")).unwrap_err();
        assert!(error.to_string().contains(REPLAY_ANCHOR_FILE), "{error}");
    }
}
