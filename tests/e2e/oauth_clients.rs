//! The OAuth clients that others have written get their tokens here and trade with them, unchanged; so does the bot of
//! the guide.

use std::process::Stdio;
use std::time::Duration;

use oauth2::basic::BasicClient;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IntrospectionUrl, PkceCodeChallenge, RedirectUrl, RevocationUrl, Scope,
    StandardRevocableToken, TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::support::bot::{Bot, CALLBACK, LOOPBACK, bearer};
use crate::support::client::{market_order, text};
use crate::support::consent::{Person, parameter, without_redirects};
use crate::support::{Client, SetUp, Site, audit, environment, on_both, repository};

/// How long a client may take for all its flows.
const PATIENCE: Duration = Duration::from_secs(90);

/// An installation with a person, and somebody else who has registered apps.
struct Stage {
    site: Site,
    issuer: String,
    person: Person,
    confidential: Bot,
    public: Bot,
}

/// The address by which browsers reach the first API: its issuer, where no `PUBLIC_URL` says another.
fn issuer(site: &Site) -> String {
    site.client().base().replace("127.0.0.1", "localhost")
}

impl Stage {
    async fn set(set_up: SetUp) -> Self {
        let site = Site::start(set_up).await;
        let issuer = issuer(&site);
        let mut owner = Person::registered(&issuer, "owner@example.com").await;
        Self {
            person: Person::registered(&issuer, "anna@example.com").await,
            confidential: Bot::registered(&issuer, &mut owner).await,
            public: Bot::registered_public(&issuer, &mut owner).await,
            site,
            issuer,
        }
    }

    /// What a client of others is told.
    fn settings(&self) -> String {
        let settings = json!({
            "issuer": self.issuer,
            "confidential": {
                "client_id": self.confidential.client_id, "client_secret": self.confidential.client_secret,
                "redirect_uri": CALLBACK,
            },
            "public": {"client_id": self.public.client_id, "redirect_uri": on_a_free_port()},
        });
        settings.to_string()
    }

    /// Runs a client that asks the person to open addresses, until it says that all is well.
    async fn converse(&mut self, client: &mut Command) {
        tokio::time::timeout(PATIENCE, self.listen(client)).await.unwrap();
    }

    async fn listen(&mut self, client: &mut Command) {
        let pipes = client
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = pipes.kill_on_drop(true).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(address) = line.strip_prefix("open ") {
                let location = self.person.allow(address).await;
                input.write_all(format!("{location}\n").as_bytes()).await.unwrap();
            }
            said.push(line);
        }
        let mut errors = String::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_string(&mut errors).await.unwrap();
        let status = child.wait().await.unwrap();
        assert!(
            status.success() && said.last().is_some_and(|line| line == "ok"),
            "{said:?}\n{errors}"
        );
    }

    /// The trades were the person's and the owner's, and every app that was connected is gone.
    async fn ends(mut self) {
        let grants = self.person.get("/oauth/grants").await.expect(200);
        assert_eq!(grants, json!([]));
        assert_ne!(
            self.person.get("/v2/orders?status=all").await.expect(200),
            json!([])
        );
        audit(&self.site.place).await;
    }
}

/// Where an app on the person's own machine listens this time.
fn on_a_free_port() -> String {
    LOOPBACK.replace("127.0.0.1", "127.0.0.1:49152")
}

