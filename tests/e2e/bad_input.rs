//! Bad input gets its clear 4xx and changes nothing: not one row of all that an order touches.

use serde_json::{Value, json};

use crate::support::client::{limit_order, market_order};
use crate::support::{SetUp, Site, audit, checksums, on_both};

/// A market order for AAPL with this quantity, as it stands in the JSON text.
fn quantity(token: &str) -> String {
    format!(r#"{{"symbol":"AAPL","qty":{token},"side":"buy","type":"market","time_in_force":"day"}}"#)
}

/// A market order with this notional.
fn notional(token: &str) -> String {
    format!(r#"{{"symbol":"AAPL","notional":{token},"side":"buy","type":"market","time_in_force":"day"}}"#)
}

/// A limit order for AAPL at this price.
fn price(token: &str) -> String {
    format!(
        r#"{{"symbol":"AAPL","qty":"1","side":"buy","type":"limit","limit_price":{token},"time_in_force":"gtc"}}"#
    )
}

/// An order that is fine but for one member.
fn with(member: &str, value: Value) -> String {
    let mut order = market_order("buy", "AAPL", "1");
    order[member] = value;
    order.to_string()
}

const FORTY_DIGITS: &str = "1234567890123456789012345678901234567890";

/// Tokens that are no amount of anything, with the status that each gets.
const NUMBERS: [(&str, u16, &str); 22] = [
    ("0", 422, "invalid_number"),
    ("\"0\"", 422, "invalid_number"),
    ("\"-0\"", 422, "invalid_number"),
    ("-1", 422, "invalid_number"),
    ("\"-0.01\"", 422, "invalid_number"),
    ("\"9000000000000\"", 422, "invalid_number"),
    ("1e13", 422, "invalid_number"),
    ("1e400", 422, "invalid_number"),
    ("1e99999999999999999999", 422, "invalid_number"),
    ("1e-10", 422, "invalid_number"),
    ("\"0.0000000001\"", 422, "invalid_number"),
    ("\"1e2\"", 422, "invalid_number"),
    ("\"NaN\"", 422, "invalid_number"),
    ("\"Infinity\"", 422, "invalid_number"),
    ("\"0x10\"", 422, "invalid_number"),
    ("\" 1\"", 422, "invalid_number"),
    ("\"1,5\"", 422, "invalid_number"),
    ("\"\"", 422, "invalid_number"),
    ("true", 422, "invalid_number"),
    ("[1]", 422, "invalid_number"),
    ("NaN", 400, "malformed_json"),
    ("Infinity", 400, "malformed_json"),
];

/// Every body that `POST /v2/orders` must refuse, with the status and the code.
fn orders() -> Vec<(Vec<u8>, u16, &'static str)> {
    let mut cases = Vec::new();
    for (token, status, code) in NUMBERS {
        for body in [quantity(token), notional(token), price(token)] {
            cases.push((body.into_bytes(), status, code));
        }
    }
    for token in [
        FORTY_DIGITS.to_owned(),
        format!("\"{FORTY_DIGITS}\""),
        format!("\"0.{FORTY_DIGITS}\""),
    ] {
        for body in [quantity(&token), notional(&token), price(&token)] {
            cases.push((body.into_bytes(), 422, "invalid_number"));
        }
    }
    for (body, status, code) in [
        (quantity("\"1\"").replace("AAPL", "NOPE"), 422, "unknown_symbol"),
        (
            quantity("\"1\"").replace("AAPL", "' OR 1=1 --"),
            422,
            "unknown_symbol",
        ),
        (
            quantity("\"1\"").replace("AAPL", "AAPL\\u0000"),
            422,
            "unknown_symbol",
        ),
        (quantity("\"1\"").replace("AAPL", ""), 422, "invalid_request"),
        (
            with("client_order_id", json!("taken")),
            422,
            "duplicate_client_order_id",
        ),
        (
            with("client_order_id", json!("x".repeat(129))),
            422,
            "invalid_client_order_id",
        ),
        (with("type", json!("MARKET ")), 422, "invalid_order_type"),
        (with("type", json!("stop")), 422, "unsupported_order_type"),
        (with("side", json!("hold")), 422, "invalid_side"),
        (with("side", json!(["buy"])), 422, "invalid_request"),
        (
            with("time_in_force", json!("forever")),
            422,
            "invalid_time_in_force",
        ),
        (
            with("position_intent", json!("sell_to_open")),
            422,
            "invalid_position_intent",
        ),
        (
            with("order_class", json!("bracket")),
            422,
            "unsupported_order_class",
        ),
        (
            with("stop_loss", json!({"stop_price": "1"})),
            422,
            "unsupported_order_class",
        ),
        (with("limit_price", json!("10")), 422, "price_not_used"),
        (with("stop_price", json!("10")), 422, "price_not_used"),
        (with("trail_percent", json!("10")), 422, "price_not_used"),
        (with("notional", json!("10")), 422, "amount_ambiguous"),
        (with("qty", Value::Null), 422, "amount_required"),
        (with("type", json!("limit")), 422, "limit_price_required"),
        (price("\"10.001\""), 422, "price_increment"),
        (price("\"0.00001\""), 422, "price_increment"),
        (notional("\"10.001\""), 422, "notional_increment"),
        (
            limit_order("buy", "AAPL", "0.5", "10").to_string(),
            422,
            "fractional_not_day",
        ),
        (
            limit_order("buy", "AAPL", "8999999999", "8999999999").to_string(),
            422,
            "notional_too_large",
        ),
        (
            market_order("buy", "BTC/USD", "0.000001").to_string(),
            422,
            "below_minimum_size",
        ),
        (with("extended_hours", json!(true)), 422, "extended_hours_order"),
        (with("extended_hours", json!("maybe")), 422, "invalid_request"),
        (
            limit_order("buy", "AAPL", "20000", "10").to_string(),
            403,
            "order_notional_limit",
        ),
        (
            limit_order("sell", "AAPL", "5", "500").to_string(),
            403,
            "insufficient_quantity",
        ),
        (
            market_order("sell", "MSFT", "5").to_string(),
            403,
            "short_sale_not_allowed",
        ),
        ("{}".to_owned(), 422, "invalid_request"),
        ("null".to_owned(), 422, "invalid_request"),
        (
            format!("{{\"a\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000)),
            422,
            "nested_too_deeply",
        ),
        (
            format!("{}{}", quantity("\"1\""), " ".repeat(70_000)),
            413,
            "body_too_large",
        ),
        (format!("{}x", quantity("\"1\"")), 400, "malformed_json"),
    ] {
        cases.push((body.into_bytes(), status, code));
    }
    cases.push((b"{\"symbol\":\"AAPL\xc3\x28\"}".to_vec(), 400, "malformed_json"));
    cases.push((b"\xff\xfe{\x00}\x00".to_vec(), 400, "malformed_json"));
    cases
}

/// A site whose every table has something in it: a fill, a position, a resting order, an armed trigger, a used key.
async fn lived_in(set_up: SetUp) -> (Site, String) {
    let site = Site::start(set_up).await;
    let client = site.client();
    client.buy("AAPL", "3").await;
    let mut order = limit_order("buy", "AAPL", "1", "10");
    order["client_order_id"] = json!("taken");
    let headers = [("content-type", "application/json"), ("idempotency-key", "used")];
    let placed = client
        .send("POST", "/v2/orders", &headers, order.to_string().into_bytes())
        .await
        .expect(200);
    let resting = placed["id"].as_str().unwrap().to_owned();
    client.order_in(&resting, &["new"]).await;
    client
        .post("/v2/triggers", &json!({"symbol": "AAPL", "stop_price": "1"}))
        .await
        .expect(201);
    (site, resting)
}

on_both! {
    async fn every_bad_order_gets_its_error_and_changes_no_row(set_up: SetUp) {
        let (site, _) = lived_in(set_up).await;
        let client = site.client();
        let before = checksums(&site.place).await;
        let cases = orders();
        let (mut wrong, mut rows) = (Vec::new(), before.clone());
        for (number, (body, status, code)) in cases.iter().enumerate() {
            // A refused request does not use its key up either.
            let key = format!("key {number}");
            let headers = [("content-type", "application/json"), ("idempotency-key", &key)];
            let answer = client.send("POST", "/v2/orders", &headers, body.clone()).await;
            let shown: String = String::from_utf8_lossy(body).chars().take(150).collect();
            let told = answer.json();
            if answer.status != *status || told["error"] != *code {
                wrong.push(format!("{shown}\n    {status} {code} expected: {told}"));
            }
            let after = checksums(&site.place).await;
            if after != rows {
                wrong.push(format!("{shown}\n    changed something"));
                rows = after;
            }
        }
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
        assert_eq!(rows, before);
        audit(&site.place).await;
    }

    async fn every_bad_change_gets_its_error_and_changes_no_row(set_up: SetUp) {
        let (site, resting) = lived_in(set_up).await;
        let client = site.client();
        let order = format!("/v2/orders/{resting}");
        let before = checksums(&site.place).await;
        for (method, path, body, status, code) in [
            ("PATCH", order.as_str(), json!({"qty": "0"}), 422, "invalid_number"),
            ("PATCH", &order, json!({"qty": "1e1"}), 422, "invalid_number"),
            ("PATCH", &order, json!({"limit_price": "-1"}), 422, "invalid_number"),
            ("PATCH", &order, json!({"limit_price": "10.001"}), 422, "price_increment"),
            ("PATCH", &order, json!({"limit_price": "99999"}), 403, "insufficient_buying_power"),
            ("PATCH", &order, json!({"stop_price": "1"}), 422, "price_not_used"),
            ("PATCH", &order, json!({"client_order_id": "taken"}), 422, "duplicate_client_order_id"),
            ("PATCH", &order, json!({"qty": "1"}), 422, "order_unchanged"),
            ("PATCH", &order, json!({}), 422, "order_unchanged"),
            ("PATCH", "/v2/orders/none", json!({"qty": "2"}), 404, "order_not_found"),
            ("DELETE", "/v2/orders/none", json!({}), 404, "order_not_found"),
            ("DELETE", "/v2/positions/AAPL?qty=0", json!({}), 422, "invalid_number"),
            ("DELETE", "/v2/positions/AAPL?qty=4", json!({}), 403, "insufficient_quantity"),
            ("DELETE", "/v2/positions/AAPL?percentage=101", json!({}), 422, "invalid_number"),
            ("DELETE", "/v2/positions/AAPL?qty=1&percentage=1", json!({}), 422, "amount_ambiguous"),
            ("DELETE", "/v2/positions/MSFT", json!({}), 404, "position_not_found"),
            ("POST", "/v2/triggers", json!({"symbol": "AAPL", "stop_price": "0"}), 422, "invalid_number"),
            ("POST", "/v2/triggers", json!({"symbol": "AAPL", "stop_price": "NaN"}), 422, "invalid_number"),
            ("POST", "/v2/triggers", json!({"symbol": "AAPL"}), 422, "invalid_request"),
            ("POST", "/v2/triggers", json!({"symbol": "NOPE", "stop_price": "1"}), 422, "unknown_symbol"),
            ("POST", "/v2/triggers", json!({"symbol": "AAPL", "stop_price": "8000"}), 422, "stop_price_through"),
            ("POST", "/v2/triggers", json!({"symbol": "AAPL", "stop_price": "1", "colour": 1}), 422, "unknown_field"),
            ("POST", "/v2/triggers", json!({"symbol": "AAPL", "stop_price": "1", "qty": "4"}), 422, "trigger_exceeds_position"),
            ("POST", "/v2/triggers", json!({"symbol": "MSFT", "stop_price": "1"}), 404, "position_not_found"),
        ] {
            let headers = [("content-type", "application/json")];
            let answer = client.send(method, path, &headers, body.to_string().into_bytes()).await;
            assert_eq!(answer.problem(status), code, "{method} {path} {body}: {}", answer.text());
            assert_eq!(checksums(&site.place).await, before, "{method} {path} {body}");
        }
        audit(&site.place).await;
    }

    async fn what_clients_write_liberally_is_understood(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let apple = client.get("/v2/assets/AAPL").await.expect(200)["id"].clone();
        for (number, (symbol, quantity)) in [
            ("\"AAPL\"".to_owned(), "1"),
            ("\"AAPL:NASDAQ\"".to_owned(), "1.0"),
            (apple.to_string(), "\"1.000\""),
            (format!("\"{}\"", apple.as_str().unwrap().replace('-', "")), "1e0"),
            ("\"AAPL:NASDAQ:us_equity\"".to_owned(), "10e-1"),
        ].into_iter().enumerate() {
            let body = format!(
                r#"{{"symbol":{symbol},"qty":{quantity},"notional":null,"side":"buy","type":"limit","limit_price":10.1,
                   "time_in_force":"gtc","client_order_id":"","order_class":"","legs":null,"from_the_future":[1]}}"#
            );
            let placed = client.post_text("/v2/orders", body).await.expect(200);
            let told = [&placed["symbol"], &placed["qty"], &placed["limit_price"]];
            assert_eq!(told, [&json!("AAPL"), &json!("1"), &json!("10.1")], "case {number}");
        }
        let tiny = r#"{"symbol":"BTCUSD","qty":1e-05,"side":"buy","type":"market","time_in_force":"gtc"}"#;
        let placed = client.post_text("/v2/orders", tiny).await.expect(200);
        assert_eq!((&placed["symbol"], &placed["qty"]), (&json!("BTC/USD"), &json!("0.00001")));
        client.order_in(placed["id"].as_str().unwrap(), &["filled"]).await;
        audit(&site.place).await;
    }
}
