//! Reads what an app is registered as.

use store::oauth::NewClient;

use crate::access::Scope;
use crate::auth::Principal;
use crate::input::{Fields, shown};
use crate::oauth::scope;
use crate::oauth::{AUTHORIZATION_CODE, CLIENT_CREDENTIALS, redirect};
use crate::problem::{Code, Problem};
use crate::wire::GrantTypeName;

/// A client has at most as many redirect URIs.
const REDIRECT_URIS_MAX: usize = 10;

/// A name has at most as many characters.
const NAME_CHARACTERS_MAX: usize = 64;

/// Reads an app of `principal` from the members of its body, and its scopes.
pub(crate) fn read(fields: &mut Fields, principal: &Principal) -> Result<(NewClient, Vec<Scope>), Problem> {
    let name = read_name(fields);
    let is_confidential = read_type(fields);
    let redirect_uris = read_redirect_uris(fields);
    let grant_types = read_grant_types(fields, !redirect_uris.is_empty());
    let scopes = read_scopes(fields);
    let has = |grant_type: &str| grant_types.iter().any(|one| one == grant_type);
    if has(AUTHORIZATION_CODE) == redirect_uris.is_empty() && fields.fault_count() == 0 {
        let detail = "redirect_uris go together with authorization_code";
        fields.refuse(Code::InvalidRequest, "redirect_uris", detail);
    }
    if has(CLIENT_CREDENTIALS) && is_confidential == Some(false) {
        let detail = "a public app keeps no secret, so it can't have client_credentials";
        fields.refuse(Code::InvalidRequest, "grant_types", detail);
    }
    fields.refuse_unknown();
    fields.finish()?;
    let new = NewClient {
        user: principal.user,
        account: principal.account,
        name,
        is_confidential: is_confidential.unwrap_or_default(),
        grant_types,
        redirect_uris,
        scopes: scope::names(&scopes),
    };
    Ok((new, scopes))
}

fn read_name(fields: &mut Fields) -> String {
    let name = fields.text("name").unwrap_or_default();
    let is_shown = |one: char| !one.is_control() && !is_invisible(one);
    let is_fine = (1..=NAME_CHARACTERS_MAX).contains(&name.chars().count())
        && name.chars().all(is_shown)
        && name.trim() == name;
    if !is_fine && !fields.has_fault_at("name") {
        let detail = format!("name must have 1 to {NAME_CHARACTERS_MAX} visible characters");
        fields.refuse(Code::InvalidRequest, "name", detail);
    }
    name
}

/// Characters that change how the text around them is shown: a name must not look like another one on the page that asks.
const fn is_invisible(one: char) -> bool {
    matches!(
        one,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
    )
}

fn read_type(fields: &mut Fields) -> Option<bool> {
    let text = fields.text("client_type");
    match text.as_deref() {
        Some("confidential") => return Some(true),
        Some("public") => return Some(false),
        Some(_) | None => {}
    }
    if !fields.has_fault_at("client_type") {
        let detail = "client_type must be confidential or public";
        fields.refuse(Code::InvalidRequest, "client_type", detail);
    }
    None
}

fn read_redirect_uris(fields: &mut Fields) -> Vec<String> {
    let mut uris = fields.texts("redirect_uris").unwrap_or_default();
    if uris.len() > REDIRECT_URIS_MAX {
        let detail = format!("at most {REDIRECT_URIS_MAX} redirect_uris");
        fields.refuse(Code::InvalidRequest, "redirect_uris", detail);
        return uris;
    }
    for (at, uri) in uris.iter().enumerate() {
        if let Err(fault) = redirect::check(uri) {
            let detail = format!("{} {fault}", shown(uri));
            fields.refuse(Code::InvalidRequest, &format!("redirect_uris/{at}"), detail);
        }
    }
    uris.dedup();
    uris
}

fn read_grant_types(fields: &mut Fields, has_places: bool) -> Vec<String> {
    let Some(mut types) = fields.texts("grant_types") else {
        let default = if has_places {
            AUTHORIZATION_CODE
        } else {
            CLIENT_CREDENTIALS
        };
        return vec![default.to_owned()];
    };
    let is_known = |one: &String| GrantTypeName::ALL.contains(&one.as_str());
    if types.is_empty() || !types.iter().all(is_known) {
        let detail = "grant_types must be authorization_code, client_credentials or both";
        fields.refuse(Code::InvalidRequest, "grant_types", detail);
    }
    types.sort_unstable();
    types.dedup();
    types
}

