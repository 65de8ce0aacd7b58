//! The configuration of a process: environment variables, read once into one typed value.
//!
//! - Every variable is declared once, in [`table`]; the defaults are parsed from there, too, so a default that
//!   its own rule would refuse cannot exist.
//! - A `.env` file of the working directory is read if present; the real environment wins over it. Nothing
//!   changes the environment of the process.
//! - All faults are reported together, each with the name, what is wrong, and an example.

mod access;
mod error;
mod reader;
mod render;
pub mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::env::VarError;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rust_decimal::Decimal;
use secrecy::SecretString;

pub use access::{Access, PlainHttp, RateLimits, Registration, SameSite};
pub use error::{ConfigError, Fault, VariableError};
pub(crate) use reader::check_fernet_keys;
pub use render::{env_sample, help_text, markdown_table};

use crate::redis;
use crate::secret_url::SecretUrl;
use reader::Reader;
use table::variables;

/// How strict a process is about what it was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Secrets are created in the data directory; the API listens on loopback.
    Development,
    /// Secrets must be given; the API listens on all addresses; log lines are JSON.
    Production,
}

/// Where prices come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarketData {
    /// Simulated, as a function of the seed.
    Sim,
    /// Recorded, from a file.
    Replay,
}

/// Whether equities keep the hours of their exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarketHours {
    /// Sessions, holidays and early closes hold.
    Real,
    /// Paper accounts trade at any time.
    Ignore,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// JSON in production, for people otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// How much a user of one role may trade, in account currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotionalLimits {
    /// Largest value of one order.
    pub order: Decimal,
    /// Largest value of all orders of one trading day.
    pub day: Decimal,
}

/// The limits of each role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleLimits {
    /// Standard users.
    pub standard: NotionalLimits,
    /// Admins.
    pub admin: NotionalLimits,
    /// Superadmins.
    pub superadmin: NotionalLimits,
}

/// The configuration. Each field names its variable; [`table`] says what it means, in which unit.
#[derive(Debug, Clone)]
pub struct Config {
    /// `ARBION_ENV`.
    pub environment: Environment,
    /// `ARBION_DATA_DIR`.
    pub data_dir: PathBuf,
    /// `BIND_ADDRESS`.
    pub bind_address: IpAddr,
    /// `PORT`.
    pub port: u16,
    /// `MAX_BODY_BYTES`.
    pub max_body_bytes: usize,
    /// `LOG_FORMAT`.
    pub log_format: LogFormat,
    /// `RUST_LOG`.
    pub log_filter: String,
    /// `SHUTDOWN_GRACE_SECONDS`.
    pub shutdown_grace_seconds: u64,
    /// `DATABASE_URL`.
    pub database_url: Option<SecretUrl>,
    /// `DATABASE_MAX_CONNECTIONS`.
    pub database_max_connections: u32,
    /// `REDIS_URL`.
    pub redis_url: Option<SecretUrl>,
    /// The API's doors.
    pub access: Access,
    /// `ENCRYPTION_KEY`.
    pub encryption_key: Option<SecretString>,
    /// `ENCRYPTION_SALT`.
    pub encryption_salt: Option<SecretString>,
    /// `SESSION_SECRET`.
    pub session_secret: Option<SecretString>,
    /// `SUPERADMIN_EMAIL`.
    pub superadmin_email: String,
    /// `SUPERADMIN_PASSWORD`.
    pub superadmin_password: Option<SecretString>,
    /// `MARKET_DATA`.
    pub market_data: MarketData,
    /// `MARKET_SEED`.
    pub market_seed: u64,
    /// `REPLAY_FILE`.
    pub replay_file: Option<PathBuf>,
    /// `REPLAY_SPEED`.
    pub replay_speed: u32,
    /// `REPLAY_START_ROW`.
    pub replay_start_row: u64,
    /// `MARKET_HOURS`.
    pub market_hours: MarketHours,
    /// `PAPER_STARTING_CASH`.
    pub paper_starting_cash: Decimal,
    /// `PAPER_SLIPPAGE_BPS`.
    pub paper_slippage_bps: Decimal,
    /// `PAPER_FEE_BPS`.
    pub paper_fee_bps: Decimal,
    /// `PAPER_CRYPTO_FEE_BPS`.
    pub paper_crypto_fee_bps: Decimal,
    /// `SWEEP_INTERVAL_SECONDS`.
    pub sweep_interval_seconds: u64,
    /// `WORKER_CONCURRENCY`.
    pub worker_concurrency: usize,
    /// `LEASE_SECONDS`.
    pub lease_seconds: u64,
    /// `BROKER_TIMEOUT_MS`.
    pub broker_timeout_ms: u64,
    /// `RISK_<ROLE>_ORDER_NOTIONAL` and `RISK_<ROLE>_DAY_NOTIONAL`.
    pub risk: RoleLimits,
}

