//! Databases on the tests' PostgreSQL server, copied from a template that each test process migrates once.
//!
//! Their names hold the number of the process, so that a later one can remove what a killed one left behind.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tokio::sync::OnceCell;

use crate::{Store, StoreOptions};

const PREFIX: &str = "arbion_test_";

/// A database that is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Database {
    name: String,
}

impl Database {
    pub(super) async fn create() -> Self {
        static TEMPLATE: OnceCell<String> = OnceCell::const_new();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let template = TEMPLATE.get_or_init(template).await;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}_{count}", std::process::id());
        execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self { name }
    }

    pub(super) fn url(&self) -> String {
        url_of(&self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop_behind(vec![self.name.clone()]);
    }
}

/// Removes databases while the next tests run: PostgreSQL waits for the disk before each is gone. What the end of the
/// process leaves behind goes with a later one.
fn drop_behind(names: Vec<String>) {
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            let Ok(server) = sea_orm::Database::connect(server_options()).await else {
                return;
            };
            for name in names {
                // Another process may have been faster.
                let _ = server
                    .execute_unprepared(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                    .await;
            }
        });
    });
}

async fn template() -> String {
    let name = format!("{PREFIX}{}_template", std::process::id());
    let server = server().await;
    let (own, others) = leftovers(&server)
        .await
        .into_iter()
        .partition::<Vec<_>, _>(|left| process_of(left) == std::process::id().to_string());
    drop_behind(others);
    // An earlier process had the same number.
    for left in own {
        server
            .execute_unprepared(&format!("DROP DATABASE IF EXISTS {left} WITH (FORCE)"))
            .await
            .unwrap();
    }
    server
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    server.close().await.unwrap();
    let store = Store::connect(&StoreOptions::new(url_of(&name))).await.unwrap();
    migrations::migrate::<migrations::Migrator>(store.write())
        .await
        .unwrap();
    // A template that someone is connected to cannot be copied.
    store.close().await.unwrap();
    name
}

/// The databases of processes that are no more.
async fn leftovers(server: &DatabaseConnection) -> Vec<String> {
    let sql = "SELECT datname AS name FROM pg_database WHERE starts_with(datname, $1)";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [PREFIX.into()]);
    let rows = server.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| row.try_get::<String>("", "name").unwrap())
        .filter(|name| {
            let process = process_of(name);
            let is_ours = process == std::process::id().to_string();
            is_ours || (Path::new("/proc/self").exists() && !Path::new("/proc").join(process).exists())
        })
        .collect()
}

/// The number of the process that made the database `name`.
fn process_of(name: &str) -> &str {
    name.trim_start_matches(PREFIX)
        .split('_')
        .next()
        .unwrap_or_default()
}

async fn execute(sql: &str) {
    let server = server().await;
    server.execute_unprepared(sql).await.unwrap();
    server.close().await.unwrap();
}

async fn server() -> DatabaseConnection {
    sea_orm::Database::connect(server_options()).await.unwrap()
}

fn server_options() -> ConnectOptions {
    let mut options = ConnectOptions::new(server_url());
    options.max_connections(1).sqlx_logging(false);
    options
}

fn url_of(name: &str) -> String {
    let url = server_url();
    let (path, query) = url
        .split_once('?')
        .map_or((url.as_str(), None), |(path, query)| (path, Some(query)));
    let base = path.rsplit_once('/').unwrap().0;
    query.map_or_else(
        || format!("{base}/{name}"),
        |query| format!("{base}/{name}?{query}"),
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "the environment tells the tests where their servers are"
)]
fn server_url() -> String {
    std::env::var("TEST_DATABASE_URL").expect(
        "TEST_DATABASE_URL must name a PostgreSQL server: run ./test, or eval \"$(./test --env)\" first",
    )
}
