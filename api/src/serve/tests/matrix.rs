//! Every operation of the document against everybody who may ask: a route without a rule, or with a rule that does not
//! hold, fails here.

use poem::Request;
use poem::http::Method;
use serde_json::{Value, json};
use store::oauth::NewGrant;
use store::testing::TestStore;
use store::{Redemption, Role};

use super::browser::{Browser, PASSWORD};
use super::site::{Answer, Site, buy, rest};
use crate::access::Scope;
use crate::access::rules::{Class, Rule, TABLE, Who, rule_of};
use crate::serve::undocumented;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Nobody,
    WrongSecret,
    KeyWithoutScopes,
    KeyWithAllScopes,
    KeyOfADeactivatedUser,
    TokenWithAllScopes,
    StandardUser,
    StandardUserWithoutToken,
    Admin,
    Superadmin,
    StaleSuperadmin,
    DeactivatedUser,
}

const CALLERS: [Caller; 12] = [
    Caller::Nobody,
    Caller::WrongSecret,
    Caller::KeyWithoutScopes,
    Caller::KeyWithAllScopes,
    Caller::KeyOfADeactivatedUser,
    Caller::TokenWithAllScopes,
    Caller::StandardUser,
    Caller::StandardUserWithoutToken,
    Caller::Admin,
    Caller::Superadmin,
    Caller::StaleSuperadmin,
    Caller::DeactivatedUser,
];

const NOT_AUTHORIZED: Option<&str> = Some("not_authorized");

/// The error with which the gate stops `caller`; `None`: the handler is asked. Written by hand, row by row.
#[expect(clippy::match_same_arms, reason = "a table, row by row")]
fn expected(who: Who, is_change: bool, caller: Caller) -> Option<&'static str> {
    use Caller as C;
    match (who, caller) {
        (Who::Anyone, _) => None,
        (_, C::Nobody | C::WrongSecret | C::KeyOfADeactivatedUser | C::DeactivatedUser) => NOT_AUTHORIZED,
        (_, C::StandardUserWithoutToken) if is_change => Some("csrf_refused"),
        (Who::Credential(None), _) => None,
        (Who::Credential(Some(_)), C::KeyWithAllScopes | C::TokenWithAllScopes) => None,
        (Who::Credential(Some(_)), C::KeyWithoutScopes) => Some("insufficient_scope"),
        (Who::Credential(Some(_)), _) => None,
        (Who::Session, C::KeyWithoutScopes | C::KeyWithAllScopes | C::TokenWithAllScopes) => NOT_AUTHORIZED,
        (Who::Administrator(_), C::KeyWithoutScopes | C::KeyWithAllScopes | C::TokenWithAllScopes) => {
            NOT_AUTHORIZED
        }
        (Who::Session, _) => None,
        (Who::Administrator(_), C::StandardUser | C::StandardUserWithoutToken) => Some("role_not_allowed"),
        (Who::Administrator(_), C::StaleSuperadmin) => Some("stale_session"),
        (Who::Administrator(Role::Superadmin), C::Admin) => Some("role_not_allowed"),
        (Who::Administrator(_), C::Admin | C::Superadmin) => None,
    }
}

/// The errors of the gate.
const GATE: [&str; 5] = [
    "not_authorized",
    "insufficient_scope",
    "csrf_refused",
    "role_not_allowed",
    "stale_session",
];

/// Every operation of the document, with an example of its path.
fn operations() -> Vec<(Method, String, String, Rule)> {
    let document = crate::openapi::document();
    let mut found = Vec::new();
    for (pattern, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let rule = rule_of(&method, pattern);
            let rule = rule.unwrap_or_else(|| panic!("{method} {pattern} has no rule"));
            let path = pattern
                .replace("{id}", "01930e4c-5b5a-7000-8000-000000000099")
                .replace("{client_id}", "app_nobody")
                .replace("{key}", "AAPL");
            let is_open = operation["security"].as_array().unwrap().is_empty();
            assert_eq!(
                is_open,
                rule.who == Who::Anyone,
                "{method} {pattern} is documented as it is"
            );
            found.push((method, pattern.clone(), path, rule));
        }
    }
    found
}

