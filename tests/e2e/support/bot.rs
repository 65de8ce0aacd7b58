//! An app, as the server knows it: its requests, without a library that would keep it from sending wrong ones.

use oauth2::url::form_urlencoded;
use serde_json::{Value, json};

use super::client::{Answer, Client, text};
use super::consent::{FORM, Person, form, parameter};

/// Where people are sent back to.
pub(crate) const CALLBACK: &str = "https://bot.example/callback?tenant=7";

/// The same for an app on the person's own machine, which takes a free port.
pub(crate) const LOOPBACK: &str = "http://127.0.0.1/callback";

/// RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Tokens, as they came.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Bot {
    pub(crate) client_id: String,
    /// Empty for a public app.
    pub(crate) client_secret: String,
    callback: &'static str,
    http: Client,
}

/// A holder of an access token.
pub(crate) fn bearer(base: &str, token: &str) -> Client {
    Client::new(base, &format!("authorization: Bearer {token}"))
}

impl Bot {
    /// An app that `owner` registers at `base`: it may trade and read, for people and for its owner.
    pub(crate) async fn registered(base: &str, owner: &mut Person) -> Self {
        let app = json!({
            "name": "Rebalancer & <friends>", "client_type": "confidential", "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "client_credentials"], "scopes": ["trading", "data"],
        });
        Self::of(
            base,
            CALLBACK,
            &owner.post("/oauth/clients", &app).await.expect(201),
        )
    }

    /// An app that keeps no secret.
    pub(crate) async fn registered_public(base: &str, owner: &mut Person) -> Self {
        let app = json!({
            "name": "Desk", "client_type": "public", "redirect_uris": [LOOPBACK], "scopes": ["trading"],
        });
        Self::of(
            base,
            LOOPBACK,
            &owner.post("/oauth/clients", &app).await.expect(201),
        )
    }

    fn of(base: &str, callback: &'static str, registered: &Value) -> Self {
        Self {
            client_id: text(&registered["client"]["client_id"]).to_owned(),
            client_secret: registered["client_secret"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            callback,
            http: Client::new(base, ""),
        }
    }

    /// The same app, calling another process.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self {
            http: Client::new(base, ""),
            ..self.clone()
        }
    }

    /// The address that it sends a person to, with `changes`; an empty value leaves the parameter out.
    pub(crate) fn address(&self, changes: &[(&str, &str)]) -> String {
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", self.callback),
            ("scope", "trading"),
            ("state", "st&te"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in changes {
            pairs.retain(|(one, _)| one != name);
            pairs.push((*name, *value));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        format!("{}/oauth/authorize?{}", self.http.base(), form(pairs))
    }

    /// Sends a form to `path`, with the secret in the header.
    pub(crate) async fn call(&self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let (name, secret) = (encoded(&self.client_id), encoded(&self.client_secret));
        let body = form(pairs.iter().copied());
        let kind = &[("content-type", FORM)];
        self.http.send_with_basic(path, &name, &secret, kind, body).await
    }

    /// Asks for tokens.
    pub(crate) async fn token(&self, pairs: &[(&str, &str)]) -> Answer {
        self.call("/oauth/token", pairs).await
    }

    /// Redeems a code, with `changes` to the good request; an empty value leaves the parameter out.
    pub(crate) async fn redeem(&self, code: &str, changes: &[(&str, &str)]) -> Answer {
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.callback),
            ("code_verifier", VERIFIER),
        ];
        for (name, value) in changes {
            pairs.retain(|(one, _)| one != name);
            pairs.push((*name, *value));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        self.token(&pairs).await
    }

    /// Refreshes.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
            .await
    }

    /// A code that `person` gives it.
    pub(crate) async fn code(&self, person: &mut Person) -> String {
        let location = person.allow(&self.address(&[])).await;
        assert!(location.starts_with(self.callback), "{location}");
        assert_eq!(parameter(&location, "state").as_deref(), Some("st&te"));
        parameter(&location, "code").unwrap()
    }

    /// Tokens that `person` gives it.
    pub(crate) async fn connected(&self, person: &mut Person) -> Tokens {
        let code = self.code(person).await;
        tokens(&self.redeem(&code, &[]).await)
    }
}

/// The tokens of an answer.
#[track_caller]
pub(crate) fn tokens(answer: &Answer) -> Tokens {
    let body = answer.expect(200);
    Tokens {
        access: text(&body["access_token"]).to_owned(),
        refresh: text(&body["refresh_token"]).to_owned(),
    }
}

/// Asserts that an endpoint of the protocol refused with this error.
#[track_caller]
pub(crate) fn assert_refused(answer: &Answer, status: u16, error: &str, what: &str) {
    let told = (
        answer.status,
        answer.json()["error"].as_str().unwrap_or_default().to_owned(),
    );
    assert_eq!(told, (status, error.to_owned()), "{what}: {}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
}
