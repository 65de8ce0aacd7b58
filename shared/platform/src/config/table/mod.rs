//! The one table of variables. `.env.sample`, the README's table, `--help` and every error text come from it.

mod doors;

use doors::{ACCESS, RATES};

/// A process that reads a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// `arbion-api`.
    Api,
    /// `arbion-worker`.
    Worker,
    /// `arbion-scheduler`.
    Scheduler,
}

impl Process {
    /// The name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Api => "api",
            Worker => "worker",
            Scheduler => "scheduler",
        }
    }
}

/// One environment variable: all that a person needs to set it.
#[derive(Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name in the environment.
    pub name: &'static str,
    /// What holds when it is not set; `None` says that there is no fixed value, and `what` tells what happens.
    pub default: Option<&'static str>,
    /// The processes that read it; `arbion` (all in one) reads all.
    pub used_by: &'static [Process],
    /// What it is, with its unit and its choices.
    pub what: &'static str,
    /// A legal value, shown in errors.
    pub example: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
}

use Process::{Api, Scheduler, Worker};

const ALL: &[Process] = &[Api, Worker, Scheduler];

const fn plain(
    name: &'static str,
    default: &'static str,
    used_by: &'static [Process],
    example: &'static str,
    what: &'static str,
) -> Variable {
    Variable {
        name,
        default: Some(default),
        used_by,
        what,
        example,
        secret: false,
    }
}

const fn optional(
    name: &'static str,
    used_by: &'static [Process],
    example: &'static str,
    what: &'static str,
) -> Variable {
    Variable {
        name,
        default: None,
        used_by,
        what,
        example,
        secret: false,
    }
}

const fn secret(
    name: &'static str,
    used_by: &'static [Process],
    example: &'static str,
    what: &'static str,
) -> Variable {
    Variable {
        name,
        default: None,
        used_by,
        what,
        example,
        secret: true,
    }
}

/// A command that prints a value fit for each of the three secrets (32 random bytes, url-safe base64).
pub const GENERATE_SECRET: &str = "openssl rand -base64 32 | tr '+/' '-_'";

/// The table, under the headings that the generated texts show.
pub const SECTIONS: &[(&str, &[Variable])] = &[
    ("Process", PROCESS),
    ("Storage and queue", STORAGE),
    ("Access", ACCESS),
    ("Rate limits", RATES),
    ("Secrets", SECRETS),
    ("First account", FIRST_ACCOUNT),
    ("Market data and paper trading", MARKET),
    ("Execution", EXECUTION),
    ("Risk limits by role, in account currency", RISK),
];

const PROCESS: &[Variable] = &[
    plain(
        "ARBION_ENV",
        "development",
        ALL,
        "production",
        "`development` or `production`; production refuses to start without the three secrets",
    ),
    plain(
        "ARBION_DATA_DIR",
        "arbion-data",
        ALL,
        "/var/lib/arbion",
        "directory of the SQLite files and of the secrets created at the first start",
    ),
    optional(
        "BIND_ADDRESS",
        &[Api],
        "127.0.0.1",
        "IP address to listen on; not set: 127.0.0.1, in production 0.0.0.0",
    ),
    plain(
        "PORT",
        "5000",
        &[Api],
        "5000",
        "TCP port to listen on; 0 takes a free one",
    ),
    plain(
        "MAX_BODY_BYTES",
        "65536",
        &[Api],
        "65536",
        "largest accepted request body, in bytes",
    ),
    plain(
        "LOG_FORMAT",
        "auto",
        ALL,
        "json",
        "`human`, `json` or `auto`: JSON in production, for people otherwise",
    ),
    plain(
        "RUST_LOG",
        "info,sea_orm_migration=warn,apalis_core=warn",
        ALL,
        "info,arbion_api=debug",
        "what is logged: a level, or levels by module",
    ),
    plain(
        "SHUTDOWN_GRACE_SECONDS",
        "10",
        ALL,
        "10",
        "seconds that running work may take to end after SIGTERM or Ctrl-C",
    ),
];

const STORAGE: &[Variable] = &[
    secret(
        "DATABASE_URL",
        ALL,
        "postgres://user:password@127.0.0.1:5432/arbion",
        "`postgres://` or `sqlite://` URL; not set: SQLite files in the data directory",
    ),
    plain(
        "DATABASE_MAX_CONNECTIONS",
        "16",
        ALL,
        "16",
        "largest number of database connections of one process",
    ),
    secret(
        "REDIS_URL",
        ALL,
        "redis://127.0.0.1:6379",
        "`redis://` or `rediss://` URL, without a database number; not set: queue signals, cache and limits \
         live within each process",
    ),
];

