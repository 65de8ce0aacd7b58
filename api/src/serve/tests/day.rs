//! What clients do day by day, and what they get for a wrong request.

use poem::http::{Method, StatusCode};
use poem::{Body, Request};
use serde_json::{Value, json};
use store::testing::TestStore;

use super::site::{Site, buy, rest};
use crate::openapi;

store::testing::on_both! {
    async fn an_order_is_placed_read_listed_and_canceled(test: TestStore) {
        let site = Site::over(test).await;
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

    async fn every_open_order_is_canceled_with_its_own_status(test: TestStore) {
        let site = Site::over(test).await;
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

    async fn a_request_with_a_key_is_carried_out_once_and_answered_alike(test: TestStore) {
        let site = Site::over(test).await;
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

    async fn bad_input_gets_its_own_error_and_changes_nothing(test: TestStore) {
        let site = Site::over(test).await;
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

    async fn a_client_order_id_is_taken_for_ever(test: TestStore) {
        let site = Site::over(test).await;
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

    async fn wrong_paths_and_methods_get_the_one_form(test: TestStore) {
        let site = Site::over(test).await;
        for path in [
            "/nope",
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

    async fn every_operation_of_the_contract_needs_a_credential(test: TestStore) {
        let site = Site::over(test).await;
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
                            .header("apca-api-key-id", site.key().0)
                            .header("apca-api-secret-key", secret);
                    }
                    let answer = site.answer(request.finish()).await;
                    if path.starts_with("/health") {
                        assert_eq!(answer.status, StatusCode::OK, "{method} {path}");
                    }
                    // Whom the others answer is another test's matter.
                    if !path.starts_with("/v2") {
                        continue;
                    }
                    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
                    assert_eq!(answer.json()["code"], 40_110_000);
                    assert!(answer.response.header("www-authenticate").is_some());
                }
            }
        }
    }

    async fn wrong_parameters_are_named(test: TestStore) {
        let site = Site::over(test).await;
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

    async fn instruments_positions_and_sessions_are_read_by_every_name(test: TestStore) {
        let site = Site::over(test).await;
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
        let coins = site.get("/v2/assets?asset_class=crypto").await.json();
        let coins: Vec<_> = coins.as_array().unwrap().iter().map(|coin| coin["symbol"].clone()).collect();
        assert_eq!(coins, ["BTC/USD", "DOGE/USD", "ETH/USD", "HALF/USD", "LTC/USD", "SOL/USD"]);
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

    async fn a_stop_needs_a_position(test: TestStore) {
        let site = Site::over(test).await;
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

    async fn the_page_and_the_document_are_served_and_the_process_says_that_it_is_ready(test: TestStore) {
        let site = Site::over(test).await;
        let ready = site.get("/health/ready").await;
        assert_eq!(
            (ready.status, &ready.json()["status"]),
            (StatusCode::OK, &json!("ok")),
            "{}",
            ready.text
        );
        let health = site.get("/health").await.json();
        assert_eq!(
            (&health["status"], &health["version"]),
            (&json!("ok"), &json!(platform::VERSION))
        );
        assert_eq!(health["started_at"], "2026-11-24T15:30:00.000000Z");
        assert!(health["uptime_seconds"].is_u64(), "{health}");
        assert_eq!(site.get("/health/live").await.json(), json!({"status": "ok"}));
        let redirect = site.get("/docs").await;
        assert_eq!(
            (redirect.status.as_u16(), redirect.response.header("location")),
            (308, Some("/docs/"))
        );
        assert!(site.get("/docs/").await.text.contains("swagger-ui"));
        let errors = site.get("/docs/errors").await;
        assert_eq!(
            (errors.status, errors.response.content_type()),
            (StatusCode::OK, Some("text/html; charset=utf-8"))
        );
        let problem = site.get("/nope").await.json();
        let (page, anchor) = problem["type"].as_str().unwrap().split_once('#').unwrap();
        assert_eq!(page, "/docs/errors");
        assert!(errors.text.contains(&format!("<h2 id=\"{anchor}\">")), "{anchor}");
        assert!(
            site.get("/docs/swagger-initializer.js")
                .await
                .text
                .contains("/openapi.json")
        );
        assert_eq!(site.get("/openapi.json").await.text, crate::openapi_json());
    }

    async fn a_request_id_is_taken_over_and_answered(test: TestStore) {
        let site = Site::over(test).await;
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

    async fn basic_authentication_reaches_the_same_account(test: TestStore) {
        use base64::Engine as _;
        let site = Site::over(test).await;
        let (id, secret) = site.key();
        let pair = format!("{id}:{secret}");
        let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let request = Request::builder()
            .uri_str("/v2/account")
            .header("authorization", value);
        let basic = site.answer(request.finish()).await.json();
        assert_eq!(basic["id"], site.get("/v2/account").await.json()["id"]);
    }
}