/// 10^15, the largest sum of money that a variable may name. The databases keep sums below 10^19.
const MONEY_MAX: Decimal = Decimal::from_parts(0xA4C6_8000, 0x0003_8D7E, 0, false, 0);
/// 10 000 basis points, which is the whole price.
const BPS_MAX: Decimal = Decimal::from_parts(10_000, 0, 0, false, 0);

impl Config {
    /// Reads the process environment, and a `.env` file of the working directory where that has no value.
    pub fn from_env() -> Result<Config, ConfigError> {
        Config::from_sources(from_process, &dot_env_file(Path::new(".env"))?)
    }

    /// The environment wins over the file, also with an empty value.
    fn from_sources(
        environment: impl Fn(&str) -> Result<String, VarError>,
        file: &BTreeMap<String, String>,
    ) -> Result<Config, ConfigError> {
        let mut values = BTreeMap::new();
        let mut errors = Vec::new();
        for variable in variables() {
            match environment(variable.name) {
                Ok(value) => {
                    values.insert(variable.name, value);
                }
                Err(VarError::NotPresent) => {
                    values.extend(
                        file.get(variable.name)
                            .map(|value| (variable.name, value.clone())),
                    );
                }
                Err(VarError::NotUnicode(_)) => {
                    errors.push(VariableError {
                        variable,
                        value: None,
                        fault: Fault::NotUnicode,
                    });
                }
            }
        }
        if errors.is_empty() {
            Config::from_lookup(|name| values.get(name).cloned())
        } else {
            Err(ConfigError::Variables(errors))
        }
    }

