//! What poem-openapi leaves out of the document.

use std::collections::BTreeMap;

use poem::http::Method;
use serde_json::{Map, Value, json};

use super::errors::errors_of;
use super::examples;
use crate::access::Scope;
use crate::access::rules::{Who, rule_of};
use crate::problem::{CONTENT_TYPE, Code};

/// Adds everything to the document that the code knows and poem-openapi does not.
pub(super) fn finish(document: &mut Value) {
    add_components(document);
    for (_, schema) in members(document.pointer_mut("/components/schemas")) {
        mark_nullable(schema);
    }
    for (path, operations) in members(document.get_mut("paths")) {
        for (method, operation) in members(Some(operations)) {
            finish_operation(method, path, operation);
        }
    }
}

fn members(value: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    value.and_then(Value::as_object_mut).into_iter().flatten()
}

fn add_components(document: &mut Value) {
    let components = &mut document["components"];
    components["securitySchemes"] = json!({
        "api_key_id": {"type": "apiKey", "in": "header", "name": "APCA-API-KEY-ID", "description": "The public part of an API key."},
        "api_secret_key": {"type": "apiKey", "in": "header", "name": "APCA-API-SECRET-KEY", "description": "The secret part of an API key."},
        "basic": {"type": "http", "scheme": "basic", "description": "An API key: its public part as the user, its secret part as the password."},
        "oauth2": {"type": "oauth2", "description": "A token of a connected app. From the page of this document: register a public app (POST /oauth/clients) with this origin's `/docs/oauth2-redirect.html` as its redirect URI, and enter its `client_id` without a secret.", "flows": oauth_flows()},
        "session": {"type": "apiKey", "in": "cookie", "name": "arbion", "description": "A login: POST /auth/login. Where the API is reached by HTTPS the cookie's name is `__Host-arbion`. What changes something needs the header `X-CSRF-Token`, too."},
        "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token", "description": "The token of the session: GET /auth/csrf."},
    });
    components["schemas"]["Problem"] = problem_schema();
}

fn oauth_flows() -> Value {
    let scopes: Map<String, Value> = Scope::ALL
        .iter()
        .map(|scope| (scope.as_str().to_owned(), json!(scope.meaning())))
        .collect();
    json!({
        "authorizationCode": {
            "authorizationUrl": "/oauth/authorize",
            "tokenUrl": "/oauth/token",
            "refreshUrl": "/oauth/token",
            "scopes": scopes,
        },
        "clientCredentials": {"tokenUrl": "/oauth/token", "scopes": scopes},
    })
}

fn problem_schema() -> Value {
    let text = |what: &str| json!({"type": "string", "description": what});
    let place = json!({
        "type": "object",
        "required": ["detail"],
        "properties": {
            "pointer": text("A JSON pointer into the body."),
            "parameter": text("A parameter of the path or the query."),
            "header": text("A header."),
            "detail": text("What is wrong there."),
        },
    });
    let codes: Vec<Value> = Code::ALL.iter().map(|code| json!(code.as_str())).collect();
    json!({
        "type": "object",
        "description": "An error (RFC 9457); further members depend on `error`.",
        "required": ["type", "title", "status", "detail", "instance", "error", "request_id", "code", "message"],
        "properties": {
            "type": text("Where the error is explained."),
            "title": text("The error in a few words."),
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": text("What happened this time."),
            "instance": text("The path that was asked for."),
            "error": {"type": "string", "enum": codes, "description": "What went wrong; stable."},
            "request_id": text("The request's id; it stands in the server's log, too."),
            "code": {"type": "integer", "description": "The number of Alpaca's contract."},
            "message": text("The same as `detail`, where Alpaca's SDKs look for it."),
            "errors": {"type": "array", "items": place, "description": "Each place that is wrong."},
        },
    })
}

