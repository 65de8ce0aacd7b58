//! Attacks on apps, their tokens and the login, by HTTP against the real processes: each is a test with its name.
//!
//! What one endpoint decides alone is shown beside it, faster and with more cases:
//!
//! | attack | where else it is shown |
//! |---|---|
//! | CSRF, login CSRF, session fixation | `api/src/serve/tests/people.rs` |
//! | code replay, refresh reuse | `api/src/serve/tests/oauth.rs`, `a_replayed_code_and_a_reused_refresh_token_end_the_family` |
//! | a code for another client, place or verifier | the same, `a_code_works_once_for_its_client_its_place_and_its_verifier` |
//! | a client that does not prove itself | the same, `a_client_that_does_not_prove_itself_gets_nothing` |
//! | redirect URIs, as texts | `api/src/oauth/redirect.rs` |
//! | a refresh that widens | `api/src/serve/tests/oauth.rs`, `a_refresh_never_widens` |
//! | parameters twice, in the URL, as JSON | the same, `what_is_no_form_of_the_protocol_is_refused` |
//! | an app that may do more than who registers it | `api/src/serve/tests/oauth_apps.rs` |

use std::time::Duration;

use serde_json::json;

use crate::support::bot::{Bot, CALLBACK, Tokens, VERIFIER, assert_refused, bearer, tokens};
use crate::support::client::{Client, market_order, text};
use crate::support::consent::{PASSWORD, Person, led_to, parameter};
use crate::support::wait::within;
use crate::support::{Answer, SetUp, Site, on_both};

/// What is revoked works nowhere after so long.
const A_SECOND: Duration = Duration::from_secs(1);

/// Attempts to log in that one address has in a minute, in these tests.
const ATTEMPTS: u32 = 10;

/// An installation with a person, and an app of somebody else.
struct Stage {
    site: Site,
    base: String,
    person: Person,
    owner: Person,
    bot: Bot,
}

impl Stage {
    /// All in one process: what is shown is no matter of how many there are.
    async fn set() -> Self {
        Self::on(Site::start(SetUp::Sqlite).await).await
    }

    /// Two API processes: the second is told nothing but what the database and Redis tell it.
    async fn with_two() -> Self {
        let plan = Site::plan(SetUp::Postgres)
            .processes(2, 1, 1)
            .set("SUPERADMIN_EMAIL", "root@example.com")
            .set("SUPERADMIN_PASSWORD", PASSWORD);
        Self::on(plan.start().await).await
    }

    async fn on(site: Site) -> Self {
        let base = site.client().base().to_owned();
        let mut owner = Person::registered(&base, "owner@example.com").await;
        Self {
            person: Person::registered(&base, "anna@example.com").await,
            bot: Bot::registered(&base, &mut owner).await,
            owner,
            site,
            base,
        }
    }

    /// The address of the second API process.
    fn second(&self) -> String {
        self.site.clients()[1].base().to_owned()
    }

    async fn connected(&mut self) -> Tokens {
        self.bot.connected(&mut self.person).await
    }
}

/// Asserts that the token opens the account at `base`.
async fn assert_lets_in(base: &str, token: &str) {
    bearer(base, token).get("/v2/account").await.expect(200);
}

/// Asserts that the token opens nothing at `base`, now.
async fn assert_shut(base: &str, token: &str, what: &str) {
    let client = bearer(base, token);
    for path in ["/v2/account", "/v2/orders", "/v2/positions"] {
        assert_eq!(
            client.get(path).await.problem(401),
            "not_authorized",
            "{what}: {path}"
        );
    }
    let placed = client
        .post("/v2/orders", &market_order("buy", "BTC/USD", "0.001"))
        .await;
    assert_eq!(placed.problem(401), "not_authorized", "{what}");
}

/// Asserts that the token opens nothing at `base`, at the latest in a second.
async fn assert_shut_within_a_second(base: &str, token: &str, what: &str) {
    let client = bearer(base, token);
    within(A_SECOND, what, async || {
        (client.get("/v2/account").await.status == 401).then_some(())
    })
    .await;
    assert_shut(base, token, what).await;
}

/// Asserts that the app is told `error`, and gets no code.
#[track_caller]
fn assert_told(answer: &Answer, error: &str, what: &str) {
    let location = led_to(answer);
    assert!(
        location.starts_with(&format!("{CALLBACK}&")),
        "{what}: {location}"
    );
    assert_eq!(
        parameter(&location, "error").as_deref(),
        Some(error),
        "{what}: {location}"
    );
    assert_eq!(parameter(&location, "state").as_deref(), Some("st&te"), "{what}");
    assert_eq!(parameter(&location, "code"), None, "{what}: {location}");
}

