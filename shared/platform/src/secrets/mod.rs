//! Random tokens, hashes, private files, and the secrets of an installation that was given none.
//!
//! Invariants:
//!
//! 1. Tokens and keys are 256 random bits of a cryptographic generator.
//! 2. Of several processes that start for the first time at once, one writes the secrets and all use them: the
//!    file appears under its name complete or not at all.
//! 3. A private file is readable by its owner alone from the moment it exists.

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};

use crate::config::{Config, Fault, check_fernet_keys};

/// The file of the data directory that holds the secrets, in the form of a `.env` file.
pub const SECRETS_FILE: &str = "secrets.env";

const NAMES: [&str; 3] = ["ENCRYPTION_KEY", "ENCRYPTION_SALT", "SESSION_SECRET"];

/// The three secrets that every process of an installation shares.
#[derive(Debug, Clone)]
pub struct LocalSecrets {
    /// Fernet keys, separated by commas: 32 bytes in url-safe base64 each, the newest first.
    pub encryption_key: SecretString,
    /// Salt of derived encryption keys.
    pub encryption_salt: SecretString,
    /// Signs CSRF tokens and the cookies of known browsers. Session cookies are random and need no signature.
    pub session_secret: SecretString,
    /// Whether this call wrote the file (the first start of an installation).
    pub created: bool,
}

/// A key for one purpose. It is wiped from memory when it is dropped, and is never printed.
pub type DerivedKey = SecretBox<[u8; 32]>;

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
    /// The file is there and its encryption keys are of no use.
    #[error("ENCRYPTION_KEY in {} {fault}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        #[source]
        fault: Fault,
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

    /// The keys for `purpose`, one for each encryption key, the newest first: new work uses the first, and what an older
    /// one made can still be read. HKDF-SHA-256 (RFC 5869); keys of different purposes tell nothing of each other.
    pub fn derive(&self, purpose: &'static str) -> Vec<DerivedKey> {
        let salt = self.encryption_salt.expose_secret().as_bytes();
        let keys = self.encryption_key.expose_secret().split(',');
        // The padding says nothing: with and without it, it is the same key.
        keys.map(|key| key.trim().trim_end_matches('='))
            .map(|key| {
                let mut derived = Box::new([0; 32]);
                // Invariant: 32 bytes are far below the 8 160 that HKDF-SHA-256 can give, the only way in which this fails.
                let _ = Hkdf::<Sha256>::new(Some(salt), key.as_bytes())
                    .expand(purpose.as_bytes(), derived.as_mut_slice());
                SecretBox::new(derived)
            })
            .collect()
    }

    /// The secrets of the data directory; the first call creates both (directory 0700, file 0600).
    pub fn load_or_create(data_dir: &Path) -> Result<LocalSecrets, SecretsError> {
        let path = data_dir.join(SECRETS_FILE);
        if let Some(text) = read_if_there(&path)? {
            return parse(&path, &text, false);
        }
        private_directory(data_dir).map_err(failed("create the directory", data_dir))?;
        let mut text =
            String::from("# Secrets of this installation, created at its first start. Keep a copy.\n");
        for name in NAMES {
            text.extend([name, "=", &URL_SAFE.encode(random_bytes()), "\n"]);
        }
        let created = create_private(&path, text.as_bytes()).map_err(failed("create", &path))?;
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

/// Makes a file that holds `contents` and that only its owner can read, unless there is one; answers whether it did. Of
/// several callers at once one makes it, and a reader sees all of it or no file.
pub fn create_private(path: &Path, contents: &[u8]) -> io::Result<bool> {
    let draft = write_draft(path, contents)?;
    // Unlike a rename, a hard link never replaces the file of another process.
    let linked = fs::hard_link(&draft, path);
    remove(&draft);
    match linked {
        Ok(()) => sync_directory(path).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes a directory that only its owner can enter, and those above it; one that is there stays as it is.
pub fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
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
    let secrets = LocalSecrets {
        encryption_key: find(key)?,
        encryption_salt: find(salt)?,
        session_secret: find(session)?,
        created,
    };
    check_fernet_keys(secrets.encryption_key.expose_secret()).map_err(|fault| SecretsError::Unusable {
        path: path.to_owned(),
        fault,
    })?;
    Ok(secrets)
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
