//! Examples of sessions, keys and users.

use serde_json::{Value, json};

const USER: &str = "01930e4c-5b5a-7000-8000-000000000006";
const ACCOUNT: &str = "01930e4c-5b5a-7000-8000-000000000003";
const TIME: &str = "2026-11-24T14:30:00.000000Z";
const TOKEN: &str = "yX0c6Jz0bJr3oQ7l1n9w2sVb8dKq4tMhZ5uEfGiLpRa";

fn me() -> Value {
    json!({
        "id": USER, "email": "anna@example.com", "role": "standard",
        "accounts": [{"id": ACCOUNT, "account_number": "PA01930E4C5B5A", "mode": "paper"}],
        "session_id": "01930e4c-5b5a-7000-8000-000000000007", "authenticated_at": TIME, "csrf_token": TOKEN,
    })
}

fn session() -> Value {
    json!({
        "id": "01930e4c-5b5a-7000-8000-000000000007", "is_current": true, "ip": "203.0.113.7",
        "user_agent": "Mozilla/5.0", "created_at": TIME, "last_seen_at": TIME,
        "expires_at": "2026-11-25T02:30:00.000000Z",
    })
}

fn key() -> Value {
    json!({
        "id": "01930e4c-5b5a-7000-8000-000000000005", "key_id": "PKABCDEFGHJKLMNPQRST", "account_id": ACCOUNT,
        "name": "my bot", "scopes": ["trading"], "allowed_ips": ["203.0.113.0/24"], "created_at": TIME,
        "expires_at": null, "last_used_at": null, "revoked_at": null,
    })
}

fn user() -> Value {
    json!({
        "id": USER, "email": "anna@example.com", "role": "standard", "is_active": true, "order_notional": null,
        "day_notional": "5000", "created_at": TIME,
    })
}

fn audit_page() -> Value {
    json!({
        "events": [{
            "chain_id": ACCOUNT, "seq": 4, "at": TIME, "kind": "api_key_created", "user_id": USER,
            "credential_id": "01930e4c-5b5a-7000-8000-000000000007", "account_id": ACCOUNT,
            "subject": "PKABCDEFGHJKLMNPQRST", "ip": "203.0.113.7",
            "request_id": "01930e4c-5b5a-7000-8000-000000000004", "data": {},
        }],
        "next_after": "2026-11-24T14:30:00.000000Z,01930e4c-5b5a-7000-8000-000000000003,4",
    })
}

/// An example of the body of `operation`.
pub(super) fn request(operation: &str) -> Option<Value> {
    let password = "four plain words together";
    Some(match operation {
        "register" | "log_in" => json!({"email": "anna@example.com", "password": password}),
        "reauthenticate" => json!({"password": password}),
        "change_password" => {
            json!({"current_password": password, "new_password": "another four plain words"})
        }
        "create_key" => {
            json!({"name": "my bot", "scopes": ["trading"], "allowed_ips": ["203.0.113.0/24"]})
        }
        "create_user" => json!({"email": "anna@example.com", "password": password, "role": "standard"}),
        "update_user" => json!({"day_notional": "5000"}),
        _ => return None,
    })
}

/// The status of `operation`'s success, and an example of its answer.
pub(super) fn answer(operation: &str) -> Option<(&'static str, Value)> {
    Some(match operation {
        "get_csrf_token" => ("200", json!({"csrf_token": TOKEN})),
        "register" => ("201", me()),
        "log_in" | "reauthenticate" | "change_password" | "get_me" => ("200", me()),
        "list_sessions" => ("200", json!([session()])),
        "create_key" => (
            "201",
            json!({
                "id": "01930e4c-5b5a-7000-8000-000000000005", "key_id": "PKABCDEFGHJKLMNPQRST",
                "secret_key": TOKEN, "account_id": ACCOUNT,
            }),
        ),
        "list_keys" => ("200", json!([key()])),
        "list_users" => ("200", json!([user()])),
        "create_user" => ("201", user()),
        "get_user" | "update_user" => ("200", user()),
        "list_audit_events" => ("200", audit_page()),
        _ => return None,
    })
}
