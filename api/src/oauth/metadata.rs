//! `GET /.well-known/oauth-authorization-server`: what clients can find out by themselves (RFC 8414).

use std::sync::Arc;

use poem::http::header;
use poem::web::Data;
use poem::{Response, handler};
use serde_json::{Value, json};

use super::scope;
use super::{
    AUTHORIZATION_CODE, CLIENT_CREDENTIALS, REFRESH_TOKEN, authorize, introspect, pkce, revoke, token,
};
use crate::access::Scope;
use crate::app::App;

/// Where the document is.
pub const PATH: &str = "/.well-known/oauth-authorization-server";

/// The document of the server `issuer`.
pub fn document(issuer: &str) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    let with_secret = ["client_secret_basic", "client_secret_post"];
    let any = ["client_secret_basic", "client_secret_post", "none"];
    json!({
        "issuer": issuer,
        "authorization_endpoint": at(authorize::PATH),
        "token_endpoint": at(token::PATH),
        "revocation_endpoint": at(revoke::PATH),
        "introspection_endpoint": at(introspect::PATH),
        "service_documentation": at("/docs/"),
        "scopes_supported": scope::names(&Scope::ALL),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [AUTHORIZATION_CODE, REFRESH_TOKEN, CLIENT_CREDENTIALS],
        "token_endpoint_auth_methods_supported": any,
        "revocation_endpoint_auth_methods_supported": any,
        "introspection_endpoint_auth_methods_supported": with_secret,
        "code_challenge_methods_supported": [pkce::METHOD],
        "authorization_response_iss_parameter_supported": true,
    })
}

/// Answers with the document.
#[handler]
pub(crate) fn show_metadata(Data(app): Data<&Arc<App>>) -> Response {
    Response::builder()
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "public, max-age=3600")
        .body(document(&app.oauth.issuer).to_string())
}
