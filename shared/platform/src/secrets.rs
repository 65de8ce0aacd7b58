//! Random tokens, hashes, private files, and the secrets of an installation that was given none.
//!
//! Invariants:
//!
//! 1. Tokens and keys are 256 random bits of a cryptographic generator.
//! 2. Of several processes that start for the first time at once, one writes the secrets and all use them: the
//!    file appears under its name complete or not at all.
//! 3. A private file is readable by its owner alone from the moment it exists.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::config::Config;

/// The file of the data directory that holds the secrets, in the form of a `.env` file.
pub const SECRETS_FILE: &str = "secrets.env";

const NAMES: [&str; 3] = ["ENCRYPTION_KEY", "ENCRYPTION_SALT", "SESSION_SECRET"];

/// The three secrets that every process of an installation shares.
#[derive(Debug, Clone)]
pub struct LocalSecrets {
    /// Fernet key: 32 bytes in url-safe base64.
    pub encryption_key: SecretString,
    /// Salt of derived encryption keys.
    pub encryption_salt: SecretString,
    /// Signs session cookies and CSRF tokens.
    pub session_secret: SecretString,
    /// Whether this call wrote the file (the first start of an installation).
    pub created: bool,
}

/// The secrets cannot be read or created.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is there and one of the secrets is not in it.
    #[error("{} holds no {name}; restore the file, or remove it only if nothing was encrypted yet", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The secret that is not there.
        name: &'static str,
    },
}

impl LocalSecrets {
    /// The secrets that the configuration gives; those that it leaves out come from the data directory.
    pub fn of(config: &Config) -> Result<LocalSecrets, SecretsError> {
        let given = (
            &config.encryption_key,
            &config.encryption_salt,
            &config.session_secret,
        );
        if let (Some(key), Some(salt), Some(session)) = given {
            return Ok(LocalSecrets {
                encryption_key: key.clone(),
                encryption_salt: salt.clone(),
                session_secret: session.clone(),
                created: false,
            });
        }
        let local = LocalSecrets::load_or_create(&config.data_dir)?;
        Ok(LocalSecrets {
            encryption_key: given.0.clone().unwrap_or(local.encryption_key),
            encryption_salt: given.1.clone().unwrap_or(local.encryption_salt),
            session_secret: given.2.clone().unwrap_or(local.session_secret),
            created: local.created,
        })
    }

    /// The secrets of the data directory; the first call creates both (directory 0700, file 0600).
    pub fn load_or_create(data_dir: &Path) -> Result<LocalSecrets, SecretsError> {
        let path = data_dir.join(SECRETS_FILE);
        if let Some(text) = read_if_there(&path)? {
            return parse(&path, &text, false);
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .map_err(failed("create the directory", data_dir))?;
        let mut text =
            String::from("# Secrets of this installation, created at its first start. Keep a copy.\n");
        for name in NAMES {
            text.extend([name, "=", &URL_SAFE.encode(random_bytes()), "\n"]);
        }
        let created = place(&path, &text)?;
        // Of several first starts one wins; the others read what it wrote.
        let text = read_if_there(&path)?.unwrap_or(text);
        parse(&path, &text, created)
    }
}

/// Replaces `path` by a file that holds `contents` and that only its owner can read. A reader sees the old file
/// or the new one, never a part.
pub fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let draft = write_draft(path, contents)?;
    fs::rename(&draft, path)
        .and_then(|()| sync_directory(path))
        .inspect_err(|_| remove(&draft))
}

/// 256 random bits as url-safe base64 without padding: 43 characters.
pub fn new_token() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes())
}

/// The SHA-256 of `bytes`; what the database keeps of a token.
pub fn sha256(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn random_bytes() -> [u8; 32] {
    rand::random()
}

fn parse(path: &Path, text: &str, created: bool) -> Result<LocalSecrets, SecretsError> {
    let find = |name: &'static str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        let found = lines.find(|(key, value)| *key == name && !value.trim().is_empty());
        found
            .map(|(_, value)| SecretString::from(value.trim()))
            .ok_or_else(|| SecretsError::Incomplete {
                path: path.to_owned(),
                name,
            })
    };
    let [key, salt, session] = NAMES;
    Ok(LocalSecrets {
        encryption_key: find(key)?,
        encryption_salt: find(salt)?,
        session_secret: find(session)?,
        created,
    })
}

