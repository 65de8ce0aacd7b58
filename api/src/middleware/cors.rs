//! Which pages of other origins may call the API from a browser: those of `CORS_ORIGINS`, with cookies and keys.
//!
//! 1. A listed origin is served by poem's `Cors`. The list is exact: no wildcard, no suffix.
//! 2. Any other origin gets no CORS header, so its pages can't read the answer, and no leave: a browser then doesn't send
//!    what needs a preflight. The request itself is answered as ever, since `Origin` also comes with the requests of our
//!    own pages, and with those of programs that are no browser. Poem's middleware would refuse all of them.
//! 3. That a session's cookie only works from an expected origin is decided where the session is read, by [`is_expected`].

use std::sync::Arc;

use platform::config::Access;
use poem::error::CorsError;
use poem::http::{HeaderValue, Method, header};
use poem::middleware::{Cors, CorsEndpoint};
use poem::{Endpoint, Middleware, Request, Response};

use crate::limits;
use crate::oauth::authorize;
use crate::problem::{Code, Problem};

/// What pages may send, beside what browsers always let them.
const REQUEST_HEADERS: [&str; 8] = [
    "content-type",
    "authorization",
    "apca-api-key-id",
    "apca-api-secret-key",
    "arbion-account",
    "idempotency-key",
    "x-csrf-token",
    "x-request-id",
];

/// What pages may read, beside what browsers always let them and the rate limits.
const ANSWER_HEADERS: [&str; 3] = ["x-request-id", "retry-after", "location"];

const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// How long a browser may remember our leave: the longest that all of them accept.
const MAX_AGE_SECONDS: i32 = 7_200;

/// Whether a request with a session may come from a page of `origin`: ours, or a listed one. Where `PUBLIC_URL` does not say
/// what ours is, the request's own `host` does.
pub fn is_expected(origin: &str, host: Option<&str>, access: &Access) -> bool {
    let is_own = match &access.public_url {
        Some(url) => origin == url,
        None => host.is_some_and(|host| {
            let named = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            !host.is_empty() && named.is_some_and(|named| named.eq_ignore_ascii_case(host))
        }),
    };
    is_own || access.cors_origins.iter().any(|listed| listed == origin)
}

/// Lets the pages of `CORS_ORIGINS` in.
#[derive(Debug, Clone)]
pub struct AllowOrigins {
    /// The list.
    pub access: Arc<Access>,
}

impl<E: Endpoint<Output = Response>> Middleware<E> for AllowOrigins {
    type Output = AllowOriginsEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        let inner = Arc::new(inner);
        let origins = self.access.cors_origins.iter();
        let origins: Vec<HeaderValue> = origins.filter_map(|origin| origin.parse().ok()).collect();
        let cors = Cors::new()
            .allow_credentials(true)
            .allow_origins(origins.clone())
            .allow_methods(METHODS)
            .allow_headers(REQUEST_HEADERS)
            .expose_headers(ANSWER_HEADERS)
            .expose_headers(limits::HEADERS)
            .max_age(MAX_AGE_SECONDS);
        AllowOriginsEndpoint {
            cors: cors.transform(Arc::clone(&inner)),
            inner,
            origins,
        }
    }
}

/// The endpoint behind [`AllowOrigins`].
pub struct AllowOriginsEndpoint<E> {
    cors: CorsEndpoint<Arc<E>>,
    inner: Arc<E>,
    origins: Vec<HeaderValue>,
}

impl<E: Endpoint<Output = Response>> Endpoint for AllowOriginsEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let origin = request.headers().get(header::ORIGIN);
        // RFC 9700 section 2.6: a browser is sent to the authorization endpoint, no script asks it.
        let is_open = request.uri().path() != authorize::PATH;
        let is_listed = is_open && origin.is_some_and(|origin| self.origins.contains(origin));
        let is_preflight = *request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let mut response = match (is_listed, is_preflight && origin.is_some()) {
            (true, true) => self.cors.call(request).await.map_err(named)?,
            // No preflight: poem would take it for one.
            (true, false) if *request.method() == Method::OPTIONS => self.inner.call(request).await?,
            (true, false) => self.cors.call(request).await?,
            (false, true) => return Err(named(CorsError::OriginNotAllowed.into())),
            (false, false) => self.inner.call(request).await?,
        };
        if !self.origins.is_empty() {
            // What a cache keeps for one origin must not be shown to another.
            response.headers_mut().append(header::VARY, VARY);
        }
        Ok(response)
    }
}

const VARY: HeaderValue = HeaderValue::from_static("origin");

