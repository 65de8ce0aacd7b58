//! The configuration is tested over lookups; no test reads or changes the process environment, except for the
//! one switch that rewrites the generated file.

mod refused;
mod table;
mod values;

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