    /// Reads the values from `lookup`, which answers a variable's name; an empty value counts as not set.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let mut reader = Reader::new(&lookup);
        let config = Config::read(&mut reader);
        reader.finish(config)
    }

    fn read(reader: &mut Reader<'_>) -> Config {
        use Environment::{Development, Production};
        let environment = reader.choice(
            "ARBION_ENV",
            [("development", Development), ("production", Production)],
        );
        let address = match environment {
            Development => Ipv4Addr::LOCALHOST,
            Production => Ipv4Addr::UNSPECIFIED,
        };
        let config = Config {
            environment,
            data_dir: reader.text("ARBION_DATA_DIR").unwrap_or_default().into(),
            bind_address: reader.address("BIND_ADDRESS", address.into()),
            port: reader.whole("PORT", 0, u16::MAX.into()),
            max_body_bytes: reader.whole("MAX_BODY_BYTES", 1024, 16 * 1024 * 1024),
            log_format: reader.choice(
                "LOG_FORMAT",
                [
                    ("auto", LogFormat::Auto),
                    ("human", LogFormat::Human),
                    ("json", LogFormat::Json),
                ],
            ),
            log_filter: reader.log_filter("RUST_LOG"),
            shutdown_grace_seconds: reader.whole("SHUTDOWN_GRACE_SECONDS", 0, 3600),
            database_url: reader.url("DATABASE_URL", &["postgres", "postgresql", "sqlite"], |_| true),
            database_max_connections: reader.whole("DATABASE_MAX_CONNECTIONS", 2, 1000),
            redis_url: reader.url("REDIS_URL", &redis::SCHEMES, redis::is_usable),
            access: Access::read(reader, environment == Production),
            encryption_key: reader.fernet_keys("ENCRYPTION_KEY"),
            encryption_salt: reader.secret("ENCRYPTION_SALT", 16),
            session_secret: reader.secret("SESSION_SECRET", 32),
            superadmin_email: reader.email("SUPERADMIN_EMAIL"),
            superadmin_password: reader.secret("SUPERADMIN_PASSWORD", 12),
            market_data: reader.choice(
                "MARKET_DATA",
                [("sim", MarketData::Sim), ("replay", MarketData::Replay)],
            ),
            market_seed: reader.whole("MARKET_SEED", 0, u64::MAX),
            replay_file: reader.text("REPLAY_FILE").map(PathBuf::from),
            replay_speed: reader.whole("REPLAY_SPEED", 0, 100_000),
            replay_start_row: reader.whole("REPLAY_START_ROW", 0, u64::MAX),
            market_hours: reader.choice(
                "MARKET_HOURS",
                [("real", MarketHours::Real), ("ignore", MarketHours::Ignore)],
            ),
            paper_starting_cash: reader.decimal("PAPER_STARTING_CASH", MONEY_MAX),
            paper_slippage_bps: reader.decimal("PAPER_SLIPPAGE_BPS", BPS_MAX),
            paper_fee_bps: reader.decimal("PAPER_FEE_BPS", BPS_MAX),
            paper_crypto_fee_bps: reader.decimal("PAPER_CRYPTO_FEE_BPS", BPS_MAX),
            sweep_interval_seconds: reader.whole("SWEEP_INTERVAL_SECONDS", 1, 86_400),
            worker_concurrency: reader.whole("WORKER_CONCURRENCY", 1, 1024),
            lease_seconds: reader.whole("LEASE_SECONDS", 1, 3600),
            broker_timeout_ms: reader.whole("BROKER_TIMEOUT_MS", 1, 600_000),
            risk: read_risk(reader),
        };
        config.check_together(reader);
        config
    }

    /// The rules that join two variables.
    fn check_together(&self, reader: &mut Reader<'_>) {
        if self.lease_seconds > 0 && self.broker_timeout_ms >= self.lease_seconds.saturating_mul(1000) {
            // A call that outlives its lease would run beside the one of whoever takes the work over.
            reader.refuse(
                "BROKER_TIMEOUT_MS",
                Fault::NotShorterThan {
                    other: "LEASE_SECONDS",
                },
            );
        }
        if self.environment == Environment::Production {
            let secrets = [
                ("ENCRYPTION_KEY", &self.encryption_key),
                ("ENCRYPTION_SALT", &self.encryption_salt),
                ("SESSION_SECRET", &self.session_secret),
            ];
            for (name, _) in secrets.iter().filter(|(_, secret)| secret.is_none()) {
                reader.refuse(name, Fault::Missing);
            }
        }
    }

    /// Whether this is a production process.
    pub fn is_production(&self) -> bool {
        self.environment == Environment::Production
    }

    /// Where the API listens.
    pub fn listen_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.port)
    }

    /// [`Config::sweep_interval_seconds`] as a duration.
    pub fn sweep_interval(&self) -> Duration {
        Duration::from_secs(self.sweep_interval_seconds)
    }

    /// [`Config::lease_seconds`] as a duration.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    /// [`Config::broker_timeout_ms`] as a duration.
    pub fn broker_timeout(&self) -> Duration {
        Duration::from_millis(self.broker_timeout_ms)
    }

    /// [`Config::shutdown_grace_seconds`] as a duration.
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_seconds)
    }
}

fn read_risk(reader: &mut Reader<'_>) -> RoleLimits {
    let mut limits = |order, day| NotionalLimits {
        order: reader.decimal(order, MONEY_MAX),
        day: reader.decimal(day, MONEY_MAX),
    };
    RoleLimits {
        standard: limits("RISK_STANDARD_ORDER_NOTIONAL", "RISK_STANDARD_DAY_NOTIONAL"),
        admin: limits("RISK_ADMIN_ORDER_NOTIONAL", "RISK_ADMIN_DAY_NOTIONAL"),
        superadmin: limits("RISK_SUPERADMIN_ORDER_NOTIONAL", "RISK_SUPERADMIN_DAY_NOTIONAL"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
fn from_process(name: &str) -> Result<String, VarError> {
    std::env::var(name)
}

/// The assignments of the file; none if there is no such file. Of two for one name the first one counts.
fn dot_env_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut values = BTreeMap::new();
    match dotenvy::from_path_iter(path) {
        Ok(assignments) => {
            for assignment in assignments {
                let (name, value) = assignment.map_err(ConfigError::DotEnv)?;
                values.entry(name).or_insert(value);
            }
            Ok(values)
        }
        Err(error) if error.not_found() => Ok(values),
        Err(error) => Err(ConfigError::DotEnv(error)),
    }
}
