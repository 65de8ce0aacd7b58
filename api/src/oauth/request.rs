//! What an app asks a person for: the authorization request, judged in the order that keeps people safe.
//!
//! | wrong | answered |
//! |---|---|
//! | the client or the redirect URI | to the person, on a page: nobody is sent to a place that was not registered (RFC 6749 §4.1.2.1) |
//! | anything else | to the app, at its redirect URI, with `error`, `state` and `iss`, but only once the person has logged in (RFC 9700 §4.11.2) |
//!
//! Of every client, PKCE with S256 and a `state` are required.

use store::OAuthClient;

use super::params::{Params, with_query};
use super::refusal::{ErrorName, Refusal};
use super::scope;
use super::{AUTHORIZATION_CODE, pkce, redirect};
use crate::access::Scope;

/// A `state` has at most as many characters.
const STATE_MAX: usize = 1024;

/// The parameters of the request; the consent page's form carries them on.
pub const NAMES: [&str; 7] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
];

/// Why the person is shown an error, and sent nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsafe {
    /// No client is named, or it is unknown, taken back, or its owner is not active.
    Client,
    /// The redirect URI is not one of the client's, or none is named and the client has several.
    RedirectUri,
    /// The client or the redirect URI stands there more than once.
    Repeated,
}

impl Unsafe {
    /// What the person reads.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Client => "The app that sent you here is not known to this server, or it was taken back.",
            Self::RedirectUri => {
                "The app that sent you here asked for the answer to go to an address that it has not registered."
            }
            Self::Repeated => "The app that sent you here asked in a way that can be understood in two ways.",
        }
    }
}

/// Where the answer may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The redirect URI.
    pub uri: String,
    /// Whether the request named it.
    pub is_named: bool,
    state: Option<String>,
}

/// A request that a person may be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What the app wants to be let do.
    pub scopes: Vec<Scope>,
    /// The challenge that its verifier will answer.
    pub code_challenge: String,
}

/// The public name of the client that asks.
pub fn client_id(params: &Params) -> Result<&str, Unsafe> {
    let named = params.get("client_id").map_err(|_| Unsafe::Repeated)?;
    // NUL is no character of any text that PostgreSQL could be asked for.
    named.filter(|named| !named.contains('\0')).ok_or(Unsafe::Client)
}

/// Where the answer to `params` of `client` may go.
pub fn target(params: &Params, client: Option<&OAuthClient>) -> Result<Target, Unsafe> {
    let client = client.filter(|client| client.is_live).ok_or(Unsafe::Client)?;
    let asked = params.get("redirect_uri").map_err(|_| Unsafe::Repeated)?;
    let uri = match asked {
        Some(asked) => {
            let mut registered = client.redirect_uris.iter();
            let is_registered = registered.any(|one| redirect::matches(one, asked, client.is_public()));
            is_registered.then_some(asked)
        }
        None => match client.redirect_uris.as_slice() {
            [only] => Some(only.as_str()),
            _ => None,
        },
    };
    Ok(Target {
        uri: uri.ok_or(Unsafe::RedirectUri)?.to_owned(),
        is_named: asked.is_some(),
        state: params
            .once("state")
            .filter(|state| is_state(state))
            .map(str::to_owned),
    })
}

impl Target {
    /// The address at which the app reads `pairs`, its own `state`, and who answers (RFC 9207).
    pub fn answer(&self, issuer: &str, pairs: &[(&str, &str)]) -> String {
        let mut all = pairs.to_vec();
        if let Some(state) = &self.state {
            all.push(("state", state));
        }
        all.push(("iss", issuer));
        with_query(&self.uri, &all)
    }

    /// The address at which the app reads that it was refused.
    pub fn refuse(&self, issuer: &str, refusal: &Refusal) -> String {
        let pairs = [
            ("error", refusal.name.as_str()),
            ("error_description", refusal.description),
        ];
        self.answer(issuer, &pairs)
    }
}

