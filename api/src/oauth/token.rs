//! `POST /oauth/token`: codes, refresh tokens and client secrets become access tokens.

use std::sync::Arc;

use platform::secrets::sha256;
use poem::web::Data;
use poem::{Body, Request, Response, handler};
use serde_json::json;
use store::audit_log::AuditKind;
use store::oauth::{ACCESS_TOKEN_LIFETIME, CodeFacts, Rotation};
use store::{Issued, OAuthClient, Redemption};
use uuid::Uuid;

use super::client::ClientError;
use super::params::Params;
use super::refusal::{ErrorName, Refusal, json_response};
use super::{AUTHORIZATION_CODE, CLIENT_CREDENTIALS, REFRESH_TOKEN, answer_failure, called, pkce, scope};
use crate::app::App;
use crate::record::Record;

/// Where the endpoint is.
pub const PATH: &str = "/oauth/token";

/// Answers with tokens.
#[handler]
pub(crate) async fn issue_token(
    request: &Request,
    body: Body,
    Data(app): Data<&Arc<App>>,
    record: Record,
) -> poem::Result<Response> {
    match answer(request, body, &record, app).await {
        Ok(issued) => Ok(json_response(&shown(&issued))),
        Err(error) => answer_failure(error),
    }
}

fn shown(issued: &Issued) -> serde_json::Value {
    let mut body = json!({
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": ACCESS_TOKEN_LIFETIME.num_seconds(),
        "scope": issued.scopes.join(" "),
    });
    if let Some(token) = &issued.refresh_token {
        body["refresh_token"] = json!(token);
    }
    body
}

async fn answer(request: &Request, body: Body, record: &Record, app: &App) -> Result<Issued, ClientError> {
    let (params, client) = called(request, body, record.context(), app).await?;
    let grant_type = required(&params, "grant_type", "grant_type is required")?;
    let needs = match grant_type {
        AUTHORIZATION_CODE | REFRESH_TOKEN => AUTHORIZATION_CODE,
        CLIENT_CREDENTIALS => CLIENT_CREDENTIALS,
        _ => {
            let sentence = "grant_type must be authorization_code, refresh_token or client_credentials";
            return Err(Refusal::new(ErrorName::UnsupportedGrantType, sentence).into());
        }
    };
    if !client.grant_types.iter().any(|one| one == needs) {
        let sentence = "the client is not registered for this grant_type";
        return Err(Refusal::new(ErrorName::UnauthorizedClient, sentence).into());
    }
    match grant_type {
        AUTHORIZATION_CODE => redeem(&params, &client, record, app).await,
        REFRESH_TOKEN => refresh(&params, &client, record, app).await,
        _ => issue_own(&params, &client, app).await,
    }
}

fn required<'a>(params: &'a Params, name: &'static str, sentence: &'static str) -> Result<&'a str, Refusal> {
    params.get(name)?.ok_or(Refusal::malformed(sentence))
}

async fn redeem(
    params: &Params,
    client: &OAuthClient,
    record: &Record,
    app: &App,
) -> Result<Issued, ClientError> {
    let code = required(params, "code", "code is required")?;
    let verifier = required(params, "code_verifier", "code_verifier is required")?;
    let redirect_uri = params.get("redirect_uri")?;
    let fits = |code: &CodeFacts| {
        // RFC 6749 §4.1.3: named when the code was asked for, it is named again.
        let is_place = code.redirect_uri.is_none() || code.redirect_uri.as_deref() == redirect_uri;
        code.client == client.id && is_place && pkce::answers(verifier, &code.code_challenge)
    };
    match app.store.redeem_oauth_code(sha256(code), fits, app.now()).await? {
        Redemption::Redeemed(issued) => Ok(issued),
        Redemption::Replayed { grant } => {
            tracing::warn!(oauth.grant = %grant, oauth.client = client.client_id, "a code came a second time; its tokens have ended");
            note(app, record, client, grant, AuditKind::OauthCodeReplayed).await?;
            Err(Refusal::of_grant().into())
        }
        Redemption::Misused { grant } => {
            tracing::warn!(oauth.grant = %grant, oauth.client = client.client_id, "a code was brought by one that it was not made for");
            note(app, record, client, grant, AuditKind::OauthCodeMisused).await?;
            Err(Refusal::of_grant().into())
        }
        Redemption::Expired | Redemption::Ended | Redemption::NotFound => Err(Refusal::of_grant().into()),
    }
}

/// Lets the tokens of a grant end here, too, and writes into the audit log that somebody tried one of them, or its code,
/// again.
async fn note(
    app: &App,
    record: &Record,
    client: &OAuthClient,
    grant: Uuid,
    kind: AuditKind,
) -> Result<(), ClientError> {
    app.forget_credentials();
    let record = record.about(&grant).with("client_id", &client.client_id);
    app.store.audit(&record.event(kind, app.now())).await?;
    Ok(())
}

const TOO_WIDE: Refusal = Refusal::new(
    ErrorName::InvalidScope,
    "a scope is unknown, or more than was granted",
);

async fn refresh(
    params: &Params,
    client: &OAuthClient,
    record: &Record,
    app: &App,
) -> Result<Issued, ClientError> {
    let token = required(params, "refresh_token", "refresh_token is required")?;
    let scopes = match params.get("scope")? {
        Some(text) => Some(scope::names(&scope::parse(text).map_err(|_| TOO_WIDE)?)),
        None => None,
    };
    let rotating = app
        .store
        .rotate_oauth_token(sha256(token), client.id, scopes.as_deref(), app.now());
    match rotating.await? {
        Rotation::Rotated(issued) => Ok(issued),
        Rotation::Reused { grant } => {
            tracing::warn!(oauth.grant = %grant, oauth.client = client.client_id, "a refresh token came a second time; its family has ended");
            note(app, record, client, grant, AuditKind::OauthRefreshReused).await?;
            Err(Refusal::of_grant().into())
        }
        Rotation::TooWide => Err(TOO_WIDE.into()),
        Rotation::OtherClient | Rotation::Expired | Rotation::Ended | Rotation::NotFound => {
            Err(Refusal::of_grant().into())
        }
    }
}

async fn issue_own(params: &Params, client: &OAuthClient, app: &App) -> Result<Issued, ClientError> {
    // Registration does not let a public client have this; it is checked where it matters, too.
    if client.is_public() {
        let sentence = "a public client cannot act by itself";
        return Err(Refusal::new(ErrorName::UnauthorizedClient, sentence).into());
    }
    let text = params.get("scope")?.unwrap_or_default();
    let scopes = scope::parse(text).map_err(|_| TOO_WIDE)?;
    if !scope::are_within(&scopes, &client.scopes) {
        return Err(TOO_WIDE.into());
    }
    let scopes = scope::names(&scopes);
    let issuing = app.store.issue_own_token(client.id, &scopes, app.now());
    Ok(issuing.await?.ok_or(Refusal::of_client(false))?)
}
