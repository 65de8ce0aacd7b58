//! What is refused, and in which words.

use super::*;

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
        "must be a whole number from 2 to 43200",
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
fn production_is_reached_by_https_unless_plain_http_is_allowed() {
    let with = |more: &[(&'static str, &'static str)]| {
        let mut pairs = vec![
            ("ARBION_ENV", "production"),
            ("PUBLIC_URL", "http://trade.example.com"),
        ];
        pairs.extend(SECRETS);
        pairs.extend(more);
        parse(&pairs)
    };
    let refused = with(&[]).unwrap_err().to_string();
    assert!(
        refused.contains("PUBLIC_URL must start with https:// in production"),
        "{refused}"
    );
    assert!(with(&[("PLAIN_HTTP", "redirect")]).is_err());
    assert!(with(&[("PLAIN_HTTP", "allow")]).is_ok());
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