/// Judges everything of the request that does not decide where the answer goes.
pub fn judge(params: &Params, client: &OAuthClient) -> Result<Asked, Refusal> {
    for name in NAMES {
        params.get(name)?;
    }
    let required = |name, sentence| params.once(name).ok_or(Refusal::malformed(sentence));
    let response_type = required("response_type", "response_type is required")?;
    if response_type != "code" {
        let sentence = "the only response_type is code";
        return Err(Refusal::new(ErrorName::UnsupportedResponseType, sentence));
    }
    if !client.grant_types.iter().any(|one| one == AUTHORIZATION_CODE) {
        let sentence = "the client is not registered for authorization_code";
        return Err(Refusal::new(ErrorName::UnauthorizedClient, sentence));
    }
    if !is_state(required("state", "state is required")?) {
        return Err(Refusal::malformed(
            "state must be printable ASCII of at most 1024 characters",
        ));
    }
    let code_challenge = required("code_challenge", "code_challenge is required")?;
    // Left out it would mean plain (RFC 7636 §4.3), which is refused as well.
    if params.once("code_challenge_method") != Some(pkce::METHOD) {
        return Err(Refusal::malformed("code_challenge_method must be S256"));
    }
    if !pkce::is_well_formed(code_challenge) {
        let sentence = "code_challenge must be 43 to 128 characters of base64url";
        return Err(Refusal::malformed(sentence));
    }
    let scopes = params.once("scope").unwrap_or_default();
    let unknown = |_| Refusal::new(ErrorName::InvalidScope, "a scope is unknown");
    let scopes = scope::parse(scopes).map_err(unknown)?;
    if !scope::are_within(&scopes, &client.scopes) {
        let sentence = "a scope is more than the client is registered for";
        return Err(Refusal::new(ErrorName::InvalidScope, sentence));
    }
    Ok(Asked {
        scopes,
        code_challenge: code_challenge.to_owned(),
    })
}

