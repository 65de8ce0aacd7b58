//! Builds the parts of a worker from the configuration.

use std::sync::Arc;

use broker::paper::{self, Paper, PaperOptions, PaperRules};
use broker::{Broker, BrokerError};
use domain::asset::Asset;
use market::CachedQuotes;
use market::setup::hours;
use migrations::{MigrateError, PaperMigrator, migrate_at_start};
use platform::SharedClock;
use platform::config::Config;
use queue::Queue;
use store::connect::sqlite_url;
use store::{Store, StoreError};
use thiserror::Error;

use crate::app::{Assets, Brokers, WorkerApp, WorkerOptions};

/// The paper venue's book, beside a database that is a file of the data directory.
const PAPER_FILE: &str = "paper.db";

/// Why a worker can't be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The database did not do its part.
    #[error("cannot use the database")]
    Store(#[from] StoreError),
    /// The schema of the paper venue's book could not be brought up to date.
    #[error("cannot prepare the paper venue's book")]
    Migrate(#[from] MigrateError),
    /// A broker could not be opened; the paper venue is one.
    #[error("cannot open a broker")]
    Broker(#[from] BrokerError),
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

/// Everything a worker needs, around parts that the process may share with others.
pub async fn app(config: &Config, parts: Parts) -> Result<WorkerApp, SetupError> {
    let assets = parts.store.all_assets().await?;
    let paper = paper(config, &parts.clock, &assets).await?;
    let brokers = std::iter::once(Arc::new(paper) as Arc<dyn Broker>);
    #[cfg(feature = "fault-points")]
    let brokers = brokers.chain(crate::scripted::brokers(config, &parts.store)?);
    Ok(WorkerApp {
        store: parts.store,
        queue: parts.queue,
        brokers: Brokers::new(brokers),
        quotes: parts.quotes,
        clock: parts.clock,
        hours: hours(config),
        assets: Assets::new(assets),
        options: WorkerOptions::of(config),
    })
}

/// Applies what is pending to the paper venue's book. Answers the names.
pub async fn migrate_paper(config: &Config) -> Result<Vec<String>, SetupError> {
    let connection = paper::connect_for_migrations(&paper_url(config)).await?;
    let applied = migrate_at_start::<PaperMigrator>(&connection).await?;
    connection.close().await.map_err(StoreError::from)?;
    Ok(applied)
}

/// The paper venue with its book, migrated.
async fn paper(config: &Config, clock: &SharedClock, assets: &[Asset]) -> Result<Paper, SetupError> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_paper_venue_keeps_its_book_beside_the_database() {
        let with = |url| config(&[("DATABASE_URL", url)]);
        let postgres = "postgres://user:word@127.0.0.1/arbion";
        assert_eq!(paper_url(&with(postgres)), postgres, "in its own schema");
        assert_eq!(
            paper_url(&with("sqlite:///var/a.db?mode=rwc")),
            "sqlite:///var/a.db-paper?mode=rwc"
        );
        assert_eq!(paper_url(&with("sqlite://a.db")), "sqlite://a.db-paper");
        let local = config(&[("ARBION_DATA_DIR", "odd?100%")]);
        assert_eq!(paper_url(&local), "sqlite:odd%3F100%25/paper.db");
    }
}
