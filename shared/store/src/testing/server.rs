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
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A thread of its own, since the test's runtime may not wait here.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(execute(&sql));
        });
        // A test that fails already should show its own panic; what is left behind goes with a later process.
        let _ = dropped.join();
    }
}

async fn template() -> String {
    let name = format!("{PREFIX}{}_template", std::process::id());
    let server = server().await;
    for left in leftovers(&server).await {
        // Another process may be at it.
        let _ = server
            .execute_unprepared(&format!("DROP DATABASE IF EXISTS {left} WITH (FORCE)"))
            .await;
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
            let process = name
                .trim_start_matches(PREFIX)
                .split('_')
                .next()
                .unwrap_or_default();
            let here = process == std::process::id().to_string();
            here || (Path::new("/proc/self").exists() && !Path::new("/proc").join(process).exists())
        })
        .collect()
}

async fn execute(sql: &str) {
    let server = server().await;
    server.execute_unprepared(sql).await.unwrap();
    server.close().await.unwrap();
}

async fn server() -> DatabaseConnection {
    let mut options = ConnectOptions::new(server_url());
    options.max_connections(1).sqlx_logging(false);
    sea_orm::Database::connect(options).await.unwrap()
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
