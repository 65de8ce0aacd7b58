//! What a person does on our pages with a mouse, and the app that they connect.

use reqwest::Url;
use serde_json::json;

use super::browser::Browser;
use super::client::{Answer, Client, text};
use super::elsewhere::Elsewhere;
use super::site::Site;

/// A password that nobody would guess.
pub(crate) const PASSWORD: &str = "violet harbour at noon";

/// The secret of the app's request, and what it sends of it at first: the example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What the app has to get back as it was.
const STATE: &str = "a state; with & more";

/// Where a browser reaches `site`: the origin that its tokens name, too.
pub(crate) fn origin(site: &Site) -> String {
    site.client().base().replace("127.0.0.1", "localhost")
}

/// Makes an account on the page of registrations, and is logged in then.
pub(crate) async fn register(browser: &Browser, site: &Site, email: &str) {
    browser.goto(&format!("{}/register", origin(site))).await;
    browser.fill("#email", email).await;
    browser.fill("#password", PASSWORD).await;
    browser.click("button.primary").await;
    assert_eq!(browser.text(".who .email").await, email);
}

/// Fills the page of logins, which is shown.
pub(crate) async fn log_in(browser: &Browser, email: &str) {
    browser.fill("#email", email).await;
    browser.fill("#password", PASSWORD).await;
    browser.click("button.primary").await;
}

/// Registers a public app of the installation's first user, and answers its id.
pub(crate) async fn register_app(site: &Site, name: &str, redirect_uri: &str) -> String {
    let app = json!({
        "name": name, "client_type": "public", "redirect_uris": [redirect_uri], "scopes": ["data", "trading"],
    });
    let registered = site.client().post("/oauth/clients", &app).await.expect(201);
    text(&registered["client"]["client_id"]).to_owned()
}

/// An app on the person's machine, which sends browsers to us and gets them back.
#[derive(Debug)]
pub(crate) struct LoopbackApp {
    id: String,
    origin: String,
    anonymous: Client,
    server: Elsewhere,
}

impl LoopbackApp {
    /// Registers it with `site`; its redirect URI takes whichever port is free.
    pub(crate) async fn start(site: &Site, name: &str) -> Self {
        Self {
            id: register_app(site, name, "http://127.0.0.1/cb").await,
            origin: origin(site),
            anonymous: site.client().anonymous(),
            server: Elsewhere::start(),
        }
    }

    fn redirect_uri(&self) -> String {
        self.server.origin("127.0.0.1") + "/cb"
    }

    /// Where it sends a person to be asked for `scope`.
    pub(crate) fn authorization_url(&self, scope: &str) -> String {
        let pairs = [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect_uri()),
            ("scope", scope),
            ("state", STATE),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let url = format!("{}/oauth/authorize", self.origin);
        Url::parse_with_params(&url, pairs).unwrap().into()
    }

    /// What the browser brings back beside the state and the issuer, which must be right.
    pub(crate) async fn answer(&self) -> (String, String) {
        let mut answer = self.server.asked("/cb").await;
        let mut take = |name: &str| {
            let at = answer.iter().position(|(own, _)| own == name);
            at.map(|at| answer.remove(at).1)
        };
        assert_eq!(take("state").as_deref(), Some(STATE));
        assert_eq!(take("iss").as_deref(), Some(self.origin.as_str()));
        take("error_description");
        assert_eq!(answer.len(), 1, "{answer:?}");
        answer.remove(0)
    }

    /// Changes the code that it was sent for a token.
    pub(crate) async fn token(&self) -> String {
        let (name, code) = self.answer().await;
        assert_eq!(name, "code");
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect_uri()),
            ("code_verifier", VERIFIER),
        ];
        let form = Url::parse_with_params("http://form", pairs).unwrap();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let body = form.query().unwrap().as_bytes().to_vec();
        let tokens = self.anonymous.send("POST", "/oauth/token", &headers, body).await;
        let tokens = tokens.expect(200);
        text(&tokens["access_token"]).to_owned()
    }

    /// Buys a little with `token`.
    pub(crate) async fn order(&self, token: &str) -> Answer {
        let order = json!({
            "symbol": "BTC/USD", "notional": "50", "side": "buy", "type": "market", "time_in_force": "gtc",
        });
        let authorization = format!("Bearer {token}");
        let headers = [
            ("content-type", "application/json"),
            ("authorization", authorization.as_str()),
        ];
        let body = order.to_string().into_bytes();
        self.anonymous.send("POST", "/v2/orders", &headers, body).await
    }
}