fn read_scopes(fields: &mut Fields) -> Vec<Scope> {
    let names = fields.texts("scopes").unwrap_or_default();
    let is_known = |name: &String| name.parse::<Scope>().is_ok();
    if names.iter().all(is_known)
        && let Ok(scopes) = scope::parse(&names.join(" "))
    {
        return scopes;
    }
    let known = scope::names(&Scope::ALL).join(", ");
    fields.refuse(
        Code::InvalidRequest,
        "scopes",
        format!("scopes must be of {known}"),
    );
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read_json(body: Value) -> Result<NewClient, Problem> {
        let Value::Object(members) = body else {
            panic!("not an object")
        };
        read(&mut Fields::new(members), &Principal::example()).map(|(new, _)| new)
    }

    #[test]
    fn an_app_is_registered_with_the_least_that_it_needs() {
        let web =
            json!({"name": "Bot", "client_type": "confidential", "redirect_uris": ["https://a.example/cb"]});
        let web = read_json(web).unwrap();
        assert_eq!(web.grant_types, [AUTHORIZATION_CODE]);
        assert_eq!(web.scopes, ["data"]);
        assert!(web.is_confidential);
        let script = json!({"name": "Script", "client_type": "confidential", "scopes": ["trading", "data"]});
        let script = read_json(script).unwrap();
        assert_eq!(script.grant_types, [CLIENT_CREDENTIALS]);
        assert_eq!(script.scopes, ["data", "trading"]);
        let both = json!({
            "name": "Both", "client_type": "confidential", "redirect_uris": ["http://127.0.0.1/cb"],
            "grant_types": ["client_credentials", "authorization_code"],
        });
        assert_eq!(
            read_json(both).unwrap().grant_types,
            [AUTHORIZATION_CODE, CLIENT_CREDENTIALS]
        );
    }

    /// The place that is wrong with a good app when `changes` are made to it.
    fn wrong_place(changes: &Value) -> (Code, String) {
        let uris = json!(["https://a.example/cb"]);
        let mut body = json!({"name": "Bot", "client_type": "confidential", "redirect_uris": uris});
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        let Err(problem) = read_json(body.clone()) else {
            panic!("{body} is taken")
        };
        (problem.code(), problem.errors()[0].place().to_owned())
    }

    #[test]
    fn what_an_app_cannot_be_is_refused_with_its_place() {
        let both = json!(["authorization_code", "client_credentials"]);
        for (changes, place) in [
            (json!({"name": ""}), "/name"),
            (json!({"name": " Bot"}), "/name"),
            (json!({"name": "x".repeat(65)}), "/name"),
            (json!({"name": "B\u{202e}ot"}), "/name"),
            (json!({"name": "Bot\n"}), "/name"),
            (json!({"name": 5}), "/name"),
            (json!({"client_type": null}), "/client_type"),
            (json!({"client_type": "secret"}), "/client_type"),
            (json!({"redirect_uris": "https://a.example/cb"}), "/redirect_uris"),
            (
                json!({"redirect_uris": ["http://a.example/cb"]}),
                "/redirect_uris/0",
            ),
            (
                json!({"redirect_uris": vec!["https://a.example/cb"; 11]}),
                "/redirect_uris",
            ),
            (
                json!({"redirect_uris": [], "grant_types": ["authorization_code"]}),
                "/redirect_uris",
            ),
            (json!({"grant_types": ["client_credentials"]}), "/redirect_uris"),
            (json!({"grant_types": []}), "/grant_types"),
            (json!({"grant_types": ["password"]}), "/grant_types"),
            (
                json!({"client_type": "public", "grant_types": both}),
                "/grant_types",
            ),
            (json!({"scopes": ["admin"]}), "/scopes"),
            (json!({"scopes": ["trading data"]}), "/scopes"),
        ] {
            let expected = (Code::InvalidRequest, place.to_owned());
            assert_eq!(wrong_place(&changes), expected, "{changes}");
        }
    }

    #[test]
    fn nobody_registers_for_somebody_else_or_chooses_the_secret() {
        for name in ["client_secret", "client_id", "user_id", "account_id", "role"] {
            let expected = (Code::UnknownField, format!("/{name}"));
            assert_eq!(wrong_place(&json!({name: "x"})), expected);
        }
    }
}