/// The credentials that the rule of an operation admits.
fn security(method: &str, path: &str) -> Value {
    let method = method.to_ascii_uppercase().parse::<Method>().ok();
    let who = method
        .as_ref()
        .and_then(|method| rule_of(method, path))
        .map(|rule| rule.who);
    let session = if method.is_some_and(|method| method == Method::GET) {
        json!({"session": []})
    } else {
        json!({"session": [], "csrf": []})
    };
    match who {
        None | Some(Who::Anyone) => json!([]),
        Some(Who::Credential(scope)) => {
            let scopes: Vec<&str> = scope.iter().map(|scope| scope.as_str()).collect();
            json!([
                {"api_key_id": [], "api_secret_key": []}, {"basic": []}, {"oauth2": scopes}, session,
            ])
        }
        Some(Who::Session | Who::Administrator(_)) => json!([session]),
    }
}

fn finish_operation(method: &str, path: &str, operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    operation["security"] = security(method, path);
    if ["place_order", "close_position"].contains(&id.as_str()) {
        add_idempotency_key(operation);
    }
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        refine_parameter(&id, parameter);
    }
    examples::add(&id, operation);
    add_errors(&id, operation);
}

fn add_idempotency_key(operation: &mut Value) {
    let header = json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "A random text of at most 255 characters: a request that is sent again with it is carried out once.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    });
    match operation.get_mut("parameters").and_then(Value::as_array_mut) {
        Some(parameters) => parameters.push(header),
        None => operation["parameters"] = json!([header]),
    }
    operation["responses"]["200"]["headers"] = json!({
        "Idempotency-Replayed": {"description": "`true` where the answer was given before.", "schema": {"type": "string"}},
    });
}

/// What the handlers check of a parameter beyond its type.
fn refine_parameter(operation: &str, parameter: &mut Value) {
    match (operation, parameter["name"].as_str().unwrap_or_default()) {
        ("list_orders" | "list_triggers" | "list_grants", "limit") => bound(parameter, 500),
        ("list_keys" | "list_users", "limit") => bound(parameter, 100),
        ("list_audit_events", "limit") => bound(parameter, 200),
        ("list_events", "limit") => bound(parameter, 1_000),
        ("get_order_by_client_id", "client_order_id") => parameter["required"] = json!(true),
        ("close_position", "qty" | "percentage") => parameter["schema"]["pattern"] = json!(POSITIVE),
        _ => {}
    }
}

/// A number above zero, as far as a pattern can say it.
const POSITIVE: &str = r"^\d*[1-9]\d*(\.\d+)?$";

fn bound(parameter: &mut Value, maximum: u32) {
    parameter["schema"]["minimum"] = json!(1);
    parameter["schema"]["maximum"] = json!(maximum);
}

/// One response for each status, with an example for each code.
fn add_errors(id: &str, operation: &mut Value) {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in errors_of(id).unwrap_or_default() {
        let codes = by_status.entry(code.status().as_u16()).or_default();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    for (status, codes) in by_status {
        let problem = json!({
            "schema": {"$ref": "#/components/schemas/Problem"},
            "examples": codes.iter().map(|code| (code.as_str().to_owned(), example(*code))).collect::<Map<_, _>>(),
        });
        let names: Vec<String> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
        let response = &mut operation["responses"][status.to_string()];
        if response.is_null() {
            *response = json!({"description": names.join(", "), "content": {CONTENT_TYPE: problem}});
        } else {
            response["content"][CONTENT_TYPE] = problem;
        }
    }
}

fn example(code: Code) -> Value {
    json!({
        "summary": code.meaning(),
        "value": {
            "type": code.type_uri(),
            "title": code.title(),
            "status": code.status().as_u16(),
            "detail": code.title(),
            "instance": "/v2/orders",
            "error": code.as_str(),
            "request_id": "01930e4c-5b5a-7000-8000-000000000001",
            "code": code.alpaca_code(),
            "message": code.title(),
        },
    })
}

/// What need not be there may be null: our answers say so by null, and requests may.
fn mark_nullable(schema: &mut Value) {
    let required: Vec<String> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    for (name, property) in members(schema.get_mut("properties")) {
        if required.contains(name) {
            continue;
        }
        // A reference can't stand beside other keywords in OpenAPI 3.0.
        if let Some(reference) = property.get("$ref").cloned() {
            *property = json!({"allOf": [{"$ref": reference}]});
        }
        property["nullable"] = json!(true);
        if let Some(words) = property.get_mut("enum").and_then(Value::as_array_mut) {
            words.push(Value::Null);
        }
    }
}
