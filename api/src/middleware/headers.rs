//! What every answer tells a browser to be careful about.
//!
//! A header that a handler has set stays: a page may know better, above all which sites its forms lead to.

use poem::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use poem::http::{HeaderMap, HeaderValue};
use poem::{Endpoint, Middleware, Request, Response};

use super::client::client_of;
use super::https::HSTS;

/// On every answer.
///
/// The referrer is kept within the origin rather than left out altogether: without one, browsers send `Origin: null` with
/// the forms of our own pages, which could then not be told from those of strangers.
const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// For our pages: nothing but what the same origin has in files.
const OF_PAGES: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// For the documentation: Swagger UI and the page of errors write styles into their elements, and Swagger UI's images are
/// `data:` URLs. Scripts come in files, there too.
const OF_DOCS: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; \
     script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// The answers under these paths are about somebody's money or secrets.
const PRIVATE: [&str; 4] = ["/v2", "/auth", "/oauth", "/admin"];

/// Adds what is missing.
#[derive(Debug, Clone, Copy)]
pub struct SecureHeaders;

impl<E: Endpoint<Output = Response>> Middleware<E> for SecureHeaders {
    type Output = SecureHeadersEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        SecureHeadersEndpoint { inner }
    }
}

/// The endpoint behind [`SecureHeaders`].
pub struct SecureHeadersEndpoint<E> {
    inner: E,
}

impl<E: Endpoint<Output = Response>> Endpoint for SecureHeadersEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let place = Place {
            is_docs: is_within(request.uri().path(), "/docs"),
            is_private: PRIVATE.iter().any(|root| is_within(request.uri().path(), root)),
            is_https: client_of(&request).is_https,
        };
        let mut response = self.inner.call(request).await?;
        secure(response.headers_mut(), place);
        Ok(response)
    }
}

/// What has to be known of a request.
#[derive(Debug, Clone, Copy)]
struct Place {
    is_docs: bool,
    is_private: bool,
    is_https: bool,
}

/// Whether `path` is `root` or lies below it.
fn is_within(path: &str, root: &str) -> bool {
    let rest = path.strip_prefix(root);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn secure(headers: &mut HeaderMap, place: Place) {
    for (name, value) in ALWAYS {
        add(headers, name, value);
    }
    let is_html = headers
        .get(CONTENT_TYPE)
        .is_some_and(|media_type| media_type.as_bytes().starts_with(b"text/html"));
    if is_html {
        let policy = if place.is_docs { OF_DOCS } else { OF_PAGES };
        add(headers, CONTENT_SECURITY_POLICY, policy);
    }
    if place.is_private {
        add(headers, CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if place.is_https {
        add(headers, STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    headers.entry(name).or_insert(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOWHERE: Place = Place {
        is_docs: false,
        is_private: false,
        is_https: false,
    };

    fn secured(place: Place, own: &[(HeaderName, &'static str)]) -> HeaderMap {
        let own = own
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        let mut headers: HeaderMap = own.collect();
        secure(&mut headers, place);
        headers
    }

    #[test]
    fn what_a_handler_has_set_stays() {
        let own = [
            (CONTENT_TYPE, "text/html"),
            (CONTENT_SECURITY_POLICY, "default-src 'self'"),
            (CACHE_CONTROL, "private"),
        ];
        let place = Place {
            is_private: true,
            ..NOWHERE
        };
        let headers = secured(place, &own);
        assert_eq!(headers[CONTENT_SECURITY_POLICY], "default-src 'self'");
        assert_eq!(headers[CACHE_CONTROL], "private");
        assert_eq!(headers[X_FRAME_OPTIONS], "DENY");
    }

    #[test]
    fn only_pages_have_a_policy_and_only_tls_is_promised_further() {
        let json = secured(NOWHERE, &[(CONTENT_TYPE, "application/json")]);
        for absent in [CONTENT_SECURITY_POLICY, CACHE_CONTROL, STRICT_TRANSPORT_SECURITY] {
            assert!(!json.contains_key(&absent), "{absent}");
        }
        let place = Place {
            is_https: true,
            ..NOWHERE
        };
        let html = secured(place, &[(CONTENT_TYPE, "text/html; charset=utf-8")]);
        assert_eq!(html[STRICT_TRANSPORT_SECURITY], "max-age=63072000");
        let policy = html[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
            "{policy}"
        );
    }

    #[test]
    fn a_path_lies_within_a_root_by_whole_segments() {
        for (path, expected) in [
            ("/v2", true),
            ("/v2/orders", true),
            ("/v20", false),
            ("/", false),
            ("/a/v2", false),
        ] {
            assert_eq!(is_within(path, "/v2"), expected, "{path}");
        }
    }
}
