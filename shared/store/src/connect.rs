//! How a process reaches its database.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use platform::Config;
use platform::secrets::private_directory;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbBackend};
use thiserror::Error;

use crate::{Store, StoreError};

/// The file of the data directory that is the database of an installation that was given none.
const DATABASE_FILE: &str = "arbion.db";

/// Why the configuration leads to no database.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No database is named, and a file of its own would be no use to one of several processes.
    #[error(
        "DATABASE_URL is not set: name the database that all processes share, \
         for example postgres://arbion@localhost/arbion (for one process with everything, run arbion)"
    )]
    NotNamed,
    /// The directory of the database's file can't be made.
    #[error("cannot create the directory {}", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The database is not there, or not as it should be.
    #[error("cannot open the database {place}")]
    Unusable {
        /// The URL without its password, or the file.
        place: String,
        /// Why not.
        #[source]
        source: StoreError,
    },
}

impl Store {
    /// Connects to the database that `config` names, see [`StoreOptions::of`].
    pub async fn open(config: &Config, service: &str) -> Result<Self, OpenError> {
        Self::open_with(&StoreOptions::of(config, service)?, config).await
    }

    /// The same for a process that does everything, see [`StoreOptions::of_or_local`].
    pub async fn open_or_local(config: &Config, service: &str) -> Result<Self, OpenError> {
        Self::open_with(&StoreOptions::of_or_local(config, service)?, config).await
    }

    /// Whether transactions run one after the other: a second one at the same time would only wait.
    pub fn has_one_writer(&self) -> bool {
        self.backend() == DbBackend::Sqlite
    }

    async fn open_with(options: &StoreOptions, config: &Config) -> Result<Self, OpenError> {
        Self::connect(options).await.map_err(|source| {
            let place = match &config.database_url {
                Some(url) => format!("{url} (DATABASE_URL)"),
                None => format!("{DATABASE_FILE} in {}", config.data_dir.display()),
            };
            OpenError::Unusable { place, source }
        })
    }
}

/// Where the database is, and how much of it one process may take.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `postgres://…`, `postgresql://…`, or `sqlite:` and a file.
    pub url: String,
    /// The most connections to PostgreSQL; on SQLite, the most readers.
    pub max_connections: u32,
    /// How long a caller waits for a connection before the database counts as unavailable.
    pub acquire_timeout: Duration,
    /// How long one statement may take on PostgreSQL.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a row lock on PostgreSQL, and a transaction for the write lock on SQLite.
    pub lock_timeout: Duration,
    /// How long a transaction may take before its COMMIT, and the answer to COMMIT, whether the server says something or
    /// not; longer than a statement.
    pub transaction_timeout: Duration,
    /// What PostgreSQL shows in `pg_stat_activity`.
    pub application_name: String,
}

