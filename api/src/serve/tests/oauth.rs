//! The endpoints of the authorization server, as browsers and clients call them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::id::AccountId;
use oauth2::url::Url;
use platform::secrets::sha256;
use poem::endpoint::BoxEndpoint;
use poem::http::{Method, StatusCode};
use poem::{Endpoint as _, EndpointExt as _, Request, Response, Route};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use store::audit_log::{AuditFilter, AuditKind};
use store::oauth::{NewClient, Registration};
use store::testing::{TestStore, Trader};
use store::{OAuthClient, Role, Store};
use uuid::Uuid;

use super::site::Site;
use crate::auth::SessionUser;
use crate::oauth::metadata;
use crate::oauth::params::{encoded, with_query};
use crate::oauth::routes::{PATHS, has, routes};

const ISSUER: &str = "http://localhost:8080";
const CALLBACK: &str = "https://a.example/cb";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A client and its secret.
struct Bot {
    client: OAuthClient,
    secret: String,
}

/// The endpoints over the database of a test, a person who has logged in, and an app of somebody else.
struct Server {
    anonymous: BoxEndpoint<'static, Response>,
    browser: BoxEndpoint<'static, Response>,
    store: Store,
    person: Trader,
    owner: Trader,
    bot: Bot,
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

async fn register(test: &TestStore, owner: Trader, is_confidential: bool) -> Bot {
    let new = NewClient {
        user: owner.user,
        account: owner.account,
        name: "Rebalancer".to_owned(),
        is_confidential,
        grant_types: texts(&["authorization_code", "client_credentials"]),
        redirect_uris: texts(&[CALLBACK, "http://127.0.0.1/cb"]),
        scopes: texts(&["data", "trading"]),
    };
    let registration = test
        .register_oauth_client(&new, store::testing::now())
        .await
        .unwrap();
    let Registration::Registered { client, secret } = registration else {
        panic!("too many")
    };
    Bot {
        client: *client,
        secret: secret.unwrap_or_default(),
    }
}

/// An answer, read whole.
struct Answer {
    status: u16,
    response: Response,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn error(&self) -> (u16, String) {
        assert_eq!(self.response.header("cache-control"), Some("no-store"));
        (self.status, self.json()["error"].as_str().unwrap().to_owned())
    }

    /// Where a browser goes next.
    fn location(&self) -> Url {
        assert_eq!(
            (self.status, self.response.header("cache-control")),
            (303, Some("no-store")),
            "{}",
            self.text
        );
        Url::parse(self.response.header("location").unwrap()).unwrap()
    }

    /// The parameter `name` of where a browser goes next.
    fn parameter(&self, name: &str) -> Option<String> {
        let location = self.location();
        let mut pairs = location.query_pairs();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// Asserts that the person is shown a page and sent nowhere.
    #[track_caller]
    fn assert_page(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.response.header("location"), None);
        assert_eq!(self.response.content_type(), Some("text/html; charset=utf-8"));
    }
}

async fn answer(endpoint: &BoxEndpoint<'static, Response>, request: Request) -> Answer {
    let mut response = endpoint.get_response(request).await;
    let text = response.take_body().into_string().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        response,
        text,
    }
}

fn form(path: &str, pairs: &[(&str, &str)]) -> Request {
    let body = with_query("", pairs);
    Request::builder()
        .method(Method::POST)
        .uri_str(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.trim_start_matches('?').to_owned())
}

impl Server {
    async fn over(test: &TestStore) -> Self {
        let site = Site::over(test).await;
        let person = test.trader(Role::Standard, Decimal::ONE).await;
        let owner = test.trader(Role::Standard, Decimal::ONE).await;
        let user = SessionUser {
            session: Uuid::from_u128(9),
            user: person.user,
            email: "person@example.org".to_owned(),
            role: Role::Standard,
            authenticated_at: site.now,
        };
        let endpoints = || routes(Route::new()).data(Arc::clone(&site.app));
        Self {
            anonymous: endpoints().map_to_response().boxed(),
            browser: endpoints().data(user).map_to_response().boxed(),
            store: site.store.clone(),
            bot: register(test, owner, true).await,
            person,
            owner,
        }
    }