#[test]
fn every_rule_is_of_an_operation_and_every_operation_has_one() {
    let mut known: Vec<(Method, String)> = operations()
        .into_iter()
        .map(|(method, pattern, _, _)| (method, pattern))
        .collect();
    for (pattern, methods) in undocumented() {
        for method in methods.iter().filter(|method| **method != "HEAD") {
            let method: Method = method.parse().unwrap();
            assert!(rule_of(&method, pattern).is_some(), "{method} {pattern}");
            known.push((method, pattern.to_owned()));
        }
    }
    for (method, pattern, _) in TABLE {
        let is_known = known.iter().any(|(own, path)| own == method && path == pattern);
        assert!(is_known, "{method} {pattern} is in the table alone");
    }
    assert_eq!(known.len(), TABLE.len(), "no rule stands twice");
}

/// Everybody, ready to ask.
struct Callers<'a> {
    site: &'a Site,
    without_scopes: (String, String),
    with_all_scopes: (String, String),
    of_deactivated: (String, String),
    token: String,
    standard: Browser<'a>,
    admin: Browser<'a>,
    superadmin: Browser<'a>,
    stale: Browser<'a>,
    deactivated: Browser<'a>,
}

impl<'a> Callers<'a> {
    async fn of(site: &'a Site) -> Self {
        let stale = site.superadmin().await;
        site.advance(chrono::TimeDelta::minutes(16));
        let mut superadmin = Browser::logged_in(site, "owner@example.org").await;
        let admin = json!({"email": "admin@example.com", "password": PASSWORD, "role": "admin"});
        assert_eq!(superadmin.post("/admin/users", &admin).await.status, 201);
        let mut deactivated = Browser::registered(site, "gone@example.com").await;
        let of_deactivated = key(&mut deactivated, &[]).await;
        let id = deactivated.get("/auth/me").await.json()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut callers = Self {
            site,
            without_scopes: Default::default(),
            with_all_scopes: Default::default(),
            of_deactivated,
            token: String::new(),
            standard: Browser::registered(site, "anna@example.com").await,
            admin: Browser::logged_in(site, "admin@example.com").await,
            superadmin,
            stale,
            deactivated,
        };
        callers.without_scopes = key(&mut callers.standard, &[]).await;
        callers.with_all_scopes = key(&mut callers.standard, &Scope::ALL.map(Scope::as_str)).await;
        callers.token = token(&mut callers.standard).await;
        let off = callers
            .superadmin
            .patch(&format!("/admin/users/{id}"), &json!({"is_active": false}))
            .await;
        assert_eq!(off.status, 200, "{}", off.text);
        callers
    }

    async fn ask(&mut self, caller: Caller, method: &Method, path: &str) -> Answer {
        let body = json!({});
        let by_key = |key: &(String, String)| (key.0.clone(), key.1.clone());
        let key = match caller {
            Caller::Nobody => {
                let request = Request::builder().method(method.clone()).uri_str(path);
                return self
                    .site
                    .answer(request.content_type("application/json").body("{}"))
                    .await;
            }
            Caller::WrongSecret => (self.with_all_scopes.0.clone(), "wrong".to_owned()),
            Caller::KeyWithoutScopes => by_key(&self.without_scopes),
            Caller::KeyWithAllScopes => by_key(&self.with_all_scopes),
            Caller::KeyOfADeactivatedUser => by_key(&self.of_deactivated),
            Caller::TokenWithAllScopes => {
                let request = Request::builder().method(method.clone()).uri_str(path);
                let bearer = format!("Bearer {}", self.token);
                let request = request
                    .header("authorization", bearer)
                    .content_type("application/json");
                return self.site.answer(request.body("{}")).await;
            }
            Caller::StandardUser => return self.standard.send(method.clone(), path, Some(&body)).await,
            Caller::StandardUserWithoutToken => {
                let token = std::mem::take(&mut self.standard.token);
                let answer = self.standard.send(method.clone(), path, Some(&body)).await;
                self.standard.token = token;
                return answer;
            }
            Caller::Admin => return self.admin.send(method.clone(), path, Some(&body)).await,
            Caller::Superadmin => return self.superadmin.send(method.clone(), path, Some(&body)).await,
            Caller::StaleSuperadmin => return self.stale.send(method.clone(), path, Some(&body)).await,
            Caller::DeactivatedUser => return self.deactivated.send(method.clone(), path, Some(&body)).await,
        };
        self.site
            .with_key((&key.0, &key.1), method.clone(), path, &body)
            .await
    }
}

