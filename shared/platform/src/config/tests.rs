//! The configuration is tested over lookups; no test reads or changes the process environment, except for the
//! one switch that rewrites the generated file.

mod table;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use secrecy::ExposeSecret as _;

use super::*;

const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
const LONG: &str = "a secret of more than thirty-two characters";

fn parse(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_lookup(|name| {
        pairs
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    })
}

fn errors(pairs: &[(&str, &str)]) -> Vec<VariableError> {
    match parse(pairs) {
        Err(ConfigError::Variables(errors)) => errors,
        other => panic!("{pairs:?} gave {other:?}"),
    }
}

fn money(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The secrets that production needs.
const SECRETS: [(&str, &str); 3] = [
    ("ENCRYPTION_KEY", KEY),
    ("ENCRYPTION_SALT", LONG),
    ("SESSION_SECRET", LONG),
];

#[test]
fn an_empty_environment_gives_every_default() {
    let config = parse(&[]).unwrap();
    assert_eq!(config.environment, Environment::Development);
    assert_eq!(config.data_dir, Path::new("arbion-data"));
    assert_eq!(config.listen_address(), "127.0.0.1:5000".parse().unwrap());
    assert_eq!(config.max_body_bytes, 65_536);
    assert_eq!(
        (config.log_format, config.log_filter.as_str()),
        (LogFormat::Auto, "info,sea_orm_migration=warn,apalis_core=warn")
    );
    assert_eq!(config.shutdown_grace(), Duration::from_secs(10));
    assert_eq!(
        (
            config.database_url,
            config.database_max_connections,
            config.redis_url
        ),
        (None, 16, None)
    );
    let secrets = [
        config.encryption_key,
        config.encryption_salt,
        config.session_secret,
    ];
    assert!(secrets.iter().all(Option::is_none));
    assert_eq!(config.access, default_access());
    assert_eq!(config.superadmin_email, "admin@localhost");
    assert!(config.superadmin_password.is_none());
    assert_eq!((config.market_data, config.market_seed), (MarketData::Sim, 1));
    assert_eq!(
        (config.replay_file, config.replay_speed, config.replay_start_row),
        (None, 1, 0)
    );
    assert_eq!(config.market_hours, MarketHours::Real);
    assert_eq!(config.paper_starting_cash, money("100000"));
    assert_eq!(config.paper_slippage_bps, money("1"));
    assert_eq!(config.paper_fee_bps, money("0"));
    assert_eq!(config.paper_crypto_fee_bps, money("25"));
    assert_eq!(
        (config.sweep_interval_seconds, config.worker_concurrency),
        (60, 256)
    );
    assert_eq!((config.lease_seconds, config.broker_timeout_ms), (30, 5000));
    let limits = |order, day| NotionalLimits {
        order: money(order),
        day: money(day),
    };
    let risk = RoleLimits {
        standard: limits("1000", "10000"),
        admin: limits("10000", "100000"),
        superadmin: limits("100000", "1000000"),
    };
    assert_eq!(config.risk, risk);
}

fn default_access() -> Access {
    Access {
        public_url: None,
        cors_origins: Vec::new(),
        trusted_proxies: Vec::new(),
        plain_http: PlainHttp::Allow,
        registration: Registration::Open,
        session_same_site: SameSite::Lax,
        session_idle_minutes: 60,
        session_max_hours: 12,
        rate_limits: RateLimits {
            anonymous_per_hour: 50,
            anonymous_per_day: 200,
            login_per_minute: 10,
            registration_per_hour: 5,
            token_per_minute: 60,
            credential_per_minute: 200,
            burst_per_second: 500,
        },
    }
}

/// Every variable with a legal value that is not its default.
const CHANGED: [(&str, &str); 51] = [
    ("ARBION_ENV", "production"),
    ("ARBION_DATA_DIR", "/srv/arbion"),
    ("BIND_ADDRESS", "::1"),
    ("PORT", "0"),
    ("MAX_BODY_BYTES", "1024"),
    ("LOG_FORMAT", "human"),
    ("RUST_LOG", "warn,api=debug"),
    ("SHUTDOWN_GRACE_SECONDS", "3"),
    ("DATABASE_URL", "postgres://u:p@db/arbion"),
    ("DATABASE_MAX_CONNECTIONS", "5"),
    ("REDIS_URL", "rediss://:p@cache:6380"),
    ("PUBLIC_URL", "https://trade.example.com"),
    ("CORS_ORIGINS", "https://app.example.com, http://localhost:3000"),
    ("SESSION_SAMESITE", "none"),
    ("SESSION_IDLE_MINUTES", "1"),
    ("SESSION_MAX_HOURS", "2"),
    ("REGISTRATION", "closed"),
    ("PLAIN_HTTP", "redirect"),
    ("TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
    ("RATE_LIMIT_ANONYMOUS_PER_HOUR", "3"),
    ("RATE_LIMIT_ANONYMOUS_PER_DAY", "4"),
    ("RATE_LIMIT_LOGIN_PER_MINUTE", "5"),
    ("RATE_LIMIT_REGISTRATION_PER_HOUR", "6"),
    ("RATE_LIMIT_TOKEN_PER_MINUTE", "7"),
    ("RATE_LIMIT_CREDENTIAL_PER_MINUTE", "8"),
    ("RATE_LIMIT_BURST_PER_SECOND", "9"),
    ("ENCRYPTION_KEY", KEY),
    ("ENCRYPTION_SALT", LONG),
    ("SESSION_SECRET", LONG),
    ("SUPERADMIN_EMAIL", "root@example.com"),
    ("SUPERADMIN_PASSWORD", "correct horse battery"),
    ("MARKET_DATA", "replay"),
    ("MARKET_SEED", "18446744073709551615"),
    ("REPLAY_FILE", "tape.csv"),
    ("REPLAY_SPEED", "7"),
    ("REPLAY_START_ROW", "9"),
    ("MARKET_HOURS", "ignore"),
    ("PAPER_STARTING_CASH", "0.000000001"),
    ("PAPER_SLIPPAGE_BPS", "2.5"),
    ("PAPER_FEE_BPS", "3"),
    ("PAPER_CRYPTO_FEE_BPS", "4"),
    ("SWEEP_INTERVAL_SECONDS", "1"),
    ("WORKER_CONCURRENCY", "2"),
    ("LEASE_SECONDS", "4"),
    ("BROKER_TIMEOUT_MS", "3999"),
    ("RISK_STANDARD_ORDER_NOTIONAL", "1"),
    ("RISK_STANDARD_DAY_NOTIONAL", "2"),
    ("RISK_ADMIN_ORDER_NOTIONAL", "3"),
    ("RISK_ADMIN_DAY_NOTIONAL", "4"),
    ("RISK_SUPERADMIN_ORDER_NOTIONAL", "5"),
    ("RISK_SUPERADMIN_DAY_NOTIONAL", "1000000000000000"),
];

#[test]
fn every_variable_changes_its_field() {
    let named: BTreeSet<&str> = CHANGED.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        named,
        variables().map(|variable| variable.name).collect(),
        "the list is complete"
    );

    let config = parse(&CHANGED).unwrap();
    assert!(config.is_production());
    assert_eq!(config.data_dir, Path::new("/srv/arbion"));
    assert_eq!(config.listen_address(), "[::1]:0".parse().unwrap());
    assert_eq!(config.max_body_bytes, 1024);
    assert_eq!(
        (config.log_format, config.log_filter.as_str()),
        (LogFormat::Human, "warn,api=debug")
    );
    assert_eq!(config.shutdown_grace_seconds, 3);
    assert_eq!(config.database_url.unwrap().expose(), "postgres://u:p@db/arbion");
    assert_eq!(config.database_max_connections, 5);
    assert_eq!(config.redis_url.unwrap().expose(), "rediss://:p@cache:6380");
    assert_eq!(config.encryption_key.unwrap().expose_secret(), KEY);
    assert_eq!(config.encryption_salt.unwrap().expose_secret(), LONG);
    assert_eq!(config.session_secret.unwrap().expose_secret(), LONG);
    assert_eq!(config.superadmin_email, "root@example.com");
    assert_eq!(
        config.superadmin_password.unwrap().expose_secret(),
        "correct horse battery"
    );
    assert_eq!(
        (config.market_data, config.market_seed),
        (MarketData::Replay, u64::MAX)
    );
    assert_eq!(config.replay_file.unwrap(), Path::new("tape.csv"));
    assert_eq!((config.replay_speed, config.replay_start_row), (7, 9));
    assert_eq!(config.market_hours, MarketHours::Ignore);
    assert_eq!(config.paper_starting_cash, money("0.000000001"));
    assert_eq!(config.paper_slippage_bps, money("2.5"));
    assert_eq!(
        (config.paper_fee_bps, config.paper_crypto_fee_bps),
        (money("3"), money("4"))
    );
    assert_eq!((config.sweep_interval_seconds, config.worker_concurrency), (1, 2));
    assert_eq!((config.lease_seconds, config.broker_timeout_ms), (4, 3999));
    assert_eq!(
        (config.risk.standard.order, config.risk.standard.day),
        (money("1"), money("2"))
    );
    assert_eq!(
        (config.risk.admin.order, config.risk.admin.day),
        (money("3"), money("4"))
    );
    assert_eq!(config.risk.superadmin.order, money("5"));
    assert_eq!(config.risk.superadmin.day, money("1000000000000000"));
}

#[test]
fn every_variable_of_the_doors_changes_its_field() {
    let config = parse(&CHANGED).unwrap();
    let changed = Access {
        public_url: Some("https://trade.example.com".to_owned()),
        cors_origins: vec![
            "https://app.example.com".to_owned(),
            "http://localhost:3000".to_owned(),
        ],
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        plain_http: PlainHttp::Redirect,
        registration: Registration::Closed,
        session_same_site: SameSite::None,
        session_idle_minutes: 1,
        session_max_hours: 2,
        rate_limits: RateLimits {
            anonymous_per_hour: 3,
            anonymous_per_day: 4,
            login_per_minute: 5,
            registration_per_hour: 6,
            token_per_minute: 7,
            credential_per_minute: 8,
            burst_per_second: 9,
        },
    };
    assert_eq!(config.access, changed);
    assert!(config.access.is_trusted_proxy("10.1.2.3".parse().unwrap()));
    assert!(!config.access.is_trusted_proxy("11.1.2.3".parse().unwrap()));
}

/// A variable, a value that it refuses, and how the message goes on after the name.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "ARBION_ENV",
        "prod",
        "must be one of development, production, not \"prod\" (for example ARBION_ENV=production)",
    ),
    (
        "BIND_ADDRESS",
        "localhost",
        "must be an IP address, not \"localhost\" (for example BIND_ADDRESS=127.0.0.1)",
    ),
    (
        "PORT",
        "65536",
        "must be a whole number from 0 to 65535, not \"65536\" (for example PORT=5000)",
    ),
    (
        "PUBLIC_URL",
        "https://trade.example.com/",
        "must be an origin: http:// or https://, a host in lower case, a port where it is not the usual one, not \
         \"https://trade.example.com/\" (for example PUBLIC_URL=https://trade.example.com)",
    ),
    ("PUBLIC_URL", "https://trade.example.com:443", "must be an origin"),
    ("CORS_ORIGINS", "*", "must be an origin"),
    (
        "CORS_ORIGINS",
        "https://app.example.com,null",
        "must be an origin",
    ),
    ("CORS_ORIGINS", "https://App.example.com", "must be an origin"),
    (
        "CORS_ORIGINS",
        "https://user@app.example.com",
        "must be an origin",
    ),
    ("SESSION_SAMESITE", "none", "needs CORS_ORIGINS"),
    ("SESSION_SAMESITE", "strict", "must be one of lax, none"),
    (
        "TRUSTED_PROXIES",
        "10.0.0.0/33",
        "must be IP addresses or networks, separated by commas",
    ),
    (
        "RATE_LIMIT_ANONYMOUS_PER_HOUR",
        "-1",
        "must be a whole number from 1 to 1000000000",
    ),
    (
        "RATE_LIMIT_ANONYMOUS_PER_DAY",
        "1e3",
        "must be a whole number from 1 to 1000000000",
    ),
    (
        "RATE_LIMIT_REGISTRATION_PER_HOUR",
        "0",
        "must be a whole number from 1 to 1000000000",
    ),
    (
        "RATE_LIMIT_TOKEN_PER_MINUTE",
        "1000000001",
        "must be a whole number from 1 to 1000000000",
    ),
    (
        "RATE_LIMIT_CREDENTIAL_PER_MINUTE",
        "off",
        "must be a whole number from 1 to 1000000000",
    ),
    (
        "RATE_LIMIT_BURST_PER_SECOND",
        "0",
        "must be a whole number from 1 to 1000000000",
    ),
    (
        "SESSION_IDLE_MINUTES",
        "0",
        "must be a whole number from 1 to 43200",
    ),
    ("SESSION_MAX_HOURS", "0", "must be a whole number from 1 to 8760"),
    ("REGISTRATION", "yes", "must be one of open, closed"),
    (
        "PLAIN_HTTP",
        "never",
        "must be one of auto, allow, redirect, refuse",
    ),
    (
        "RATE_LIMIT_LOGIN_PER_MINUTE",
        "0",
        "must be a whole number from 1 to 1000000000",
    ),
    ("PORT", "-1", "must be a whole number from 0 to 65535, not \"-1\""),
    ("PORT", "+80", "must be a whole number"),
    ("PORT", "80.0", "must be a whole number"),
    (
        "MAX_BODY_BYTES",
        "1023",
        "must be a whole number from 1024 to 16777216",
    ),
    (
        "LOG_FORMAT",
        "JSON",
        "must be one of auto, human, json, not \"JSON\"",
    ),
    (
        "RUST_LOG",
        "api=loud",
        "must be a log filter: a level, or levels by module, not \"api=loud\"",
    ),
    (
        "SHUTDOWN_GRACE_SECONDS",
        "3601",
        "must be a whole number from 0 to 3600",
    ),
    (
        "DATABASE_URL",
        "mysql://u:hunter2@db/x",
        "must be a URL that starts with postgres:// or postgresql:// or sqlite:// (for example DATABASE_URL=postgres://",
    ),
    ("DATABASE_URL", "hunter2", "must be a URL"),
    (
        "DATABASE_MAX_CONNECTIONS",
        "1",
        "must be a whole number from 2 to 1000",
    ),
    (
        "REDIS_URL",
        "http://u:hunter2@h",
        "must be a URL that starts with redis:// or rediss:// (for",
    ),
    (
        "REDIS_URL",
        "redis://:hunter2@h:99999",
        "must be a URL that starts with redis:// or rediss:// (for",
    ),
    (
        "ENCRYPTION_KEY",
        "hunter2",
        "must be a Fernet key: 32 bytes in url-safe base64 (for example the output of: openssl",
    ),
    (
        "ENCRYPTION_SALT",
        "hunter2",
        "must have at least 16 characters (for",
    ),
    (
        "SESSION_SECRET",
        "hunter2",
        "must have at least 32 characters (for",
    ),
    (
        "SUPERADMIN_EMAIL",
        "root",
        "must be an e-mail address, not \"root\"",
    ),
    ("SUPERADMIN_EMAIL", "a@b@c", "must be an e-mail address"),
    ("SUPERADMIN_EMAIL", "@b", "must be an e-mail address"),
    ("SUPERADMIN_EMAIL", "a b@c", "must be an e-mail address"),
    (
        "SUPERADMIN_PASSWORD",
        "hunter2",
        "must have at least 12 characters (for",
    ),
    ("MARKET_DATA", "live", "must be one of sim, replay"),
    (
        "MARKET_SEED",
        "18446744073709551616",
        "must be a whole number from 0 to 18446744073709551615",
    ),
    ("REPLAY_SPEED", "0.5", "must be a whole number from 0 to 100000"),
    ("REPLAY_START_ROW", "first", "must be a whole number"),
    ("MARKET_HOURS", "none", "must be one of real, ignore"),
    (
        "PAPER_STARTING_CASH",
        "-1",
        "must be a plain decimal number from 0 to 1000000000000000 with at most 9 decimals",
    ),
    ("PAPER_STARTING_CASH", "1e5", "must be a plain decimal number"),
    ("PAPER_STARTING_CASH", "NaN", "must be a plain decimal number"),
    ("PAPER_STARTING_CASH", "1_000", "must be a plain decimal number"),
    (
        "PAPER_STARTING_CASH",
        "0.0000000001",
        "must be a plain decimal number",
    ),
    (
        "PAPER_STARTING_CASH",
        "1000000000000001",
        "must be a plain decimal number",
    ),
    (
        "PAPER_STARTING_CASH",
        "99999999999999999999999999999999999",
        "must be a plain decimal number",
    ),
    (
        "PAPER_SLIPPAGE_BPS",
        "10001",
        "must be a plain decimal number from 0 to 10000",
    ),
    ("PAPER_FEE_BPS", "one", "must be a plain decimal number"),
    ("PAPER_CRYPTO_FEE_BPS", "2,5", "must be a plain decimal number"),
    (
        "SWEEP_INTERVAL_SECONDS",
        "0",
        "must be a whole number from 1 to 86400",
    ),
    ("WORKER_CONCURRENCY", "0", "must be a whole number from 1 to 1024"),
    ("LEASE_SECONDS", "0", "must be a whole number from 1 to 3600"),
    (
        "BROKER_TIMEOUT_MS",
        "30000",
        "must be shorter than LEASE_SECONDS, not \"30000\"",
    ),
    (
        "BROKER_TIMEOUT_MS",
        "0",
        "must be a whole number from 1 to 600000",
    ),
    (
        "RISK_STANDARD_ORDER_NOTIONAL",
        "x",
        "must be a plain decimal number",
    ),
    (
        "RISK_STANDARD_DAY_NOTIONAL",
        "x",
        "must be a plain decimal number",
    ),
    ("RISK_ADMIN_ORDER_NOTIONAL", "x", "must be a plain decimal number"),
    ("RISK_ADMIN_DAY_NOTIONAL", "x", "must be a plain decimal number"),
    (
        "RISK_SUPERADMIN_ORDER_NOTIONAL",
        "x",
        "must be a plain decimal number",
    ),
    (
        "RISK_SUPERADMIN_DAY_NOTIONAL",
        "x",
        "must be a plain decimal number",
    ),
];

