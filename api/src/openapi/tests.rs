//! The document against the code.

use std::collections::BTreeSet;

use poem_openapi::types::Type as _;

use super::*;
use crate::accept;
use crate::auth::Principal;
use crate::catalogue::Catalogue;
use crate::input::Fields;
use crate::input::body::parse_object;
use crate::problem::Code;
use crate::routes::oauth_apps::{self, RegisterClientBody};
use crate::routes::orders::{self, PlaceOrderBody, ReplaceOrderBody};
use crate::routes::triggers::{self, CreateTriggerBody};

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
                4,
                "{name} takes a key in two forms, a token and a session"
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
    let assets = Catalogue::new(market::catalog::assets());
    for example in [examples::place_order(), examples::place_limit_order()] {
        let members = parse_object(example.to_string().as_bytes()).unwrap();
        orders::read(&mut Fields::new(members), &assets).unwrap();
    }
}

/// Every request body and every answer of success with a schema, by its name, with its schema and its examples.
fn described_bodies(document: &Value) -> Vec<(String, Value, Vec<Value>)> {
    let mut found = Vec::new();
    for (path, method, operation) in operations(document) {
        let mut contents = vec![("request".to_owned(), operation["requestBody"]["content"].clone())];
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.starts_with('2') {
                contents.push((status.clone(), response["content"].clone()));
            }
        }
        for (what, content) in contents {
            for media in content.as_object().into_iter().flatten().map(|(_, media)| media) {
                let several = media["examples"].as_object().into_iter().flatten();
                let mut examples: Vec<Value> = several.map(|(_, example)| example["value"].clone()).collect();
                examples.extend(media.get("example").cloned());
                found.push((
                    format!("{method} {path} {what}"),
                    media["schema"].clone(),
                    examples,
                ));
            }
        }
    }
    found
}

/// The schema that `schema` refers to, or itself.
fn resolved(document: &Value, schema: &Value) -> Value {
    let reference = schema["$ref"]
        .as_str()
        .or_else(|| schema["allOf"][0]["$ref"].as_str());
    reference.map_or_else(
        || schema.clone(),
        |path| document.pointer(path.trim_start_matches('#')).unwrap().clone(),
    )
}

/// Fails where `example` lacks a member that an answer always has, or has one that is not described.
fn assert_fits(document: &Value, name: &str, schema: &Value, example: &Value, is_answer: bool) {
    let schema = resolved(document, schema);
    if let Some(items) = schema.get("items") {
        for item in example.as_array().unwrap_or_else(|| panic!("{name} is no list")) {
            assert_fits(document, name, items, item, is_answer);
        }
    }
    let (Some(properties), Some(members)) = (schema["properties"].as_object(), example.as_object()) else {
        return;
    };
    let described: BTreeSet<_> = properties.keys().collect();
    let shown: BTreeSet<_> = members.keys().collect();
    if is_answer {
        assert_eq!(shown, described, "{name}");
    } else {
        assert!(shown.is_subset(&described), "{name}: {shown:?}");
    }
    for (member, value) in members {
        assert_fits(
            document,
            &format!("{name} {member}"),
            &properties[member],
            value,
            is_answer,
        );
    }
}

#[test]
fn every_body_that_is_described_has_an_example_that_fits_it() {
    let document = document();
    let bodies = described_bodies(&document);
    assert!(bodies.len() > 20, "{} bodies", bodies.len());
    for (name, schema, examples) in bodies {
        assert!(!examples.is_empty(), "{name} has no example");
        for example in examples {
            assert_fits(&document, &name, &schema, &example, !name.ends_with("request"));
        }
    }
}

/// The properties of the schema `name`.
fn properties(name: &str) -> BTreeSet<String> {
    let document = document();
    let properties = document["components"]["schemas"][name]["properties"]
        .as_object()
        .unwrap();
    properties.keys().cloned().collect()
}

/// The members that `read` asks for, whatever it thinks of them.
fn members_read(example: &Value, read: impl FnOnce(&mut Fields)) -> BTreeSet<String> {
    let mut fields = Fields::new(example.as_object().unwrap().clone());
    read(&mut fields);
    fields.asked_for()
}

/// Fails where a schema says anything else than what is read; `refused` is read only to be refused.
fn assert_described(schema: &str, read: &BTreeSet<String>, refused: &[&str]) {
    let refused: BTreeSet<String> = refused.iter().map(|name| (*name).to_owned()).collect();
    let described = properties(schema);
    assert!(described.is_disjoint(&refused), "{schema}");
    assert_eq!(read, &described.union(&refused).cloned().collect(), "{schema}");
}

#[test]
fn the_bodies_of_requests_are_described_as_they_are_read() {
    let assets = Catalogue::new(market::catalog::assets());
    let place = members_read(&examples::place_limit_order(), |fields| {
        orders::read(fields, &assets).unwrap();
    });
    assert_described(&PlaceOrderBody::name(), &place, &orders::REFUSED_WHEN_PLACING);
    let replace = members_read(&examples::replace_order(), |fields| {
        orders::read_replacement(fields, accept::new_order_id()).unwrap();
    });
    assert_described(
        &ReplaceOrderBody::name(),
        &replace,
        &orders::REFUSED_WHEN_REPLACING,
    );
    let protect = members_read(&examples::create_trigger(), |fields| {
        triggers::read(fields, &Principal::example(), &assets).unwrap();
    });
    assert_described(&CreateTriggerBody::name(), &protect, &[]);
    let register = members_read(&examples::register_client(), |fields| {
        oauth_apps::read(fields, &Principal::example()).unwrap();
    });
    assert_described(&RegisterClientBody::name(), &register, &[]);
}

#[test]
fn the_path_with_a_colon_is_documented_as_clients_write_it() {
    let document = document();
    assert!(document["paths"]["/v2/orders:by_client_order_id"]["get"].is_object());
    assert!(document["paths"]["/v2/orders/{id}"]["patch"].is_object());
}
