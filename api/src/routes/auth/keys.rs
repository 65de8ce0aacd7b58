//! `/auth/keys`: API keys for programs of one's own. Arbion's own: unknown fields are refused.
//!
//! A key has at most the scopes of what made it, on its account: a key or token with `arbion:keys` passes on what it has
//! itself. What it makes stays when it ends, until it is revoked.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::id::CredentialId;
use ipnet::IpNet;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use store::audit_log::AuditKind;
use store::{KEYS_MAX, KEYS_PAGE_MAX, NewKey};
use uuid::Uuid;

use super::super::Tag;
use super::parse_id;
use crate::access::Scope;
use crate::app::App;
use crate::auth::Principal;
use crate::idempotency::NoIdempotencyKey;
use crate::input::query::{PAGE_DEFAULT, Param, page_limit, parse_instant, refuse_unknown};
use crate::input::{Fields, JsonBody};
use crate::problem::{Code, Problem, or_absent};
use crate::record::Record;
use crate::wire::Time;

/// The longest name of a key.
const NAME_CHARACTERS_MAX: usize = 100;

/// The most networks that a key may be bound to.
const NETWORKS_MAX: usize = 32;

/// The resource.
pub(crate) struct Keys;

/// A key to make.
#[derive(Object)]
#[oai(rename = "CreateKey")]
pub(crate) struct CreateKeyBody {
    /// What it is called in lists.
    name: String,
    /// What it may do beyond reading: `trading`, `data`, `account:write`, `arbion:triggers`, `arbion:risk`,
    /// `arbion:webhooks`, `arbion:keys`. Left out: nothing.
    scopes: Option<Vec<String>>,
    /// From when on it is refused; left out: never.
    expires_at: Option<Time>,
    /// Addresses or networks (`203.0.113.7`, `10.0.0.0/8`) from which alone it works; left out: from everywhere.
    allowed_ips: Option<Vec<String>>,
}

/// A key, without its secret.
#[derive(Object)]
#[oai(rename = "Key")]
pub(crate) struct KeyView {
    /// Its id.
    id: String,
    /// The public part, for `APCA-API-KEY-ID`.
    key_id: String,
    /// The account that it belongs to.
    account_id: String,
    /// What it is called.
    name: String,
    /// What it may do beyond reading.
    scopes: Vec<String>,
    /// Networks from which alone it works; empty: from everywhere.
    allowed_ips: Vec<String>,
    /// When it was made.
    created_at: Time,
    /// From when on it is refused.
    expires_at: Option<Time>,
    /// When it was last used, to about a minute.
    last_used_at: Option<Time>,
    /// When it was revoked.
    revoked_at: Option<Time>,
}

/// A key that was just made.
#[derive(Object)]
#[oai(rename = "NewKey")]
pub(crate) struct NewKeyView {
    /// Its id.
    id: String,
    /// The public part, for `APCA-API-KEY-ID`.
    key_id: String,
    /// The secret part, for `APCA-API-SECRET-KEY`. It is shown this once; nobody can read it again.
    secret_key: String,
    /// The account that it belongs to.
    account_id: String,
}

/// A key was made.
#[derive(ApiResponse)]
pub(crate) enum Created {
    /// The key with its secret.
    #[oai(status = 201)]
    Key(Json<NewKeyView>),
}

/// A key was revoked.
#[derive(ApiResponse)]
pub(crate) enum Revoked {
    /// It is refused within a second.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(prefix_path = "/auth", tag = "Tag::Access")]
impl Keys {
    /// Make an API key
    ///
    /// For the account of the request. The secret is shown once.
    #[oai(path = "/keys", method = "post", operation_id = "create_key")]
    async fn create_key(
        &self,
        Data(app): Data<&Arc<App>>,
        record: Record,
        principal: Principal,
        _key: NoIdempotencyKey,
        body: JsonBody<CreateKeyBody>,
    ) -> poem::Result<Created> {
        let wanted = read(&mut body.fields()?, &principal, app.now())?;
        let new = NewKey {
            user: principal.user,
            account: principal.account,
            name: wanted.name,
            scopes: wanted
                .scopes
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
            expires_at: wanted.expires_at,
            allowed_ips: wanted.allowed_ips,
            now: app.now(),
        };
        let event = record.event(AuditKind::ApiKeyCreated, app.now());
        let made = app.store.create_api_key_on_record(new, event).await;
        let made = made.map_err(Problem::from)?.ok_or_else(|| {
            let detail = format!("the account has {KEYS_MAX} keys already: revoke one first");
            Problem::new(Code::TooManyKeys, detail)
        })?;
        Ok(Created::Key(Json(NewKeyView {
            id: made.credential_id.to_string(),
            key_id: made.key_id,
            secret_key: made.secret,
            account_id: principal.account.to_string(),
        })))
    }