/// RFC 6749, appendix A.5: printable ASCII.
fn is_state(text: &str) -> bool {
    text.len() <= STATE_MAX && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::{AccountId, UserId};
    use uuid::Uuid;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const ISSUER: &str = "https://arbion.example.org";

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn client(uris: &[&str]) -> OAuthClient {
        OAuthClient {
            id: Uuid::from_u128(1),
            client_id: "app".to_owned(),
            owner: UserId(Uuid::from_u128(2)),
            owner_email: "owner@example.org".to_owned(),
            account: AccountId(Uuid::from_u128(3)),
            name: "App".to_owned(),
            hash: None,
            grant_types: texts(&[AUTHORIZATION_CODE]),
            redirect_uris: texts(uris),
            scopes: texts(&["trading", "data"]),
            created_at: chrono::DateTime::UNIX_EPOCH,
            is_live: true,
        }
    }

    /// The parameters of a good request, with `changes` instead; an empty one leaves its parameter out.
    fn query(changes: &[(&str, &str)]) -> Params {
        let good = [
            ("response_type", "code"),
            ("client_id", "app"),
            ("redirect_uri", "https://a.example/cb"),
            ("scope", "trading"),
            ("state", "s"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let value = |name: &str, good| {
            changes
                .iter()
                .find(|(one, _)| *one == name)
                .map_or(good, |one| one.1)
        };
        let pairs =
            good.map(|(name, good)| format!("{name}={}", super::super::params::encoded(value(name, good))));
        Params::parse(pairs.join("&"))
    }

    #[test]
    fn without_a_client_or_a_redirect_uri_to_trust_nobody_is_sent_anywhere() {
        let one = client(&["https://a.example/cb"]);
        let several = client(&["https://a.example/cb", "https://a.example/other"]);
        let gone = OAuthClient {
            is_live: false,
            ..one.clone()
        };
        let none = query(&[("redirect_uri", "")]);
        for (params, client, expected) in [
            (query(&[]), None, Unsafe::Client),
            (query(&[]), Some(&gone), Unsafe::Client),
            (
                query(&[("redirect_uri", "https://evil.test/cb")]),
                Some(&one),
                Unsafe::RedirectUri,
            ),
            (none.clone(), Some(&several), Unsafe::RedirectUri),
            (
                Params::parse("redirect_uri=https://a.example/cb&redirect_uri=https://evil.test/"),
                Some(&one),
                Unsafe::Repeated,
            ),
        ] {
            assert_eq!(target(&params, client), Err(expected), "{params:?}");
        }
        assert_eq!(
            target(&query(&[]), Some(&several)).unwrap().uri,
            "https://a.example/cb"
        );
        let only = target(&none, Some(&one)).unwrap();
        assert_eq!(
            (only.uri.as_str(), only.is_named),
            ("https://a.example/cb", false)
        );
        assert_eq!(
            client_id(&Params::parse("client_id=a&client_id=a")),
            Err(Unsafe::Repeated)
        );
        assert_eq!(client_id(&Params::parse("client_id=")), Err(Unsafe::Client));
        assert_eq!(client_id(&Params::parse("client_id=a%00")), Err(Unsafe::Client));
        assert_eq!(client_id(&query(&[])), Ok("app"));
    }

    #[test]
    fn everything_else_is_judged_in_one_order() {
        use ErrorName as E;
        let long = "x".repeat(STATE_MAX + 1);
        for (changes, expected) in [
            (&[][..], None),
            (&[("scope", "")], None),
            (&[("response_type", "")], Some(E::InvalidRequest)),
            (&[("response_type", "token")], Some(E::UnsupportedResponseType)),
            (
                &[("response_type", "code token")],
                Some(E::UnsupportedResponseType),
            ),
            (&[("state", "")], Some(E::InvalidRequest)),
            (&[("state", "a\nb")], Some(E::InvalidRequest)),
            (&[("state", long.as_str())], Some(E::InvalidRequest)),
            (&[("code_challenge", "")], Some(E::InvalidRequest)),
            (&[("code_challenge", "short")], Some(E::InvalidRequest)),
            (&[("code_challenge_method", "")], Some(E::InvalidRequest)),
            (&[("code_challenge_method", "plain")], Some(E::InvalidRequest)),
            (&[("code_challenge_method", "s256")], Some(E::InvalidRequest)),
            (&[("scope", "admin")], Some(E::InvalidScope)),
            (&[("scope", "trading arbion:keys")], Some(E::InvalidScope)),
            // The first fault names the answer.
            (
                &[("response_type", "token"), ("state", ""), ("scope", "admin")],
                Some(E::UnsupportedResponseType),
            ),
            (
                &[("code_challenge", ""), ("scope", "admin")],
                Some(E::InvalidRequest),
            ),
        ] {
            let judged = judge(&query(changes), &client(&["https://a.example/cb"]));
            assert_eq!(judged.err().map(|refusal| refusal.name), expected, "{changes:?}");
        }
        let asked = judge(&query(&[]), &client(&[])).unwrap();
        assert_eq!(
            (asked.scopes.as_slice(), asked.code_challenge.as_str()),
            (&[Scope::Trading][..], CHALLENGE)
        );
        let other = OAuthClient {
            grant_types: texts(&["client_credentials"]),
            ..client(&[])
        };
        assert_eq!(
            judge(&query(&[]), &other).unwrap_err().name,
            E::UnauthorizedClient
        );
    }

    #[test]
    fn a_parameter_that_stands_there_twice_is_refused_and_a_doubtful_state_is_not_given_back() {
        for name in NAMES {
            let text = format!(
                "response_type=code&client_id=app&redirect_uri=https://a.example/cb&scope=trading&state=s\
                 &code_challenge={CHALLENGE}&code_challenge_method=S256&{name}=x"
            );
            let refusal = judge(&Params::parse(&text), &client(&[])).unwrap_err();
            assert_eq!(refusal.name, ErrorName::InvalidRequest, "{name}");
        }
        let client = client(&["https://a.example/cb"]);
        for (text, expected) in [
            (
                "state=s",
                "https://a.example/cb?error=x&state=s&iss=https%3A%2F%2Farbion.example.org",
            ),
            (
                "state=s&state=t",
                "https://a.example/cb?error=x&iss=https%3A%2F%2Farbion.example.org",
            ),
            (
                "state=%0D%0A",
                "https://a.example/cb?error=x&iss=https%3A%2F%2Farbion.example.org",
            ),
        ] {
            let target = target(&Params::parse(text), Some(&client)).unwrap();
            assert_eq!(target.answer(ISSUER, &[("error", "x")]), expected);
        }
    }
}
