//! Builds the parts of a scheduler from the configuration.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use domain::asset::MarketHours;
use platform::config::{self, Config};
use queue::Queue;
use sea_orm::DbErr;
use store::{Store, StoreError, StoreOptions};
use thiserror::Error;

/// The database of an installation that was given none.
const DATABASE_FILE: &str = "arbion.db";

/// Why a scheduler can't be set up.
#[derive(Debug, Error)]
pub enum SetupError {
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
}

/// Whether equities keep the exchange's hours.
pub const fn hours(config: &Config) -> MarketHours {
    match config.market_hours {
        config::MarketHours::Real => MarketHours::Real,
        config::MarketHours::Ignore => MarketHours::Ignore,
    }
}

/// The queue of signals: in Redis, or inside this process, where no worker hears them and workers poll.
pub fn queue(config: &Config) -> Queue {
    config
        .redis_url
        .as_ref()
        .map_or_else(Queue::memory, |url| Queue::redis(url.expose()))
}

/// The database, migrated. Several processes may start at once: one applies what is pending, the others wait.
pub async fn store(config: &Config) -> Result<Store, SetupError> {
    let mut options = StoreOptions::new(database_url(config)?);
    options.max_connections = config.database_max_connections;
    "arbion-scheduler".clone_into(&mut options.application_name);
    let store = Store::connect(&options).await?;
    let applied = migrations::migrate::<migrations::Migrator>(store.write()).await?;
    if !applied.is_empty() {
        tracing::info!(migrations = applied.join(","), "migrated the database");
    }
    Ok(store)
}

fn database_url(config: &Config) -> Result<String, SetupError> {
    if let Some(url) = &config.database_url {
        return Ok(url.expose().to_owned());
    }
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir);
    made.map_err(|source| SetupError::DataDir {
        path: config.data_dir.clone(),
        source,
    })?;
    let path = config.data_dir.join(DATABASE_FILE);
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3F");
    Ok(format!("sqlite:{path}"))
}
