//! The authorization server: apps of others get tokens, with the consent of the person whose account it is (OAuth 2.1,
//! with the practice of RFC 9700).
//!
//! ```text
//! app ─► GET /oauth/authorize ─► log in ─► consent page ─► POST /oauth/authorize ─► app's redirect URI?code&state&iss
//! app ─► POST /oauth/token (code + verifier) ─► access token, refresh token ─► POST /oauth/token (refresh) ─► …
//! ```
//!
//! Reading order: [`scope`] what can be asked for; [`redirect`], [`pkce`] and [`request`] how a request is judged;
//! [`client`] who is calling; [`authorize`], [`token`], [`revoke`], [`introspect`], [`metadata`] the endpoints;
//! [`routes`] where they are. What is kept, and that each code and refresh token works once, is `store::oauth`.
//!
//! Invariants:
//!
//! 1. Nobody is sent to an address that was not registered, and nobody who is not logged in is sent anywhere.
//! 2. Every code is bound to its client, its redirect URI and a challenge (S256); there are no codes without one.
//! 3. A client gets at most the scopes that it is registered for, and at most what its person agreed to.
//! 4. Answers that hold a code or a token are kept by no cache, and redirects never repeat a request's body (303).

pub mod authorize;
pub mod client;
pub mod introspect;
pub mod metadata;
pub mod params;
pub mod pkce;
pub mod redirect;
pub mod refusal;
pub mod request;
pub mod revoke;
pub mod routes;
pub mod scope;
pub mod token;

use platform::config::Config;
use platform::secrets::sha256;
use poem::{Body, Request, Response};
use store::{OAuthClient, StoreError};

use self::client::{ClientError, authenticate};
use self::params::{Params, is_form};
use self::refusal::{ErrorName, Refusal};
use crate::app::App;
use crate::middleware::RequestContext;

/// The grant type of codes; whoever may have it may refresh, too.
pub const AUTHORIZATION_CODE: &str = "authorization_code";

/// The grant type of refresh tokens.
pub const REFRESH_TOKEN: &str = "refresh_token";

/// The grant type of a client that acts for its owner's account.
pub const CLIENT_CREDENTIALS: &str = "client_credentials";

/// The authorization server of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// Its name, which is also where it is reached (RFC 8414 §2): without a slash at its end.
    pub issuer: String,
}

impl OAuth {
    /// The authorization server that `config` sets up.
    pub fn of(config: &Config) -> Self {
        let local = || format!("http://localhost:{}", config.port);
        Self {
            issuer: config.access.public_url.clone().unwrap_or_else(local),
        }
    }
}

/// The form that a client sends to an endpoint which it calls itself.
async fn read_form(request: &Request, body: Body) -> Result<Params, Refusal> {
    // URLs end up in logs (RFC 6749 §2.3.1).
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        return Err(Refusal::malformed(
            "send the parameters in the body, not in the URL",
        ));
    }
    if !is_form(request.content_type()) {
        let sentence = "send the parameters as application/x-www-form-urlencoded";
        return Err(Refusal::malformed(sentence));
    }
    let bytes = body.into_vec().await;
    let unread = |_| Refusal::malformed("the body could not be read");
    bytes.map(Params::parse).map_err(unread)
}

/// What a client sends to an endpoint which it calls itself, and which client it has proven to be.
async fn called(
    request: &Request,
    body: Body,
    context: &RequestContext,
    app: &App,
) -> Result<(Params, OAuthClient), ClientError> {
    let params = read_form(request, body).await?;
    let client = authenticate(app, context, request.headers(), &params).await?;
    Ok((params, client))
}

/// The SHA-256 of the token that a call is about.
fn token_of(params: &Params) -> Result<[u8; 32], ClientError> {
    let token = params.get("token")?;
    Ok(sha256(token.ok_or(Refusal::malformed("token is required"))?))
}

/// The answer to a client that was refused, or that the database failed.
fn answer_failure(error: ClientError) -> poem::Result<Response> {
    match error {
        ClientError::Refused(refusal) => Ok(refusal.response()),
        ClientError::Store(error) => Ok(of_store(&error).response()),
        ClientError::Limited(problem) => Err((*problem).into()),
    }
}

/// What is said where the database did not do its part; the log says more.
fn of_store(error: &StoreError) -> Refusal {
    tracing::error!(error = ?error, "the authorization server could not use the database");
    match error {
        StoreError::Unavailable(_) | StoreError::CommitUnknown(_) | StoreError::Stale { .. } => {
            Refusal::new(ErrorName::TemporarilyUnavailable, "the database does not answer")
        }
        StoreError::NotFound { .. }
        | StoreError::Conflict { .. }
        | StoreError::Inconsistent { .. }
        | StoreError::Ended
        | StoreError::Url { .. }
        | StoreError::Database(_) => Refusal::new(ErrorName::ServerError, "something went wrong on our side"),
    }
}