fn read_if_there(path: &Path) -> Result<Option<String>, SecretsError> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let mode = fs::metadata(path)
                .map_err(failed("inspect", path))?
                .permissions()
                .mode();
            if mode & 0o077 != 0 {
                tracing::warn!(path = %path.display(), "the secrets were readable by others; closing the file");
                fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed("protect", path))?;
            }
            Ok(Some(text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Writes the file unless there is one; answers whether it did.
fn place(path: &Path, text: &str) -> Result<bool, SecretsError> {
    let draft = write_draft(path, text.as_bytes()).map_err(failed("write beside", path))?;
    // Unlike a rename, a hard link never replaces the file of another process.
    let linked = fs::hard_link(&draft, path);
    remove(&draft);
    match linked {
        Ok(()) => {
            sync_directory(path).map_err(failed("sync the directory of", path))?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed("create", path)(error)),
    }
}

fn write_draft(path: &Path, contents: &[u8]) -> io::Result<PathBuf> {
    let draft = path.with_extension(format!("{}.draft", new_token()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(contents)
        .and_then(|()| file.sync_all())
        .inspect_err(|_| remove(&draft))?;
    Ok(draft)
}

/// Removes a draft; one that stays behind harms nobody and is owner-only, so a failure is only noted.
fn remove(draft: &Path) {
    if let Err(error) = fs::remove_file(draft) {
        tracing::debug!(path = %draft.display(), %error, "a draft stays behind");
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SecretsError {
    let path = path.to_owned();
    move |source| SecretsError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Barrier;

    use secrecy::ExposeSecret as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn exposed(secrets: &LocalSecrets) -> [String; 3] {
        [
            &secrets.encryption_key,
            &secrets.encryption_salt,
            &secrets.session_secret,
        ]
        .map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn the_first_start_creates_three_secrets_that_only_the_owner_can_read() {
        let parent = tempfile::tempdir().unwrap();
        let data_dir = parent.path().join("data");
        let secrets = LocalSecrets::load_or_create(&data_dir).unwrap();
        assert!(secrets.created);
        assert_eq!(
            (mode(&data_dir), mode(&data_dir.join(SECRETS_FILE))),
            (0o700, 0o600)
        );
        let texts = exposed(&secrets);
        assert_eq!(BTreeSet::from(texts.clone()).len(), 3);
        for text in &texts {
            assert_eq!(URL_SAFE.decode(text).unwrap().len(), 32);
        }
        assert_eq!(
            fs::read_dir(&data_dir).unwrap().count(),
            1,
            "no draft stays behind"
        );

        let again = LocalSecrets::load_or_create(&data_dir).unwrap();
        assert!(!again.created);
        assert_eq!(exposed(&again), texts);
        assert!(!format!("{again:?}").contains(&texts[0]));
    }

    #[test]
    fn concurrent_first_starts_make_one_set_and_all_use_it() {
        for _ in 0..20 {
            let parent = tempfile::tempdir().unwrap();
            let data_dir = parent.path().join("data");
            let barrier = Barrier::new(8);
            let start = || {
                barrier.wait();
                LocalSecrets::load_or_create(&data_dir).unwrap()
            };
            let all: Vec<LocalSecrets> = std::thread::scope(|scope| {
                let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
                starts.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(all.iter().filter(|secrets| secrets.created).count(), 1);
            assert_eq!(all.iter().map(exposed).collect::<BTreeSet<_>>().len(), 1);
            assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1);
        }
    }

    #[test]
    fn the_created_key_is_one_that_the_configuration_accepts() {
        let directory = tempfile::tempdir().unwrap();
        LocalSecrets::load_or_create(directory.path()).unwrap();
        let text = fs::read_to_string(directory.path().join(SECRETS_FILE)).unwrap();
        let config = Config::from_lookup(|name| {
            let own = text
                .lines()
                .filter_map(|line| line.split_once('='))
                .find(|(key, _)| *key == name);
            own.map(|(_, value)| value.to_owned())
                .or((name == "ARBION_ENV").then(|| "production".into()))
        });
        assert!(config.is_ok(), "{config:?}");
    }

    #[test]
    fn given_secrets_win_and_only_the_missing_ones_come_from_the_data_directory() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("data");
        let config = |names: &'static [&'static str]| {
            let dir = data_dir.to_str().unwrap().to_owned();
            Config::from_lookup(move |name| match name {
                "ARBION_DATA_DIR" => Some(dir.clone()),
                _ => names
                    .contains(&name)
                    .then(|| "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=".to_owned()),
            })
            .unwrap()
        };
        let all_given = LocalSecrets::of(&config(&NAMES)).unwrap();
        assert!(
            !all_given.created && !data_dir.exists(),
            "nothing is created when nothing is missing"
        );

        let salt_given = LocalSecrets::of(&config(&["ENCRYPTION_SALT"])).unwrap();
        let [key, salt, session] = exposed(&salt_given);
        let [file_key, file_salt, file_session] = exposed(&LocalSecrets::load_or_create(&data_dir).unwrap());
        assert!(salt_given.created);
        assert_eq!((key, session), (file_key, file_session));
        assert_eq!(salt, "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=");
        assert_ne!(salt, file_salt);
    }

    #[test]
    fn an_incomplete_file_is_refused_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(SECRETS_FILE);
        let text = "ENCRYPTION_KEY=abc\nENCRYPTION_SALT=\nSESSION_SECRET=abc\n";
        write_private(&path, text.as_bytes()).unwrap();
        let error = LocalSecrets::load_or_create(directory.path()).unwrap_err();
        assert!(
            matches!(
                error,
                SecretsError::Incomplete {
                    name: "ENCRYPTION_SALT",
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_file_that_others_could_read_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(SECRETS_FILE);
        LocalSecrets::load_or_create(directory.path()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        LocalSecrets::load_or_create(directory.path()).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_data_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = LocalSecrets::load_or_create(&file.path().join("data")).unwrap_err();
        assert!(
            error.to_string().contains(file.path().to_str().unwrap()),
            "{error}"
        );
    }

    #[test]
    fn a_private_file_is_replaced_as_a_whole_and_stays_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("superadmin.key");
        fs::write(&path, "old").unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), mode(&path)),
            ("new", 0o600)
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn tokens_are_256_bits_of_url_safe_text_and_differ() {
        let tokens: BTreeSet<String> = (0..1000).map(|_| new_token()).collect();
        assert_eq!(tokens.len(), 1000);
        for token in tokens {
            assert_eq!(token.len(), 43);
            assert_eq!(URL_SAFE_NO_PAD.decode(token).unwrap().len(), 32);
        }
    }

    #[test]
    fn sha256_gives_the_published_digest() {
        // FIPS 180-2, appendix B.1.
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let byte = |at: usize| u8::from_str_radix(&digest[at..at + 2], 16).unwrap();
        assert_eq!(
            sha256("abc").to_vec(),
            (0..64).step_by(2).map(byte).collect::<Vec<_>>()
        );
    }
}
