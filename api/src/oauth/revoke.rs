//! `POST /oauth/revoke`: a client gives a token back (RFC 7009).

use std::sync::Arc;

use poem::http::header;
use poem::web::Data;
use poem::{Body, Request, Response, handler};
use store::audit_log::AuditKind;
use store::oauth::TokenRevocation;

use super::client::ClientError;
use super::refusal::Refusal;
use super::{answer_failure, called, token_of};
use crate::app::App;
use crate::middleware::{RequestContext, client_of};
use crate::record::Record;

/// Where the endpoint is.
pub const PATH: &str = "/oauth/revoke";

/// Ends a token of the client that calls: an access token alone, a refresh token with its family. A token that is unknown
/// has ended already (RFC 7009 §2.2). `token_type_hint` is not needed.
#[handler]
pub(crate) async fn revoke_token(
    request: &Request,
    body: Body,
    Data(app): Data<&Arc<App>>,
    context: RequestContext,
) -> poem::Result<Response> {
    match answer(request, body, &context, app).await {
        Ok(()) => Ok(Response::builder()
            .header(header::CACHE_CONTROL, "no-store")
            .finish()),
        Err(error) => answer_failure(error),
    }
}

async fn answer(
    request: &Request,
    body: Body,
    context: &RequestContext,
    app: &App,
) -> Result<(), ClientError> {
    let (params, client) = called(request, body, context, app).await?;
    let revoking = app
        .store
        .revoke_oauth_token(token_of(&params)?, client.id, app.now());
    match revoking.await? {
        TokenRevocation::Token => {
            app.forget_credentials();
            Ok(())
        }
        TokenRevocation::Family { grant } => {
            app.forget_credentials();
            let record = Record::of(client_of(request), context.clone()).about(&grant);
            let record = record.with("client_id", &client.client_id);
            let event = record.event(AuditKind::OauthGrantRevoked, app.now());
            app.store.audit(&event).await?;
            Ok(())
        }
        TokenRevocation::NotFound => Ok(()),
        TokenRevocation::OtherClient => Err(Refusal::of_grant().into()),
    }
}
