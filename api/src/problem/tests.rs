//! The form of an error, and the map from the domain.

use domain::risk::{Blocked, Rule};
use rust_decimal::Decimal;
use serde_json::json;
use store::Refusal;

use super::*;

#[test]
fn a_body_has_the_members_of_the_rfc_ours_and_alpacas() {
    let problem = Problem::new(Code::InvalidNumber, "qty must be > 0")
        .at_field("qty")
        .with("limit", "5");
    assert_eq!(
        problem.body("/v2/orders", "req-1"),
        json!({
            "type": "/docs/errors#invalid_number",
            "title": "A number is out of its domain",
            "status": 422,
            "detail": "qty must be > 0",
            "instance": "/v2/orders",
            "error": "invalid_number",
            "request_id": "req-1",
            "code": 40_010_001,
            "message": "qty must be > 0",
            "limit": "5",
            "errors": [{"pointer": "/qty", "detail": "qty must be > 0"}],
        })
    );
}

#[tokio::test]
async fn a_hidden_cause_never_leaves_the_process() {
    let problem = Problem::hidden(Code::InternalError, "password=hunter2 in table users");
    let response = problem.response("/v2/orders", "req-1");
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.content_type(), Some(CONTENT_TYPE));
    let text = response.into_body().into_string().await.unwrap();
    assert!(
        !text.contains("hunter2") && text.contains("\"error\":\"internal_error\""),
        "{text}"
    );
}

#[test]
fn a_401_names_a_scheme_and_a_503_says_when_to_come_back() {
    let unauthorized = Problem::new(Code::NotAuthorized, "x").response("/", "r");
    assert!(
        unauthorized
            .header("www-authenticate")
            .unwrap()
            .starts_with("ApiKey")
    );
    let of_token = Problem::new(Code::NotAuthorized, "x").of_token();
    assert_eq!(
        of_token.response("/", "r").header("www-authenticate"),
        Some("Bearer realm=\"arbion\", error=\"invalid_token\"")
    );
    let narrow = Problem::new(Code::InsufficientScope, "x").with("scope", "trading");
    assert_eq!(
        narrow.response("/", "r").header("www-authenticate"),
        Some("Bearer realm=\"arbion\", error=\"insufficient_scope\", scope=\"trading\"")
    );
    let unavailable = Problem::new(Code::ServiceUnavailable, "x").response("/", "r");
    assert_eq!(unavailable.header("retry-after"), Some("1"));
    let limited = Problem::new(Code::RateLimited, "x")
        .retry_after(42)
        .response("/", "r");
    assert_eq!(limited.header("retry-after"), Some("42"));
}

#[test]
fn a_block_says_its_rule_its_numbers_and_what_clients_read() {
    let number = |value: i64| Decimal::from(value);
    let blocked = Blocked::AvailableQuantity {
        symbol: "AAPL".into(),
        requested: number(7),
        available: number(4),
        existing: number(10),
        held_for_orders: number(6),
    };
    assert_eq!(blocked.rule(), Rule::AvailableQuantity);
    let body = Problem::from(Refusal::Blocked(blocked)).body("/v2/orders", "r");
    for (member, expected) in [
        (
            "message",
            json!("insufficient qty available for order (requested: 7, available: 4)"),
        ),
        ("code", json!(40_310_000)),
        ("error", json!("insufficient_quantity")),
        ("rule", json!("available_quantity")),
        ("limit", json!("4")),
        ("attempted", json!("7")),
        ("available", json!("4")),
        ("existing_qty", json!("10")),
        ("held_for_orders", json!("6")),
        ("symbol", json!("AAPL")),
    ] {
        assert_eq!(body[member], expected, "{member}");
    }
    let poor = Blocked::BuyingPower {
        buying_power: number(100),
        cost_basis: Decimal::new(10_250, 2),
    };
    let body = Problem::from(poor).body("/v2/orders", "r");
    assert_eq!(
        (&body["buying_power"], &body["cost_basis"]),
        (&json!("100"), &json!("102.5"))
    );
    assert_eq!(body["message"], "insufficient buying power");
}

#[test]
fn several_faults_are_one_problem_that_names_each_place() {
    let faults = vec![
        (Code::InvalidSide, FieldError::at_pointer("/side", "invalid side")),
        (
            Code::InvalidRequest,
            FieldError::at_parameter("limit", "limit must be a number"),
        ),
    ];
    let problem = Problem::from_faults(faults).unwrap_err();
    let body = problem.body("/", "r");
    assert_eq!(body["error"], "invalid_side");
    assert_eq!(
        body["errors"][1],
        json!({"parameter": "limit", "detail": "limit must be a number"})
    );
    assert!(Problem::from_faults(vec![]).is_ok());
}

/// Every source of the workspace that holds nothing but tests of the API.
fn test_sources(folder: &std::path::Path, sources: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let name = path.display().to_string();
        let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
        if path.is_dir() {
            test_sources(&path, sources);
        } else if is_test && is_rust {
            sources.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_code_is_named_by_a_test_as_clients_see_it() {
    let crate_folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["src", "../tests/e2e"] {
        test_sources(&crate_folder.join(folder), &mut sources);
    }
    assert!(sources.len() > 10, "{} sources", sources.len());
    let is_named = |code: &Code| {
        let name = code.as_str();
        // In a string of its own, or in the text of a body.
        let forms = [format!("\"{name}\""), format!("\\\"{name}\\\"")];
        sources
            .iter()
            .any(|source| forms.iter().any(|form| source.contains(form)))
    };
    for code in Code::ALL {
        assert!(
            is_named(code),
            "no test names {}: raise it in one of the tests of the whole router",
            code.as_str()
        );
    }
}

/// On the wire only a credential that was checked a moment before gets so far: any other is refused with its user.
#[test]
fn an_account_that_is_closed_meanwhile_takes_no_orders() {
    let body = Problem::from(Refusal::AccountClosed).body("/v2/orders", "r");
    assert_eq!(
        (&body["status"], &body["error"]),
        (&json!(403), &json!("account_closed"))
    );
}
