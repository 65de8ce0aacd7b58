//! The doors, where all layers stand together: which answers a browser may read, what must come by TLS, from where, and how
//! often.

use poem::http::{Method, StatusCode};
use poem::{Body, Request};
use store::testing::TestStore;

use super::site::{Answer, Differences, Site};

type Doors = &'static [(&'static str, &'static str)];

const LISTED: &str = "https://app.example.com";

async fn site(test: &TestStore, doors: Doors) -> Site {
    let differences = Differences {
        doors,
        ..Differences::default()
    };
    Site::with(test, differences).await
}

/// Asks without a key.
async fn ask(site: &Site, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri_str(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    site.answer(request.body(Body::empty())).await
}

async fn preflight(site: &Site, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,x-csrf-token"),
    ];
    ask(site, Method::OPTIONS, "/v2/orders", &headers).await
}

#[track_caller]
fn assert_error(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.error(), (status, error.to_owned()), "{}", answer.text);
}

store::testing::on_both! {
    async fn a_listed_page_may_ask_and_read_errors_too(test: TestStore) {
        let site = site(test, &[("CORS_ORIGINS", LISTED)]).await;
        let leave = preflight(&site, LISTED).await;
        assert_eq!(leave.status, StatusCode::OK, "{}", leave.text);
        assert_eq!(leave.response.header("access-control-allow-origin"), Some(LISTED));
        assert!(leave.response.header("x-request-id").is_some(), "it is logged like any request");
        let refused = ask(&site, Method::GET, "/v2/account", &[("origin", LISTED)]).await;
        assert_error(&refused, 401, "not_authorized");
        assert_eq!(refused.response.header("access-control-allow-origin"), Some(LISTED));
        assert_eq!(refused.response.header("access-control-allow-credentials"), Some("true"));
        let authorize = ask(&site, Method::GET, "/oauth/authorize", &[("origin", LISTED)]).await;
        assert_eq!(authorize.response.header("access-control-allow-origin"), None, "no script asks it");
        let wrong = ask(&site, Method::PUT, "/v2/account", &[("origin", LISTED)]).await;
        assert_error(&wrong, 405, "method_not_allowed");
        assert_eq!(wrong.response.header("access-control-allow-origin"), Some(LISTED));
    }

    async fn any_other_page_gets_a_problem_for_its_preflight_and_can_read_nothing(test: TestStore) {
        let site = site(test, &[("CORS_ORIGINS", LISTED)]).await;
        for origin in ["https://evil.example", "null"] {
            let refused = preflight(&site, origin).await;
            assert_error(&refused, 403, "origin_not_allowed");
            assert_eq!(refused.response.header("access-control-allow-origin"), None);
            let read = site.send(Method::GET, "/v2/account", &[("origin", origin)], Body::empty()).await;
            assert_eq!(read.status, StatusCode::OK, "our own pages send an origin, too: {}", read.text);
            assert_eq!(read.response.header("access-control-allow-origin"), None);
        }
    }

    async fn without_tls_only_probes_are_answered(test: TestStore) {
        let site = site(test, &[("PLAIN_HTTP", "refuse")]).await;
        for headers in [&[][..], &[("x-forwarded-proto", "https")], &[("x-forwarded-for", "127.0.0.1")]] {
            let refused = ask(&site, Method::GET, "/v2/clock", headers).await;
            assert_error(&refused, 403, "https_required");
            assert_eq!(refused.response.header("strict-transport-security"), None);
        }
        for path in ["/health", "/health/live", "/health/ready"] {
            let probe = ask(&site, Method::GET, path, &[]).await;
            assert_eq!(probe.status, StatusCode::OK, "{path}: {}", probe.text);
        }
    }

    async fn a_read_without_tls_is_sent_to_the_public_address(test: TestStore) {
        let doors = &[("PLAIN_HTTP", "redirect"), ("PUBLIC_URL", "https://trade.example.com")];
        let site = site(test, doors).await;
        let moved = ask(&site, Method::GET, "/docs/?a=b", &[("host", "evil.example")]).await;
        assert_eq!(moved.status, StatusCode::PERMANENT_REDIRECT);
        assert_eq!(moved.response.header("location"), Some("https://trade.example.com/docs/?a=b"));
        let refused = ask(&site, Method::POST, "/v2/orders", &[("host", "trade.example.com")]).await;
        assert_error(&refused, 403, "https_required");
        assert_eq!(ask(&site, Method::GET, "/health", &[]).await.status, StatusCode::OK);
    }

    async fn a_trusted_proxy_tells_that_the_client_spoke_tls(test: TestStore) {
        // The peer of a test's request has no address, which reads as 0.0.0.0.
        let site = site(test, &[("PLAIN_HTTP", "refuse"), ("TRUSTED_PROXIES", "0.0.0.0")]).await;
        let answered = site.send(Method::GET, "/v2/clock", &[("x-forwarded-proto", "https")], Body::empty()).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.text);
        assert_eq!(answered.response.header("strict-transport-security"), Some("max-age=63072000"));
        assert_error(&ask(&site, Method::GET, "/v2/clock", &[("x-forwarded-proto", "http")]).await, 403, "https_required");
    }

    async fn every_answer_tells_browsers_to_be_careful(test: TestStore) {
        let site = site(test, &[]).await;
        for path in ["/docs/", "/docs/errors"] {
            let page = ask(&site, Method::GET, path, &[]).await;
            let policy = page.response.header("content-security-policy").unwrap();
            for rule in ["script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "img-src 'self' data:"] {
                assert!(policy.contains(rule), "{path}: {policy}");
            }
            // The policy lets no script run that stands in the page itself.
            for script in page.text.split("<script").skip(1) {
                assert!(script.split('>').next().unwrap().contains("src="), "{path}: <script{script}");
            }
        }
        let script = ask(&site, Method::GET, "/docs/swagger-initializer.js", &[]).await;
        assert_eq!(script.status, StatusCode::OK);
        for answer in [
            ask(&site, Method::GET, "/nowhere", &[]).await,
            ask(&site, Method::GET, "/v2/account", &[]).await,
            site.get("/v2/account").await,
            script,
        ] {
            assert_eq!(answer.response.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.response.header("x-frame-options"), Some("DENY"));
            assert_eq!(answer.response.header("content-security-policy"), None);
        }
        let private = site.get("/v2/account").await;
        assert_eq!(private.response.header("cache-control"), Some("no-store"));
    }

    async fn a_burst_is_refused_whatever_it_asks_for(test: TestStore) {
        let site = site(test, &[("RATE_LIMIT_BURST_PER_SECOND", "1"), ("CORS_ORIGINS", LISTED)]).await;
        for (method, path) in [(Method::GET, "/health/live"), (Method::OPTIONS, "/v2/orders"), (Method::GET, "/docs/")] {
            let headers = [("origin", LISTED), ("access-control-request-method", "POST")];
            let mut refused = None;
            // However slow the machine is: at some time two of these come within a second.
            for _ in 0..1_000 {
                let answer = ask(&site, method.clone(), path, &headers).await;
                if answer.status == StatusCode::TOO_MANY_REQUESTS {
                    refused = Some(answer);
                    break;
                }
            }
            let refused = refused.unwrap();
            assert_error(&refused, 429, "rate_limited");
            assert_eq!(refused.response.header("retry-after"), Some("1"));
            assert_eq!(refused.response.header("x-frame-options"), Some("DENY"));
        }
    }

    async fn whoever_has_no_credential_has_a_small_budget_and_probes_and_documents_none(test: TestStore) {
        let site = site(test, &[("RATE_LIMIT_ANONYMOUS_PER_HOUR", "2"), ("CORS_ORIGINS", LISTED)]).await;
        for (path, status) in [("/v2/account", 401), ("/nowhere", 404)] {
            assert_eq!(ask(&site, Method::GET, path, &[]).await.status, status, "{path}");
        }
        for (method, path) in [(Method::GET, "/v2/account"), (Method::GET, "/nowhere"), (Method::GET, "/login"), (Method::POST, "/v2/orders")] {
            let refused = ask(&site, method, path, &[]).await;
            assert_eq!(refused.status, 429, "{path}: {}", refused.text);
            assert!(refused.response.header("retry-after").is_some());
        }
        let unlimited = [
            "/health", "/health/live", "/health/ready", "/openapi.json", "/docs/", "/docs/errors", "/docs/swagger-ui.css",
            "/assets/pages.css", "/assets/logo.svg", "/.well-known/oauth-authorization-server",
        ];
        for path in unlimited {
            let answer = ask(&site, Method::GET, path, &[]).await;
            assert_eq!((answer.status.as_u16(), answer.response.header("ratelimit")), (200, None), "{path}");
        }
        let leave = preflight(&site, LISTED).await;
        assert_eq!((leave.status.as_u16(), leave.response.header("ratelimit")), (200, None));
        assert_eq!(site.get("/v2/account").await.status, 200, "a credential has a budget of its own");
    }
}
