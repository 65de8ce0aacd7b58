//! `POST /oauth/introspect`: a client asks what a token of its own is worth (RFC 7662).

use std::sync::Arc;

use poem::web::Data;
use poem::{Body, Request, Response, handler};
use serde_json::{Value, json};
use store::OAuthClient;
use store::oauth::{TokenFacts, TokenKind};

use super::client::ClientError;
use super::refusal::{Refusal, json_response};
use super::{answer_failure, called, token_of};
use crate::app::App;
use crate::middleware::RequestContext;

/// Where the endpoint is.
pub const PATH: &str = "/oauth/introspect";

/// Tells a client with a secret about a token that was made for it. Every other token is not active, whatever it is: the
/// answer tells nothing of the tokens of others (RFC 7662 §2.2).
#[handler]
pub(crate) async fn introspect_token(
    request: &Request,
    body: Body,
    Data(app): Data<&Arc<App>>,
    context: RequestContext,
) -> poem::Result<Response> {
    match answer(request, body, &context, app).await {
        Ok(body) => Ok(json_response(&body)),
        Err(error) => answer_failure(error),
    }
}

async fn answer(
    request: &Request,
    body: Body,
    context: &RequestContext,
    app: &App,
) -> Result<Value, ClientError> {
    let (params, client) = called(request, body, context, app).await?;
    if client.is_public() {
        // Anybody can say the name of a public client (RFC 7662 §2.1 wants callers to be authenticated).
        return Err(Refusal::of_client(false).into());
    }
    let facts = app.store.oauth_token(token_of(&params)?).await?;
    let facts = facts.filter(|facts| facts.client == client.id && facts.is_valid_at(app.now()));
    Ok(facts.map_or_else(
        || json!({"active": false}),
        |facts| shown(&facts, &client, &app.oauth.issuer),
    ))
}

fn shown(facts: &TokenFacts, client: &OAuthClient, issuer: &str) -> Value {
    let mut body = json!({
        "active": true,
        "scope": facts.scopes.join(" "),
        "client_id": client.client_id,
        "sub": facts.user.to_string(),
        "account_id": facts.account.to_string(),
        "iat": facts.created_at.timestamp(),
        "exp": facts.expires_at.timestamp(),
        "iss": issuer,
    });
    if facts.kind == TokenKind::Access {
        body["token_type"] = json!("Bearer");
    }
    body
}
