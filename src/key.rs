//! The first API key: made once, its headers kept in a file that only its owner can read.
//!
//! The database holds the SHA-256 of the secret, so the file is the only copy. Whoever deletes it gets a new key at the
//! next start; one whose key was revoked, or belongs to another database, is replaced, too.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use api::access::Scope;
use api::setup::SetupError;
use chrono::{DateTime, Utc};
use platform::Config;
use platform::secrets::{private_directory, sha256, write_private};
use store::{
    AuditEvent, AuditKind, Bootstrap, BootstrapOptions, KEYS_MAX, NewApiKey, NewKey, Store, StoreError,
};
use thiserror::Error;

/// The file of the data directory with the two headers, one a line, for `curl -H @FILE`.
const FILE: &str = "api-key.headers";

/// The name of the header with the public part, as Alpaca's clients send it.
const KEY_ID: &str = "APCA-API-KEY-ID";

/// The name of the header with the secret part.
const SECRET_KEY: &str = "APCA-API-SECRET-KEY";

/// What the first key is called in lists.
const NAME: &str = "first key";

/// The first key can do everything that a program may do.
const SCOPES: [&str; Scope::ALL.len()] = Scope::ALL_WORDS;

/// Why there is no key.
#[derive(Debug, Error)]
pub(crate) enum KeyError {
    /// The database did not do its part.
    #[error("cannot make an API key")]
    Store(#[from] StoreError),
    /// There is no superadmin to make one for.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The account has as many keys as it may have.
    #[error(
        "the account of {email} has {KEYS_MAX} API keys that are neither revoked nor expired: revoke some first"
    )]
    TooMany {
        /// Of whom.
        email: String,
    },
    /// The file can't be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl KeyError {
    /// Whether everything else works without the key.
    pub(crate) const fn is_of_the_key_alone(&self) -> bool {
        matches!(
            self,
            Self::Setup(SetupError::NotSuperadmin { .. }) | Self::TooMany { .. }
        )
    }
}

/// The file with a key that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Whether it was written now.
    pub(crate) is_new: bool,
}

/// Sees to it that the superadmin has an account, and the data directory a key to it.
pub(crate) async fn ensure(config: &Config, store: &Store, now: DateTime<Utc>) -> Result<KeyFile, KeyError> {
    let owner = bootstrap(config, store, now).await?;
    let path = config.data_dir.join(FILE);
    let present = read(&path).map_err(|source| KeyError::File {
        path: path.clone(),
        source,
    })?;
    if let Some(text) = present
        && works(store, &text, &owner, now).await?
    {
        return Ok(KeyFile { path, is_new: false });
    }
    make(config, store, &owner, now).await
}

/// Makes another key, and replaces the file.
pub(crate) async fn renew(config: &Config, store: &Store, now: DateTime<Utc>) -> Result<KeyFile, KeyError> {
    let owner = bootstrap(config, store, now).await?;
    make(config, store, &owner, now).await
}

async fn bootstrap(config: &Config, store: &Store, now: DateTime<Utc>) -> Result<Bootstrap, KeyError> {
    let options = BootstrapOptions {
        email: config.superadmin_email.clone(),
        password_hash: None,
        starting_cash: config.paper_starting_cash,
        now,
    };
    api::setup::superadmin(&options.email, store).await?;
    Ok(store.bootstrap(&options).await?)
}

async fn make(
    config: &Config,
    store: &Store,
    owner: &Bootstrap,
    now: DateTime<Utc>,
) -> Result<KeyFile, KeyError> {
    let path = config.data_dir.join(FILE);
    let new = NewKey::new(owner.user_id, owner.account_id, NAME, &SCOPES, now);
    let event = AuditEvent {
        account_id: Some(owner.account_id),
        data: serde_json::json!({ "name": NAME, "made_for": owner.user_id.to_string() }),
        ..AuditEvent::new(AuditKind::ApiKeyCreated, now)
    };
    let key = store.create_api_key_on_record(new, event).await?;
    let key = key.ok_or_else(|| KeyError::TooMany {
        email: config.superadmin_email.clone(),
    })?;
    let written =
        private_directory(&config.data_dir).and_then(|()| write_private(&path, headers(&key).as_bytes()));
    written.map_err(|source| KeyError::File {
        path: path.clone(),
        source,
    })?;
    Ok(KeyFile { path, is_new: true })
}

/// Whether the headers of a file open the account of `owner`.
async fn works(store: &Store, text: &str, owner: &Bootstrap, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let (Some(key_id), Some(secret)) = (value(text, KEY_ID), value(text, SECRET_KEY)) else {
        return Ok(false);
    };
    let found = store.find_credential(key_id).await?;
    Ok(found.is_some_and(|key| {
        key.account_id == owner.account_id && key.hash == sha256(secret) && key.is_valid_at(now)
    }))
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn headers(key: &NewApiKey) -> String {
    let NewApiKey { key_id, secret, .. } = key;
    format!("{KEY_ID}: {key_id}\n{SECRET_KEY}: {secret}\n")
}

/// The value of the header `name`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use store::audit_log::AuditFilter;
    use store::testing::{TestStore, now};
    use store::users::Role;

    use super::*;

    #[test]
    fn the_file_holds_one_header_a_line_and_is_read_back() {
        let key = NewApiKey {
            credential_id: uuid::Uuid::nil().into(),
            key_id: "PK123".to_owned(),
            secret: "word".to_owned(),
        };
        let text = headers(&key);
        assert_eq!(text, "APCA-API-KEY-ID: PK123\nAPCA-API-SECRET-KEY: word\n");
        assert_eq!(
            (value(&text, KEY_ID), value(&text, SECRET_KEY)),
            (Some("PK123"), Some("word"))
        );
        assert_eq!(value("nothing", KEY_ID), None);
    }

    fn config(directory: &Path) -> Config {
        let value = |name: &str| match name {
            "ARBION_DATA_DIR" => Some(directory.display().to_string()),
            "SUPERADMIN_EMAIL" => Some("root@example.com".to_owned()),
            _ => None,
        };
        Config::from_lookup(value).unwrap()
    }

    store::testing::on_both! {
        async fn each_key_that_is_made_here_is_on_record(test: TestStore) {
            let directory = tempfile::tempdir().unwrap();
            let config = config(directory.path());
            for is_new in [true, false] {
                assert_eq!(ensure(&config, test, now()).await.unwrap().is_new, is_new);
            }
            renew(&config, test, now()).await.unwrap();
            let page = test.audit_page(&AuditFilter::default(), None, 10).await.unwrap();
            let newest = value(&fs::read_to_string(directory.path().join(FILE)).unwrap(), KEY_ID).map(ToOwned::to_owned);
            let [last, first] = page.events.try_into().unwrap();
            assert_eq!((last.kind.as_str(), last.subject.clone()), ("api_key_created", newest));
            assert!(first.subject.is_some() && first.subject != last.subject);
        }

        async fn no_key_is_made_for_somebody_who_is_not_the_superadmin(test: TestStore) {
            let directory = tempfile::tempdir().unwrap();
            let user = test.create_user("root@example.com", Role::Standard, now()).await.unwrap();
            let refused = ensure(&config(directory.path()), test, now()).await.unwrap_err();
            assert!(refused.is_of_the_key_alone(), "orders and stops go on without it");
            let refused = refused.to_string();
            assert!(refused.contains("root@example.com, a user with the role standard"), "{refused}");
            let keys = test.live_api_keys_of_user(user, now(), 10).await.unwrap();
            assert!(keys.is_empty() && !directory.path().join(FILE).exists());
        }
    }
}