    fn id(&self) -> &str {
        &self.bot.client.client_id
    }

    /// A good authorization request, with `changes` instead.
    fn asked(&self, changes: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        let mut pairs: Vec<(&'static str, String)> = [
            ("response_type", "code"),
            ("client_id", self.id()),
            ("redirect_uri", CALLBACK),
            ("scope", "trading"),
            ("state", "st&te"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec();
        for (name, value) in changes {
            pairs.retain(|(one, _)| one != name);
            pairs.push((*name, (*value).to_owned()));
        }
        pairs
    }

    async fn ask(
        &self,
        endpoint: &BoxEndpoint<'static, Response>,
        changes: &[(&'static str, &str)],
    ) -> Answer {
        let asked = self.asked(changes);
        let pairs: Vec<_> = asked
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let uri = with_query("/oauth/authorize", &pairs);
        answer(endpoint, Request::builder().uri_str(uri).finish()).await
    }

    async fn decide(&self, changes: &[(&'static str, &str)]) -> Answer {
        let account = self.person.account.to_string();
        let mut asked = self.asked(&[("decision", "allow"), ("account_id", &account)]);
        for (name, value) in changes {
            asked.retain(|(one, _)| one != name);
            asked.push((name, (*value).to_owned()));
        }
        let pairs: Vec<_> = asked
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        answer(&self.browser, form("/oauth/authorize", &pairs)).await
    }

    async fn code(&self) -> String {
        self.decide(&[]).await.parameter("code").unwrap()
    }

    /// What `bot` gets for a form at `path`, with its secret in the header.
    async fn call_as(&self, bot: &Bot, path: &str, pairs: &[(&str, &str)]) -> Answer {
        let credentials = STANDARD.encode(format!(
            "{}:{}",
            encoded(&bot.client.client_id),
            encoded(&bot.secret)
        ));
        let mut request = form(path, pairs);
        let value = format!("Basic {credentials}").parse().unwrap();
        request.headers_mut().insert("authorization", value);
        answer(&self.anonymous, request).await
    }

    async fn token(&self, pairs: &[(&str, &str)]) -> Answer {
        self.call_as(&self.bot, "/oauth/token", pairs).await
    }

    async fn redeem(&self, code: &str) -> Answer {
        self.token(&redemption(code)).await
    }

    async fn tokens(&self) -> Value {
        let answer = self.redeem(&self.code().await).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    async fn lets_in(&self, tokens: &Value) -> bool {
        let token = tokens["access_token"].as_str().unwrap();
        let found = self.store.find_access_token(sha256(token)).await.unwrap();
        found.is_some_and(|found| found.is_valid_at(store::testing::now()))
    }
}

fn redemption(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

fn refreshing(token: &Value) -> [(&str, &str); 2] {
    [
        ("grant_type", "refresh_token"),
        ("refresh_token", token["refresh_token"].as_str().unwrap()),
    ]
}

store::testing::on_both! {
    async fn a_person_lets_an_app_act_and_the_app_gets_tokens(test: TestStore) {
        let server = Server::over(test).await;
        let page = server.ask(&server.browser, &[]).await;
        page.assert_page(200);
        for text in ["Rebalancer", "person@example.org", "place, change and cancel orders", "csrf", &server.person.account.to_string()] {
            assert!(page.text.contains(text), "{text}: {}", page.text);
        }
        assert!(!page.text.contains(&server.owner.account.to_string()), "another's account");
        let decided = server.decide(&[]).await;
        let location = decided.location();
        assert!(location.as_str().starts_with("https://a.example/cb?code="), "{location}");
        assert_eq!(decided.parameter("state").as_deref(), Some("st&te"));
        assert_eq!(decided.parameter("iss").as_deref(), Some(ISSUER));
        let answer = server.redeem(&decided.parameter("code").unwrap()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.response.header("cache-control"), Some("no-store"));
        let tokens = answer.json();
        assert_eq!(
            (&tokens["token_type"], &tokens["expires_in"], &tokens["scope"]),
            (&json!("Bearer"), &json!(900), &json!("trading"))
        );
        let found = server.store.find_access_token(sha256(tokens["access_token"].as_str().unwrap())).await.unwrap();
        let found = found.unwrap();
        assert_eq!((found.user_id, found.account_id), (server.person.user, server.person.account));
        let next = server.token(&refreshing(&tokens)).await;
        assert_eq!(next.status, 200, "{}", next.text);
        assert!(server.lets_in(&next.json()).await);
    }

    async fn who_is_not_logged_in_logs_in_first_and_comes_back(test: TestStore) {
        let server = Server::over(test).await;
        for changes in [&[][..], &[("scope", "admin")], &[("response_type", "token")]] {
            let answer = server.ask(&server.anonymous, changes).await;
            let location = answer.response.header("location").unwrap();
            assert_eq!(answer.status, 303);
            let next = location.strip_prefix("/login?next=").unwrap();
            assert!(next.starts_with("%2Foauth%2Fauthorize%3Fresponse_type%3D") || !changes.is_empty(), "{next}");
            assert!(!next.contains(['/', '&', '?']), "{next}");
        }
        let posted = server.asked(&[("decision", "allow")]);
        let pairs: Vec<_> = posted.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let posted = answer(&server.anonymous, form("/oauth/authorize", &pairs)).await;
        assert!(posted.response.header("location").unwrap().starts_with("/login?next=%2Foauth%2Fauthorize%3F"));
    }

    async fn nobody_is_sent_to_an_address_that_was_not_registered(test: TestStore) {
        let server = Server::over(test).await;
        for changes in [
            ("client_id", "app_nobody"),
            ("client_id", ""),
            ("client_id", "a\0"),
            ("redirect_uri", "https://evil.test/cb"),
            ("redirect_uri", "https://a.example/cb/"),
            ("redirect_uri", "https://a.example/cb?x=1"),
            ("redirect_uri", "https://a.example/cb#x"),
            ("redirect_uri", "https://a.example:443/cb"),
            ("redirect_uri", "https://x.a.example/cb"),
            ("redirect_uri", "https://a.example@evil.test/cb"),
            ("redirect_uri", "http://a.example/cb"),
            ("redirect_uri", "http://127.0.0.1:8080/cb"),
            ("redirect_uri", ""),
        ] {
            server.ask(&server.browser, &[changes]).await.assert_page(400);
            server.ask(&server.anonymous, &[changes]).await.assert_page(400);
            server.decide(&[changes]).await.assert_page(400);
        }
        let twice = format!("/oauth/authorize?client_id={}&redirect_uri={CALLBACK}&redirect_uri=https://evil.test/", server.id());
        answer(&server.browser, Request::builder().uri_str(twice).finish()).await.assert_page(400);
        server.store.revoke_oauth_client(server.owner.user, None, server.id(), store::testing::now()).await.unwrap();
        server.ask(&server.browser, &[]).await.assert_page(400);
    }

    async fn an_app_that_asks_wrongly_is_told_so_with_its_state(test: TestStore) {
        let server = Server::over(test).await;
        for (changes, error) in [
            (("response_type", "token"), "unsupported_response_type"),
            (("code_challenge", ""), "invalid_request"),
            (("code_challenge_method", "plain"), "invalid_request"),
            (("code_challenge_method", ""), "invalid_request"),
            (("scope", "arbion:keys"), "invalid_scope"),
            (("scope", "admin"), "invalid_scope"),
        ] {
            for answer in [server.ask(&server.browser, &[changes]).await, server.decide(&[changes]).await] {
                assert_eq!(answer.parameter("error").as_deref(), Some(error), "{changes:?}");
                assert_eq!(answer.parameter("state").as_deref(), Some("st&te"));
                assert_eq!(answer.parameter("iss").as_deref(), Some(ISSUER));
                assert_eq!(answer.parameter("code"), None);
            }
        }
        let denied = server.decide(&[("decision", "deny")]).await;
        assert_eq!(denied.parameter("error").as_deref(), Some("access_denied"));
        assert_eq!(denied.parameter("code"), None);
    }

    async fn a_form_that_is_not_the_page_s_gives_nothing(test: TestStore) {
        let server = Server::over(test).await;
        let foreign = server.owner.account.to_string();
        let unknown = AccountId(Uuid::from_u128(7)).to_string();
        for changes in [
            ("decision", ""),
            ("decision", "maybe"),
            ("account_id", ""),
            ("account_id", "mine"),
            ("account_id", foreign.as_str()),
            ("account_id", unknown.as_str()),
        ] {
            server.decide(&[changes]).await.assert_page(400);
        }
        let json = Request::builder().method(Method::POST).uri_str("/oauth/authorize").header("content-type", "application/json");
        answer(&server.browser, json.body("{}")).await.assert_page(400);
    }

    async fn a_code_works_once_for_its_client_its_place_and_its_verifier(test: TestStore) {
        let server = Server::over(test).await;
        let other = register(test, server.owner, true).await;
        let other_verifier = "x".repeat(43);
        for (name, value) in [
            ("redirect_uri", "https://a.example/other"),
            ("redirect_uri", ""),
            ("code_verifier", other_verifier.as_str()),
            ("code_verifier", CHALLENGE),
        ] {
            let code = server.code().await;
            let mut pairs = redemption(&code).to_vec();
            pairs.retain(|(one, _)| *one != name);
            pairs.push((name, value));
            assert_eq!(server.token(&pairs).await.error(), (400, "invalid_grant".into()), "{name} {value}");
            assert_eq!(server.redeem(&code).await.error(), (400, "invalid_grant".into()), "it is used up");
        }
        let code = server.code().await;
        let stolen = server.call_as(&other, "/oauth/token", &redemption(&code)).await;
        assert_eq!(stolen.error(), (400, "invalid_grant".into()));
        assert_eq!(server.redeem(&code).await.error(), (400, "invalid_grant".into()), "it has leaked");
        let without = [("grant_type", "authorization_code"), ("code", "x"), ("redirect_uri", CALLBACK)];
        assert_eq!(server.token(&without).await.error(), (400, "invalid_request".into()), "a downgrade");
    }

    async fn a_replayed_code_and_a_reused_refresh_token_end_the_family(test: TestStore) {
        let server = Server::over(test).await;
        let code = server.code().await;
        let tokens = server.redeem(&code).await.json();
        assert!(server.lets_in(&tokens).await);
        assert_eq!(server.redeem(&code).await.error(), (400, "invalid_grant".into()));
        assert!(!server.lets_in(&tokens).await);
        let first = server.tokens().await;
        let second = server.token(&refreshing(&first)).await.json();
        assert!(server.lets_in(&second).await);
        assert_eq!(server.token(&refreshing(&first)).await.error(), (400, "invalid_grant".into()));
        assert!(!server.lets_in(&first).await && !server.lets_in(&second).await);
        assert_eq!(server.token(&refreshing(&second)).await.error(), (400, "invalid_grant".into()));
    }

    async fn a_refresh_never_widens(test: TestStore) {
        let server = Server::over(test).await;
        let tokens = server.tokens().await;
        for wide in ["trading arbion:keys", "data", "admin", "trading  trading"] {
            let mut pairs = refreshing(&tokens).to_vec();
            pairs.push(("scope", wide));
            assert_eq!(server.token(&pairs).await.error(), (400, "invalid_scope".into()), "{wide}");
        }
        let other = register(test, server.owner, true).await;
        let stolen = server.call_as(&other, "/oauth/token", &refreshing(&tokens)).await;
        assert_eq!(stolen.error(), (400, "invalid_grant".into()));
        assert_eq!(server.token(&refreshing(&tokens)).await.status, 200, "it is still its client's");
    }

    async fn a_client_that_does_not_prove_itself_gets_nothing(test: TestStore) {
        let server = Server::over(test).await;
        let wrong = Bot { client: server.bot.client.clone(), secret: "wrong".to_owned() };
        let answer_to_wrong = server.call_as(&wrong, "/oauth/token", &[("grant_type", "client_credentials")]).await;
        assert_eq!(answer_to_wrong.error(), (401, "invalid_client".into()));
        assert!(answer_to_wrong.response.header("www-authenticate").unwrap().starts_with("Basic"));
        let id = server.id();
        let grant = ("grant_type", "client_credentials");
        for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
            for pairs in [
                &[grant][..],
                &[grant, ("client_id", id)],
                &[grant, ("client_id", id), ("client_secret", "wrong")],
                &[grant, ("client_id", "app_nobody"), ("client_secret", "x")],
            ] {
                let refused = answer(&server.anonymous, form(path, pairs)).await;
                assert_eq!(refused.error(), (401, "invalid_client".into()), "{path} {pairs:?}");
                assert_eq!(refused.response.header("www-authenticate"), None);
            }
        }
        let twice = [grant, ("client_id", id), ("client_secret", &server.bot.secret)];
        assert_eq!(server.token(&twice).await.error(), (400, "invalid_request".into()), "two ways at once");
        assert_eq!(answer(&server.anonymous, form("/oauth/token", &twice)).await.status, 200, "in the form");
        server.store.set_user_active(server.owner.user, false, store::testing::now()).await.unwrap();
        assert_eq!(server.token(&[grant]).await.error(), (401, "invalid_client".into()));
    }

    async fn a_client_acts_for_its_owner_with_its_secret_alone(test: TestStore) {
        let server = Server::over(test).await;
        let grant = ("grant_type", "client_credentials");
        let answer_of = async |scope: &str| server.token(&[grant, ("scope", scope)]).await;
        let tokens = answer_of("trading").await.json();
        assert_eq!((&tokens["scope"], &tokens["refresh_token"]), (&json!("trading"), &Value::Null));
        let found = server.store.find_access_token(sha256(tokens["access_token"].as_str().unwrap())).await.unwrap().unwrap();
        assert_eq!((found.user_id, found.account_id), (server.owner.user, server.owner.account));
        assert_eq!(answer_of("").await.json()["scope"], "data");
        assert_eq!(answer_of("arbion:keys").await.error(), (400, "invalid_scope".into()));
        let public = register(test, server.owner, false).await;
        let pairs = [grant, ("client_id", public.client.client_id.as_str())];
        let refused = answer(&server.anonymous, form("/oauth/token", &pairs)).await;
        assert_eq!(refused.error(), (400, "unauthorized_client".into()));
    }

    async fn a_public_client_on_the_person_s_machine_takes_a_free_port(test: TestStore) {
        let server = Server::over(test).await;
        let public = register(test, server.owner, false).await;
        let (id, place) = (public.client.client_id.as_str(), "http://127.0.0.1:49152/cb");
        let code = server.decide(&[("client_id", id), ("redirect_uri", place)]).await;
        assert!(code.location().as_str().starts_with("http://127.0.0.1:49152/cb?code="));
        let code = code.parameter("code").unwrap();
        let mut pairs = redemption(&code).to_vec();
        pairs.retain(|(name, _)| *name != "redirect_uri");
        pairs.extend([("redirect_uri", place), ("client_id", id)]);
        let tokens = answer(&server.anonymous, form("/oauth/token", &pairs)).await;
        assert_eq!(tokens.status, 200, "{}", tokens.text);
        let tokens = tokens.json();
        let mut pairs = refreshing(&tokens).to_vec();
        pairs.push(("client_id", id));
        assert_eq!(answer(&server.anonymous, form("/oauth/token", &pairs)).await.status, 200);
    }

    async fn what_is_no_form_of_the_protocol_is_refused(test: TestStore) {
        let server = Server::over(test).await;
        for (pairs, error) in [
            (&[][..], "invalid_request"),
            (&[("grant_type", "password")], "unsupported_grant_type"),
            (&[("grant_type", "implicit")], "unsupported_grant_type"),
            (&[("grant_type", "authorization_code")], "invalid_request"),
            (&[("grant_type", "refresh_token")], "invalid_request"),
            (&[("grant_type", "refresh_token"), ("refresh_token", "x")], "invalid_grant"),
            (&[("grant_type", "refresh_token"), ("grant_type", "refresh_token")], "invalid_request"),
        ] {
            assert_eq!(server.token(pairs).await.error(), (400, error.into()), "{pairs:?}");
        }
        let in_url = form("/oauth/token?grant_type=client_credentials&client_secret=x", &[("client_id", server.id())]);
        assert_eq!(answer(&server.anonymous, in_url).await.error(), (400, "invalid_request".into()));
        let mut as_json = form("/oauth/token", &[]);
        as_json.headers_mut().insert("content-type", "application/json".parse().unwrap());
        assert_eq!(answer(&server.anonymous, as_json).await.error(), (400, "invalid_request".into()));
    }

    async fn a_client_gives_its_tokens_back_and_asks_about_them(test: TestStore) {
        let server = Server::over(test).await;
        let other = register(test, server.owner, true).await;
        let tokens = server.tokens().await;
        let access = tokens["access_token"].as_str().unwrap();
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let inspect = async |bot: &Bot, token: &str| {
            server.call_as(bot, "/oauth/introspect", &[("token", token)]).await.json()
        };
        let shown = inspect(&server.bot, access).await;
        let at = store::testing::now().timestamp();
        assert_eq!(shown, json!({
            "active": true, "scope": "trading", "client_id": server.id(), "token_type": "Bearer", "iss": ISSUER,
            "sub": server.person.user.to_string(), "account_id": server.person.account.to_string(),
            "iat": at, "exp": at + 900,
        }));
        assert_eq!(inspect(&server.bot, refresh).await["active"], true);
        for (bot, token) in [(&other, access), (&other, refresh), (&server.bot, "unknown")] {
            assert_eq!(inspect(bot, token).await, json!({"active": false}));
        }
        let public = register(test, server.owner, false).await;
        let pairs = [("client_id", public.client.client_id.as_str()), ("token", access)];
        assert_eq!(answer(&server.anonymous, form("/oauth/introspect", &pairs)).await.error(), (401, "invalid_client".into()));

        let revoke = async |bot: &Bot, token: &str| {
            server.call_as(bot, "/oauth/revoke", &[("token", token), ("token_type_hint", "nonsense")]).await
        };
        assert_eq!(revoke(&other, access).await.error(), (400, "invalid_grant".into()));
        assert!(server.lets_in(&tokens).await);
        assert_eq!(revoke(&server.bot, access).await.status, 200);
        assert!(!server.lets_in(&tokens).await);
        assert_eq!(inspect(&server.bot, access).await, json!({"active": false}));
        let next = server.token(&refreshing(&tokens)).await.json();
        assert_eq!(revoke(&server.bot, next["refresh_token"].as_str().unwrap()).await.status, 200);
        assert!(!server.lets_in(&next).await);
        assert_eq!(revoke(&server.bot, "unknown").await.status, 200);
        let of_kind = AuditFilter { kind: Some(AuditKind::OauthGrantRevoked), ..AuditFilter::default() };
        let page = server.store.audit_page(&of_kind, None, 10).await.unwrap();
        let [told] = page.events.try_into().unwrap();
        assert_eq!(told.data, json!({"client_id": server.id()}), "the connection was given back once");
        assert_eq!(server.call_as(&server.bot, "/oauth/revoke", &[]).await.error(), (400, "invalid_request".into()));
    }

    async fn the_endpoints_are_where_the_metadata_say(test: TestStore) {
        let server = Server::over(test).await;
        let found = answer(&server.anonymous, Request::builder().uri_str(metadata::PATH).finish()).await;
        let document = found.json();
        assert_eq!((found.status, &document["issuer"]), (200, &json!(ISSUER)));
        let expected = json!(["account:write", "arbion:keys", "arbion:risk", "arbion:triggers", "arbion:webhooks", "data", "trading"]);
        let mut scopes: Vec<String> = serde_json::from_value(document["scopes_supported"].clone()).unwrap();
        scopes.sort_unstable();
        assert_eq!(json!(scopes), expected);
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
        for name in ["authorization", "token", "revocation", "introspection"] {
            let endpoint = document[format!("{name}_endpoint")].as_str().unwrap().to_owned();
            assert!(has(endpoint.strip_prefix(ISSUER).unwrap()), "{endpoint}");
        }
        for (path, methods) in PATHS {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE] {
                let request = Request::builder().method(method.clone()).uri_str(path).finish();
                let status = server.anonymous.get_response(request).await.status();
                let is_known = status != StatusCode::METHOD_NOT_ALLOWED && status != StatusCode::NOT_FOUND;
                assert_eq!(is_known, methods.contains(&method.as_str()), "{method} {path}: {status}");
            }
        }
    }
}
