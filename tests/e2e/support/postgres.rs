//! PostgreSQL: a database of one test on the tests' server, and a server of one test that it may stop.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection};

use super::environment;
use super::redis::free_port;

/// A database that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    server: String,
}

impl Database {
    /// An empty database on the server that `TEST_DATABASE_URL` names.
    pub(crate) async fn create() -> Self {
        Self::create_on(environment::variable("TEST_DATABASE_URL")).await
    }

    async fn create_on(server: String) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("arbion_e2e_{}_{count}", std::process::id());
        execute(&server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        execute(&server, &format!("CREATE DATABASE {name}")).await;
        Self { name, server }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        let (path, query) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let base = path.rsplit_once('/').unwrap().0;
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{base}/{}{mark}{query}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, sql) = (
            self.server.clone(),
            format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name),
        );
        // A thread of its own, since the test's runtime may not wait here.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(execute(&server, &sql));
        });
        // A server that the test has stopped takes its databases with it.
        let _ = dropped.join();
    }
}

async fn execute(url: &str, sql: &str) {
    let server = connect(url).await;
    server.execute_unprepared(sql).await.unwrap();
    server.close().await.unwrap();
}

/// A connection of the test itself.
pub(crate) async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(2).sqlx_logging(false);
    sea_orm::Database::connect(options).await.unwrap()
}

/// A PostgreSQL server of one test, gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    directory: tempfile::TempDir,
}

impl Server {
    /// Makes a server and starts it.
    pub(crate) fn start() -> Self {
        let server = Self {
            port: free_port(),
            directory: tempfile::tempdir().unwrap(),
        };
        if let Some(user) = run_as() {
            let owned = Command::new("chown")
                .arg(&user)
                .arg(server.directory.path())
                .status();
            assert!(owned.unwrap().success());
        }
        let data = server.data();
        server.run(
            "initdb",
            &["-D", &data, "-A", "trust", "-U", "postgres", "--no-sync"],
        );
        server.resume();
        server
    }

    /// Starts it again.
    pub(crate) fn resume(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off",
            self.port
        );
        let log = self.directory.path().join("postgres.log").display().to_string();
        self.run(
            "pg_ctl",
            &["start", "-w", "-D", &self.data(), "-l", &log, "-o", &options],
        );
    }

    /// Stops it at once: connections are cut.
    pub(crate) fn stop(&self) {
        self.run("pg_ctl", &["stop", "-w", "-m", "immediate", "-D", &self.data()]);
    }

    /// An empty database on it.
    pub(crate) async fn database(&self) -> Database {
        Database::create_on(format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)).await
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let done = self.command(program, arguments).status().unwrap();
        assert!(done.success(), "{program} {arguments:?}: {done}");
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let path = Path::new(&environment::variable("PG_BIN")).join(program);
        let mut command = match run_as() {
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", &user, "--"]).arg(path);
                command
            }
            None => Command::new(path),
        };
        // The server keeps what it is given: not the pipe of the tests.
        command.args(arguments).current_dir(self.directory.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be stopped already.
        let data = self.data();
        let _ = self
            .command("pg_ctl", &["stop", "-w", "-m", "immediate", "-D", &data])
            .status();
    }
}

fn run_as() -> Option<String> {
    Some(environment::variable("PG_RUN_AS")).filter(|user| !user.is_empty())
}
