//! The whole router over a real store: what only shows when all layers stand together.

use chrono::{DateTime, Utc};
use domain::asset::MarketHours;
use domain::risk::Limits;
use market::{CachedQuotes, Sim};
use platform::version::Started;
use platform::{ManualClock, SharedClock};
use poem::http::{Method, StatusCode};
use poem::{Body, Request};
use queue::Queue;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use store::orders::RoleLimits;
use store::{BootstrapOptions, Fees, Store, StoreOptions};
use tempfile::TempDir;

use super::*;
use crate::app::{AppParts, Rules};

/// An API over a new database, with one account and its key.
struct Site<E> {
    router: E,
    key: (String, String),
    _directory: TempDir,
}

/// An answer, read whole.
struct Answer {
    status: StatusCode,
    response: Response,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn rules() -> Rules {
    let limits = Limits {
        order_notional: Decimal::from(50_000),
        day_notional: Decimal::from(1_000_000),
    };
    Rules {
        hours: MarketHours::Ignore,
        limits: RoleLimits {
            standard: limits,
            admin: limits,
            superadmin: limits,
        },
        fees: Fees {
            equity_basis_points: Decimal::ZERO,
            crypto_basis_points: Decimal::from(25),
        },
        max_body_bytes: 4096,
    }
}

async fn site() -> Site<impl Endpoint<Output = Response>> {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("arbion.db").display());
    let store = Store::connect(&StoreOptions::new(url)).await.unwrap();
    migrations::migrate::<migrations::Migrator>(store.write())
        .await
        .unwrap();
    store.upsert_assets(&market::catalog::assets()).await.unwrap();
    let now = at("2026-11-24T15:30:00Z");
    let options = BootstrapOptions {
        email: "owner@example.org".into(),
        starting_cash: Decimal::from(100_000),
        now,
    };
    let owner = store.bootstrap(&options).await.unwrap();
    let key = store
        .create_api_key(owner.user_id, owner.account_id, "test", &["trading", "data"], now)
        .await
        .unwrap();
    let clock: SharedClock = ManualClock::new(now).shared();
    let provider = Arc::new(Sim::new(1, Arc::clone(&clock)).with_hours(MarketHours::Ignore));
    let quotes = CachedQuotes::new(provider, Arc::clone(&clock), MarketHours::Ignore, None);
    let parts = AppParts {
        store: store.clone(),
        queue: Queue::memory(),
        assets: store.all_assets().await.unwrap(),
        started: Started::now(clock.as_ref()),
        clock,
        rules: rules(),
    };
    Site {
        router: router(App::new(parts, quotes)),
        key: (key.key_id, key.secret),
        _directory: directory,
    }
}

impl<E: Endpoint<Output = Response>> Site<E> {
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri_str(path)
            .header("apca-api-key-id", &self.key.0)
            .header("apca-api-secret-key", &self.key.1);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request.body(body)).await
    }

    async fn answer(&self, request: Request) -> Answer {
        let mut response = self.router.get_response(request).await;
        let text = response.take_body().into_string().await.unwrap();
        Answer {
            status: response.status(),
            response,
            text,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Body::empty()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[], body.to_string()).await
    }

    async fn order_count(&self) -> usize {
        self.get("/v2/orders?status=all")
            .await
            .json()
            .as_array()
            .unwrap()
            .len()
    }
}

fn buy() -> Value {
    json!({"symbol": "BTC/USD", "notional": "50", "side": "buy", "type": "market", "time_in_force": "gtc"})
}