impl StoreOptions {
    /// The options for `url` with the limits that suit a server.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 16,
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(15),
            lock_timeout: Duration::from_secs(5),
            transaction_timeout: Duration::from_secs(20),
            application_name: "arbion".to_owned(),
        }
    }

    /// The database that `config` names, for one of several processes; `service` is what the database calls it.
    pub fn of(config: &Config, service: &str) -> Result<Self, OpenError> {
        let url = config.database_url.as_ref().ok_or(OpenError::NotNamed)?;
        Ok(Self {
            max_connections: config.database_max_connections,
            application_name: service.to_owned(),
            ..Self::new(url.expose())
        })
    }

    /// The same for a process that does everything: where no database is named, it is a file of the data directory, which
    /// is made.
    pub fn of_or_local(config: &Config, service: &str) -> Result<Self, OpenError> {
        if config.database_url.is_some() {
            return Self::of(config, service);
        }
        private_directory(&config.data_dir).map_err(|source| OpenError::DataDir {
            path: config.data_dir.clone(),
            source,
        })?;
        Ok(Self {
            max_connections: config.database_max_connections,
            application_name: service.to_owned(),
            ..Self::new(sqlite_url(&config.data_dir.join(DATABASE_FILE)))
        })
    }

    /// Which database the URL names.
    pub fn backend(&self) -> Result<DbBackend, StoreError> {
        let is = |scheme: &str| self.url.starts_with(scheme);
        if is("postgres://") || is("postgresql://") {
            Ok(DbBackend::Postgres)
        } else if is("sqlite:") {
            // Each connection to a database in memory would see another one.
            if self.url.contains(":memory:") || self.url.contains("mode=memory") {
                return Err(StoreError::Url {
                    reason: "SQLite needs a file",
                });
            }
            Ok(DbBackend::Sqlite)
        } else {
            Err(StoreError::Url {
                reason: "it must begin with postgres://, postgresql:// or sqlite:",
            })
        }
    }

    fn base(&self, max_connections: u32) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.url.clone());
        options
            .max_connections(max_connections)
            .acquire_timeout(self.acquire_timeout)
            .sqlx_logging(false)
            .record_stmt_in_spans(false)
            .test_before_acquire(false);
        options
    }

    /// A pool of connections to PostgreSQL.
    pub(crate) async fn postgres(&self) -> Result<DatabaseConnection, StoreError> {
        let mut options = self.base(self.max_connections);
        let settings = [
            ("jit", "off".to_owned()),
            // Every statement has its index. Without this, one that was planned while a table was empty, as queues often
            // are, reads and sorts the whole of it once there is a backlog.
            ("enable_seqscan", "off".to_owned()),
            // No plan of ours depends on the values. Without this, each connection plans the first five runs of every
            // statement anew, which takes longer than running it.
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            ("statement_timeout", milliseconds(self.statement_timeout)),
            ("lock_timeout", milliseconds(self.lock_timeout)),
            ("idle_in_transaction_session_timeout", "30000".to_owned()),
        ];
        let application_name = self.application_name.clone();
        options
            // A connection that rested may have lost its server; one in use is not asked each time.
            .test_before_acquire_if_idle_for(Duration::from_secs(2))
            .map_sqlx_postgres_opts(move |options| {
                options
                    .application_name(&application_name)
                    .statement_cache_capacity(512)
                    .options(settings.clone())
            });
        Ok(Database::connect(options).await?)
    }

    /// The one connection that writes to the SQLite file; it makes the file if there is none.
    pub(crate) async fn sqlite_writer(&self) -> Result<DatabaseConnection, StoreError> {
        self.sqlite(1, |options| options.create_if_missing(true)).await
    }

    /// Connections that read the SQLite file, each the last committed state, while the writer writes.
    pub(crate) async fn sqlite_readers(&self) -> Result<DatabaseConnection, StoreError> {
        self.sqlite(self.max_connections.min(8), |options| {
            options.pragma("query_only", "on")
        })
        .await
    }

    async fn sqlite(
        &self,
        max_connections: u32,
        more: impl Fn(SqliteOptions) -> SqliteOptions + Send + Sync + 'static,
    ) -> Result<DatabaseConnection, StoreError> {
        let mut options = self.base(max_connections);
        let busy_timeout = self.lock_timeout;
        options
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .map_sqlx_sqlite_opts(move |options| {
                more(
                    options
                        .journal_mode(SqliteJournalMode::Wal)
                        .synchronous(SqliteSynchronous::Full)
                        .foreign_keys(true)
                        .busy_timeout(busy_timeout)
                        .statement_cache_capacity(512),
                )
            });
        Ok(Database::connect(options).await?)
    }
}

/// The URL of a SQLite file, whatever characters its path has.
pub fn sqlite_url(path: &Path) -> String {
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3F");
    format!("sqlite:{path}")
}

type SqliteOptions = sea_orm::sqlx::sqlite::SqliteConnectOptions;

fn milliseconds(duration: Duration) -> String {
    duration.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Config {
        let find = |name: &str| {
            let mut all = variables.iter();
            all.find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Config::from_lookup(find).unwrap()
    }

    #[test]
    fn one_of_several_processes_needs_a_named_database() {
        let error = StoreOptions::of(&config(&[]), "arbion-worker").unwrap_err();
        assert!(
            error.to_string().starts_with("DATABASE_URL is not set"),
            "{error}"
        );
        let config = config(&[
            ("DATABASE_URL", "sqlite:///var/a.db"),
            ("DATABASE_MAX_CONNECTIONS", "5"),
        ]);
        let options = StoreOptions::of(&config, "arbion-worker").unwrap();
        assert_eq!(
            (
                options.url.as_str(),
                options.max_connections,
                options.application_name.as_str()
            ),
            ("sqlite:///var/a.db", 5, "arbion-worker")
        );
        let same = StoreOptions::of_or_local(&config, "arbion-worker").unwrap();
        assert_eq!(same.url, options.url);
    }

    #[test]
    fn without_a_named_database_it_is_a_file_of_a_private_data_directory() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("odd?100%");
        let config = config(&[("ARBION_DATA_DIR", data_dir.to_str().unwrap())]);
        let options = StoreOptions::of_or_local(&config, "arbion").unwrap();
        let parent = directory.path().display();
        assert_eq!(options.url, format!("sqlite:{parent}/odd%3F100%25/arbion.db"));
        let mode = std::fs::metadata(&data_dir).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[tokio::test]
    async fn a_database_that_is_not_there_is_named_without_its_password() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("none/a.db");
        let url = format!("sqlite://me:word@{}", path.display());
        let Err(error) = Store::open(&config(&[("DATABASE_URL", &url)]), "arbion-api").await else {
            panic!("{url} was opened")
        };
        let told = error.to_string();
        assert!(
            told.contains("none/a.db (DATABASE_URL)") && !told.contains("word"),
            "{told}"
        );
    }

    #[test]
    fn a_data_directory_that_cannot_be_made_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let below = file.join("data");
        let config = config(&[("ARBION_DATA_DIR", below.to_str().unwrap())]);
        let error = StoreOptions::of_or_local(&config, "arbion").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot create the directory {}", below.display())
        );
    }
}
