//! Every error has the one form, also those that the framework finds.

use serde_json::json;

use crate::support::client::{market_order, text};
use crate::support::{Client, Site, on_both, raw};

/// (method, path, content type, body, status, code)
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static [u8],
    u16,
    &'static str,
);

const JSON: &str = "application/json";

const CASES: [Case; 22] = [
    ("GET", "/nope", "", b"", 404, "endpoint_not_found"),
    ("GET", "/v2", "", b"", 404, "endpoint_not_found"),
    ("GET", "/v2/ordersfoo", "", b"", 404, "endpoint_not_found"),
    ("GET", "/v2/orders:by_name", "", b"", 404, "endpoint_not_found"),
    ("POST", "/v2/nothing", JSON, b"{}", 404, "endpoint_not_found"),
    (
        "GET",
        "/v2/orders/6f3c86a4-9a55-4d0c-8a3b-4f1d27c90e61",
        "",
        b"",
        404,
        "order_not_found",
    ),
    ("GET", "/v2/orders/no-id", "", b"", 404, "order_not_found"),
    (
        "GET",
        "/v2/orders:by_client_order_id?client_order_id=nobody",
        "",
        b"",
        404,
        "order_not_found",
    ),
    ("GET", "/v2/positions/AAPL", "", b"", 404, "position_not_found"),
    ("DELETE", "/v2/positions/AAPL", "", b"", 404, "position_not_found"),
    (
        "GET",
        "/v2/triggers/6f3c86a4-9a55-4d0c-8a3b-4f1d27c90e61",
        "",
        b"",
        404,
        "trigger_not_found",
    ),
    ("POST", "/v2/orders", JSON, b"", 400, "malformed_json"),
    ("POST", "/v2/orders", JSON, b"{\"symbol\":", 400, "malformed_json"),
    (
        "POST",
        "/v2/orders",
        JSON,
        b"{\"symbol\":\"\xff\"}",
        400,
        "malformed_json",
    ),
    ("POST", "/v2/orders", JSON, b"[]", 422, "invalid_request"),
    (
        "POST",
        "/v2/orders",
        JSON,
        b"{\"symbol\": 7}",
        422,
        "invalid_request",
    ),
    (
        "POST",
        "/v2/orders",
        "text/plain",
        b"{}",
        415,
        "unsupported_media_type",
    ),
    ("GET", "/v2/orders?limit=many", "", b"", 422, "invalid_request"),
    ("GET", "/v2/orders?limit=501", "", b"", 422, "invalid_request"),
    ("GET", "/v2/orders?status=half", "", b"", 422, "invalid_request"),
    (
        "GET",
        "/v2/calendar?start=yesterday",
        "",
        b"",
        422,
        "invalid_request",
    ),
    ("GET", "/v2/triggers?colour=red", "", b"", 422, "unknown_field"),
];

/// The status and the body of a raw response.
fn parts(response: &str) -> (u16, serde_json::Value) {
    let status = response
        .split(' ')
        .nth(1)
        .unwrap_or_else(|| panic!("no status: {response}"))
        .parse()
        .unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(
        head.to_ascii_lowercase()
            .contains("content-type: application/problem+json"),
        "{head}"
    );
    (
        status,
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")),
    )
}

fn with_key(client: &Client, id: &str, secret: &str) -> Client {
    Client::new(
        client.base(),
        &format!("APCA-API-KEY-ID: {id}\nAPCA-API-SECRET-KEY: {secret}\n"),
    )
}