/// Carries the requests of the crate `oauth2`. It revokes by HTTPS alone, so a proxy that ends TLS is played here.
async fn carry(request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let (parts, body) = request.into_parts();
    let url = parts.uri.to_string().replacen("https://", "http://", 1);
    let request = without_redirects().request(parts.method, url);
    let answer = request.headers(parts.headers).body(body).send().await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut response = HttpResponse::new(answer.bytes().await?.to_vec());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

async fn trade(issuer: &str, access_token: &str) {
    let client = bearer(issuer, access_token);
    let order = client.place(&market_order("buy", "BTC/USD", "0.001")).await;
    assert_eq!(client.order(&order).await["symbol"], "BTC/USD");
}

async fn is_refused(issuer: &str, access_token: &str) -> bool {
    bearer(issuer, access_token).get("/v2/account").await.status == 401
}

/// A client of the crate, with the endpoints that the metadata give.
type Crate = BasicClient<EndpointSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;

async fn client_of_the_crate(issuer: &str, bot: &Bot, callback: &str) -> Crate {
    let path = "/.well-known/oauth-authorization-server";
    let metadata = Client::new(issuer, "").get(path).await.expect(200);
    assert_eq!(metadata["issuer"], issuer);
    let endpoint = |name: &str| text(&metadata[format!("{name}_endpoint")]).to_owned();
    let revocation = endpoint("revocation").replace("http://", "https://");
    let mut client = BasicClient::new(ClientId::new(bot.client_id.clone()));
    if !bot.client_secret.is_empty() {
        client = client.set_client_secret(ClientSecret::new(bot.client_secret.clone()));
    }
    client
        .set_auth_uri(AuthUrl::new(endpoint("authorization")).unwrap())
        .set_token_uri(TokenUrl::new(endpoint("token")).unwrap())
        .set_introspection_url(IntrospectionUrl::new(endpoint("introspection")).unwrap())
        .set_revocation_url(RevocationUrl::new(revocation).unwrap())
        .set_redirect_uri(RedirectUrl::new(callback.to_owned()).unwrap())
}

fn trading() -> Scope {
    Scope::new("trading".to_owned())
}

async fn revoke(client: &Crate, token: StandardRevocableToken) {
    let revoking = client.revoke_token(token).unwrap();
    revoking.request_async(&carry).await.unwrap();
}

/// The flows of the crate for `person`; one with a secret asks about its tokens, too.
async fn for_a_person(issuer: &str, client: &Crate, has_secret: bool, person: &mut Person) {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (address, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scope(trading())
        .set_pkce_challenge(challenge)
        .url();
    let location = person.allow(address.as_str()).await;
    assert_eq!(parameter(&location, "state").as_ref(), Some(state.secret()));
    assert_eq!(parameter(&location, "iss").as_deref(), Some(issuer));
    let code = AuthorizationCode::new(parameter(&location, "code").unwrap());
    let exchange = client.exchange_code(code).set_pkce_verifier(verifier);
    let first = exchange.request_async(&carry).await.unwrap();
    trade(issuer, first.access_token().secret()).await;

    let refresh = first.refresh_token().unwrap();
    let refreshing = client.exchange_refresh_token(refresh);
    let second = refreshing.request_async(&carry).await.unwrap();
    let access = second.access_token();
    assert_ne!(first.access_token().secret(), access.secret());
    trade(issuer, access.secret()).await;
    if has_secret {
        let told = client.introspect(access).request_async(&carry).await.unwrap();
        assert!(told.active() && told.iss() == Some(issuer), "{told:?}");
        assert_eq!(told.scopes(), Some(&vec![trading()]));
    }
    let refresh = second.refresh_token().unwrap();
    revoke(client, refresh.into()).await;
    assert!(is_refused(issuer, access.secret()).await);
    let refreshing = client.exchange_refresh_token(refresh);
    refreshing.request_async(&carry).await.unwrap_err();
}

/// The flows of the crate for the app's own account.
async fn for_its_owner(issuer: &str, client: &Crate) {
    let exchange = client.exchange_client_credentials().add_scope(trading());
    let own = exchange.request_async(&carry).await.unwrap();
    let access = own.access_token();
    assert!(own.refresh_token().is_none());
    trade(issuer, access.secret()).await;
    revoke(client, access.into()).await;
    let told = client.introspect(access).request_async(&carry).await.unwrap();
    assert!(!told.active() && is_refused(issuer, access.secret()).await);
}

/// The first block of `kind` in a guide.
fn block<'a>(guide: &'a str, kind: &str) -> &'a str {
    let begin = guide
        .split_once(&format!("```{kind}\n"))
        .unwrap_or_else(|| panic!("the guide has no block of {kind}"));
    begin.1.split_once("```").unwrap().0
}

async fn said_by(command: &mut Command) -> String {
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

on_both! {
    async fn authlib_runs_every_flow_and_trades(set_up: SetUp) {
        let mut stage = Stage::set(set_up).await;
        let mut python = Command::new(environment::variable("TEST_PYTHON"));
        python
            .arg(repository().join("tests/e2e/python/connect.py"))
            .arg(stage.settings())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // The server under test is reached without TLS.
            .env("AUTHLIB_INSECURE_TRANSPORT", "1");
        stage.converse(&mut python).await;
        stage.ends().await;
    }

    async fn oauth4webapi_runs_every_flow_and_trades(set_up: SetUp) {
        let mut stage = Stage::set(set_up).await;
        let script = std::fs::read_to_string(repository().join("tests/e2e/node/connect.mjs")).unwrap();
        let mut node = Command::new("node");
        // A script that is given as text finds its packages where it is started.
        node.args(["--input-type=module", "--eval", &script, "--", &stage.settings()])
            .current_dir(environment::variable("TEST_NODE"));
        stage.converse(&mut node).await;
        stage.ends().await;
    }

    async fn the_oauth2_crate_runs_every_flow_and_trades(set_up: SetUp) {
        let mut stage = Stage::set(set_up).await;
        let public = on_a_free_port();
        let confidential = client_of_the_crate(&stage.issuer, &stage.confidential, CALLBACK).await;
        for_a_person(&stage.issuer, &confidential, true, &mut stage.person).await;
        for_its_owner(&stage.issuer, &confidential).await;
        let public = client_of_the_crate(&stage.issuer, &stage.public, &public).await;
        for_a_person(&stage.issuer, &public, false, &mut stage.person).await;
        stage.ends().await;
    }

    async fn the_oauth_bot_of_the_guide_trades(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let issuer = issuer(&site);
        let guide = std::fs::read_to_string(repository().join("docs/guides/oauth-bot.md")).unwrap();
        let register = block(&guide, "sh").replace("http://localhost:5000", &issuer);
        let mut bash = Command::new("bash");
        let registered = said_by(bash.args(["-c", &register]).current_dir(site.place.path())).await;
        let registered = serde_json::from_str::<Value>(&registered).unwrap();
        let mut python = Command::new(environment::variable("TEST_PYTHON"));
        python
            .args(["-c", block(&guide, "python")])
            .env("ARBION_URL", &issuer)
            .env("CLIENT_ID", text(&registered["client"]["client_id"]))
            .env("CLIENT_SECRET", text(&registered["client_secret"]));
        let said = said_by(&mut python).await;
        assert!(said.starts_with("filled 0.") && said.contains(" at "), "{said}");
        audit(&site.place).await;
    }
}