#[test]
fn an_unusable_value_is_refused_with_the_name_the_rule_and_an_example() {
    for (name, value, expected) in REFUSED {
        let errors = errors(&[(*name, *value)]);
        let text = errors[0].to_string();
        assert_eq!(errors.len(), 1, "{name}={value}: {errors:?}");
        assert!(
            text.starts_with(&format!("{name} {expected}")),
            "{name}={value}: {text}"
        );
        assert!(!text.contains("hunter2"), "a secret is repeated: {text}");
    }
    // A path can be anything, so these two have no bad value.
    let free = ["ARBION_DATA_DIR", "REPLAY_FILE"];
    let tried: BTreeSet<&str> = REFUSED.iter().map(|(name, _, _)| *name).chain(free).collect();
    assert_eq!(tried, variables().map(|variable| variable.name).collect());
}

#[test]
fn all_faults_are_reported_together_in_the_order_of_the_table() {
    let error = parse(&[
        ("RISK_ADMIN_DAY_NOTIONAL", "x"),
        ("PORT", "x"),
        ("BIND_ADDRESS", "x"),
    ])
    .unwrap_err();
    assert_eq!(
        error.variables(),
        ["BIND_ADDRESS", "PORT", "RISK_ADMIN_DAY_NOTIONAL"]
    );
    let text = error.to_string();
    assert!(
        text.starts_with("the configuration cannot be used:\n  BIND_ADDRESS must be"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 4);
}

#[test]
fn a_single_fault_is_told_in_one_line() {
    let error = parse(&[("PORT", "many")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the configuration cannot be used: PORT must be a whole number from 0 to 65535, not \"many\" (for example PORT=5000)"
    );
}

#[test]
fn production_without_secrets_is_refused_naming_each_and_the_command_that_makes_one() {
    let missing = errors(&[("ARBION_ENV", "production")]);
    let texts: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let command = "is missing, and production does not start without it; \
                   generate it with: openssl rand -base64 32 | tr '+/' '-_'";
    assert_eq!(texts, SECRETS.map(|(name, _)| format!("{name} {command}")));

    for (left_out, _) in SECRETS {
        let mut pairs = vec![("ARBION_ENV", "production")];
        pairs.extend(SECRETS.iter().filter(|(name, _)| *name != left_out));
        assert_eq!(parse(&pairs).unwrap_err().variables(), [left_out]);
    }
}

#[test]
fn production_listens_on_all_addresses_unless_told_otherwise() {
    let mut pairs = vec![("ARBION_ENV", "production")];
    pairs.extend(SECRETS);
    assert_eq!(
        parse(&pairs).unwrap().listen_address(),
        "0.0.0.0:5000".parse().unwrap()
    );
    pairs.push(("BIND_ADDRESS", "10.0.0.7"));
    assert_eq!(
        parse(&pairs).unwrap().listen_address(),
        "10.0.0.7:5000".parse().unwrap()
    );
}

#[test]
fn an_empty_value_counts_as_not_set() {
    let config = parse(&[("PORT", ""), ("REDIS_URL", " "), ("ENCRYPTION_KEY", "")]).unwrap();
    assert_eq!(config.port, 5000);
    assert!(config.redis_url.is_none() && config.encryption_key.is_none());
}

#[test]
fn the_environment_wins_over_the_env_file_which_wins_over_the_defaults() {
    let file = BTreeMap::from([
        ("PORT".to_owned(), "6000".to_owned()),
        ("MARKET_SEED".into(), "7".into()),
    ]);
    let environment = |name: &str| match name {
        "PORT" => Ok("7000".to_owned()),
        _ => Err(VarError::NotPresent),
    };
    let config = Config::from_sources(environment, &file).unwrap();
    assert_eq!(
        (config.port, config.market_seed, config.lease_seconds),
        (7000, 7, 30)
    );
}

#[test]
fn a_value_that_is_no_text_is_refused_by_name() {
    let environment = |name: &str| match name {
        "PORT" => Err(VarError::NotUnicode(OsString::from_vec(vec![0xff]))),
        _ => Err(VarError::NotPresent),
    };
    let error = Config::from_sources(environment, &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("PORT must be valid UTF-8"), "{error}");
}

#[test]
fn an_env_file_may_be_absent_but_not_broken() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".env");
    assert!(dot_env_file(&path).unwrap().is_empty());
    std::fs::write(&path, "# comment\nPORT=6000\nPORT=6001\nexport MARKET_SEED='7'\n").unwrap();
    let values = dot_env_file(&path).unwrap();
    assert_eq!(
        (values["PORT"].as_str(), values["MARKET_SEED"].as_str()),
        ("6000", "7")
    );
    std::fs::write(&path, "PORT=6000\nthis is no assignment\n").unwrap();
    let error = dot_env_file(&path).unwrap_err();
    assert!(
        error.to_string().starts_with("the file .env cannot be used: "),
        "{error}"
    );
}

