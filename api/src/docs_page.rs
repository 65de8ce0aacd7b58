//! Swagger UI at `/docs/`, from assets that are compiled in, over `/openapi.json`; and beside it the page of errors.

use std::sync::Arc;

use poem::http::{StatusCode, header};
use poem::web::Path;
use poem::{Response, Route, get, handler};
use utoipa_swagger_ui::{Config, oauth};

use crate::problem::code::PAGE_PATH;
use crate::problem::{Code, Problem, docs, endpoint_not_found};

/// Where the document is.
pub(crate) const DOCUMENT_PATH: &str = "/openapi.json";

/// The paths that the document leaves out, with the methods that they take.
pub(crate) const PATHS: [(&str, &[&str]); 5] = [
    (DOCUMENT_PATH, READ),
    (PAGE_PATH, READ),
    ("/docs", READ),
    ("/docs/", READ),
    ("/docs/{path}", READ),
];

const READ: &[&str] = &["GET", "HEAD"];

/// The routes of the pages and of the document `json`.
pub(crate) fn routes(route: Route, json: String) -> Route {
    let document = get(poem::endpoint::make_sync(move |_| {
        Response::builder()
            .content_type("application/json")
            .body(json.clone())
    }));
    let html = docs::errors_html();
    let errors = get(poem::endpoint::make_sync(move |_| {
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .body(html.clone())
    }));
    route
        .at(DOCUMENT_PATH, document)
        .at(PAGE_PATH, errors)
        .at("/docs", get(to_docs))
        .at("/docs/", get(index))
        .at("/docs/*path", get(asset))
}

/// Whether [`routes`] has an answer for `path`.
pub(crate) fn has(path: &str) -> bool {
    let of_pages = path
        .strip_prefix("/docs")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    of_pages || path == DOCUMENT_PATH
}

/// The page's own links are relative to `/docs/`.
#[handler]
fn to_docs() -> Response {
    Response::builder()
        .status(StatusCode::PERMANENT_REDIRECT)
        .header(header::LOCATION, "/docs/")
        .finish()
}

#[handler]
fn index() -> poem::Result<Response> {
    serve("")
}

#[handler]
fn asset(Path(path): Path<String>) -> poem::Result<Response> {
    serve(&path)
}

fn serve(path: &str) -> poem::Result<Response> {
    // The server gives no code without a challenge. The page keeps no secret, so whoever tries it names a public app with
    // the redirect URI `/docs/oauth2-redirect.html` of this origin.
    let oauth = oauth::Config::new().use_pkce_with_authorization_code_grant(true);
    let config = Config::with_oauth_config([DOCUMENT_PATH], oauth)
        .try_it_out_enabled(true)
        .persist_authorization(false)
        .display_request_duration(true);
    let file = utoipa_swagger_ui::serve(path, Arc::new(config))
        .map_err(|error| Problem::hidden(Code::InternalError, error.to_string()))?
        .ok_or_else(endpoint_not_found)?;
    let mut response = Response::builder().content_type(&file.content_type);
    if file.gzpipped {
        response = response.header(header::CONTENT_ENCODING, "gzip");
    }
    let mut bytes = file.bytes.into_owned();
    if path.is_empty() && !file.gzpipped {
        bytes = fit_for_phones(bytes);
    }
    Ok(response.body(bytes))
}

/// The page as it is released has no word on that, so a phone would show it as if from far away.
fn fit_for_phones(page: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(page) {
        Ok(text) => text.replacen("<head>", VIEWPORT, 1).into_bytes(),
        Err(error) => error.into_bytes(),
    }
}

const VIEWPORT: &str = "<head>\n    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_have_every_path_of_theirs_and_no_other() {
        for (path, _) in PATHS {
            assert!(has(path), "{path}");
        }
        for other in ["/", "/docsx", "/openapi.jsonx", "/v2/orders", "/v2/docs", ""] {
            assert!(!has(other), "{other}");
        }
    }
}