/// Poem's refusal of a preflight in our words.
fn named(error: poem::Error) -> poem::Error {
    let detail = match error.downcast_ref::<CorsError>() {
        Some(CorsError::OriginNotAllowed) => "pages of this origin may not call the API",
        Some(CorsError::MethodNotAllowed) => "no page of another origin may use this method",
        Some(CorsError::HeadersNotAllowed) => "no page of another origin may send these headers",
        None => return error,
    };
    Problem::new(Code::OriginNotAllowed, detail).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::middleware::test_access::access;
    use poem::EndpointExt as _;
    use poem::endpoint::make_sync;

    const LISTED: &str = "https://app.example.com";
    const LIST: (&str, &str) = ("CORS_ORIGINS", "https://app.example.com,http://localhost:3000");

    async fn asked(list: &[(&str, &str)], method: Method, headers: &[(&'static str, &str)]) -> Response {
        let access = access(list);
        let router = make_sync(|_| Response::default()).with(AllowOrigins { access });
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        router.get_response(request.finish()).await
    }

    async fn preflight(list: &[(&str, &str)], origin: &str, method: &str, sent: &str) -> Response {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", sent),
        ];
        asked(list, Method::OPTIONS, &headers).await
    }

    fn leave(response: &Response) -> Option<&str> {
        response.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)
    }

    #[tokio::test]
    async fn a_listed_origin_gets_leave_for_what_the_api_takes() {
        let answer = preflight(
            &[LIST],
            LISTED,
            "PATCH",
            "content-type, x-csrf-token, arbion-account",
        )
        .await;
        assert_eq!(answer.status(), 200);
        assert_eq!(leave(&answer), Some(LISTED));
        assert_eq!(
            answer.header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS),
            Some("true")
        );
        assert_eq!(answer.header(header::ACCESS_CONTROL_MAX_AGE), Some("7200"));
        assert_eq!(answer.header(header::VARY), Some("origin"));
        for (name, needed) in [
            (header::ACCESS_CONTROL_ALLOW_HEADERS, &REQUEST_HEADERS[..]),
            (header::ACCESS_CONTROL_ALLOW_METHODS, &["PATCH", "DELETE"][..]),
        ] {
            let allowed = answer.header(&name).unwrap();
            for one in needed {
                assert!(allowed.contains(one), "{name} lacks {one}: {allowed}");
            }
        }
        let answer = asked(&[LIST], Method::GET, &[("origin", "http://localhost:3000")]).await;
        assert_eq!(leave(&answer), Some("http://localhost:3000"));
        let exposed = answer.header(header::ACCESS_CONTROL_EXPOSE_HEADERS).unwrap();
        for name in [
            "x-request-id",
            "ratelimit",
            "x-ratelimit-remaining",
            "retry-after",
            "location",
        ] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }

    #[tokio::test]
    async fn any_other_origin_gets_no_leave_and_no_header() {
        for origin in [
            "https://evil.example",
            "https://app.example.com.evil.example",
            "https://evil-app.example.com",
            "http://app.example.com",
            "https://app.example.com:444",
            "https://app.example.com/",
            "null",
            "*",
        ] {
            for list in [&[LIST][..], &[]] {
                let answer = preflight(list, origin, "POST", "content-type").await;
                assert_eq!(
                    (answer.status().as_u16(), leave(&answer)),
                    (403, None),
                    "{origin}"
                );
                let answer = asked(list, Method::POST, &[("origin", origin)]).await;
                assert_eq!(
                    (answer.status().as_u16(), leave(&answer)),
                    (200, None),
                    "{origin}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_listed_origin_can_not_ask_for_more_than_there_is() {
        for (method, sent) in [("TRACE", "content-type"), ("POST", "x-secret")] {
            let answer = preflight(&[LIST], LISTED, method, sent).await;
            assert_eq!(
                (answer.status().as_u16(), leave(&answer)),
                (403, None),
                "{method} {sent}"
            );
        }
        let no_preflight = asked(&[LIST], Method::OPTIONS, &[("origin", LISTED)]).await;
        assert_eq!(no_preflight.status(), 200, "for the inner routes to decide");
    }

    #[test]
    fn a_session_may_be_used_from_our_own_pages_and_from_listed_ones() {
        let public = ("PUBLIC_URL", "https://trade.example.com");
        let host = Some("trade.example.com");
        for (name, variables, origin, host, expected) in [
            (
                "our own",
                &[LIST, public][..],
                "https://trade.example.com",
                host,
                true,
            ),
            ("listed", &[LIST, public], LISTED, host, true),
            ("a stranger", &[LIST, public], "https://evil.example", host, false),
            (
                "a spoofed host",
                &[public],
                "https://evil.example",
                Some("evil.example"),
                false,
            ),
            (
                "our host without TLS",
                &[public],
                "http://trade.example.com",
                host,
                false,
            ),
            (
                "by host",
                &[],
                "http://localhost:5000",
                Some("localhost:5000"),
                true,
            ),
            (
                "by host, behind TLS",
                &[],
                "https://trade.example.com",
                host,
                true,
            ),
            (
                "another port",
                &[],
                "http://localhost:3000",
                Some("localhost:5000"),
                false,
            ),
            ("null", &[], "null", Some("localhost:5000"), false),
            ("no host", &[], "http://localhost:5000", None, false),
            ("an empty host", &[], "http://", Some(""), false),
        ] {
            assert_eq!(is_expected(origin, host, &access(variables)), expected, "{name}");
        }
    }
}