fn rest() -> Value {
    json!({"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "1", "time_in_force": "day"})
}

#[tokio::test]
async fn an_order_is_placed_read_listed_and_canceled() {
    let site = site().await;
    let placed = site.post("/v2/orders", &buy()).await;
    assert_eq!(placed.status, StatusCode::OK, "{}", placed.text);
    let order = placed.json();
    assert_eq!(
        (&order["status"], &order["symbol"], &order["notional"]),
        (&json!("accepted"), &json!("BTC/USD"), &json!("50"))
    );
    let id = order["id"].as_str().unwrap();
    assert_eq!(site.get(&format!("/v2/orders/{id}")).await.json(), order);
    assert_eq!(
        site.get(&format!("/v2/orders/{}", id.replace('-', "")))
            .await
            .json(),
        order
    );
    assert_eq!(
        site.get(&format!("/v2/orders:by_client_order_id?client_order_id={id}"))
            .await
            .json(),
        order
    );
    assert_eq!(
        site.get("/v2/orders?symbols=BTCUSD&nested=True").await.json(),
        json!([order])
    );
    assert_eq!(site.get("/v2/orders?symbols=AAPL,NOPE").await.json(), json!([]));
    let canceled = site
        .send(
            Method::DELETE,
            &format!("/v2/orders/{id}"),
            &[("content-type", "")],
            Body::empty(),
        )
        .await;
    assert_eq!(
        (canceled.status, canceled.text.as_str()),
        (StatusCode::NO_CONTENT, "")
    );
    let again = site
        .send(Method::DELETE, &format!("/v2/orders/{id}"), &[], Body::empty())
        .await;
    assert_eq!(again.json()["message"], "order is already in \"canceled\" state");
    let events = site.get("/v2/events").await.json();
    let kinds: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["seq"].clone())
        .collect();
    assert_eq!(kinds, [json!(1), json!(2)]);
}

#[tokio::test]
async fn every_open_order_is_canceled_with_its_own_status() {
    let site = site().await;
    for _ in 0..2 {
        assert_eq!(site.post("/v2/orders", &rest()).await.status, StatusCode::OK);
    }
    let canceled = site.send(Method::DELETE, "/v2/orders", &[], Body::empty()).await;
    assert_eq!(canceled.status, StatusCode::MULTI_STATUS);
    let statuses: Vec<_> = canceled
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["status"].clone())
        .collect();
    assert_eq!(statuses, [json!(200), json!(200)]);
    assert_eq!(site.get("/v2/orders").await.json(), json!([]));
    assert_eq!(
        site.send(Method::DELETE, "/v2/orders", &[], Body::empty())
            .await
            .json(),
        json!([])
    );
}

