//! The document against the code.

use std::collections::BTreeSet;

use poem_openapi::types::Type as _;

use super::*;
use crate::input::body::parse_object;
use crate::problem::Code;

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            found.push((path.clone(), method.clone(), operation.clone()));
        }
    }
    found
}

#[test]
fn openapi_json_is_what_the_code_says() {
    crate::generated::check("openapi.json", &openapi_json());
}

#[test]
fn every_operation_is_documented_with_its_errors() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let name = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap_or_default();
        assert!(ids.insert(id.to_owned()), "{name} has an operation id of its own");
        assert!(operation["summary"].is_string(), "{name} has a summary");
        assert!(errors::errors_of(id).is_some(), "{name} has a list of errors");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                parameter["description"].is_string(),
                "{name} {} is described",
                parameter["name"]
            );
        }
        let is_null = |value: &Value| value.as_object().unwrap().values().any(Value::is_null);
        assert!(!is_null(&operation), "{name} has an empty member");
        if path.starts_with("/v2") {
            assert_eq!(
                operation["security"].as_array().unwrap().len(),
                2,
                "{name} needs a credential"
            );
            assert!(operation["responses"]["401"].is_object(), "{name} can be refused");
        }
    }
    assert!(ids.len() > 20, "{ids:?}");
}

#[test]
fn every_code_is_documented_somewhere() {
    let document = document();
    let mut documented: BTreeSet<&str> = errors::OF_NO_OPERATION.iter().map(|code| code.as_str()).collect();
    for (_, _, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        documented.extend(errors::errors_of(id).unwrap().iter().map(|code| code.as_str()));
    }
    let missing: Vec<_> = Code::ALL
        .iter()
        .filter(|code| !documented.contains(code.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_property_of_an_answer_is_described_and_says_whether_it_may_be_null() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let required: Vec<_> = schema["required"].as_array().cloned().unwrap_or_default();
        for (property, what) in schema["properties"].as_object().into_iter().flatten() {
            let is_required = required.iter().any(|one| one == property);
            assert!(
                is_required || name == "Problem" || what["nullable"] == true,
                "{name}.{property}"
            );
        }
    }
    assert_eq!(
        document["components"]["schemas"]["Order"]["properties"]["qty"]["nullable"],
        true
    );
}

#[test]
fn the_examples_of_requests_are_read_by_the_code_that_reads_real_ones() {
    let assets = crate::catalogue::Catalogue::new(market::catalog::assets());
    for example in [examples::place_order(), examples::place_limit_order()] {
        let members = parse_object(example.to_string().as_bytes()).unwrap();
        crate::routes::orders::read(crate::input::Fields::new(members), &assets).unwrap();
    }
}

#[test]
fn the_example_of_an_order_has_all_keys_of_an_order() {
    let document = document();
    let schema = &document["components"]["schemas"][crate::routes::orders::OrderView::name().as_ref()];
    let documented: BTreeSet<_> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let mut operation = document["paths"]["/v2/orders"]["post"].clone();
    let example = operation
        .pointer_mut("/responses/200/content/application~1json/example")
        .unwrap();
    let shown: BTreeSet<_> = example.as_object().unwrap().keys().cloned().collect();
    assert_eq!(shown, documented);
}

#[test]
fn the_path_with_a_colon_is_documented_as_clients_write_it() {
    let document = document();
    assert!(document["paths"]["/v2/orders:by_client_order_id"]["get"].is_object());
    assert!(document["paths"]["/v2/orders/{id}"]["patch"].is_object());
}