#[test]
fn a_fernet_key_is_taken_with_and_without_padding() {
    for key in [KEY, KEY.trim_end_matches('=')] {
        assert!(parse(&[("ENCRYPTION_KEY", key)]).is_ok(), "{key}");
    }
    // Standard base64, 31 and 33 bytes.
    for key in [
        "cw/0x689RpI+jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=",
        "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4Q==",
        "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4B",
    ] {
        assert!(parse(&[("ENCRYPTION_KEY", key)]).is_err(), "{key}");
    }
}

#[test]
fn several_fernet_keys_are_taken_and_each_of_them_must_be_one() {
    let other = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    for keys in [format!("{other},{KEY}"), format!(" {KEY} , {other}= ")] {
        assert!(parse(&[("ENCRYPTION_KEY", &keys)]).is_ok(), "{keys}");
    }
    let fault = |keys: &str| parse(&[("ENCRYPTION_KEY", keys)]).unwrap_err().to_string();
    for keys in [
        ",",
        &format!("{KEY},"),
        &format!("{KEY},,{other}"),
        &format!("{KEY},hunter2"),
        &format!("{KEY} {other}"),
    ] {
        let text = fault(keys);
        assert!(
            text.contains("ENCRYPTION_KEY must be a Fernet key: 32 bytes"),
            "{text}"
        );
        assert!(!text.contains(KEY) && !text.contains("hunter2"), "{text}");
    }
    for keys in [format!("{KEY},{KEY}"), format!("{other},{KEY},{other}=")] {
        let text = fault(&keys);
        assert!(
            text.contains("ENCRYPTION_KEY must not hold the same key twice"),
            "{text}"
        );
        assert!(!text.contains(KEY) && !text.contains(other), "{text}");
    }
}

#[test]
fn no_secret_is_printed_by_debug() {
    let mut pairs = SECRETS.to_vec();
    pairs.extend([
        ("DATABASE_URL", "postgres://arbion:hunter2@db/arbion"),
        ("REDIS_URL", "redis://:hunter2@cache"),
        ("SUPERADMIN_PASSWORD", "hunter2 and hunter3"),
    ]);
    let text = format!("{:?}", parse(&pairs).unwrap());
    assert!(
        !text.contains("hunter2") && !text.contains(KEY) && !text.contains(LONG),
        "{text}"
    );
    assert!(text.contains("postgres://arbion:***@db/arbion"), "{text}");
}