    /// List API keys
    ///
    /// All keys of the account, revoked ones too, the newest first.
    #[oai(path = "/keys", method = "get", operation_id = "list_keys")]
    async fn list_keys(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        request: &Request,
        /// Only those older than this one: the last id of the page before.
        Query(after): Query<Param<Uuid>>,
        /// How many at most: 50 unless given, 100 at most.
        Query(limit): Query<Param<u64>>,
    ) -> poem::Result<Json<Vec<KeyView>>> {
        refuse_unknown(request, &["after", "limit"])?;
        let limit = page_limit(limit, PAGE_DEFAULT, KEYS_PAGE_MAX)?;
        let before = after.get().map(CredentialId);
        let keys = app
            .store
            .api_keys_of_account(principal.account, before, limit)
            .await;
        let view = |row: store::ApiKeyView| KeyView {
            id: row.id.to_string(),
            key_id: row.key_id,
            account_id: row.account_id.to_string(),
            name: row.name,
            scopes: row.scopes,
            allowed_ips: row.allowed_ips.iter().map(ToString::to_string).collect(),
            created_at: Time(row.created_at),
            expires_at: row.expires_at.map(Time),
            last_used_at: row.last_used_at.map(Time),
            revoked_at: row.revoked_at.map(Time),
        };
        Ok(Json(keys.map_err(Problem::from)?.into_iter().map(view).collect()))
    }

    /// Revoke an API key
    #[oai(path = "/keys/:id", method = "delete", operation_id = "revoke_key")]
    async fn revoke_key(
        &self,
        Data(app): Data<&Arc<App>>,
        record: Record,
        principal: Principal,
        _key: NoIdempotencyKey,
        /// The key's id.
        id: Path<String>,
    ) -> poem::Result<Revoked> {
        let id = parse_id(&id, not_found)?;
        let revoked = app
            .store
            .revoke_credential(principal.account, CredentialId(id), app.now())
            .await;
        revoked.map_err(|error| or_absent(error, not_found))?;
        app.forget_credentials();
        let record = record.about(&id);
        app.audit(&record, AuditKind::ApiKeyRevoked).await?;
        Ok(Revoked::Done)
    }
}

fn not_found() -> Problem {
    Problem::new(Code::KeyNotFound, "API key not found")
}

/// A key that is wanted.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    name: String,
    scopes: Vec<Scope>,
    expires_at: Option<DateTime<Utc>>,
    allowed_ips: Vec<IpNet>,
}

fn read(fields: &mut Fields, maker: &Principal, now: DateTime<Utc>) -> Result<Wanted, Problem> {
    let name = fields.text("name").unwrap_or_default();
    let is_name = |name: &str| {
        (1..=NAME_CHARACTERS_MAX).contains(&name.trim().chars().count()) && !name.contains(char::is_control)
    };
    if !is_name(&name) && !fields.has_fault_at("name") {
        let detail = format!("name must have 1 to {NAME_CHARACTERS_MAX} characters");
        fields.refuse(Code::InvalidRequest, "name", detail);
    }
    let scopes = read_scopes(fields);
    let expires_at = fields.text("expires_at").and_then(|text| {
        let time = parse_instant(&text).filter(|time| *time > now);
        if time.is_none() {
            fields.refuse(
                Code::InvalidRequest,
                "expires_at",
                "expires_at must be a time in the future (RFC 3339)",
            );
        }
        time
    });
    let allowed_ips = read_networks(fields);
    fields.refuse_unknown();
    fields.finish()?;
    maker.require_all(&scopes)?;
    Ok(Wanted {
        name: name.trim().to_owned(),
        scopes,
        expires_at,
        allowed_ips,
    })
}