/// Asserts that the person is shown what is wrong, and is led nowhere.
#[track_caller]
fn assert_led_nowhere(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 400, "{what}: {}", answer.text());
    assert_eq!(answer.header("location"), None, "{what}");
    assert!(
        answer.header("content-type").unwrap().starts_with("text/html"),
        "{what}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_code_revokes_all_that_came_of_it() {
    let mut stage = Stage::set().await;
    let code = stage.bot.code(&mut stage.person).await;
    let first = tokens(&stage.bot.redeem(&code, &[]).await);
    let second = tokens(&stage.bot.refresh(&first.refresh).await);
    assert_lets_in(&stage.base, &second.access).await;
    let another = stage.connected().await;
    assert_refused(
        &stage.bot.redeem(&code, &[]).await,
        400,
        "invalid_grant",
        "a replay",
    );
    for token in [&first.access, &second.access] {
        assert_shut_within_a_second(&stage.base, token, "a token of the replayed code").await;
    }
    let refresh = stage.bot.refresh(&second.refresh).await;
    assert_refused(&refresh, 400, "invalid_grant", "a refresh after the replay");
    assert_lets_in(&stage.base, &another.access).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reused_refresh_token_revokes_the_thief_s_and_the_owner_s() {
    let mut stage = Stage::set().await;
    let stolen = stage.connected().await;
    let owner_s = tokens(&stage.bot.refresh(&stolen.refresh).await);
    assert_lets_in(&stage.base, &owner_s.access).await;
    let reuse = stage.bot.refresh(&stolen.refresh).await;
    assert_refused(&reuse, 400, "invalid_grant", "a reuse");
    for token in [&stolen.access, &owner_s.access] {
        assert_shut_within_a_second(&stage.base, token, "a token of the reused family").await;
    }
    let refresh = stage.bot.refresh(&owner_s.refresh).await;
    assert_refused(&refresh, 400, "invalid_grant", "a refresh after the reuse");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pkce_is_not_downgraded() {
    let Stage {
        site: _site,
        mut person,
        bot,
        ..
    } = Stage::set().await;
    for changes in [
        &[("code_challenge", ""), ("code_challenge_method", "")][..],
        &[("code_challenge", "")],
        &[("code_challenge_method", "")],
        &[("code_challenge_method", "plain")],
        &[("code_challenge_method", "s256")],
        &[("code_challenge", VERIFIER), ("code_challenge_method", "plain")],
        &[("code_challenge", "short")],
    ] {
        let what = format!("{changes:?}");
        assert_told(
            &person.open(&bot.address(changes)).await,
            "invalid_request",
            &what,
        );
        // The page was asked for as it should be; its form is not.
        let sent = person.answer(&bot.address(&[]), "allow", changes).await;
        assert_told(&sent, "invalid_request", &what);
    }
    let challenge = parameter(&bot.address(&[]), "code_challenge").unwrap();
    for (verifier, error) in [
        ("", "invalid_request"),
        ("x".repeat(43).as_str(), "invalid_grant"),
        (challenge.as_str(), "invalid_grant"),
        (&VERIFIER[..42], "invalid_grant"),
        (VERIFIER.to_lowercase().as_str(), "invalid_grant"),
    ] {
        let code = bot.code(&mut person).await;
        let refused = bot.redeem(&code, &[("code_verifier", verifier)]).await;
        assert_refused(&refused, 400, error, verifier);
    }
    let code = bot.code(&mut person).await;
    tokens(&bot.redeem(&code, &[]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_trick_with_a_redirect_uri_leads_anywhere_else() {
    let Stage {
        site: _site,
        mut person,
        bot,
        ..
    } = Stage::set().await;
    for (trick, uri) in [
        ("another host", "https://evil.example/callback?tenant=7"),
        ("path", "https://bot.example/callback/more?tenant=7"),
        ("path above", "https://bot.example/callback/../callback?tenant=7"),
        ("prefix of the path", "https://bot.example/call"),
        ("query left out", "https://bot.example/callback"),
        (
            "query added to",
            "https://bot.example/callback?tenant=7&next=https://evil.example",
        ),
        ("query changed", "https://bot.example/callback?tenant=8"),
        ("fragment", "https://bot.example/callback?tenant=7#x"),
        ("subdomain", "https://evil.bot.example/callback?tenant=7"),
        (
            "longer host",
            "https://bot.example.evil.example/callback?tenant=7",
        ),
        ("scheme", "http://bot.example/callback?tenant=7"),
        ("script", "javascript:alert(1)//bot.example/callback?tenant=7"),
        ("no scheme", "//bot.example/callback?tenant=7"),
        ("userinfo", "https://bot.example@evil.example/callback?tenant=7"),
        ("empty userinfo", "https://@bot.example/callback?tenant=7"),
        ("port", "https://bot.example:8443/callback?tenant=7"),
        ("default port", "https://bot.example:443/callback?tenant=7"),
        ("case of the host", "https://BOT.example/callback?tenant=7"),
        ("case of the path", "https://bot.example/Callback?tenant=7"),
        ("encoded letter", "https://bot.example/%63allback?tenant=7"),
        ("encoded slash", "https://bot.example%2Fcallback?tenant=7"),
        (
            "encoded twice",
            "https%3A%2F%2Fbot.example%2Fcallback%3Ftenant%3D7",
        ),
        (
            "backslash",
            "https://bot.example\\@evil.example/callback?tenant=7",
        ),
        (
            "line end",
            "https://bot.example/callback?tenant=7\r\nLocation: https://evil.example",
        ),
        ("nul", "https://bot.example/callback?tenant=7\0"),
        ("dot at the end", "https://bot.example./callback?tenant=7"),
    ] {
        let changes = &[("redirect_uri", uri)];
        assert_led_nowhere(&person.open(&bot.address(changes)).await, trick);
        let sent = person.answer(&bot.address(&[]), "allow", changes).await;
        assert_led_nowhere(&sent, trick);
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example%2F", bot.address(&[]));
    assert_led_nowhere(&person.open(&twice).await, "a second one");
    for uri in ["https://bot.example/callback", "https://evil.example/", ""] {
        let code = bot.code(&mut person).await;
        let refused = bot.redeem(&code, &[("redirect_uri", uri)]).await;
        assert_refused(&refused, 400, "invalid_grant", uri);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_scope_is_gained_at_authorize_token_or_refresh() {
    let Stage {
        site: _site,
        base,
        mut person,
        bot,
        ..
    } = Stage::set().await;
    for wide in [
        "trading arbion:keys",
        "arbion:triggers",
        "admin",
        "trading *",
        "TRADING",
    ] {
        let changes = &[("scope", wide)];
        assert_told(&person.open(&bot.address(changes)).await, "invalid_scope", wide);
        let sent = person.answer(&bot.address(&[]), "allow", changes).await;
        assert_told(&sent, "invalid_scope", wide);
        let own = bot
            .token(&[("grant_type", "client_credentials"), ("scope", wide)])
            .await;
        assert_refused(&own, 400, "invalid_scope", wide);
    }
    let code = bot.code(&mut person).await;
    let redeemed = bot.redeem(&code, &[("scope", "trading arbion:keys")]).await;
    assert_eq!(redeemed.expect(200)["scope"], "trading");
    let held = tokens(&redeemed);
    let grant = [
        ("grant_type", "refresh_token"),
        ("refresh_token", held.refresh.as_str()),
    ];
    let wide = bot
        .token(&[grant[0], grant[1], ("scope", "trading arbion:keys")])
        .await;
    assert_refused(&wide, 400, "invalid_scope", "a wider refresh");
    let held = tokens(&bot.refresh(&held.refresh).await);
    let told = bot.call("/oauth/introspect", &[("token", &held.access)]).await;
    assert_eq!(told.expect(200)["scope"], "trading");

    let client = bearer(&base, &held.access);
    let app = json!({"name": "More", "client_type": "confidential", "scopes": ["arbion:keys"]});
    for path in ["/oauth/clients", "/auth/keys", "/v2/triggers"] {
        assert_eq!(
            client.post(path, &app).await.problem(403),
            "insufficient_scope",
            "{path}"
        );
    }
    for path in ["/auth/me", "/auth/sessions", "/admin/users", "/admin/audit"] {
        assert_eq!(
            client.get(path).await.problem(401),
            "not_authorized",
            "{path}: no place for bots"
        );
    }
    let own = bot
        .token(&[("grant_type", "client_credentials"), ("scope", "data")])
        .await;
    let reader = bearer(&base, text(&own.expect(200)["access_token"]));
    reader.get("/v2/account").await.expect(200);
    let placed = reader
        .post("/v2/orders", &market_order("buy", "BTC/USD", "0.001"))
        .await;
    assert_eq!(placed.problem(403), "insufficient_scope");
    let challenge = placed.header("www-authenticate").unwrap();
    assert!(
        challenge.starts_with("Bearer ")
            && challenge.contains("error=\"insufficient_scope\", scope=\"trading\""),
        "{challenge}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tokens_of_a_deactivated_user_are_refused_everywhere_within_a_second() {
    let mut stage = Stage::with_two().await;
    let (first, second) = (stage.base.clone(), stage.second());
    let held = stage.connected().await;
    let own = stage
        .bot
        .token(&[("grant_type", "client_credentials"), ("scope", "trading")])
        .await;
    let own = text(&own.expect(200)["access_token"]).to_owned();
    let mut root = Person::logged_in(&first, "root@example.com").await;
    for (email, token) in [("anna@example.com", &held.access), ("owner@example.com", &own)] {
        assert_lets_in(&first, token).await;
        assert_lets_in(&second, token).await;
        let found = root.get(&format!("/admin/users?email={email}")).await.expect(200);
        assert_eq!(found[0]["email"], email, "{found}");
        let path = format!("/admin/users/{}", text(&found[0]["id"]));
        root.patch(&path, &json!({"is_active": false})).await.expect(200);
        assert_shut_within_a_second(&second, token, email).await;
        assert_shut(&first, token, email).await;
        if email == "anna@example.com" {
            for base in [&first, &second] {
                let refresh = stage.bot.at(base).refresh(&held.refresh).await;
                assert_refused(&refresh, 400, "invalid_grant", "the app of a deactivated user");
            }
        }
    }
    let again = stage
        .bot
        .at(&second)
        .token(&[("grant_type", "client_credentials")])
        .await;
    assert_refused(&again, 401, "invalid_client", "the app of a deactivated owner");
    stage.person.get("/auth/me").await.expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_in_one_process_is_refused_in_another_within_a_second() {
    let mut stage = Stage::with_two().await;
    let (first, second) = (stage.base.clone(), stage.second());
    for way in [
        "disconnected by the person",
        "given back by the app",
        "the app was taken back",
    ] {
        let held = stage.connected().await;
        assert_lets_in(&first, &held.access).await;
        assert_lets_in(&second, &held.access).await;
        match way {
            "disconnected by the person" => {
                let grants = stage.person.get("/oauth/grants").await.expect(200);
                let path = format!("/oauth/grants/{}", text(&grants[0]["id"]));
                stage.person.delete(&path).await.expect(204);
            }
            "given back by the app" => {
                let answer = stage.bot.call("/oauth/revoke", &[("token", &held.refresh)]).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
            _ => {
                let path = format!("/oauth/clients/{}", stage.bot.client_id);
                stage.owner.delete(&path).await.expect(204);
            }
        }
        assert_shut_within_a_second(&second, &held.access, way).await;
        assert_shut(&first, &held.access, way).await;
        let refresh = stage.bot.at(&second).refresh(&held.refresh).await;
        assert!([400, 401].contains(&refresh.status), "{way}: {}", refresh.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_and_a_session_that_end_in_one_process_are_refused_in_another_within_a_second() {
    let mut stage = Stage::with_two().await;
    let second = stage.second();
    let made = stage
        .person
        .post("/auth/keys", &json!({"name": "bot"}))
        .await
        .expect(201);
    let (id, secret) = (text(&made["key_id"]), text(&made["secret_key"]));
    let headers = format!("apca-api-key-id: {id}\napca-api-secret-key: {secret}");
    let bot = Client::new(&second, &headers);
    bot.get("/v2/account").await.expect(200);
    let path = format!("/auth/keys/{}", text(&made["id"]));
    stage.person.delete(&path).await.expect(204);
    within(A_SECOND, "the key is revoked", async || {
        (bot.get("/v2/account").await.status == 401).then_some(())
    })
    .await;
    for way in ["logout", "ended from another browser", "a new password elsewhere"] {
        let mut browser = Person::logged_in(&stage.base, "anna@example.com").await;
        let mut elsewhere = browser.at(&second);
        let me = elsewhere.get("/auth/me").await.expect(200);
        match way {
            "logout" => {
                browser.post("/auth/logout", &json!({})).await.expect(204);
            }
            "ended from another browser" => {
                let path = format!("/auth/sessions/{}", text(&me["session_id"]));
                stage.person.delete(&path).await.expect(204);
            }
            _ => {
                let change =
                    json!({"current_password": PASSWORD, "new_password": "eleven green walking trees"});
                stage.person.post("/auth/password", &change).await.expect(200);
            }
        }
        within(A_SECOND, way, async || {
            (elsewhere.get("/auth/me").await.status == 401).then_some(())
        })
        .await;
        assert_eq!(browser.get("/auth/me").await.status, 401, "{way}");
    }
}

/// An installation that lets one address try to log in ten times a minute.
async fn limited(set_up: SetUp, apis: usize) -> Site {
    let plan = Site::plan(set_up).processes(apis, 1, 1);
    let plan = plan.set("RATE_LIMIT_LOGIN_PER_MINUTE", &ATTEMPTS.to_string());
    plan.set("TRUSTED_PROXIES", "127.0.0.2/32").start().await
}

/// An attempt at the account number `number`.
async fn attempt(attacker: &mut Person, number: u32) -> Answer {
    let email = format!("person{number}@example.com");
    attacker
        .enter("/auth/login", &email, "password of somebody")
        .await
}

/// Asserts that the answer is a refusal that says when to come back.
#[track_caller]
fn assert_limited(answer: &Answer) {
    assert_eq!(answer.problem(429), "rate_limited");
    let number = |name: &str| answer.header(name).unwrap().parse::<u64>().unwrap();
    assert!((1..=60).contains(&number("retry-after")), "{:?}", answer.headers);
    assert_eq!(
        (number("x-ratelimit-limit"), number("x-ratelimit-remaining")),
        (u64::from(ATTEMPTS), 0)
    );
    assert!(number("x-ratelimit-reset") > 0);
    let policy = answer.header("ratelimit-policy").unwrap();
    assert!(policy.contains(&format!(";q={ATTEMPTS};w=60")), "{policy}");
    let state = answer.header("ratelimit").unwrap();
    assert!(state.contains(";r=0;t="), "{state}");
}

on_both! {
    async fn brute_force_over_many_accounts_from_one_address_is_limited(set_up: SetUp) {
        let site = limited(set_up, 1).await;
        let base = site.client().base().to_owned();
        Person::registered(&base, "person99@example.com").await;
        let mut attacker = Person::arrives(&base).await;
        for number in 0..ATTEMPTS {
            let answer = attempt(&mut attacker, number).await;
            assert_eq!(answer.problem(401), "wrong_password");
            let left = answer.header("x-ratelimit-remaining").unwrap();
            assert_eq!(left, (ATTEMPTS - 1 - number).to_string());
        }
        assert_limited(&attempt(&mut attacker, 98).await);
        // Another browser is the same address, and the right password is no way around.
        let mut attacker = Person::arrives(&base).await;
        assert_limited(&attacker.enter("/auth/login", "person99@example.com", PASSWORD).await);
        // Who has logged in already goes on.
        site.client().get("/v2/account").await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoofed_x_forwarded_for_is_no_other_address() {
    let site = limited(SetUp::Sqlite, 1).await;
    let mut attacker = Person::arrives(site.client().base()).await;
    for number in 0..=ATTEMPTS {
        let address = format!("203.0.113.{number}");
        attacker.headers = vec![
            ("x-forwarded-for", address.clone()),
            ("x-real-ip", address.clone()),
            ("forwarded", format!("for={address}")),
        ];
        let answer = attempt(&mut attacker, number).await;
        if number < ATTEMPTS {
            assert_eq!(answer.problem(401), "wrong_password");
        } else {
            assert_limited(&answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_only_the_address_that_the_proxy_saw_counts() {
    let plan = Site::plan(SetUp::Sqlite).set("RATE_LIMIT_LOGIN_PER_MINUTE", &ATTEMPTS.to_string());
    let site = plan.set("TRUSTED_PROXIES", "127.0.0.0/8,::1/128").start().await;
    let mut attacker = Person::arrives(site.client().base()).await;
    // What the attacker wrote stands before what the proxy added.
    let from = |claimed: u32, seen: &str| vec![("x-forwarded-for", format!("198.51.100.{claimed}, {seen}"))];
    for number in 0..ATTEMPTS {
        attacker.headers = from(number, "203.0.113.7");
        assert_eq!(
            attempt(&mut attacker, number).await.problem(401),
            "wrong_password"
        );
    }
    attacker.headers = from(98, "203.0.113.7");
    assert_limited(&attempt(&mut attacker, 98).await);
    attacker.headers = from(98, "203.0.113.8");
    assert_eq!(attempt(&mut attacker, 98).await.problem(401), "wrong_password");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_count_together() {
    let site = limited(SetUp::Postgres, 2).await;
    let clients = site.clients();
    let mut attackers = [
        Person::arrives(clients[0].base()).await,
        Person::arrives(clients[1].base()).await,
    ];
    for (attacker, number) in [0, 1].into_iter().cycle().zip(0..ATTEMPTS) {
        let answer = attempt(&mut attackers[attacker], number).await;
        assert_eq!(answer.problem(401), "wrong_password");
        let left = answer.header("x-ratelimit-remaining").unwrap();
        assert_eq!(left, (ATTEMPTS - 1 - number).to_string());
    }
    for attacker in &mut attackers {
        assert_limited(&attempt(attacker, 98).await);
    }
}
