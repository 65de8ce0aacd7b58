//! Who is asking: every credential becomes one [`Principal`].
//!
//! Today that is an API key, in Alpaca's two headers or as Basic. A key belongs to one account.

mod api_key;
mod cache;
mod principal;

pub use cache::CredentialCache;
pub use principal::{Principal, PrincipalIds};