async fn key(browser: &mut Browser<'_>, scopes: &[&str]) -> (String, String) {
    let made = browser
        .post("/auth/keys", &json!({"name": "matrix", "scopes": scopes}))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("key_id"), text("secret_key"))
}

/// A token of an app of `browser`'s that may do everything.
async fn token(browser: &mut Browser<'_>) -> String {
    let app = json!({
        "name": "matrix", "client_type": "confidential", "scopes": Scope::ALL.map(Scope::as_str),
        "grant_types": ["client_credentials"],
    });
    let made = browser.post("/oauth/clients", &app).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let form = format!(
        "grant_type=client_credentials&scope={}&client_id={}&client_secret={}",
        Scope::ALL.map(Scope::as_str).join("+"),
        text(&made["client"]["client_id"]),
        text(&made["client_secret"])
    );
    let issued = browser.submit("/oauth/token", form).await;
    assert_eq!(issued.status, 200, "{}", issued.text);
    text(&issued.json()["access_token"])
}

/// An app that the owner of `site` has connected.
async fn grant(site: &Site, client_id: &str) -> String {
    let client = site.store.oauth_client(client_id).await.unwrap().unwrap();
    let new = NewGrant {
        client: client.id,
        user: client.owner,
        account: site.account,
        scopes: Vec::new(),
        redirect_uri: None,
        code_challenge: "x".repeat(43),
    };
    let made = site.store.create_oauth_grant(&new, site.now).await.unwrap();
    let code = platform::secrets::sha256(&made.code);
    let redeemed = site
        .store
        .redeem_oauth_code(code, |_| true, site.now)
        .await
        .unwrap();
    assert!(matches!(redeemed, Redemption::Redeemed(_)), "{redeemed:?}");
    made.grant.to_string()
}