const SECRETS: &[Variable] = &[
    secret(
        "ENCRYPTION_KEY",
        ALL,
        "the output of: openssl rand -base64 32 | tr '+/' '-_'",
        "Fernet keys (32 bytes in url-safe base64) for broker credentials at rest and the seals of the logs, separated by commas, the newest first: it encrypts and seals, each of them is read; required in production",
    ),
    secret(
        "ENCRYPTION_SALT",
        ALL,
        "the output of: openssl rand -base64 32 | tr '+/' '-_'",
        "salt of the keys that are derived from it, at least 16 characters; required in production",
    ),
    secret(
        "SESSION_SECRET",
        ALL,
        "the output of: openssl rand -base64 32 | tr '+/' '-_'",
        "for CSRF tokens and the cookies of known browsers, at least 32 characters; required in production",
    ),
];

const FIRST_ACCOUNT: &[Variable] = &[
    plain(
        "SUPERADMIN_EMAIL",
        "admin@localhost",
        &[Api],
        "admin@example.com",
        "e-mail address of the first superadmin",
    ),
    secret(
        "SUPERADMIN_PASSWORD",
        &[Api],
        "a sentence of at least 12 characters",
        "password of the first superadmin, at least 12 characters; counts while none is set yet; not set: no login by password",
    ),
];

const MARKET: &[Variable] = &[
    plain(
        "MARKET_DATA",
        "sim",
        ALL,
        "replay",
        "`sim` (simulated prices, a function of the seed) or `replay` (recorded prices)",
    ),
    plain(
        "MARKET_SEED",
        "1",
        ALL,
        "42",
        "seed of the simulated prices; equal seeds give equal prices in every process",
    ),
    optional(
        "REPLAY_FILE",
        ALL,
        "/var/lib/arbion/tape.csv",
        "CSV file of quotes or bars to replay; not set: the recording that ships with Arbion",
    ),
    plain(
        "REPLAY_SPEED",
        "1",
        ALL,
        "0",
        "recorded sessions played per real one; 0 stands still at the start row",
    ),
    plain(
        "REPLAY_START_ROW",
        "0",
        ALL,
        "390",
        "row of the recording that is played first, counted from 0",
    ),
    plain(
        "MARKET_HOURS",
        "real",
        ALL,
        "ignore",
        "`real`, or `ignore` to trade equities at any time (paper accounts only)",
    ),
    plain(
        "PAPER_STARTING_CASH",
        "100000",
        ALL,
        "100000",
        "cash of a new paper account, in account currency",
    ),
    plain(
        "PAPER_SLIPPAGE_BPS",
        "1",
        ALL,
        "1",
        "slippage of paper market orders, in basis points of the price",
    ),
    plain(
        "PAPER_FEE_BPS",
        "0",
        ALL,
        "0.5",
        "fee of paper equity fills, in basis points of their value",
    ),
    plain(
        "PAPER_CRYPTO_FEE_BPS",
        "25",
        ALL,
        "25",
        "fee of paper crypto fills, in basis points of their value",
    ),
];

const EXECUTION: &[Variable] = &[
    plain(
        "SWEEP_INTERVAL_SECONDS",
        "60",
        &[Worker, Scheduler],
        "60",
        "seconds between two sweeps of the protective stops",
    ),
    plain(
        "WORKER_CONCURRENCY",
        "256",
        &[Worker],
        "256",
        "jobs that one worker process runs at the same time",
    ),
    plain(
        "LEASE_SECONDS",
        "30",
        &[Worker, Scheduler],
        "30",
        "seconds that a claim of work lasts; a dead process' work is taken over after that",
    ),
    plain(
        "BROKER_TIMEOUT_MS",
        "5000",
        &[Worker],
        "5000",
        "milliseconds that one broker call may take; must be shorter than the lease",
    ),
];

const RISK: &[Variable] = &[
    plain(
        "RISK_STANDARD_ORDER_NOTIONAL",
        "1000",
        ALL,
        "1000",
        "largest value of one order of a standard user",
    ),
    plain(
        "RISK_STANDARD_DAY_NOTIONAL",
        "10000",
        ALL,
        "10000",
        "largest value of a standard user's orders of one trading day",
    ),
    plain(
        "RISK_ADMIN_ORDER_NOTIONAL",
        "10000",
        ALL,
        "10000",
        "the same of an admin, one order",
    ),
    plain(
        "RISK_ADMIN_DAY_NOTIONAL",
        "100000",
        ALL,
        "100000",
        "the same of an admin, one trading day",
    ),
    plain(
        "RISK_SUPERADMIN_ORDER_NOTIONAL",
        "100000",
        ALL,
        "100000",
        "the same of a superadmin, one order",
    ),
    plain(
        "RISK_SUPERADMIN_DAY_NOTIONAL",
        "1000000",
        ALL,
        "1000000",
        "the same of a superadmin, one trading day",
    ),
];

/// All variables, in the order of the table.
pub fn variables() -> impl Iterator<Item = &'static Variable> {
    SECTIONS.iter().flat_map(|(_, variables)| variables.iter())
}
