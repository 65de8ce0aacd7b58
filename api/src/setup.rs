//! Builds the parts of the API's process from the configuration.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use migrations::{MigrateError, Migrator, migrate_at_start};
use platform::config::Config;
use platform::version::Started;
use platform::{SecretUrl, SharedClock};
use queue::Queue;
use store::connect::OpenError;
use store::{Store, StoreError};
use thiserror::Error;

use crate::app::{App, AppParts, Rules};
use crate::serve::Listening;

/// The name of this program in logs and at the database.
pub const SERVICE: &str = "arbion-api";

/// Why the API can't start.
#[derive(Debug, Error)]
pub enum SetupError {
    /// No database is named, or it can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database did not do its part.
    #[error("cannot use the database")]
    Store(#[from] StoreError),
    /// The schema could not be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// There are no prices.
    #[error(transparent)]
    Market(#[from] market::setup::SetupError),
    /// The port can't be opened.
    #[error("cannot listen on {address}; set PORT or BIND_ADDRESS to another one")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Opens the port.
pub async fn listen(config: &Config) -> Result<Listening, SetupError> {
    let address = config.listen_address();
    let listening = Listening::bind(address).await;
    listening.map_err(|source| SetupError::Listen { address, source })
}

/// Everything that the API's process needs. Needs a tokio runtime.
pub async fn app(config: &Config, clock: SharedClock) -> Result<Arc<App>, SetupError> {
    let store = Store::open(config, SERVICE).await?;
    migrate_at_start::<Migrator>(store.write()).await?;
    store.upsert_assets(&market::catalog::assets()).await?;
    let quotes = market::setup::quotes(config, &clock)?;
    let parts = AppParts {
        assets: store.all_assets().await?,
        store,
        queue: Queue::of(config.redis_url.as_ref().map(SecretUrl::expose)),
        started: Started::now(clock.as_ref()),
        clock,
        rules: Rules::of(config),
    };
    Ok(App::new(parts, quotes))
}
