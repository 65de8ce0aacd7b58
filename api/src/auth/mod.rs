//! Who is asking: every credential becomes one [`Principal`], and a person's besides a [`SessionUser`].
//!
//! | module | credential |
//! |---|---|
//! | `api_key` | an API key, in Alpaca's two headers or as Basic |
//! | `bearer` | an OAuth access token |
//! | `session` | a cookie; with [`csrf`] for what changes something, and [`device`] for logins |
//!
//! A key or token belongs to one account; a session picks one of the user's. The gate ([`crate::access`]) is the only
//! caller: handlers get what it found.

pub(crate) mod api_key;
pub(crate) mod bearer;
mod cache;
pub(crate) mod csrf;
pub(crate) mod device;
mod principal;
pub(crate) mod session;

pub use cache::CredentialCache;
pub use principal::{Principal, PrincipalIds};
pub use session::SessionUser;
