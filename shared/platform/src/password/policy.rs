//! Which passwords are let through.
//!
//! Length is what counts, and that it is not among those that are tried first; no rule of letters, digits and signs (NIST
//! SP 800-63B). Whether it is common is judged by zxcvbn, which knows the lists of passwords, names and words, and how they
//! are usually varied.

use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use zxcvbn::{Score, zxcvbn};

use super::normal;
use crate::email;

/// The fewest characters.
pub const CHARACTERS_MIN: usize = 12;

/// The most characters: room for any sentence.
pub const CHARACTERS_MAX: usize = 256;

/// How much of a password is judged by its commonness, which costs time by its length. What follows only adds to it.
const JUDGED_MAX: usize = 64;

/// Why a password is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WeakPassword {
    /// Too few characters.
    #[error("a password has at least {CHARACTERS_MIN} characters")]
    TooShort,
    /// Too many characters.
    #[error("a password has at most {CHARACTERS_MAX} characters")]
    TooLong,
    /// Among the first that are tried.
    #[error("this password is among those that are guessed first")]
    TooCommon,
    /// It is the email.
    #[error("the email is no password")]
    IsEmail,
}

/// Whether `password` may be that of the user with this email. It takes some milliseconds of a processor: call it where
/// [`super::Passwords::choose`] does.
pub fn check(password: &SecretString, email: &str) -> Result<(), WeakPassword> {
    // Before anything that costs by the length.
    if password.expose_secret().chars().count() > CHARACTERS_MAX {
        return Err(WeakPassword::TooLong);
    }
    let normal = normal(password);
    let password = normal.expose_secret();
    if password.chars().count() < CHARACTERS_MIN {
        return Err(WeakPassword::TooShort);
    }
    let email = email.trim();
    if email::normal(password) == email::normal(email) {
        return Err(WeakPassword::IsEmail);
    }
    let judged: String = password.chars().take(JUDGED_MAX).collect();
    let name = email.split_once('@').map_or(email, |(name, _)| name);
    // 2: more than a million guesses, by the best known way to guess it.
    if zxcvbn(&judged, &[email, name]).score() < Score::Two {
        return Err(WeakPassword::TooCommon);
    }
    Ok(())
}
