//! What each variable sets: its default, and a value of its own.

use super::*;

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
    ("SESSION_IDLE_MINUTES", "2"),
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
        session_idle_minutes: 2,
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
