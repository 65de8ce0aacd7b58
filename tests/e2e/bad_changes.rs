//! Bad replacements, closes and triggers get their clear 4xx and change nothing, as bad orders do.

use serde_json::json;

use crate::bad_input::{NUMBERS, lived_in, long_tokens, nested};
use crate::support::{audit, checksums, on_both};

/// Bodies that every route refuses that takes amounts: `places` are bodies with `#` for an amount, and `fine` would be
/// taken.
fn for_any_route(fine: &str, places: &[&str]) -> Vec<(Vec<u8>, u16, &'static str)> {
    let tokens = NUMBERS.map(|(token, status, code)| (token.to_owned(), status, code));
    let tokens = tokens
        .into_iter()
        .chain(long_tokens().map(|token| (token, 422, "invalid_number")));
    let mut cases: Vec<_> = tokens
        .flat_map(|(token, status, code)| {
            let bodies = places.iter().map(|place| place.replace('#', &token).into_bytes());
            bodies.map(|body| (body, status, code)).collect::<Vec<_>>()
        })
        .collect();
    let broken = fine.replacen('{', "{\"note\":\"?\",", 1);
    let broken = broken.bytes().map(|byte| if byte == b'?' { 0xff } else { byte });
    cases.extend([
        (broken.collect(), 400, "malformed_json"),
        (b"\xff\xfe{\x00}\x00".to_vec(), 400, "malformed_json"),
        (format!("{fine}x").into_bytes(), 400, "malformed_json"),
        (
            format!("{fine}{}", " ".repeat(70_000)).into_bytes(),
            413,
            "body_too_large",
        ),
        (nested().into_bytes(), 422, "nested_too_deeply"),
    ]);
    cases
}

on_both! {
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

    async fn what_no_order_may_contain_no_replacement_and_no_trigger_may_contain_and_no_row_changes(set_up: SetUp) {
        let (site, resting) = lived_in(set_up).await;
        let client = site.client();
        let order = format!("/v2/orders/{resting}");
        let before = checksums(&site.place).await;
        assert_eq!((before["triggers"].len(), before["fills"].len()), (1, 1));
        let replacements = for_any_route(r#"{"qty":"2"}"#, &[r#"{"qty":#}"#, r#"{"limit_price":#}"#]);
        let triggers = for_any_route(
            r#"{"symbol":"AAPL","stop_price":"1"}"#,
            &[r#"{"symbol":"AAPL","stop_price":#}"#, r#"{"symbol":"AAPL","stop_price":"1","qty":#}"#],
        );
        let mut wrong = Vec::new();
        for (method, path, cases) in [("PATCH", order.as_str(), replacements), ("POST", "/v2/triggers", triggers)] {
            for (body, status, code) in cases {
                let shown: String = String::from_utf8_lossy(&body).chars().take(150).collect();
                let headers = [("content-type", "application/json")];
                let answer = client.send(method, path, &headers, body).await;
                if answer.status != status || answer.json()["error"] != code {
                    wrong.push(format!("{method} {shown}\n    {status} {code} expected: {}", answer.text()));
                }
                if checksums(&site.place).await != before {
                    wrong.push(format!("{method} {shown}\n    changed something, or one before it did"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
        audit(&site.place).await;
    }
}
