//! People log in, and nobody else does: each attack is a test with its name.

use chrono::TimeDelta;
use platform::Config;
use poem::http::Method;
use serde_json::{Value, json};
use store::testing::TestStore;
use store::{KEYS_MAX, Role};

use super::browser::{Browser, PASSWORD};
use super::site::{Answer, Differences, Site, buy};
use crate::setup::{self, SetupError};

const ANNA: &str = "anna@example.com";
const BEN: &str = "ben@example.com";
const SESSION: &str = "arbion";

#[track_caller]
fn assert_error(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.error(), (status, error.to_owned()), "{}", answer.text);
}

store::testing::on_both! {
    async fn a_person_registers_trades_and_logs_out(test: TestStore) {
        let site = Site::over(test).await;
        let mut anna = Browser::registered(&site, " Anna@Example.com ").await;
        let me = anna.get("/auth/me").await.json();
        assert_eq!((&me["email"], &me["role"]), (&json!(ANNA), &json!("standard")));
        assert_eq!(me["accounts"].as_array().unwrap().len(), 1);
        let placed = anna.post("/v2/orders", &buy()).await;
        assert_eq!(placed.status, 200, "{}", placed.text);
        let cookie = anna.cookie(SESSION).unwrap().to_owned();
        assert_eq!(anna.post("/auth/logout", &json!({})).await.status, 204);
        assert_eq!(anna.cookie(SESSION), None);
        anna.plant(SESSION, &cookie);
        assert_error(&anna.get("/auth/me").await, 401, "not_authorized");
        let again = anna.enter("/auth/register", ANNA, PASSWORD).await;
        assert_error(&again, 403, "csrf_refused");
        let mut again = Browser::open(&site).await;
        assert_error(&again.enter("/auth/register", "ANNA@example.com", PASSWORD).await, 409, "email_taken");
    }

    async fn an_unknown_address_and_a_wrong_password_get_the_same_answer(test: TestStore) {
        let site = Site::over(test).await;
        Browser::registered(&site, ANNA).await;
        let mut stranger = Browser::open(&site).await;
        let without_ids = |answer: &Answer| {
            let mut body = answer.json();
            body["request_id"] = Value::Null;
            let names: Vec<String> = answer.response.headers().keys().map(ToString::to_string).collect();
            (answer.status, body, names)
        };
        let wrong = stranger.enter("/auth/login", ANNA, "not the password of anna").await;
        let unknown = stranger.enter("/auth/login", BEN, "not the password of anna").await;
        assert_error(&wrong, 401, "wrong_password");
        assert_eq!(without_ids(&wrong), without_ids(&unknown));
        assert_eq!(stranger.cookie(SESSION), None);
        // The same work, too: every attempt costs one hash.
        for (email, password) in [(ANNA, PASSWORD), (ANNA, "not the password of anna"), (BEN, PASSWORD)] {
            let before = site.app.passwords.done();
            stranger = Browser::open(&site).await;
            stranger.enter("/auth/login", email, password).await;
            assert_eq!(site.app.passwords.done(), before + 1, "{email}");
        }
    }

    async fn lock_out_is_by_delay_and_the_right_password_works_at_once(test: TestStore) {
        let site = Site::over(test).await;
        Browser::registered(&site, ANNA).await;
        let mut stranger = Browser::open(&site).await;
        for _ in 0..6 {
            let wrong = stranger.enter("/auth/login", ANNA, "not the password of anna").await;
            assert_error(&wrong, 401, "wrong_password");
        }
        // They were noted: another one from the same place would wait.
        let nowhere = std::net::Ipv4Addr::UNSPECIFIED.into();
        assert!(!site.app.failures.failed(ANNA, nowhere, site.now).is_zero());
        assert_eq!(stranger.enter("/auth/login", ANNA, PASSWORD).await.status, 200);
    }

    async fn strangers_cannot_keep_a_person_out_of_a_browser_that_is_known(test: TestStore) {
        let doors = &[("RATE_LIMIT_LOGIN_PER_MINUTE", "3"), ("TRUSTED_PROXIES", "0.0.0.0")];
        let site = Site::with(test, Differences { doors, ..Differences::default() }).await;
        let from = |address: &str| vec![("x-forwarded-for", address.to_owned())];
        let mut anna = Browser::registered(&site, ANNA).await;
        anna.headers = from("192.0.2.1");
        assert_eq!(anna.post("/auth/logout", &json!({})).await.status, 204);
        for address in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
            let mut stranger = Browser::open(&site).await;
            stranger.headers = from(address);
            assert_error(&stranger.enter("/auth/login", ANNA, "a wrong guess of a password").await, 401, "wrong_password");
        }
        // Three attempts a minute to one account, wherever they come from.
        let mut stranger = Browser::open(&site).await;
        stranger.headers = from("203.0.113.4");
        assert_error(&stranger.enter("/auth/login", ANNA, PASSWORD).await, 429, "rate_limited");
        // Her own browser was let in before: it has a budget of its own, and only for her account.
        anna.token = anna.get("/auth/csrf").await.json()["csrf_token"].as_str().unwrap().to_owned();
        let mut thief = Browser::open(&site).await;
        thief.plant("arbion-device", anna.cookie("arbion-device").unwrap());
        thief.headers = from("203.0.113.5");
        assert_error(&thief.enter("/auth/login", BEN, PASSWORD).await, 401, "wrong_password");
        assert_eq!(anna.enter("/auth/login", ANNA, PASSWORD).await.status, 200);
    }

    async fn another_site_uses_up_nobody_s_logins_and_registrations(test: TestStore) {
        let doors = &[("RATE_LIMIT_LOGIN_PER_MINUTE", "1"), ("RATE_LIMIT_REGISTRATION_PER_HOUR", "1")];
        let site = Site::with(test, Differences { doors, ..Differences::default() }).await;
        let mut victim = Browser::open(&site).await;
        let token = std::mem::take(&mut victim.token);
        for path in ["/auth/login", "/auth/register"] {
            for _ in 0..3 {
                assert_error(&victim.enter(path, ANNA, PASSWORD).await, 403, "csrf_refused");
            }
        }
        victim.token = token;
        assert_eq!(victim.enter("/auth/register", ANNA, PASSWORD).await.status, 201);
    }

    async fn an_outage_is_no_reason_to_turn_anybody_away_afterwards(test: TestStore) {
        let doors = &[("RATE_LIMIT_ANONYMOUS_PER_HOUR", "1"), ("RATE_LIMIT_ANONYMOUS_PER_DAY", "1")];
        let site = Site::with(test, Differences { doors, ..Differences::default() }).await;
        test.take_away("credentials").await;
        for _ in 0..3 {
            let answer = site.get("/v2/account").await;
            assert!(answer.status.is_server_error(), "{}", answer.text);
        }
    }

    async fn a_page_that_fails_is_a_page_and_says_when_to_come_back(test: TestStore) {
        let doors = &[("RATE_LIMIT_LOGIN_PER_MINUTE", "1")];
        let site = Site::with(test, Differences { doors, ..Differences::default() }).await;
        let mut visitor = Browser::open(&site).await;
        let form = |email: &str| format!("csrf_token={}&email={email}&password=a+wrong+guess", visitor.token);
        let (nul, again) = (form("%00"), form("a@b"));
        let wrong = visitor.submit("/login", nul).await;
        assert_eq!(wrong.status, 401, "{}", wrong.text);
        let limited = visitor.submit("/login", again).await;
        assert_eq!(limited.status, 429, "{}", limited.text);
        assert_eq!(limited.response.content_type(), Some("text/html; charset=utf-8"));
        assert!(limited.response.header("retry-after").is_some() && limited.response.header("ratelimit").is_some());
        for path in ["/access/revoke", "/oauth/authorize"] {
            let mut anna = Browser::registered(&site, &format!("{}@example.com", path.len())).await;
            let nonsense = anna.submit(path, "csrf_token=x&kind=nothing".to_owned()).await;
            assert_eq!(nonsense.response.content_type(), Some("text/html; charset=utf-8"), "{path}");
            assert_eq!(nonsense.status, 403, "{path}: the token is not the session's");
        }
    }

    async fn everything_that_a_person_does_is_on_record(test: TestStore) {
        let site = Site::over(test).await;
        let mut anna = Browser::registered(&site, ANNA).await;
        let mut root = site.superadmin().await;
        let id = anna.get("/auth/me").await.json()["id"].as_str().unwrap().to_owned();
        let user = format!("/admin/users/{id}");
        let key = anna.post("/auth/keys", &json!({"name": "bot"})).await.json();
        let path = format!("/auth/keys/{}", key["id"].as_str().unwrap());
        assert_eq!(anna.delete(&path).await.status, 204);
        let app = json!({"name": "App", "client_type": "public", "redirect_uris": ["https://a.example/cb"]});
        let client = anna.post("/oauth/clients", &app).await.json()["client"]["client_id"].as_str().unwrap().to_owned();
        assert_eq!(anna.delete(&format!("/oauth/clients/{client}")).await.status, 204);
        let change = json!({"current_password": PASSWORD, "new_password": "eleven green walking trees"});
        let changed = anna.post("/auth/password", &change).await;
        anna.take_token(&changed);
        assert_eq!(anna.delete("/auth/sessions").await.status, 204);
        anna.enter("/auth/login", ANNA, "a wrong guess of a password").await;
        assert_eq!(anna.post("/auth/logout", &json!({})).await.status, 204);
        for body in [json!({"role": "admin", "day_notional": "5"}), json!({"is_active": false}), json!({"is_active": true})] {
            assert_eq!(root.patch(&user, &body).await.status, 200);
        }
        let events = root.get("/admin/audit?limit=200").await.json()["events"].clone();
        for (kind, subject) in [
            ("registered", None),
            ("login_succeeded", None),
            ("login_failed", Some(ANNA)),
            ("logged_out", None),
            ("password_changed", None),
            ("session_revoked", Some("all others")),
            ("api_key_created", key["key_id"].as_str()),
            ("api_key_revoked", key["id"].as_str()),
            ("oauth_client_registered", Some(client.as_str())),
            ("oauth_client_revoked", Some(client.as_str())),
            ("role_changed", Some(id.as_str())),
            ("limits_changed", Some(id.as_str())),
            ("user_deactivated", Some(id.as_str())),
            ("user_reactivated", Some(id.as_str())),
        ] {
            let is_it = |event: &&Value| event["kind"] == kind && event["subject"].as_str() == subject;
            let found = events.as_array().unwrap().iter().find(is_it);
            let event = found.unwrap_or_else(|| panic!("{kind} {subject:?} is not in {events}"));
            assert!(event["ip"].is_string() && event["request_id"].is_string(), "{event}");
        }
    }

    async fn a_login_that_takes_the_place_of_a_session_puts_its_end_on_record(test: TestStore) {
        let site = Site::over(test).await;
        let mut anna = Browser::registered(&site, ANNA).await;
        let me = anna.get("/auth/me").await.json();
        assert_eq!(anna.enter("/auth/login", ANNA, PASSWORD).await.status, 200);
        let mut root = site.superadmin().await;
        let events = root.get("/admin/audit?kind=logged_out").await.json()["events"].clone();
        let told: Vec<_> = events.as_array().unwrap().iter().map(|event| (&event["user_id"], &event["subject"])).collect();
        assert_eq!(told, [(&me["id"], &me["session_id"])]);
    }

    async fn csrf_from_another_origin_changes_nothing(test: TestStore) {
        let site = Site::over(test).await;
        let mut anna = Browser::registered(&site, ANNA).await;
        let token = anna.token.clone();
        let mut ben = Browser::registered(&site, BEN).await;
        for (token, origin) in [
            ("", None),
            ("", Some("http://localhost:5000")),
            (ben.token.as_str(), None),
            (token.as_str(), Some("https://evil.example")),
            (token.as_str(), Some("null")),
            (token.as_str(), Some("http://localhost:5000.evil.example")),
        ] {
            token.clone_into(&mut anna.token);
            anna.headers = origin.map(|origin| ("origin", origin.to_owned())).into_iter().collect();
            assert_error(&anna.post("/v2/orders", &buy()).await, 403, "csrf_refused");
            assert_error(&anna.delete("/v2/orders").await, 403, "csrf_refused");
            assert_error(&anna.post("/auth/logout", &json!({})).await, 403, "csrf_refused");
        }
        anna.token = token;
        anna.headers = vec![("origin", "http://localhost:5000".to_owned())];
        assert_eq!(anna.get("/v2/orders?status=all").await.json(), json!([]));
        assert_eq!(anna.post("/v2/orders", &buy()).await.status, 200);
        assert_eq!(ben.get("/v2/orders?status=all").await.json(), json!([]));
    }

    async fn an_app_s_page_asks_for_tokens_whatever_cookie_the_browser_adds(test: TestStore) {
        let site = Site::over(test).await;
        let mut browser = Browser::registered(&site, ANNA).await;
        browser.token.clear();
        for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
            let refused = browser.post(path, &json!({})).await;
            // It is the form that is missing, not a token of the session.
            let error = refused.json()["error"].take();
            assert!(["invalid_request", "invalid_client"].contains(&error.as_str().unwrap()), "{path}: {error}");
        }
    }

    async fn login_csrf_logs_nobody_in(test: TestStore) {
        let site = Site::over(test).await;
        Browser::registered(&site, ANNA).await;
        // What another site can make a browser send: no token, or the token of the attacker's own visit.
        let attacker = Browser::open(&site).await;
        let mut victim = Browser::open(&site).await;
        for token in ["", &attacker.token] {
            token.clone_into(&mut victim.token);
            for path in ["/auth/login", "/auth/register"] {
                assert_error(&victim.enter(path, ANNA, PASSWORD).await, 403, "csrf_refused");
            }
        }
        assert_eq!(victim.cookie(SESSION), None);
        let mut without_cookie = Browser::open(&site).await;
        without_cookie.plant("arbion-visitor", "");
        assert_error(&without_cookie.enter("/auth/login", ANNA, PASSWORD).await, 403, "csrf_refused");
    }

    async fn session_fixation_gains_nothing(test: TestStore) {
        let site = Site::over(test).await;
        Browser::registered(&site, ANNA).await;
        let attacker = Browser::registered(&site, BEN).await;
        let planted = attacker.cookie(SESSION).unwrap().to_owned();
        // The attacker's own session is planted in the victim's browser, which then logs in.
        let mut victim = Browser::open(&site).await;
        victim.plant(SESSION, &planted);
        victim.token.clone_from(&attacker.token);
        assert_eq!(victim.enter("/auth/login", ANNA, PASSWORD).await.status, 200);
        assert_ne!(victim.cookie(SESSION).unwrap(), planted);
        let mut attacker = attacker;
        assert_error(&attacker.get("/auth/me").await, 401, "not_authorized");
        // A value of the attacker's choice is no session.
        let mut victim = Browser::open(&site).await;
        victim.plant(SESSION, "chosen-by-the-attacker");
        assert_eq!(victim.enter("/auth/login", ANNA, PASSWORD).await.status, 200);
        assert_ne!(victim.cookie(SESSION).unwrap(), "chosen-by-the-attacker");
    }

    async fn a_new_password_ends_all_other_sessions_and_renews_this_one(test: TestStore) {
        let site = Site::over(test).await;
        let mut anna = Browser::registered(&site, ANNA).await;
        let mut elsewhere = Browser::logged_in(&site, ANNA).await;
        assert_eq!(anna.get("/auth/sessions").await.json().as_array().unwrap().len(), 2);
        let old = anna.cookie(SESSION).unwrap().to_owned();
        let change = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
        let new = "eleven green walking trees";
        assert_error(&anna.post("/auth/password", &change("wrong password here", new)).await, 401, "wrong_password");
        assert_error(&anna.post("/auth/password", &change(PASSWORD, "short")).await, 422, "weak_password");
        assert_error(&anna.post("/auth/password", &change(PASSWORD, "password1234")).await, 422, "weak_password");
        let changed = anna.post("/auth/password", &change(PASSWORD, new)).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        anna.take_token(&changed);
        assert_error(&elsewhere.get("/auth/me").await, 401, "not_authorized");
        assert_eq!(anna.post("/v2/orders", &buy()).await.status, 200);
        let mut before = Browser::open(&site).await;
        before.plant(SESSION, &old);
        assert_error(&before.get("/auth/me").await, 401, "not_authorized");
        let mut login = Browser::open(&site).await;
        assert_error(&login.enter("/auth/login", ANNA, PASSWORD).await, 401, "wrong_password");
        assert_eq!(login.enter("/auth/login", ANNA, new).await.status, 200);
    }

    async fn a_session_ends_when_it_is_idle_and_when_it_is_old(test: TestStore) {
        let site = Site::over(test).await;
        let mut idle = Browser::registered(&site, ANNA).await;
        let mut busy = Browser::logged_in(&site, ANNA).await;
        for _ in 0..23 {
            site.advance(TimeDelta::minutes(31));
            assert_eq!(busy.get("/auth/me").await.status, 200);
        }
        assert_error(&idle.get("/auth/me").await, 401, "not_authorized");
        site.advance(TimeDelta::minutes(10));
        assert_error(&busy.get("/auth/me").await, 401, "not_authorized");
    }

    async fn sessions_are_listed_and_ended_one_by_one_or_all_others(test: TestStore) {
        let site = Site::over(test).await;
        let mut anna = Browser::registered(&site, ANNA).await;
        let mut ben = Browser::registered(&site, BEN).await;
        let mut phone = Browser::logged_in(&site, ANNA).await;
        let listed = anna.get("/auth/sessions").await.json();
        let other = listed.as_array().unwrap().iter().find(|row| row["is_current"] == false).unwrap();
        let path = format!("/auth/sessions/{}", other["id"].as_str().unwrap());
        assert_error(&ben.delete(&path).await, 404, "session_not_found");
        assert_error(&anna.delete("/auth/sessions/nothing").await, 404, "session_not_found");
        assert_eq!(anna.delete(&path).await.status, 204);
        assert_error(&phone.get("/auth/me").await, 401, "not_authorized");
        let mut third = Browser::logged_in(&site, ANNA).await;
        assert_eq!(anna.delete("/auth/sessions").await.status, 204);
        assert_error(&third.get("/auth/me").await, 401, "not_authorized");
        assert_eq!(anna.get("/auth/me").await.status, 200);
        assert_eq!(ben.get("/auth/me").await.status, 200);
    }

    async fn a_session_picks_one_of_the_users_accounts_and_no_other(test: TestStore) {
        let site = Site::over(test).await;
        let mut anna = Browser::registered(&site, ANNA).await;
        let mut ben = Browser::registered(&site, BEN).await;
        let own = |me: &Value| me["accounts"][0]["id"].as_str().unwrap().to_owned();
        let bens = own(&ben.get("/auth/me").await.json());
        let first = own(&anna.get("/auth/me").await.json());
        let second = site.another_account(&first).await;
        anna.headers = vec![("arbion-account", second)];
        assert_eq!(anna.post("/v2/orders", &buy()).await.status, 200);
        anna.headers = vec![("arbion-account", first)];
        assert_eq!(anna.get("/v2/orders?status=all").await.json(), json!([]));
        for wrong in [bens.as_str(), "nothing"] {
            anna.headers = vec![("arbion-account", wrong.to_owned())];
            assert_error(&anna.get("/v2/orders").await, 404, "account_not_found");
        }
    }

    async fn the_first_superadmin_s_password_is_seeded_once(test: TestStore) {
        let site = Site::over(test).await;
        let seed = async |password: &str| {
            let pairs = [("SUPERADMIN_EMAIL", "Owner@example.org"), ("SUPERADMIN_PASSWORD", password)];
            let find = |name: &str| pairs.iter().find(|(key, _)| *key == name);
            let config = Config::from_lookup(|name| find(name).map(|(_, value)| (*value).to_owned())).unwrap();
            setup::seed_superadmin(&config, &site.store, site.now).await
        };
        assert!(matches!(seed("password1234").await, Err(SetupError::Password(_))), "too weak");
        seed(PASSWORD).await.unwrap();
        let mut root = Browser::logged_in(&site, "owner@example.org").await;
        assert_eq!(root.get("/auth/me").await.json()["role"], "superadmin");
        assert_eq!(root.get("/admin/users").await.json().as_array().unwrap().len(), 1);
        // The person decides from then on.
        seed("another sentence of plain words").await.unwrap();
        Browser::logged_in(&site, "owner@example.org").await;
    }

    async fn a_password_for_somebody_who_is_no_superadmin_stops_only_a_start_without_any(test: TestStore) {
        test.create_user(ANNA, Role::Standard, store::testing::now()).await.unwrap();
        let pairs = [("SUPERADMIN_EMAIL", ANNA), ("SUPERADMIN_PASSWORD", PASSWORD)];
        let find = |name: &str| pairs.iter().find(|(key, _)| *key == name);
        let config = Config::from_lookup(|name| find(name).map(|(_, value)| (*value).to_owned())).unwrap();
        let seed = async || setup::seed_superadmin(&config, test, store::testing::now()).await;
        let refused = seed().await.unwrap_err().to_string();
        assert!(refused.contains(&format!("{ANNA}, a user with the role standard")), "{refused}");
        // Somebody administers, and may have given another role to this one.
        test.create_user("root@example.com", Role::Superadmin, store::testing::now()).await.unwrap();
        seed().await.unwrap();
        let anna = test.find_login(ANNA).await.unwrap().unwrap();
        assert!(anna.role == Role::Standard && anna.password_hash.is_none());
    }

    async fn mass_assignment_of_role_makes_nobody_an_admin(test: TestStore) {
        let site = Site::over(test).await;
        let mut visitor = Browser::open(&site).await;
        for extra in ["role", "is_active", "id", "order_notional_max"] {
            let mut body = json!({"email": ANNA, "password": PASSWORD});
            body[extra] = json!("superadmin");
            assert_error(&visitor.post("/auth/register", &body).await, 422, "unknown_field");
        }
        let mut anna = Browser::registered(&site, ANNA).await;
        let id = anna.get("/auth/me").await.json()["id"].as_str().unwrap().to_owned();
        let path = format!("/admin/users/{id}");
        assert_error(&anna.patch(&path, &json!({"role": "superadmin"})).await, 403, "role_not_allowed");
        assert_eq!(anna.get("/auth/me").await.json()["role"], "standard");
    }

    async fn a_key_is_made_shown_once_bound_to_addresses_and_revoked(test: TestStore) {
        let site = Site::over(test).await;
        let mut anna = Browser::registered(&site, ANNA).await;
        let made = anna.post("/auth/keys", &json!({"name": "bot", "scopes": ["trading"]})).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let made = made.json();
        let key = (made["key_id"].as_str().unwrap(), made["secret_key"].as_str().unwrap());
        assert_eq!(site.with_key(key, Method::POST, "/v2/orders", &buy()).await.status, 200);
        let is_noted = async {
            while !anna.get("/auth/keys").await.json()[0]["last_used_at"].is_string() {
                tokio::task::yield_now().await;
            }
        };
        let noted = tokio::time::timeout(std::time::Duration::from_secs(20), is_noted).await;
        assert!(noted.is_ok(), "it is noted beside the request");
        let stop = json!({"symbol": "BTC/USD", "stop_price": "1"});
        assert_error(&site.with_key(key, Method::POST, "/v2/triggers", &stop).await, 403, "insufficient_scope");
        let listed = anna.get("/auth/keys").await;
        assert!(!listed.text.contains(key.1), "the secret is shown once");
        let path = format!("/auth/keys/{}", made["id"].as_str().unwrap());
        let mut ben = Browser::registered(&site, BEN).await;
        assert_error(&ben.delete(&path).await, 404, "key_not_found");
        assert_eq!(anna.delete(&path).await.status, 204);
        assert_error(&site.with_key(key, Method::GET, "/v2/account", &json!({})).await, 401, "not_authorized");

        let bound = json!({"name": "bound", "allowed_ips": ["203.0.113.0/24"]});
        let bound = anna.post("/auth/keys", &bound).await.json();
        let bound = (bound["key_id"].as_str().unwrap(), bound["secret_key"].as_str().unwrap());
        assert_error(&site.with_key(bound, Method::GET, "/v2/account", &json!({})).await, 403, "address_not_allowed");
        let here = json!({"name": "here", "allowed_ips": ["0.0.0.0/32"]});
        let here = anna.post("/auth/keys", &here).await.json();
        let here = (here["key_id"].as_str().unwrap(), here["secret_key"].as_str().unwrap());
        assert_eq!(site.with_key(here, Method::GET, "/v2/account", &json!({})).await.status, 200);
        let soon = json!({"name": "soon", "expires_at": site.later(60).to_rfc3339()});
        let soon = anna.post("/auth/keys", &soon).await.json();
        let soon = (soon["key_id"].as_str().unwrap(), soon["secret_key"].as_str().unwrap());
        assert_eq!(site.with_key(soon, Method::GET, "/v2/account", &json!({})).await.status, 200);
        site.advance(TimeDelta::seconds(60));
        assert_error(&site.with_key(soon, Method::GET, "/v2/account", &json!({})).await, 401, "not_authorized");
    }

    async fn where_registration_is_closed_only_administrators_make_users(test: TestStore) {
        let doors = Differences { doors: &[("REGISTRATION", "closed")], ..Differences::default() };
        let site = Site::with(test, doors).await;
        let mut visitor = Browser::open(&site).await;
        assert_error(&visitor.enter("/auth/register", ANNA, PASSWORD).await, 403, "registration_closed");
        let mut root = site.superadmin().await;
        let wanted = json!({"email": ANNA, "password": PASSWORD, "role": "admin"});
        let made = root.post("/admin/users", &wanted).await;
        assert_eq!((made.status.as_u16(), &made.json()["role"]), (201, &json!("admin")));
        assert_error(&root.post("/admin/users", &wanted).await, 409, "email_taken");
        let path = format!("/admin/users/{}", made.json()["id"].as_str().unwrap());
        assert_eq!(root.get(&path).await.json()["email"], ANNA);
        assert_error(&root.get("/admin/users/nobody").await, 404, "user_not_found");
        let mut admin = Browser::logged_in(&site, ANNA).await;
        assert_error(&admin.patch(&path, &json!({"role": "superadmin"})).await, 403, "role_not_allowed");
        assert_error(&admin.post("/admin/users", &json!({"email": BEN, "password": PASSWORD, "role": "admin"})).await, 403, "role_not_allowed");
        assert_eq!(admin.post("/admin/users", &json!({"email": BEN, "password": PASSWORD})).await.status, 201);
    }

    async fn an_account_has_so_many_keys_and_pages_show_them_all(test: TestStore) {
        let site = Site::over(test).await;
        let mut anna = Browser::registered(&site, ANNA).await;
        for number in 0..KEYS_MAX {
            let made = anna.post("/auth/keys", &json!({"name": number.to_string()})).await;
            assert_eq!(made.status, 201, "{}", made.text);
        }
        assert_error(&anna.post("/auth/keys", &json!({"name": "more"})).await, 409, "too_many_keys");
        let mut names = Vec::new();
        let mut after = String::new();
        loop {
            let page = anna.get(&format!("/auth/keys?limit=100{after}")).await.json();
            let page = page.as_array().unwrap().clone();
            let Some(last) = page.last() else { break };
            after = format!("&after={}", last["id"].as_str().unwrap());
            names.extend(page.iter().map(|key| key["name"].as_str().unwrap().parse::<u64>().unwrap()));
        }
        assert_eq!(names, (0..KEYS_MAX).rev().collect::<Vec<_>>());
        assert_error(&anna.get("/auth/keys?limit=101").await, 422, "invalid_request");
    }

    async fn scope_escalation_by_a_key_that_makes_keys_is_refused(test: TestStore) {
        let site = Site::over(test).await;
        let mut anna = Browser::registered(&site, ANNA).await;
        let made = anna.post("/auth/keys", &json!({"name": "maker", "scopes": ["arbion:keys", "data"]})).await.json();
        let maker = (made["key_id"].as_str().unwrap(), made["secret_key"].as_str().unwrap());
        let wanted = json!({"name": "more", "scopes": ["trading"]});
        assert_error(&site.with_key(maker, Method::POST, "/auth/keys", &wanted).await, 403, "insufficient_scope");
        let less = json!({"name": "less", "scopes": ["data"]});
        assert_eq!(site.with_key(maker, Method::POST, "/auth/keys", &less).await.status, 201);
    }

    async fn administration_needs_a_role_and_a_fresh_session(test: TestStore) {
        let site = Site::over(test).await;
        let mut anna = Browser::registered(&site, ANNA).await;
        let mut root = site.superadmin().await;
        assert_error(&anna.get("/admin/users").await, 403, "role_not_allowed");
        let users = root.get("/admin/users").await.json();
        assert_eq!(users.as_array().unwrap().len(), 2);
        let id = |email: &str| {
            let all = users.as_array().unwrap();
            let user = all.iter().find(|user| user["email"] == email).unwrap();
            format!("/admin/users/{}", user["id"].as_str().unwrap())
        };
        let (path, own) = (id(ANNA), id("owner@example.org"));
        assert_error(&root.patch(&own, &json!({"role": "admin"})).await, 409, "last_superadmin");
        assert_error(&root.patch(&own, &json!({"is_active": false})).await, 409, "last_superadmin");
        let lowered = root.patch(&path, &json!({"order_notional": "10"})).await;
        assert_eq!((lowered.status.as_u16(), &lowered.json()["order_notional"]), (200, &json!("10")));
        assert_error(&anna.post("/v2/orders", &buy()).await, 403, "order_notional_limit");
        assert_eq!(root.patch(&path, &json!({"order_notional": "role"})).await.status, 200);
        assert_eq!(anna.post("/v2/orders", &buy()).await.status, 200);
        assert_eq!(root.patch(&path, &json!({"is_active": false})).await.status, 200);
        assert_error(&anna.get("/auth/me").await, 401, "not_authorized");
        let mut login = Browser::open(&site).await;
        assert_error(&login.enter("/auth/login", ANNA, PASSWORD).await, 401, "wrong_password");
        site.advance(TimeDelta::minutes(15));
        assert_error(&root.get("/admin/users").await, 403, "stale_session");
        let again = root.post("/auth/reauthenticate", &json!({"password": PASSWORD})).await;
        assert_eq!(again.status, 200, "{}", again.text);
        root.take_token(&again);
        assert_eq!(root.get("/admin/users").await.status, 200);
        let kinds: Vec<Value> = root.get("/admin/audit?limit=200").await.json()["events"].as_array().unwrap().iter().map(|event| event["kind"].clone()).collect();
        let token = std::mem::take(&mut root.token);
        assert_error(&root.post("/auth/logout", &json!({})).await, 403, "csrf_refused");
        root.token = token;
        let refused = root.get("/admin/audit?kind=csrf_refused").await.json();
        assert_eq!(refused["events"][0]["subject"], "/auth/logout");
        for kind in ["registered", "login_succeeded", "login_failed", "limits_changed", "user_deactivated"] {
            assert!(kinds.contains(&json!(kind)), "{kind} is not in {kinds:?}");
        }
    }

    async fn header_and_log_injection_stays_text(test: TestStore) {
        let site = Site::over(test).await;
        let mut visitor = Browser::open(&site).await;
        for email in ["a@b\r\nSet-Cookie: x=y", "a@b\u{2028}c", "<script>@b.example"] {
            let answer = visitor.enter("/auth/login", email, PASSWORD).await;
            assert!(answer.status.is_client_error(), "{email:?}");
            let cookies: Vec<_> = answer.response.headers().get_all("set-cookie").iter().collect();
            assert!(cookies.is_empty(), "{cookies:?}");
        }
    }
}
