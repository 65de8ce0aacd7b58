//! Requests without TLS, as `PLAIN_HTTP` wants them.
//!
//! 1. `/health*` and `/metrics` are always answered: probes and scrapers come from inside the network.
//! 2. A refusal is a 403: the server understood the request and will not do it, and no client repeats that by itself. 426
//!    (upgrade required) is about another protocol on the same connection, which TLS is not.
//! 3. A redirect is a 308 and goes to `PUBLIC_URL`. Only where that is not set the request's own `Host` says where, if it is
//!    a plain host: a header must not lead anybody's browser elsewhere. Only reads are redirected: a body that was sent in
//!    clear once should not be sent again without anybody noticing.
//! 4. Answers that went over TLS say so for the time to come (HSTS, two years). Subdomains are not included: an installation
//!    answers for its own host only, and its cookies (`__Host-`) can't be set from a subdomain anyway.

use std::sync::Arc;

use platform::config::{Access, PlainHttp};
use poem::http::uri::Authority;
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse as _, Middleware, Request, Response};

use super::client::client_of;
use crate::problem::{Code, Problem};

/// The value of `Strict-Transport-Security`.
pub(super) const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Answers, redirects or refuses what came without TLS.
#[derive(Debug, Clone)]
pub struct RequireHttps {
    /// `PLAIN_HTTP` and `PUBLIC_URL`.
    pub access: Arc<Access>,
}

impl<E: Endpoint<Output = Response>> Middleware<E> for RequireHttps {
    type Output = RequireHttpsEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        RequireHttpsEndpoint {
            inner,
            access: Arc::clone(&self.access),
        }
    }
}

/// The endpoint behind [`RequireHttps`].
pub struct RequireHttpsEndpoint<E> {
    inner: E,
    access: Arc<Access>,
}

impl<E: Endpoint<Output = Response>> Endpoint for RequireHttpsEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if client_of(&request).is_https || is_always_answered(request.uri().path()) {
            return self.inner.call(request).await;
        }
        match self.access.plain_http {
            PlainHttp::Allow => self.inner.call(request).await,
            PlainHttp::Redirect => redirect(&request, &self.access).map_err(Into::into),
            PlainHttp::Refuse => Err(refusal().into()),
        }
    }
}

fn is_always_answered(path: &str) -> bool {
    path == "/metrics" || path == "/health" || path.starts_with("/health/")
}

fn refusal() -> Problem {
    Problem::new(Code::HttpsRequired, "use https")
}

fn redirect(request: &Request, access: &Access) -> Result<Response, Problem> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(refusal());
    }
    let origin = secure_origin(request, access).ok_or_else(refusal)?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let location = HeaderValue::from_str(&format!("{origin}{path}")).map_err(|_| refusal())?;
    let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Where the same server is found over TLS.
fn secure_origin(request: &Request, access: &Access) -> Option<String> {
    match &access.public_url {
        Some(url) => url.starts_with("https://").then(|| url.clone()),
        None => host_of(request).map(|host| format!("https://{host}")),
    }
}

/// The host that the request names, if it is nothing but a host: no user, no path.
fn host_of(request: &Request) -> Option<Authority> {
    let host: Authority = match request.uri().authority() {
        Some(authority) => authority.clone(),
        None => request.header(header::HOST)?.parse().ok()?,
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-[]:".contains(&byte);
    let is_host = !host.host().is_empty() && host.as_str().bytes().all(is_plain);
    is_host.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::middleware::FindClient;
    use crate::middleware::test_access::access;
    use poem::EndpointExt as _;
    use poem::endpoint::make_sync;

    const REDIRECT: (&str, &str) = ("PLAIN_HTTP", "redirect");
    const REFUSE: (&str, &str) = ("PLAIN_HTTP", "refuse");
    const PUBLIC: (&str, &str) = ("PUBLIC_URL", "https://trade.example.com");
    /// The peer of a test has the address 0.0.0.0.
    const PROXY: (&str, &str) = ("TRUSTED_PROXIES", "0.0.0.0");

    async fn asked(
        variables: &[(&str, &str)],
        method: Method,
        uri: &str,
        headers: &[(&'static str, &str)],
    ) -> (u16, Option<String>) {
        let access = access(variables);
        let router = make_sync(|_| Response::default())
            .with(RequireHttps {
                access: Arc::clone(&access),
            })
            .with(FindClient { access });
        let mut request = Request::builder().method(method).uri_str(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = router.get_response(request.finish()).await;
        let location = response.header(header::LOCATION).map(str::to_owned);
        (response.status().as_u16(), location)
    }

    #[tokio::test]
    async fn reads_are_redirected_and_all_else_is_refused() {
        let host = [("host", "trade.example.com")];
        for (method, status) in [
            (Method::GET, 308),
            (Method::HEAD, 308),
            (Method::POST, 403),
            (Method::DELETE, 403),
            (Method::OPTIONS, 403),
        ] {
            let (answered, location) = asked(&[REDIRECT], method.clone(), "/v2/orders?limit=1", &host).await;
            assert_eq!(answered, status, "{method}");
            let expected = (status == 308).then_some("https://trade.example.com/v2/orders?limit=1");
            assert_eq!(location.as_deref(), expected, "{method}");
        }
        assert_eq!(
            asked(&[REFUSE], Method::GET, "/v2/orders", &host).await,
            (403, None)
        );
        assert_eq!(
            asked(&[], Method::POST, "/v2/orders", &host).await,
            (200, None),
            "development"
        );
    }

    #[tokio::test]
    async fn a_host_header_leads_nobody_elsewhere() {
        let to = async |variables: &[(&str, &str)], uri: &str, host: &str| {
            asked(variables, Method::GET, uri, &[("host", host)]).await.1
        };
        assert_eq!(
            to(&[REDIRECT, PUBLIC], "/a", "evil.example").await.as_deref(),
            Some("https://trade.example.com/a")
        );
        assert_eq!(
            to(&[REDIRECT, PUBLIC], "http://evil.example/a?b", "evil.example")
                .await
                .as_deref(),
            Some("https://trade.example.com/a?b")
        );
        assert_eq!(
            to(&[REDIRECT], "//evil.example/a", "good.example")
                .await
                .as_deref(),
            Some("https://good.example//evil.example/a")
        );
        for host in ["", "user@evil.example", "a/b", "a b", "a,b", "a\\b", "*"] {
            assert_eq!(to(&[REDIRECT], "/a", host).await, None, "{host}");
        }
        let http = ("PUBLIC_URL", "http://trade.example.com");
        assert_eq!(to(&[REDIRECT, http], "/a", "good.example").await, None);
    }

    #[tokio::test]
    async fn probes_are_answered_and_so_is_whoever_came_by_tls() {
        for path in ["/health", "/health/live", "/health/ready", "/metrics"] {
            for policy in [REDIRECT, REFUSE] {
                assert_eq!(asked(&[policy], Method::GET, path, &[]).await.0, 200, "{path}");
            }
        }
        for path in ["/healthy", "/metrics/x", "/docs/health"] {
            assert_eq!(asked(&[REFUSE], Method::GET, path, &[]).await.0, 403, "{path}");
        }
        let https = [("x-forwarded-proto", "https")];
        assert_eq!(asked(&[REFUSE, PROXY], Method::GET, "/", &https).await.0, 200);
        assert_eq!(
            asked(&[REFUSE], Method::GET, "/", &https).await.0,
            403,
            "a spoofed header"
        );
    }
}