on_both! {
    async fn what_nobody_answers_or_understands_is_a_problem(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        for (method, path, content_type, body, status, code) in CASES {
            let headers = [("content-type", content_type)];
            let headers = if content_type.is_empty() { &[][..] } else { &headers[..] };
            let answer = client.send(method, path, headers, body.to_vec()).await;
            assert_eq!(answer.problem(status), code, "{method} {path}: {}", answer.text());
            let instance = path.split('?').next().unwrap();
            assert_eq!(answer.json()["instance"], instance);
        }
    }

    async fn a_wrong_method_names_those_that_are_allowed(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        for (method, path, allow) in [
            ("PUT", "/v2/orders", &["DELETE", "GET", "POST"][..]),
            ("POST", "/v2/orders/6f3c86a4-9a55-4d0c-8a3b-4f1d27c90e61", &["DELETE", "GET", "PATCH"]),
            ("DELETE", "/v2/account", &["GET"]),
            ("POST", "/health/live", &["GET"]),
        ] {
            let answer = client.send(method, path, &[], vec![]).await;
            assert_eq!(answer.problem(405), "method_not_allowed", "{method} {path}");
            let mut named: Vec<_> = answer.header("allow").unwrap().split(',').map(str::trim).collect();
            named.retain(|method| *method != "HEAD");
            named.sort_unstable();
            assert_eq!(named, allow, "{method} {path}");
        }
    }

    async fn a_body_over_64_kib_is_refused_with_and_without_an_announced_length(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let limit = 64 * 1024;
        let padded = |bytes: usize| {
            let order = market_order("buy", "AAPL", "1").to_string();
            format!("{order}{}", " ".repeat(bytes - order.len()))
        };
        assert_eq!(client.post_text("/v2/orders", padded(limit)).await.status, 200);
        assert_eq!(client.post_text("/v2/orders", padded(limit + 1)).await.problem(413), "body_too_large");
        let mut chunked = raw::head(&client, "POST", "/v2/orders");
        chunked.push_str("Transfer-Encoding: chunked\r\n\r\n");
        chunked.push_str(&format!("400\r\n{}\r\n", " ".repeat(1024)).repeat(65));
        chunked.push_str("0\r\n\r\n");
        let (status, body) = parts(&raw::exchange(&client, chunked.into_bytes()).await);
        assert_eq!((status, &body["error"]), (413, &json!("body_too_large")));
        assert_eq!(client.get("/v2/orders?status=all").await.expect(200).as_array().unwrap().len(), 1);
    }

    async fn missing_and_wrong_credentials_are_told_alike(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let (id, secret) = (client.key("apca-api-key-id"), client.key("apca-api-secret-key"));
        let strangers = [
            client.anonymous(),
            with_key(&client, id, "wrong"),
            with_key(&client, "nobody", secret),
            with_key(&client, secret, id),
            with_key(&client, id, &secret[1..]),
        ];
        for stranger in &strangers {
            for (method, path) in [
                ("GET", "/v2/account"),
                ("POST", "/v2/orders"),
                ("DELETE", "/v2/orders"),
                ("GET", "/v2/positions/AAPL"),
                ("POST", "/v2/triggers"),
                ("GET", "/v2/events"),
            ] {
                let headers = [("content-type", JSON)];
                let answer = stranger.send(method, path, &headers, b"{}".to_vec()).await;
                assert_eq!(answer.problem(401), "not_authorized", "{method} {path}");
                let body = answer.json();
                assert_eq!((&body["code"], &body["message"]), (&json!(40_110_000), &json!("request is not authorized")));
                assert!(answer.header("www-authenticate").is_some());
            }
        }
        for (method, value) in [("Basic", "!!!"), ("Basic", "bm8gY29sb24="), ("Bearer", "token"), ("", "")] {
            let authorization = format!("{method} {value}");
            let headers = [("authorization", authorization.trim())];
            let answer = client.anonymous().send("GET", "/v2/account", &headers, vec![]).await;
            assert_eq!(answer.problem(401), "not_authorized", "{authorization}");
        }
        assert_eq!(client.anonymous().get("/health/live").await.status, 200, "probes have no key");
    }

    async fn every_answer_has_a_request_id_and_a_sane_one_of_the_client_is_kept(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        for path in ["/v2/account", "/v2/nothing", "/health", "/docs/", "/openapi.json"] {
            let answer = client.get(path).await;
            assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{path}");
        }
        let kept = client.send("GET", "/v2/nothing", &[("x-request-id", "bot-7")], vec![]).await;
        assert_eq!(text(&kept.json()["request_id"]), "bot-7");
    }

    async fn bytes_that_are_no_request_end_the_connection_and_nothing_else(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let long_header = format!("GET /health HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
        for bytes in [
            b"\x00\xff\xfe\r\n\r\n".to_vec(),
            b"GET / HTTP/9.9\r\n\r\n".to_vec(),
            b"POST /v2/orders HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_vec(),
            long_header.into_bytes(),
        ] {
            let answer = raw::exchange(&client, bytes).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
        assert_eq!(client.get("/health/live").await.status, 200);
    }
}
