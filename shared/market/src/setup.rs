//! Builds prices from the configuration: the provider, what a recording shares between processes, and the cache.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::asset::MarketHours;
use domain::money::{AmountError, Quantity};
use platform::SharedClock;
use platform::config::{self, Config};
use platform::redis::{RedisHandle, RedisUrlError, databases};
use platform::secrets::{create_private, private_directory};
use thiserror::Error;

use crate::replay::ReplayOptions;
use crate::tape::{Tape, TapeError};
use crate::{CachedQuotes, MarketData, Replay, Sim};

/// The file of the data directory that says when a recording began to play; all processes share it.
const REPLAY_ANCHOR_FILE: &str = "replay.anchor";

/// The file of the data directory by which a recording that stands still is moved.
const REPLAY_ROW_FILE: &str = "replay.row";

/// The units on each side of a recorded bar's prices.
const REPLAY_QUOTED_SIZE: i64 = 1_000;

/// Why there are no prices.
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
    /// A constant of this file is no quantity.
    #[error("the quoted size of recorded bars is no quantity")]
    QuotedSize(#[from] AmountError),
    /// The Redis URL is none.
    #[error(transparent)]
    RedisUrl(#[from] RedisUrlError),
}

/// Whether equities keep the exchange's hours.
pub const fn hours(config: &Config) -> MarketHours {
    match config.market_hours {
        config::MarketHours::Real => MarketHours::Real,
        config::MarketHours::Ignore => MarketHours::Ignore,
    }
}

/// Prices, behind a cache that the processes share where there is a Redis. Needs a tokio runtime.
pub fn quotes(config: &Config, clock: &SharedClock) -> Result<CachedQuotes, SetupError> {
    let provider: Arc<dyn MarketData> = match config.market_data {
        config::MarketData::Sim => {
            Arc::new(Sim::new(config.market_seed, Arc::clone(clock)).with_hours(hours(config)))
        }
        config::MarketData::Replay => Arc::new(replay(config, clock)?),
    };
    let url = config.redis_url.as_ref();
    let redis = url.map(|url| RedisHandle::connect(url, databases::CACHE));
    let redis = redis.transpose()?;
    Ok(CachedQuotes::new(
        provider,
        Arc::clone(clock),
        hours(config),
        redis,
    ))
}

fn replay(config: &Config, clock: &SharedClock) -> Result<Replay, SetupError> {
    let tape = match &config.replay_file {
        Some(path) => Tape::open(path)?,
        None => Tape::shipped()?,
    };
    let anchor = anchor(&config.data_dir, clock.now())?;
    let options = ReplayOptions {
        speed: config.replay_speed,
        start_row: usize::try_from(config.replay_start_row).unwrap_or(usize::MAX),
        hours: hours(config),
        row_file: Some(config.data_dir.join(REPLAY_ROW_FILE)),
        ..ReplayOptions::new(anchor, Quantity::new(REPLAY_QUOTED_SIZE.into())?)
    };
    Ok(Replay::new(tape, Arc::clone(clock), options))
}

/// When the recording began to play: written down by the first process, and read by all others and after restarts.
fn anchor(data_dir: &Path, now: DateTime<Utc>) -> Result<DateTime<Utc>, SetupError> {
    let path = data_dir.join(REPLAY_ANCHOR_FILE);
    let read = || {
        private_directory(data_dir)?;
        create_private(&path, format!("{}\n", now.to_rfc3339()).as_bytes())?;
        let text = std::fs::read_to_string(&path)?;
        DateTime::parse_from_rfc3339(text.trim())
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    };
    match read() {
        Ok(at) => Ok(at.with_timezone(&Utc)),
        Err(source) => Err(SetupError::Anchor { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use platform::ManualClock;

    use super::*;
    use crate::catalog;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn config(variables: &[(&str, &str)]) -> Config {
        let find = |name: &str| {
            let mut all = variables.iter();
            all.find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Config::from_lookup(find).unwrap()
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

    #[test]
    fn a_start_that_was_written_by_hand_and_is_no_time_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(REPLAY_ANCHOR_FILE), "yesterday").unwrap();
        let error = anchor(directory.path(), at("2026-11-24T15:00:00Z")).unwrap_err();
        assert!(error.to_string().contains(REPLAY_ANCHOR_FILE), "{error}");
    }

    #[test]
    fn a_recording_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("none.csv").display().to_string();
        let config = config(&[("MARKET_DATA", "replay"), ("REPLAY_FILE", &file)]);
        let clock: SharedClock = Arc::new(ManualClock::new(at("2026-11-24T15:00:00Z")));
        let Err(error) = quotes(&config, &clock) else {
            panic!("there are quotes from {file}")
        };
        let told = platform::exit::in_one_line(&error);
        assert!(told.contains(&file), "{told}");
    }

    #[tokio::test]
    async fn the_row_file_of_the_data_directory_moves_a_recording_that_stands_still() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().display().to_string();
        let config = config(&[
            ("MARKET_DATA", "replay"),
            ("REPLAY_SPEED", "0"),
            ("MARKET_HOURS", "ignore"),
            ("ARBION_DATA_DIR", &data_dir),
        ]);
        assert_eq!(hours(&config), MarketHours::Ignore);
        let clock: SharedClock = Arc::new(ManualClock::new(at("2026-11-24T15:00:00Z")));
        let replay = replay(&config, &clock).unwrap();
        fs::write(directory.path().join(REPLAY_ROW_FILE), "7").unwrap();
        replay.quotes(&catalog::assets()).await.unwrap();
        assert_eq!(replay.position(), 7);
        let written = fs::read_to_string(directory.path().join(REPLAY_ANCHOR_FILE)).unwrap();
        assert_eq!(written.trim().parse::<DateTime<Utc>>().unwrap(), clock.now());
    }
}
