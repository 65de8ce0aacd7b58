//! Which client is calling: its secret by `Authorization: Basic` or in the form, or only its name where it is public.
//!
//! 1. One method at a time (RFC 6749 §2.3), never in the URL.
//! 2. A secret is compared in constant time, with something in any case.
//! 3. A public client has no secret to prove; one that sends a secret is not the client that was registered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platform::secrets::sha256;
use poem::http::header::{AUTHORIZATION, HeaderMap};
use store::{OAuthClient, StoreError};
use subtle::ConstantTimeEq as _;

use super::params::{Params, Repeated, decoded};
use super::refusal::Refusal;
use crate::app::App;
use crate::middleware::RequestContext;
use crate::problem::Problem;

/// A name or a secret may have as many bytes; ours are much shorter.
const PART_BYTES_MAX: usize = 256;

/// What a client says of itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Presented {
    /// Its public name.
    pub client_id: String,
    secret: Option<String>,
    is_of_header: bool,
}

/// Why a client is not let in.
#[derive(Debug)]
pub enum ClientError {
    /// It did not prove who it is.
    Refused(Refusal),
    /// The database did not answer.
    Store(StoreError),
    /// It asks too often.
    Limited(Box<Problem>),
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Repeated> for ClientError {
    fn from(repeated: Repeated) -> Self {
        Self::Refused(repeated.into())
    }
}

impl From<StoreError> for ClientError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Reads what a client says of itself.
pub fn presented(headers: &HeaderMap, params: &Params) -> Result<Presented, Refusal> {
    let named = params.get("client_id")?;
    let secret = params.get("client_secret")?;
    let mut authorizations = headers.get_all(AUTHORIZATION).iter();
    let presented = match authorizations.next() {
        Some(value) => {
            if authorizations.next().is_some() || secret.is_some() {
                return Err(Refusal::malformed(
                    "the client authenticates in more than one way",
                ));
            }
            let (client_id, secret) = value
                .to_str()
                .ok()
                .and_then(basic)
                .ok_or(Refusal::of_client(true))?;
            if named.is_some_and(|named| named != client_id) {
                return Err(Refusal::malformed("client_id is not the one of the header"));
            }
            Presented {
                client_id,
                secret: Some(secret),
                is_of_header: true,
            }
        }
        None => Presented {
            client_id: named.ok_or(Refusal::of_client(false))?.to_owned(),
            secret: secret.map(str::to_owned),
            is_of_header: false,
        },
    };
    let fits = |part: &str| part.len() <= PART_BYTES_MAX && !part.contains('\0');
    if fits(&presented.client_id) && presented.secret.as_deref().is_none_or(fits) {
        return Ok(presented);
    }
    Err(Refusal::of_client(presented.is_of_header))
}

/// Name and secret, each encoded as in a form (RFC 6749 §2.3.1).
fn basic(authorization: &str) -> Option<(String, String)> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (client_id, secret) = text.split_once(':')?;
    Some((decoded(client_id)?, decoded(secret)?))
}

