//! SQLite: how many orders are accepted, against one-row commits through the same library; how fast everything in one
//! process is ready, and what memory it holds.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DbBackend, Statement};
use tempfile::TempDir;

use crate::acceptance::CALLERS;
use crate::load::{self, Key, Mix, Outcome, Plan, Until};
use crate::process::{Process, free_address};
use crate::report::{median, millis, percentile, progress, table};
use crate::{Bench, cpu};

/// How long a process rests before its memory is read.
const REST: Duration = Duration::from_secs(3);

/// One row of `orders`, open, as acceptance writes it; `?1` is its id, `?2` its name.
const ONE_ROW: &str = "INSERT INTO orders (id, user_id, account_id, group_id, client_order_id, asset_id, symbol, \
    asset_class, side, kind, quantity, limit_price, time_in_force, extended_hours, reserve_rate, exposure_rate, \
    trading_date, submitted_at, updated_at, submission, is_working, filled_quantity, filled_cost) \
    VALUES (?1, x'00000000000070008001000000000000', x'00000000000070008003000000000000', ?1, ?2, \
    x'00000000000050008000000000000001', 'AAPL', 'us_equity', 'buy', 'limit', '1', '10.25', 'day', 0, '10.25', \
    '10.25', '2026-01-02', '2026-01-02 15:00:00.000000+00:00', '2026-01-02 15:00:00.000000+00:00', 'unsent', 0, '0', '0')";

/// An installation in a directory.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn file(&self) -> PathBuf {
        self.data().join("arbion.db")
    }

    fn environment(&self, address: SocketAddr) -> Vec<(&'static str, String)> {
        vec![
            ("ARBION_DATA_DIR", self.data().display().to_string()),
            ("PORT", address.port().to_string()),
            ("MARKET_HOURS", "ignore".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            ("RATE_LIMIT_CREDENTIAL_PER_MINUTE", "1000000000".to_owned()),
            ("RATE_LIMIT_BURST_PER_SECOND", "1000000000".to_owned()),
            ("PAPER_STARTING_CASH", "9000000000".to_owned()),
            ("RISK_SUPERADMIN_ORDER_NOTIONAL", "1000000000".to_owned()),
            ("RISK_SUPERADMIN_DAY_NOTIONAL", "9000000000".to_owned()),
        ]
    }

    /// Makes the database and a key.
    fn prepare(&self, bench: &Bench) -> Key {
        for subcommand in ["migrate", "api-key"] {
            let output = Command::new(bench.programs.join("arbion"))
                .arg(subcommand)
                .env_clear()
                .envs(self.environment(free_address()))
                .current_dir(self.directory.path())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "arbion {subcommand}: {said}");
        }
        self.key()
    }

    fn key(&self) -> Key {
        let headers = fs::read_to_string(self.data().join("api-key.headers")).unwrap();
        let value = |name: &str| {
            let line = headers.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().to_owned()
        };
        Key {
            id: value("APCA-API-KEY-ID:"),
            secret: value("APCA-API-SECRET-KEY:"),
        }
    }

    /// Starts `program` and answers it with the time until it was ready.
    fn start(&self, bench: &Bench, program: &str) -> (Process, SocketAddr, Duration) {
        let address = free_address();
        let mut variables = self.environment(address);
        if program != "arbion" {
            variables.push(("DATABASE_URL", format!("sqlite://{}", self.file().display())));
        }
        let begun = Instant::now();
        let program = bench.programs.join(program);
        let process = Process::start(&program, &[], &variables, self.directory.path());
        while !is_ready(address) {
            assert!(begun.elapsed() < REST * 10, "{} is not ready", program.display());
            std::thread::sleep(Duration::from_millis(1));
        }
        (process, address, begun.elapsed())
    }
}

/// Whether the readiness probe says yes.
fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: arbion\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

#[derive(Debug)]
struct Run {
    yardstick: f64,
    api: Outcome,
    everything: Outcome,
    first_start: Duration,
    next_start: Duration,
    resident_kib: u64,
}

