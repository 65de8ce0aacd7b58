//! The private PostgreSQL that `./bench` has started, and a Redis of one figure.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::cpu;
use crate::process::{Process, free_address};
use crate::report::percentile;

/// Who owns the databases.
const USER: &str = "postgres";

/// See the module.
#[derive(Debug)]
pub(crate) struct Postgres {
    programs: PathBuf,
    socket: PathBuf,
    data: PathBuf,
    port: u16,
}

/// What `pgbench` has measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Yardstick {
    /// Transactions a second.
    pub(crate) rate: f64,
    /// The median of a transaction, in nanoseconds.
    pub(crate) p50: u64,
    /// The 99th percentile.
    pub(crate) p99: u64,
}

impl Postgres {
    /// The server whose Unix socket is in the directory `socket`, and whose data are in `data`.
    pub(crate) fn new(programs: PathBuf, socket: PathBuf, data: PathBuf, port: u16) -> Self {
        Self {
            programs,
            socket,
            data,
            port,
        }
    }

    /// A directory on the server's disk.
    pub(crate) fn disk(&self) -> &Path {
        &self.data
    }

    /// The URL of a database, over the Unix socket.
    pub(crate) fn url(&self, database: &str) -> String {
        let (socket, port) = (self.socket.display(), self.port);
        format!("postgres://{USER}@localhost:{port}/{database}?host={socket}")
    }

    /// Runs `sql` in `database` and answers what it prints, without decoration.
    pub(crate) fn run(&self, database: &str, sql: &str) -> String {
        let options = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c"];
        let mut command = self.client("psql");
        let output = command.args(options).arg(sql).arg(database).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// One value of no database in particular.
    pub(crate) fn value(&self, sql: &str) -> String {
        self.run(USER, sql)
    }

    /// Whether there is a database of this name.
    pub(crate) fn has(&self, database: &str) -> bool {
        let sql = format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'");
        self.value(&sql) == "1"
    }

    /// Makes `database` anew, as a copy of `template`.
    pub(crate) fn copy(&self, template: &str, database: &str) {
        self.remove(database);
        self.run(
            USER,
            &format!("CREATE DATABASE {database} TEMPLATE {template} STRATEGY file_copy"),
        );
    }

    /// Removes `database`, if it is there.
    pub(crate) fn remove(&self, database: &str) {
        self.run(USER, &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
    }

    /// What the server and its connections have run so far.
    pub(crate) fn ran(&self) -> cpu::Ran {
        let pid = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let pid = pid.lines().next().and_then(|line| line.parse().ok());
        cpu::ran(pid.map(cpu::family).unwrap_or_default())
    }

    /// Runs the transaction `script` for `time` over `clients` connections. Times of single transactions are only kept
    /// where they are asked for: keeping them costs some of the rate.
    pub(crate) fn pgbench(
        &self,
        database: &str,
        script: &str,
        clients: usize,
        time: Duration,
        with_times: bool,
    ) -> Yardstick {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("script.sql");
        fs::write(&file, script).unwrap();
        let mut command = self.client("pgbench");
        command.args(["-n", "-M", "prepared", "-f"]).arg(&file);
        command.args(["-c", &clients.to_string(), "-T", &time.as_secs().to_string()]);
        if with_times {
            command
                .arg("-l")
                .arg("--log-prefix")
                .arg(directory.path().join("times"));
        }
        let output = command.arg(database).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pgbench: {text}{said}");
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.and_then(|rest| rest.split(' ').next()?.parse().ok());
        let times = times(directory.path());
        Yardstick {
            rate: rate.unwrap_or_else(|| panic!("pgbench said no rate: {text}")),
            p50: percentile(&times, 50),
            p99: percentile(&times, 99),
        }
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .args(["-h".as_ref(), self.socket.as_os_str()])
            .args(["-p", &self.port.to_string(), "-U", USER])
            .stdin(Stdio::null());
        command
    }
}

/// The times in the logs of pgbench in `directory`, in nanoseconds, sorted.
fn times(directory: &Path) -> Vec<u64> {
    let logs = fs::read_dir(directory).unwrap().flatten();
    let logs = logs.filter(|entry| entry.file_name().to_string_lossy().starts_with("times"));
    let mut times: Vec<u64> = logs
        .flat_map(|log| {
            let text = fs::read_to_string(log.path()).unwrap();
            let micros = |line: &str| line.split(' ').nth(2)?.parse::<u64>().ok();
            text.lines().filter_map(micros).collect::<Vec<_>>()
        })
        .map(|micros| micros * 1_000)
        .collect();
    times.sort_unstable();
    times
}

/// A Redis server, empty and without files; it goes away with this.
#[derive(Debug)]
pub(crate) struct Redis {
    address: SocketAddr,
    _process: Process,
    _directory: TempDir,
}

impl Redis {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let port = address.port().to_string();
        let arguments = [
            "--bind",
            "127.0.0.1",
            "--port",
            &port,
            "--save",
            "",
            "--appendonly",
            "no",
        ];
        let program = ["/usr/bin/redis-server", "/usr/local/bin/redis-server"]
            .into_iter()
            .map(Path::new)
            .find(|path| path.is_file())
            .expect("redis-server is not installed");
        let mut process = Process::start(program, &arguments, &[], directory.path());
        process.answers(address);
        Self {
            address,
            _process: process,
            _directory: directory,
        }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}
