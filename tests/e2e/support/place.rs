//! Where an installation keeps its data.

use std::collections::BTreeMap;
use std::path::Path;

use super::postgres::{Database, Server};
use super::redis::Redis;

/// The two ways of running Arbion that every promise holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetUp {
    /// `arbion`: all in one process, on SQLite files in a directory.
    Sqlite,
    /// `arbion-api`, `arbion-worker`, `arbion-scheduler` on PostgreSQL and Redis.
    Postgres,
}

/// A new, empty place, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) set_up: SetUp,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) redis: Option<Redis>,
    database: Option<Database>,
    // Dropped after the database that it holds.
    pub(crate) server: Option<Server>,
}

/// What a place is made of, beside the set-up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Parts {
    /// Three processes without a Redis.
    pub(crate) without_redis: bool,
    /// A PostgreSQL server of its own, which the test may stop.
    pub(crate) own_server: bool,
}

impl Place {
    /// A place for `set_up`.
    pub(crate) async fn create(set_up: SetUp, parts: Parts) -> Self {
        let directory = tempfile::tempdir().unwrap();
        if set_up == SetUp::Sqlite {
            return Self {
                set_up,
                directory,
                redis: None,
                database: None,
                server: None,
            };
        }
        let redis = if parts.without_redis {
            None
        } else {
            Some(Redis::start().await)
        };
        let server = parts.own_server.then(Server::start);
        let database = match &server {
            Some(server) => server.database().await,
            None => Database::create().await,
        };
        Self {
            set_up,
            directory,
            redis,
            database: Some(database),
            server,
        }
    }

    /// The directory in which processes are started.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The variables that say where the place is.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::from([(
            "ARBION_DATA_DIR".to_owned(),
            self.data_dir().display().to_string(),
        )]);
        if let Some(database) = &self.database {
            variables.insert("DATABASE_URL".to_owned(), database.url());
        }
        if let Some(redis) = &self.redis {
            variables.insert("REDIS_URL".to_owned(), redis.url());
        }
        variables
    }

    /// The data directory.
    pub(crate) fn data_dir(&self) -> std::path::PathBuf {
        self.path().join("arbion-data")
    }

    /// The URL of Arbion's own tables, for a look from outside.
    pub(crate) fn database_url(&self) -> String {
        match &self.database {
            Some(database) => database.url(),
            None => self.file_url("arbion.db"),
        }
    }

    /// The URL of the paper venue's tables.
    pub(crate) fn paper_url(&self) -> String {
        match &self.database {
            Some(database) => database.url(),
            None => self.file_url("paper.db"),
        }
    }

    fn file_url(&self, name: &str) -> String {
        format!("sqlite:{}", self.data_dir().join(name).display())
    }
}
