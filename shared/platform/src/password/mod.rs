//! Passwords: which are let through, how they are hashed, and how guessing is slowed down.
//!
//! 1. A password is hashed with argon2id and the parameters that OWASP recommends first for it (Password Storage Cheat
//!    Sheet: 19 MiB, two passes, one lane). Another cost later is noticed ([`needs_rehash`]) and takes effect at a login.
//! 2. It is work for threads of its own: an async thread never hashes, at most so many run at once as were allowed, and
//!    so many wait; whoever comes then is told so ([`PasswordError::Busy`]).
//! 3. A user who does not exist, has no password or was sent an impossible one costs as much as a wrong password.
//! 4. What a person types is Unicode, and keyboards differ in how they write the same letter: it is normalized (NFKC, as
//!    NIST SP 800-63B asks for) before anything else is done with it. Nothing is cut off, and space counts.

mod delay;
mod policy;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;

pub use self::delay::{LoginDelay, delay};
pub use self::policy::{CHARACTERS_MAX, CHARACTERS_MIN, WeakPassword, check};

/// Memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19_456;

/// How often the memory is passed over.
const PASSES: u32 = 2;

/// How many lanes the memory has.
const LANES: u32 = 1;

/// How many may wait for each that runs.
const WAITING_FOR_EACH: usize = 32;

/// A password could not be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// Too many are being hashed already: try again in a second.
    #[error("too many passwords are being checked")]
    Busy,
    /// The machine lacks memory or random numbers.
    #[error("the password cannot be hashed")]
    Failed,
}

/// A password was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChoiceError {
    /// It is too easily guessed.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    /// It could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// Hashes and verifies, a few at once. Clones share the limit.
#[derive(Debug, Clone)]
pub struct Passwords {
    /// Whoever runs or waits.
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
    done: Arc<AtomicU64>,
}

impl Default for Passwords {
    /// Half of the processors may be busy with it, so that trading never waits for logins.
    fn default() -> Self {
        Self::new(available_parallelism().map_or(1, |processors| processors.get() / 2))
    }
}

impl Passwords {
    /// At most `concurrency` at once, or one.
    pub fn new(concurrency: usize) -> Self {
        let concurrency = concurrency.max(1);
        Self {
            admitted: Arc::new(Semaphore::new(concurrency.saturating_mul(1 + WAITING_FOR_EACH))),
            running: Arc::new(Semaphore::new(concurrency)),
            done: Arc::default(),
        }
    }

    /// The hash of a password that `email` chooses, as a PHC string with its salt, if the policy lets it through.
    pub async fn choose(&self, password: &SecretString, email: &str) -> Result<SecretString, ChoiceError> {
        let (password, email) = (password.clone(), email.to_owned());
        self.run(move || {
            check(&password, &email)?;
            Ok(hash(&password)?)
        })
        .await?
    }

    /// The hash of a password that was checked before, as a PHC string with its salt.
    pub async fn hash(&self, password: &SecretString) -> Result<SecretString, PasswordError> {
        let password = password.clone();
        self.run(move || hash(&password)).await?
    }

    /// Whether `password` is the one of `stored`. Of no stored hash none is, at the same cost.
    pub async fn verify(
        &self,
        password: &SecretString,
        stored: Option<&SecretString>,
    ) -> Result<bool, PasswordError> {
        let (password, stored) = (password.clone(), stored.cloned());
        self.run(move || verify(&password, stored.as_ref())).await
    }

    /// How many passwords were hashed or verified so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let admitted = Arc::clone(&self.admitted).try_acquire_owned();
        let admitted = admitted.map_err(|_| PasswordError::Busy)?;
        let running = Arc::clone(&self.running).acquire_owned().await;
        let running = running.map_err(|_| PasswordError::Failed)?;
        // A thread that has begun goes on when its request is gone, so the places stay taken until it is done.
        let done = Arc::clone(&self.done);
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            done.fetch_add(1, Ordering::Relaxed);
            drop((admitted, running));
            result
        });
        task.await.map_err(|_| PasswordError::Failed)
    }
}

/// Whether a hash was made in another way than one would be today. Whoever knows the password right then, at a login, can
/// replace it.
pub fn needs_rehash(stored: &SecretString) -> bool {
    let Ok(hash) = PasswordHash::new(stored.expose_secret()) else {
        return true;
    };
    let is_current = Params::try_from(&hash).is_ok_and(|params| {
        (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES)
    });
    hash.algorithm != Algorithm::Argon2id.ident()
        || hash.version != Some(Version::V0x13.into())
        || !is_current
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| PasswordError::Failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &SecretString) -> Result<SecretString, PasswordError> {
    let password = normal(password);
    let hash = argon2()?
        .hash_password(password.expose_secret().as_bytes())
        .map_err(|_| PasswordError::Failed)?;
    Ok(SecretString::from(hash.to_string()))
}

fn verify(password: &SecretString, stored: Option<&SecretString>) -> bool {
    let (password, compared) = compared(password, stored);
    let password = password.expose_secret().as_bytes();
    match PasswordHash::new(compared.expose_secret()) {
        // A hash of any parameters is verified with its own.
        Ok(hash) => Argon2::default().verify_password(password, &hash).is_ok(),
        Err(_) => false,
    }
}

/// What is hashed, and what with: whatever cannot be right is compared with what nobody has.
fn compared(password: &SecretString, stored: Option<&SecretString>) -> (SecretString, SecretString) {
    // Longer ones were never let through, and would cost more.
    if password.expose_secret().chars().count() > CHARACTERS_MAX {
        return (SecretString::default(), nobody());
    }
    (normal(password), stored.cloned().unwrap_or_else(nobody))
}

/// A hash, of today's cost, of a password that nobody knows: salt and result are random.
fn nobody() -> SecretString {
    let salt = STANDARD_NO_PAD.encode(rand::random::<[u8; 16]>());
    let result = STANDARD_NO_PAD.encode(rand::random::<[u8; 32]>());
    let parameters = format!("m={MEMORY_KIB},t={PASSES},p={LANES}");
    SecretString::from(format!("$argon2id$v=19${parameters}${salt}${result}"))
}

/// A password as it is hashed.
fn normal(password: &SecretString) -> SecretString {
    SecretString::from(password.expose_secret().nfkc().collect::<String>())
}