/// Whether `presented` is `client` as it is registered.
pub fn is_proven(presented: &Presented, client: Option<&OAuthClient>) -> bool {
    let proof = sha256(presented.secret.as_deref().unwrap_or_default());
    // An unknown client is compared, too, so that the time does not tell which clients exist.
    let kept = client.and_then(|client| client.hash);
    let is_right = bool::from(proof.ct_eq(&kept.unwrap_or_default()));
    let is_proven = match (&presented.secret, kept) {
        (Some(_), Some(_)) => is_right,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    is_proven && client.is_some_and(|client| client.is_live)
}

/// The client that calls, when it has proven that it is the one. Only then the call counts against its limit, which nobody
/// else can use up; a public client has none, since everybody knows its name. Wrong ones count against their address.
pub(super) async fn authenticate(
    app: &App,
    context: &RequestContext,
    headers: &HeaderMap,
    params: &Params,
) -> Result<OAuthClient, ClientError> {
    let presented = presented(headers, params)?;
    let client = app.store.oauth_client(&presented.client_id).await?;
    let is_proven = is_proven(&presented, client.as_ref());
    let client = client.filter(|_| is_proven);
    let client = client.ok_or(Refusal::of_client(presented.is_of_header))?;
    if !client.is_public() {
        let counted = app.budgets.count_client(context, &client.client_id, app.now());
        counted
            .await
            .map_err(|problem| ClientError::Limited(Box::new(problem)))?;
    }
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::super::refusal::ErrorName;
    use super::*;
    use domain::id::{AccountId, UserId};
    use uuid::Uuid;

    fn headers(authorizations: &[&str]) -> HeaderMap {
        let values = authorizations
            .iter()
            .map(|value| (AUTHORIZATION, value.parse().unwrap()));
        values.collect()
    }

    fn with_basic(text: &str) -> HeaderMap {
        headers(&[&format!("Basic {}", STANDARD.encode(text))])
    }

    fn read(headers: &HeaderMap, body: &str) -> Result<(String, Option<String>), ErrorName> {
        let presented = presented(headers, &Params::parse(body));
        presented
            .map(|presented| (presented.client_id, presented.secret))
            .map_err(|refusal| refusal.name)
    }

    #[test]
    fn a_client_shows_its_secret_in_one_place() {
        use ErrorName::{InvalidClient, InvalidRequest};
        let (none, plain) = (headers(&[]), with_basic("app:secret"));
        let app = |secret: Option<&str>| Ok(("app".to_owned(), secret.map(str::to_owned)));
        for (headers, body, expected) in [
            (&none, "client_id=app", app(None)),
            (&none, "client_id=app&client_secret=secret", app(Some("secret"))),
            (&none, "client_id=app&client_secret=", app(None)),
            (&plain, "", app(Some("secret"))),
            (&plain, "client_id=app", app(Some("secret"))),
            (&with_basic("app:"), "", app(Some(""))),
            (&with_basic("a%70p:%3A+%25"), "", app(Some(": %"))),
            (&headers_of("basic", "app:secret"), "", app(Some("secret"))),
            (&none, "", Err(InvalidClient)),
            (&none, "client_secret=secret", Err(InvalidClient)),
            (&plain, "client_secret=secret", Err(InvalidRequest)),
            (&plain, "client_id=other", Err(InvalidRequest)),
            (&none, "client_id=app&client_id=app", Err(InvalidRequest)),
            (
                &none,
                "client_id=app&client_secret=a&client_secret=b",
                Err(InvalidRequest),
            ),
            (&with_basic("app"), "", Err(InvalidClient)),
            (&with_basic("app:a&b"), "", Err(InvalidClient)),
            (&headers(&["Bearer x"]), "client_id=app", Err(InvalidClient)),
            (&headers(&["Basic !!!"]), "client_id=app", Err(InvalidClient)),
            (&headers(&["Basic YTpi", "Basic YTpi"]), "", Err(InvalidRequest)),
        ] {
            assert_eq!(read(headers, body), expected, "{headers:?} {body}");
        }
        let long = format!("client_id={}", "x".repeat(PART_BYTES_MAX + 1));
        assert_eq!(read(&none, &long), Err(InvalidClient));
        assert_eq!(read(&none, "client_id=a%00"), Err(InvalidClient));
    }

    fn headers_of(scheme: &str, text: &str) -> HeaderMap {
        headers(&[&format!("{scheme} {}", STANDARD.encode(text))])
    }

    fn client(secret: Option<&str>) -> OAuthClient {
        OAuthClient {
            id: Uuid::from_u128(1),
            client_id: "app".to_owned(),
            owner: UserId(Uuid::from_u128(2)),
            owner_email: "owner@example.org".to_owned(),
            account: AccountId(Uuid::from_u128(3)),
            name: "App".to_owned(),
            hash: secret.map(sha256),
            grant_types: Vec::new(),
            redirect_uris: Vec::new(),
            scopes: Vec::new(),
            created_at: chrono::DateTime::UNIX_EPOCH,
            is_live: true,
        }
    }

    #[test]
    fn a_client_is_what_it_was_registered_as() {
        let shown = |secret: Option<&str>| Presented {
            client_id: "app".to_owned(),
            secret: secret.map(str::to_owned),
            is_of_header: false,
        };
        for (kept, sent, expected) in [
            (Some("secret"), Some("secret"), true),
            (Some("secret"), Some("Secret"), false),
            (Some("secret"), Some(""), false),
            (Some("secret"), None, false),
            (None, None, true),
            (None, Some(""), false),
            (None, Some("secret"), false),
        ] {
            assert_eq!(
                is_proven(&shown(sent), Some(&client(kept))),
                expected,
                "{kept:?} {sent:?}"
            );
            let gone = OAuthClient {
                is_live: false,
                ..client(kept)
            };
            assert!(!is_proven(&shown(sent), Some(&gone)), "it was taken back");
            assert!(!is_proven(&shown(sent), None), "it is unknown");
        }
    }
}
