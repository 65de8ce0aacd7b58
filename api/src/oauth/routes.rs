//! Where the endpoints of the protocol are. They stand beside the documented operations, since their bodies and errors
//! have the protocol's form; owners manage their apps by `routes::oauth_apps`.

use poem::{Route, get, post};

use super::{authorize, introspect, metadata, revoke, token};

/// Every endpoint, with the methods that it takes.
pub const PATHS: [(&str, &[&str]); 5] = [
    (authorize::PATH, &["GET", "HEAD", "POST"]),
    (token::PATH, &["POST"]),
    (revoke::PATH, &["POST"]),
    (introspect::PATH, &["POST"]),
    (metadata::PATH, &["GET", "HEAD"]),
];

/// Adds the endpoints to `route`.
pub fn routes(route: Route) -> Route {
    route
        .at(
            authorize::PATH,
            get(authorize::show_consent).post(authorize::decide_consent),
        )
        .at(token::PATH, post(token::issue_token))
        .at(revoke::PATH, post(revoke::revoke_token))
        .at(introspect::PATH, post(introspect::introspect_token))
        .at(metadata::PATH, get(metadata::show_metadata))
}

/// Whether [`routes`] has an answer for `path`.
pub fn has(path: &str) -> bool {
    PATHS.iter().any(|(known, _)| *known == path)
}