store::testing::on_both! {
    async fn every_operation_answers_those_whom_its_rule_admits_and_nobody_else(test: TestStore) {
        let site = Site::over(test).await;
        let mut callers = Callers::of(&site).await;
        // What ends the caller's own session is asked last of all.
        let mut operations = operations();
        operations.sort_by_key(|(_, pattern, _, _)| pattern.starts_with("/auth/"));
        for (method, pattern, path, rule) in operations {
            if pattern == "/auth/logout" || (method == Method::DELETE && pattern == "/auth/sessions") {
                continue;
            }
            for caller in CALLERS {
                let answer = callers.ask(caller, &method, &path).await;
                let error = answer.is_error().then(|| answer.error().1);
                let stopped = error.as_deref().filter(|error| GATE.contains(error));
                // Login and registration ask for the token of the page, whoever asks.
                let is_login = matches!(pattern.as_str(), "/auth/login" | "/auth/register");
                let is_change = method != Method::GET;
                let expected = match expected(rule.who, is_change, caller) {
                    None if is_login && stopped == Some("csrf_refused") => stopped,
                    expected => expected,
                };
                assert_eq!(stopped, expected, "{caller:?}: {method} {path}: {}", answer.text);
            }
        }
    }

    async fn objects_of_another_user_and_of_another_account_are_not_there(test: TestStore) {
        let site = Site::over(test).await;
        let mut anna = site.superadmin().await;
        let mut ben = Browser::registered(&site, "ben@example.com").await;
        let id = |answer: &Answer| {
            assert!(answer.status.is_success(), "{}", answer.text);
            answer.json()["id"].as_str().unwrap().to_owned()
        };
        let me = anna.get("/auth/me").await.json();
        let order = id(&anna.post("/v2/orders", &rest()).await);
        let by_client_id = anna.get(&format!("/v2/orders/{order}")).await.json()["client_order_id"].take();
        let by_client_id = format!("/v2/orders:by_client_order_id?client_order_id={}", by_client_id.as_str().unwrap());
        site.own("MSFT", "1", "1").await;
        let trigger = id(&anna.post("/v2/triggers", &json!({"symbol": "MSFT", "stop_price": "0.5"})).await);
        let app = json!({"name": "App", "client_type": "public", "redirect_uris": ["https://a.example/cb"]});
        let app = anna.post("/oauth/clients", &app).await.json()["client"]["client_id"].take();
        let app = app.as_str().unwrap();
        let objects = [
            ("/v2/orders/{id}", order.as_str()),
            ("/v2/positions/{key}", "MSFT"),
            ("/v2/triggers/{id}", &trigger),
            ("/auth/keys/{id}", &id(&anna.post("/auth/keys", &json!({"name": "bot"})).await)),
            ("/auth/sessions/{id}", me["session_id"].as_str().unwrap()),
            ("/oauth/clients/{client_id}", app),
            ("/oauth/grants/{id}", &grant(&site, app).await),
            ("/admin/users/{id}", me["id"].as_str().unwrap()),
        ];
        let second = site.another_account(&site.account.to_string()).await;
        let mut elsewhere = Browser::logged_in(&site, "owner@example.org").await;
        elsewhere.headers = vec![("arbion-account", second)];
        for (method, pattern, _, _) in operations() {
            // Instruments are everybody's.
            if !pattern.contains('{') || pattern == "/v2/assets/{key}" {
                continue;
            }
            let object = objects.iter().find(|(known, _)| *known == pattern);
            let (_, object) = object.unwrap_or_else(|| panic!("nobody asks for another's {pattern}"));
            let path = format!("{}{object}", pattern.split('{').next().unwrap());
            let body = (method == Method::PATCH).then(|| json!({"limit_price": "2"}));
            let answer = ben.send(method.clone(), &path, body.as_ref()).await;
            let status = if pattern.starts_with("/admin/") { 403 } else { 404 };
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
            if pattern.starts_with("/v2/") || pattern.starts_with("/auth/keys") {
                let answer = elsewhere.send(method.clone(), &path, body.as_ref()).await;
                assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
            }
        }
        for stranger in [&mut ben, &mut elsewhere] {
            assert_eq!(stranger.get(&by_client_id).await.status, 404);
            // What is asked of all at once does not reach those of others.
            assert_eq!(stranger.delete("/v2/orders").await.json(), json!([]));
            assert_eq!(stranger.delete("/v2/positions").await.json(), json!([]));
            for list in ["/v2/orders?status=all", "/v2/positions", "/v2/triggers", "/auth/keys"] {
                assert_eq!(stranger.get(list).await.json(), json!([]), "{list}");
            }
            assert_eq!(stranger.get("/v2/events").await.json()["events"], json!([]));
        }
        for list in ["/oauth/clients", "/oauth/grants"] {
            assert_eq!(ben.get(list).await.json(), json!([]), "{list}");
        }
        // Everything of hers is as it was.
        assert_eq!(anna.get(&format!("/v2/orders/{order}")).await.json()["status"], "accepted");
        assert_eq!(anna.get(&format!("/v2/triggers/{trigger}")).await.json()["state"], "armed");
        for list in ["/v2/positions", "/oauth/clients", "/oauth/grants"] {
            assert_eq!(anna.get(list).await.json().as_array().unwrap().len(), 1, "{list}");
        }
        assert_eq!(ben.post("/v2/orders", &buy()).await.status, 200);
    }

    async fn every_form_of_a_page_needs_the_token_of_its_session(test: TestStore) {
        let site = Site::over(test).await;
        let mut anna = Browser::registered(&site, "anna@example.com").await;
        let ben = Browser::registered(&site, "ben@example.com").await;
        let mut asked = 0;
        for (path, _) in undocumented().filter(|(_, methods)| methods.contains(&"POST")) {
            let rule = rule_of(&Method::POST, path).unwrap();
            // Clients prove themselves; a cookie means nothing to them.
            if rule.class == Class::Token {
                continue;
            }
            asked += 1;
            for form in [String::new(), "csrf_token=x".to_owned(), format!("csrf_token={}", ben.token)] {
                let refused = anna.submit(path, form).await;
                assert_eq!(refused.status, 403, "{path}: {}", refused.text);
            }
        }
        assert_eq!(asked, 5, "login, registration, logout, access and consent");
        assert_eq!(anna.get("/auth/me").await.status, 200, "nothing has ended her session");
    }
}