#[tokio::test]
async fn a_request_with_a_key_is_carried_out_once_and_answered_alike() {
    let site = site().await;
    let key = [("idempotency-key", "one")];
    let send = async |body: Value| {
        site.send(Method::POST, "/v2/orders", &key, body.to_string())
            .await
    };
    let wrong = send(json!({"symbol": "BTC/USD"})).await;
    assert_eq!(
        wrong.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "a 4xx uses no key up"
    );
    let first = send(buy()).await;
    let second = send(buy()).await;
    assert_eq!((first.status, second.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(first.text, second.text);
    assert_eq!(first.response.header("idempotency-replayed"), None);
    assert_eq!(second.response.header("idempotency-replayed"), Some("true"));
    let other = send(rest()).await;
    assert_eq!(
        (other.status, &other.json()["error"]),
        (StatusCode::CONFLICT, &json!("idempotency_key_reused"))
    );
    let malformed = site.send(Method::POST, "/v2/orders", &key, "{").await;
    assert_eq!(
        malformed.status,
        StatusCode::CONFLICT,
        "the key is judged before the shape"
    );
    assert_eq!(site.order_count().await, 1);
}

#[tokio::test]
async fn bad_input_gets_its_own_error_and_changes_nothing() {
    let site = site().await;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(5000));
    let order = |changes: &str| buy().to_string().replace("\"notional\":\"50\"", changes);
    for (body, status, error) in [
        (b"{".to_vec(), 400, "malformed_json"),
        (b"\xff\xfe".to_vec(), 400, "malformed_json"),
        (order("\"notional\":NaN").into_bytes(), 400, "malformed_json"),
        (b"[]".to_vec(), 422, "invalid_request"),
        (deep.into_bytes(), 422, "nested_too_deeply"),
        (large.into_bytes(), 413, "body_too_large"),
        (order("\"notional\":\"-1\"").into_bytes(), 422, "invalid_number"),
        (order("\"notional\":\"1e1\"").into_bytes(), 422, "invalid_number"),
        (order("\"notional\":1e11").into_bytes(), 422, "invalid_number"),
        (
            order("\"qty\":\"0.0000000001\"").into_bytes(),
            422,
            "invalid_number",
        ),
        (
            order("\"notional\":\"60000\"").into_bytes(),
            403,
            "order_notional_limit",
        ),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let answer = site.send(Method::POST, "/v2/orders", &[], body).await;
        let problem = answer.json();
        assert_eq!(
            (answer.status.as_u16(), &problem["error"]),
            (status, &json!(error)),
            "{shown}"
        );
        assert_eq!(
            answer.response.content_type(),
            Some(crate::problem::CONTENT_TYPE),
            "{shown}"
        );
        assert_eq!(
            problem["request_id"].as_str(),
            answer.response.header("x-request-id"),
            "{shown}"
        );
        assert!(
            problem["code"].is_u64() && problem["message"].is_string(),
            "{shown}"
        );
    }
    assert_eq!(site.order_count().await, 0);
    let account = site.get("/v2/account").await.json();
    assert_eq!(
        (&account["cash"], &account["buying_power"]),
        (&json!("100000"), &json!("100000"))
    );
}

#[tokio::test]
async fn a_client_order_id_is_taken_for_ever() {
    let site = site().await;
    let mut body = rest();
    body["client_order_id"] = json!("mine");
    let first = site.post("/v2/orders", &body).await.json();
    let second = site.post("/v2/orders", &body).await;
    assert_eq!(second.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = second.json();
    assert_eq!(
        (&problem["code"], &problem["existing_order_id"]),
        (&json!(40_010_001), &first["id"])
    );
    assert!(
        problem["message"]
            .as_str()
            .unwrap()
            .starts_with("client_order_id must be unique")
    );
}

#[tokio::test]
async fn wrong_paths_and_methods_get_the_one_form() {
    let site = site().await;
    for path in [
        "/",
        "/v2",
        "/v2/nope",
        "/v2/ordersfoo",
        "/v2/orders:by_name",
        "/v2/positions/a/b/c",
        "/docs/nope.js",
    ] {
        let answer = site.get(path).await;
        let problem = answer.json();
        assert_eq!(
            (answer.status, &problem["message"]),
            (StatusCode::NOT_FOUND, &json!("endpoint not found")),
            "{path}"
        );
        assert_eq!(
            (&problem["code"], &problem["instance"]),
            (&json!(40_410_000), &json!(path))
        );
    }
    for (method, path, allow) in [
        (Method::PUT, "/v2/orders", Some("DELETE, GET, HEAD, POST")),
        (Method::POST, "/v2/clock", Some("GET, HEAD")),
        (Method::PUT, "/v2/orders:by_client_order_id", Some("GET, HEAD")),
        (Method::POST, "/v2/positions/BTC/USD", Some("DELETE, GET, HEAD")),
        (Method::POST, "/docs/", Some("GET, HEAD")),
        (Method::DELETE, "/openapi.json", Some("GET, HEAD")),
        (Method::POST, "/v2/ordersfoo", None),
    ] {
        let answer = site.send(method.clone(), path, &[], Body::empty()).await;
        let status = if allow.is_some() { 405 } else { 404 };
        assert_eq!(
            (answer.status.as_u16(), answer.response.header("allow")),
            (status, allow),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn every_operation_of_the_contract_needs_a_credential() {
    let site = site().await;
    let document = openapi::document();
    for (pattern, operations) in document["paths"].as_object().unwrap() {
        let path = pattern
            .replace("{id}", "01930e4c-5b5a-7000-8000-000000000001")
            .replace("{key}", "AAPL");
        for method in operations.as_object().unwrap().keys() {
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            for secret in [None, Some("wrong")] {
                let mut request = Request::builder().method(method.clone()).uri_str(&path);
                if let Some(secret) = secret {
                    request = request
                        .header("apca-api-key-id", &site.key.0)
                        .header("apca-api-secret-key", secret);
                }
                let answer = site.answer(request.finish()).await;
                if path.starts_with("/health") {
                    assert_eq!(answer.status, StatusCode::OK, "{method} {path}");
                    continue;
                }
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
                assert_eq!(answer.json()["code"], 40_110_000);
                assert!(answer.response.header("www-authenticate").is_some());
            }
        }
    }
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let site = site().await;
    for (path, parameter) in [
        ("/v2/orders?status=some", "status"),
        ("/v2/orders?limit=501", "limit"),
        ("/v2/orders?limit=0", "limit"),
        ("/v2/orders?limit=x", "limit"),
        ("/v2/orders?after=yesterday", "after"),
        ("/v2/orders?before_order_id=7", "before_order_id"),
        ("/v2/orders?nested=maybe", "nested"),
        ("/v2/orders:by_client_order_id", "client_order_id"),
        ("/v2/triggers?stat=armed", "stat"),
        ("/v2/events?limit=1001", "limit"),
        ("/v2/calendar?start=never", "start"),
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        let problem = answer.json();
        assert_eq!(problem["errors"][0]["parameter"], parameter, "{path}");
        assert!(
            !answer.text.contains("parse"),
            "no word of the framework: {}",
            answer.text
        );
    }
    assert_eq!(
        site.get("/v2/orders?until=&after=&of_the_next_version=1")
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn instruments_positions_and_sessions_are_read_by_every_name() {
    let site = site().await;
    let bitcoin = site.get("/v2/assets/BTC/USD").await.json();
    assert_eq!(
        (&bitcoin["class"], &bitcoin["symbol"]),
        (&json!("crypto"), &json!("BTC/USD"))
    );
    for key in ["BTC%2FUSD", "BTCUSD", bitcoin["id"].as_str().unwrap()] {
        assert_eq!(
            site.get(&format!("/v2/assets/{key}")).await.json(),
            bitcoin,
            "{key}"
        );
    }
    assert_eq!(
        site.get("/v2/assets/NOPE").await.json()["error"],
        "asset_not_found"
    );
    assert_eq!(
        site.get("/v2/assets?asset_class=crypto")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        5
    );
    assert_eq!(
        site.get("/v2/assets?asset_class=us_option").await.json(),
        json!([])
    );
    assert_eq!(site.get("/v2/positions").await.json(), json!([]));
    for path in ["/v2/positions/BTC/USD", "/v2/positions/NOPE"] {
        assert_eq!(
            site.get(path).await.json()["message"],
            "position does not exist",
            "{path}"
        );
    }
    let closed = site
        .send(
            Method::DELETE,
            "/v2/positions?cancel_orders=True",
            &[],
            Body::empty(),
        )
        .await;
    assert_eq!(
        (closed.status, closed.json()),
        (StatusCode::MULTI_STATUS, json!([]))
    );
    assert_eq!(site.get("/v2/clock").await.json()["is_open"], true);
    let days = site
        .get("/v2/calendar?start=2026-11-26&end=2026-11-27")
        .await
        .json();
    assert_eq!(days.as_array().unwrap().len(), 1);
    assert_eq!(days[0]["close"], "13:00");
}

#[tokio::test]
async fn a_stop_needs_a_position() {
    let site = site().await;
    let stop = json!({"symbol": "BTC/USD", "stop_price": "100"});
    let answer = site.post("/v2/triggers", &stop).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (StatusCode::NOT_FOUND, &json!("position_not_found"))
    );
    assert_eq!(site.get("/v2/triggers?state=armed").await.json(), json!([]));
    assert_eq!(
        site.get("/v2/triggers/x").await.json()["error"],
        "trigger_not_found"
    );
}

#[tokio::test]
async fn the_page_and_the_document_are_served_and_the_process_says_that_it_is_ready() {
    let site = site().await;
    let ready = site.get("/health/ready").await;
    assert_eq!(
        (ready.status, &ready.json()["status"]),
        (StatusCode::OK, &json!("ok")),
        "{}",
        ready.text
    );
    assert_eq!(site.get("/health").await.json()["version"], platform::VERSION);
    assert_eq!(site.get("/health/live").await.json(), json!({"status": "ok"}));
    let redirect = site.get("/docs").await;
    assert_eq!(
        (redirect.status.as_u16(), redirect.response.header("location")),
        (308, Some("/docs/"))
    );
    assert!(site.get("/docs/").await.text.contains("swagger-ui"));
    assert!(
        site.get("/docs/swagger-initializer.js")
            .await
            .text
            .contains("/openapi.json")
    );
    assert_eq!(site.get("/openapi.json").await.text, crate::openapi_json());
}

#[tokio::test]
async fn a_request_id_is_taken_over_and_answered() {
    let site = site().await;
    let mine = site
        .send(
            Method::GET,
            "/v2/clock",
            &[("x-request-id", "bot-1")],
            Body::empty(),
        )
        .await;
    assert_eq!(mine.response.header("x-request-id"), Some("bot-1"));
    let missing = site
        .send(Method::GET, "/nope", &[("x-request-id", "bot-2")], Body::empty())
        .await;
    assert_eq!(missing.json()["request_id"], "bot-2");
}

#[tokio::test]
async fn basic_authentication_reaches_the_same_account() {
    use base64::Engine as _;
    let site = site().await;
    let pair = format!("{}:{}", site.key.0, site.key.1);
    let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let request = Request::builder()
        .uri_str("/v2/account")
        .header("authorization", value);
    let basic = site.answer(request.finish()).await.json();
    assert_eq!(basic["id"], site.get("/v2/account").await.json()["id"]);
}