fn read_scopes(fields: &mut Fields) -> Vec<Scope> {
    let texts = fields.texts("scopes").unwrap_or_default();
    let mut scopes: Vec<Scope> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    if scopes.len() < texts.len() {
        let known = Scope::ALL.map(Scope::as_str).join(", ");
        fields.refuse(
            Code::InvalidRequest,
            "scopes",
            format!("each scope must be one of {known}"),
        );
    }
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

fn read_networks(fields: &mut Fields) -> Vec<IpNet> {
    let texts = fields.texts("allowed_ips").unwrap_or_default();
    let network = |text: &String| {
        let address = || text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
        let network = text.parse::<IpNet>().ok().or_else(address)?.trunc();
        // Clients of IPv4 are known by their IPv4 address, so that such a network would admit nobody.
        let is_mapped = matches!(network, IpNet::V6(network) if network.addr().to_ipv4_mapped().is_some());
        (!is_mapped).then_some(network)
    };
    let networks: Vec<IpNet> = texts.iter().filter_map(network).collect();
    if networks.len() < texts.len() || texts.len() > NETWORKS_MAX {
        let detail = format!("allowed_ips must be at most {NETWORKS_MAX} addresses or networks");
        fields.refuse(Code::InvalidRequest, "allowed_ips", detail);
    }
    networks
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn now() -> DateTime<Utc> {
        "2026-11-28T12:00:00Z".parse().unwrap()
    }

    fn read_json(body: Value, scopes: &[Scope]) -> Result<Wanted, Problem> {
        let Value::Object(members) = body else {
            panic!("not an object")
        };
        let maker = Principal {
            scopes: scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            ..Principal::example()
        };
        read(&mut Fields::new(members), &maker, now())
    }

    #[test]
    fn a_key_has_a_name_and_what_else_it_is_given() {
        let plain = read_json(json!({"name": " bot "}), &[]).unwrap();
        let expected = Wanted {
            name: "bot".to_owned(),
            scopes: vec![],
            expires_at: None,
            allowed_ips: vec![],
        };
        assert_eq!(plain, expected);
        let full = json!({
            "name": "bot", "scopes": ["arbion:triggers", "trading", "trading"],
            "expires_at": "2026-11-28T12:00:01Z", "allowed_ips": ["203.0.113.7", "10.1.2.3/8", "2001:db8::/32"],
        });
        let full = read_json(full, &Scope::ALL).unwrap();
        assert_eq!(full.scopes, [Scope::Trading, Scope::Triggers]);
        let networks: Vec<String> = full.allowed_ips.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["203.0.113.7/32", "10.0.0.0/8", "2001:db8::/32"]);
    }

    #[test]
    fn what_a_key_cannot_be_is_refused_with_its_place() {
        let many: Vec<String> = (0..=NETWORKS_MAX).map(|n| format!("10.0.0.{n}")).collect();
        for (body, place) in [
            (json!({}), "/name"),
            (json!({"name": "  "}), "/name"),
            (json!({"name": "a\nb"}), "/name"),
            (json!({"name": "x".repeat(101)}), "/name"),
            (json!({"name": "bot", "scopes": "trading"}), "/scopes"),
            (json!({"name": "bot", "scopes": ["admin"]}), "/scopes"),
            (json!({"name": "bot", "scopes": [1]}), "/scopes"),
            (
                json!({"name": "bot", "expires_at": "2026-11-28T12:00:00Z"}),
                "/expires_at",
            ),
            (json!({"name": "bot", "expires_at": "soon"}), "/expires_at"),
            (
                json!({"name": "bot", "allowed_ips": ["10.0.0.0/33"]}),
                "/allowed_ips",
            ),
            (
                json!({"name": "bot", "allowed_ips": ["::ffff:192.0.2.1"]}),
                "/allowed_ips",
            ),
            (json!({"name": "bot", "allowed_ips": many}), "/allowed_ips"),
            (json!({"name": "bot", "user_id": "other"}), "/user_id"),
            (json!({"name": "bot", "role": "superadmin"}), "/role"),
        ] {
            let problem = read_json(body.clone(), &Scope::ALL).unwrap_err();
            assert_eq!(problem.errors()[0].place(), place, "{body}");
        }
    }

    #[test]
    fn a_key_never_does_more_than_what_made_it() {
        let body = json!({"name": "bot", "scopes": ["trading"]});
        assert!(read_json(body.clone(), &[Scope::Keys, Scope::Trading]).is_ok());
        let problem = read_json(body, &[Scope::Keys]).unwrap_err();
        assert_eq!(problem.code(), Code::InsufficientScope);
    }
}
