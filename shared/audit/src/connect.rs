//! A connection that reads.

use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};

/// How long the auditor waits for the database to let it in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects to the database at `url` for reading only. A SQLite file that is not there is not made.
pub async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .connect_timeout(CONNECT_TIMEOUT)
        .acquire_timeout(CONNECT_TIMEOUT)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(|options| options.application_name("arbion-audit"))
        .map_sqlx_sqlite_opts(|options| options.read_only(true));
    Database::connect(options).await
}