/// Acceptance on SQLite, start, memory.
pub(crate) fn measure(bench: &Bench) {
    let runs: Vec<Run> = (0..bench.runs).map(|_| run(bench)).collect();
    let of = |value: fn(&Run) -> f64| median(runs.iter().map(value));
    let row = |name: &str, outcome: fn(&Run) -> &Outcome, goal: &str| {
        let each = |value: fn(&Outcome) -> f64| median(runs.iter().map(|run| value(outcome(run))));
        vec![
            name.to_owned(),
            format!(
                "{:.2}",
                median(runs.iter().map(|run| outcome(run).rate() / run.yardstick))
            ),
            format!("{:.0}", each(Outcome::rate)),
            format!("{:.2}", each(|outcome| millis(percentile(&outcome.waits, 50)))),
            format!("{:.2}", each(|outcome| millis(percentile(&outcome.waits, 99)))),
            goal.to_owned(),
        ]
    };
    table(
        &format!(
            "SQLite, {CALLERS} connections, one account, medians of {} runs; one-row commits: {:.0}/s",
            bench.runs,
            of(|run| run.yardstick)
        ),
        &[
            "process",
            "× one-row commits",
            "orders/s",
            "p50 ms",
            "p99 ms",
            "goal",
        ],
        &[
            row("api alone", |run| &run.api, "≥ 6 ×"),
            row(
                "everything in one, which executes them, too",
                |run| &run.everything,
                "none",
            ),
        ],
    );
    table(
        "Everything in one process: start and memory",
        &["first start, s", "next start, s", "idle memory, MB", "goal"],
        &[vec![
            format!("{:.3}", of(|run| run.first_start.as_secs_f64())),
            format!("{:.3}", of(|run| run.next_start.as_secs_f64())),
            format!("{:.1}", of(|run| run.resident_kib as f64 * 1_024.0 / 1e6)),
            "< 0.3 s, < 40 MB".to_owned(),
        ]],
    );
}

fn run(bench: &Bench) -> Run {
    let fresh = Place::new();
    let (first, _, first_start) = fresh.start(bench, "arbion");
    drop(first);
    let (process, address, next_start) = fresh.start(bench, "arbion");
    std::thread::sleep(REST);
    let resident_kib = cpu::resident_kib(process.id());
    let everything = accept(bench, address, &fresh.key());
    drop(process);
    let place = Place::new();
    place.prepare(bench);
    let yardstick = commits(bench, &place.file());
    let place = Place::new();
    let key = place.prepare(bench);
    let (process, address, _) = place.start(bench, "arbion-api");
    let api = accept(bench, address, &key);
    drop(process);
    progress(&format!(
        "one-row commits {yardstick:.0}, api {:.0}, everything {:.0}",
        api.rate(),
        everything.rate()
    ));
    Run {
        yardstick,
        api,
        everything,
        first_start,
        next_start,
        resident_kib,
    }
}

fn accept(bench: &Bench, address: SocketAddr, key: &Key) -> Outcome {
    let plan = |time| Plan {
        address,
        connections: CALLERS,
        keys: vec![key.clone()],
        mix: Mix::Bot,
        until: Until::For(time),
        rate: None,
    };
    load::run(&plan(Duration::from_secs(1)));
    load::run(&plan(bench.measured_for))
}

/// Commits of one row a second, by 64 callers of one writing connection, as durable as the product's.
fn commits(bench: &Bench, file: &Path) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut options = ConnectOptions::new(format!("sqlite:{}", file.display()));
        options
            .max_connections(1)
            .acquire_timeout(Duration::from_mins(1))
            .sqlx_logging(false)
            .test_before_acquire(false)
            .map_sqlx_sqlite_opts(|options| {
                options
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
            });
        let database = Box::pin(Database::connect(options)).await.unwrap();
        let count = Arc::new(AtomicU64::new(0));
        let begun = Instant::now();
        let end = begun + bench.measured_for;
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (database, count) = (database.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    while Instant::now() < end {
                        let number = count.fetch_add(1, Ordering::Relaxed);
                        let id = u128::from(number).to_be_bytes().to_vec();
                        let values = [id.into(), format!("bot-{number}").into()];
                        let insert = Statement::from_sql_and_values(DbBackend::Sqlite, ONE_ROW, values);
                        database.execute_raw(insert).await.unwrap();
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
    })
}
