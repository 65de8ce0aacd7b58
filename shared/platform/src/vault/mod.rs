//! The vault: what keeps the credentials of broker connections unreadable at rest.
//!
//! A secret is sealed as a Fernet token (AES-128-CBC and HMAC-SHA-256) under a key that is derived from `ENCRYPTION_KEY`
//! and `ENCRYPTION_SALT`.
//!
//! Invariants:
//!
//! 1. The newest key seals; every key that is listed opens. A rotation needs no moment in which nothing can be read.
//! 2. A sealed secret belongs to one owner, whose id is sealed with it: moved to the row of another one, it does not open.
//! 3. Nothing here prints a secret or a key, no error tells what was sealed, and a [`Sealed`] cannot be made of a plain
//!    text by mistake, nor be serialised.
//! 4. Time plays no part. A Fernet token has a field for the time at which it was made, and readers refuse one from the
//!    future; here it is always zero, so that a clock that was wrong for an hour makes nothing unreadable.

#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::secrets::{DerivedKey, LocalSecrets, sha256};

/// What the keys are for. Another text derives other keys: whoever changes it makes all that was sealed unreadable.
const PURPOSE: &str = "arbion broker credentials v1";

/// The time in each token.
const NO_TIME: u64 = 0;

/// The time at which tokens are read: later than any that one may name, and far enough from the end of the numbers for
/// the library to add to it.
const ANY_TIME: u64 = u64::MAX / 2;

/// The bytes of a key's SHA-256 that make its fingerprint.
const FINGERPRINT_BYTES: usize = 8;

/// Seals secrets and opens them.
pub struct Vault {
    newest: Key,
    older: Vec<Key>,
}

/// The library wipes its keys when they are dropped.
struct Key {
    fernet: Fernet,
    fingerprint: String,
}

/// A secret as it may be kept: unreadable without a key of the vault that made it.
///
/// It is no secret, and no plain text either: it has neither `Display` nor a conversion from text, and it cannot be
/// serialised, so that it reaches no answer of the API.
///
/// ```
/// # use arbion_platform::vault::Sealed;
/// fn is_clone<T: Clone>() {}
/// is_clone::<Sealed>();
/// ```
///
/// ```compile_fail,E0277
/// # use arbion_platform::vault::Sealed;
/// fn is_serialize<T: serde::Serialize>() {}
/// is_serialize::<Sealed>();
/// ```
///
/// Neither can what is in it:
///
/// ```compile_fail,E0277
/// fn is_serialize<T: serde::Serialize>() {}
/// is_serialize::<secrecy::SecretString>();
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    token: String,
    key_fingerprint: String,
}

/// Why a vault cannot be made, or does not give a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// There is no key to derive one from.
    #[error("there is no encryption key")]
    NoKey,
    /// It was sealed by a key that is not listed, or was changed since.
    #[error("no encryption key opens it")]
    Unopened,
    /// It was sealed for another owner.
    #[error("it was sealed for another owner")]
    OtherOwner,
}

impl Vault {
    /// The vault of an installation.
    pub fn of(secrets: &LocalSecrets) -> Result<Vault, VaultError> {
        let keys = secrets.derive(PURPOSE);
        let keys: Option<Vec<Key>> = keys.iter().map(Key::of).collect();
        let mut keys = keys.ok_or(VaultError::NoKey)?.into_iter();
        Ok(Vault {
            newest: keys.next().ok_or(VaultError::NoKey)?,
            older: keys.collect(),
        })
    }

    /// Seals `secret` for `owner` by the newest key. The same secret never gives the same text twice.
    pub fn seal(&self, owner: Uuid, secret: &SecretString) -> Sealed {
        let secret = secret.expose_secret().as_bytes();
        let plain = Zeroizing::new([owner.as_bytes().as_slice(), secret].concat());
        Sealed {
            token: self.newest.fernet.encrypt_at_time(&plain, NO_TIME),
            key_fingerprint: self.newest.fingerprint.clone(),
        }
    }

    /// The secret that was sealed for `owner`, by whichever key.
    pub fn open(&self, owner: Uuid, sealed: &Sealed) -> Result<SecretString, VaultError> {
        let plain = self.keys().find_map(|key| key.open(&sealed.token));
        let plain = plain.ok_or(VaultError::Unopened)?;
        let (bound_to, secret) = plain.split_first_chunk().ok_or(VaultError::Unopened)?;
        if *bound_to != owner.into_bytes() {
            return Err(VaultError::OtherOwner);
        }
        let secret = str::from_utf8(secret).map_err(|_| VaultError::Unopened)?;
        Ok(SecretString::from(secret))
    }

    /// What the newest key is known by: 16 hexadecimal digits that tell nothing of it.
    pub fn key_fingerprint(&self) -> &str {
        &self.newest.fingerprint
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.keys().map(|key| key.fingerprint.as_str()).collect();
        f.debug_struct("Vault")
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

impl Key {
    fn of(derived: &DerivedKey) -> Option<Key> {
        let key = derived.expose_secret();
        let text = Zeroizing::new(URL_SAFE.encode(key));
        let digest = sha256(key);
        let digits = digest
            .iter()
            .take(FINGERPRINT_BYTES)
            .map(|byte| format!("{byte:02x}"));
        Some(Key {
            fernet: Fernet::new(&text)?,
            fingerprint: digits.collect(),
        })
    }

    /// What the token holds, if this key made it. It is wiped from memory when it is dropped.
    fn open(&self, token: &str) -> Option<Zeroizing<Vec<u8>>> {
        let plain = self.fernet.decrypt_at_time(token, None, ANY_TIME);
        plain.ok().map(Zeroizing::new)
    }
}

impl Sealed {
    /// What was kept of a sealed secret: its [`token`](Sealed::token) and the
    /// [fingerprint](Sealed::key_fingerprint) of the key that sealed it.
    pub fn from_kept(token: String, key_fingerprint: String) -> Sealed {
        Sealed {
            token,
            key_fingerprint,
        }
    }

    /// The Fernet token, for the database.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What the key that sealed it is known by.
    pub fn key_fingerprint(&self) -> &str {
        &self.key_fingerprint
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("key_fingerprint", &self.key_fingerprint)
            .finish_non_exhaustive()
    }
}
