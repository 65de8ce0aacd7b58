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

/// More digits than any amount has.
const FORTY_DIGITS: &str = "1234567890123456789012345678901234567890";

/// Tokens that are no amount of anything, with the status that each gets.
pub(crate) const NUMBERS: [(&str, u16, &str); 22] = [
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

/// Bodies that get the same status and code.
type Group = (u16, &'static str, Vec<String>);

/// A market order for one unit of `symbol`.
fn one(symbol: &str) -> String {
    quantity("\"1\"").replace("AAPL", symbol)
}

/// A body that is nested much too deeply.
pub(crate) fn nested() -> String {
    format!("{{\"a\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000))
}

/// Tokens that have far too many digits.
pub(crate) fn long_tokens() -> [String; 3] {
    [
        FORTY_DIGITS.to_owned(),
        format!("\"{FORTY_DIGITS}\""),
        format!("\"0.{FORTY_DIGITS}\""),
    ]
}

/// Bodies of the wrong form: no JSON, or not an order.
fn of_the_wrong_form() -> Vec<Group> {
    vec![
        (
            400,
            "malformed_json",
            vec![format!("{}x", one("AAPL")), String::new(), "{".to_owned()],
        ),
        (
            413,
            "body_too_large",
            vec![format!("{}{}", one("AAPL"), " ".repeat(70_000))],
        ),
        (422, "nested_too_deeply", vec![nested()]),
        (
            422,
            "invalid_request",
            vec!["{}".to_owned(), "null".to_owned(), "[]".to_owned(), one("")],
        ),
        (
            422,
            "invalid_request",
            vec![
                with("side", json!(["buy"])),
                with("extended_hours", json!("maybe")),
            ],
        ),
    ]
}

/// Orders with words that nobody knows, members that are missing, and members that contradict each other.
fn of_the_wrong_words() -> Vec<Group> {
    vec![
        (
            422,
            "invalid_order_type",
            vec![with("type", json!("MARKET ")), with("type", Value::Null)],
        ),
        (
            422,
            "unsupported_order_type",
            vec![with("type", json!("stop")), with("type", json!("trailing_stop"))],
        ),
        (
            422,
            "invalid_side",
            vec![with("side", json!("hold")), with("side", Value::Null)],
        ),
        (
            422,
            "invalid_time_in_force",
            vec![with("time_in_force", json!("forever"))],
        ),
        (
            422,
            "invalid_position_intent",
            vec![with("position_intent", json!("sell_to_open"))],
        ),
        (
            422,
            "unsupported_order_class",
            vec![with("order_class", json!("bracket"))],
        ),
        (
            422,
            "unsupported_order_class",
            vec![with("stop_loss", json!({"stop_price": "1"}))],
        ),
        (
            422,
            "price_not_used",
            vec![with("limit_price", json!("10")), with("stop_price", json!("10"))],
        ),
        (
            422,
            "price_not_used",
            vec![with("trail_price", json!("1")), with("trail_percent", json!("1"))],
        ),
        (422, "amount_ambiguous", vec![with("notional", json!("10"))]),
        (422, "amount_required", vec![with("qty", Value::Null)]),
        (422, "limit_price_required", vec![with("type", json!("limit"))]),
        (
            422,
            "invalid_client_order_id",
            vec![with("client_order_id", json!("x".repeat(129)))],
        ),
    ]
}

/// Orders that are well formed and break a rule.
fn against_the_rules() -> Vec<Group> {
    let limit = |side, quantity, price| limit_order(side, "AAPL", quantity, price).to_string();
    let pair = |time_in_force: &str| one("BTC/USD").replace("\"day\"", &format!("\"{time_in_force}\""));
    vec![
        (
            422,
            "unknown_symbol",
            vec![one("NOPE"), one("' OR 1=1 --"), one("AAPL\\u0000")],
        ),
        (
            422,
            "duplicate_client_order_id",
            vec![with("client_order_id", json!("taken"))],
        ),
        (
            422,
            "price_increment",
            vec![price("\"10.001\""), price("\"0.00001\"")],
        ),
        (422, "notional_increment", vec![notional("\"10.001\"")]),
        (422, "fractional_not_day", vec![limit("buy", "0.5", "10")]),
        (
            422,
            "notional_too_large",
            vec![limit("buy", "8999999999", "8999999999")],
        ),
        (
            422,
            "below_minimum_size",
            vec![market_order("buy", "BTC/USD", "0.000001").to_string()],
        ),
        (
            422,
            "invalid_crypto_time_in_force",
            vec![pair("day"), pair("fok")],
        ),
        (
            422,
            "extended_hours_order",
            vec![with("extended_hours", json!(true))],
        ),
        (403, "order_notional_limit", vec![limit("buy", "20000", "10")]),
        (403, "insufficient_quantity", vec![limit("sell", "5", "500")]),
        (
            403,
            "short_sale_not_allowed",
            vec![market_order("sell", "MSFT", "5").to_string()],
        ),
    ]
}

/// Every body that `POST /v2/orders` must refuse, with the status and the code.
fn orders() -> Vec<(Vec<u8>, u16, &'static str)> {
    let in_all_places = |token: &str| vec![quantity(token), notional(token), price(token)];
    let mut groups: Vec<Group> = Vec::new();
    groups.extend(NUMBERS.map(|(token, status, code)| (status, code, in_all_places(token))));
    groups.extend(long_tokens().map(|token| (422, "invalid_number", in_all_places(&token))));
    groups.extend(of_the_wrong_form());
    groups.extend(of_the_wrong_words());
    groups.extend(against_the_rules());
    let mut cases = vec![
        (b"{\"symbol\":\"AAPL\xc3\x28\"}".to_vec(), 400, "malformed_json"),
        (b"\xff\xfe{\x00}\x00".to_vec(), 400, "malformed_json"),
    ];
    for (status, code, bodies) in groups {
        cases.extend(bodies.into_iter().map(|body| (body.into_bytes(), status, code)));
    }
    cases
}

/// A site whose every table has something in it: a fill, a position, a resting order, an armed trigger, a used key.
pub(crate) async fn lived_in(set_up: SetUp) -> (Site, String) {
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
