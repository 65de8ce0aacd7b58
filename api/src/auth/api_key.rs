//! API keys: `APCA-API-KEY-ID` + `APCA-API-SECRET-KEY`, or both as `Authorization: Basic`.

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platform::secrets::sha256;
use poem::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use subtle::ConstantTimeEq as _;

use super::Principal;
use super::cache::Known;
use crate::access::not_authorized;
use crate::app::App;
use crate::problem::{Code, Problem};

/// The header with the public part.
static KEY_ID: HeaderName = HeaderName::from_static("apca-api-key-id");

/// The header with the secret part.
static SECRET: HeaderName = HeaderName::from_static("apca-api-secret-key");

/// Both parts may be this long; ours are much shorter.
const PART_BYTES_MAX: usize = 256;

/// The two parts of an API key, as they were sent.
#[derive(Debug, PartialEq, Eq)]
struct ApiKey<'a> {
    id: Cow<'a, str>,
    secret: Cow<'a, str>,
}

/// Who sends these headers.
pub(crate) async fn authenticate(headers: &HeaderMap, app: &App, from: IpAddr) -> Result<Principal, Problem> {
    let key = read(headers).ok_or_else(not_authorized)?;
    let known = app.credentials.get(&app.store, &key.id).await?;
    let proof = sha256(key.secret.as_ref());
    // An unknown key is compared, too, so that the time does not tell which keys exist.
    let kept = known.as_ref().map_or([0; 32], Known::hash);
    let is_right = bool::from(proof.ct_eq(&kept));
    let now = app.now();
    let known = known
        .filter(|known| is_right && known.is_valid_at(now))
        .ok_or_else(not_authorized)?;
    if !known.is_allowed_from(from) {
        let detail = "the API key does not work from this address";
        return Err(Problem::new(Code::AddressNotAllowed, detail));
    }
    known.touch(&app.store, now);
    Ok(known.principal())
}

/// Whether a request has a part of a key in Alpaca's headers.
pub(crate) fn is_sent(headers: &HeaderMap) -> bool {
    headers.contains_key(&KEY_ID) || headers.contains_key(&SECRET)
}

fn read(headers: &HeaderMap) -> Option<ApiKey<'_>> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let key = match (text(&KEY_ID), text(&SECRET)) {
        (Some(id), Some(secret)) => ApiKey {
            id: id.into(),
            secret: secret.into(),
        },
        // Half a pair is a mistake, whatever else is there.
        (Some(_), None) | (None, Some(_)) => return None,
        (None, None) => basic(text(&AUTHORIZATION)?)?,
    };
    let fits = |part: &str| (1..=PART_BYTES_MAX).contains(&part.len()) && !part.contains('\0');
    (fits(&key.id) && fits(&key.secret)).then_some(key)
}

fn basic(authorization: &str) -> Option<ApiKey<'static>> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some(ApiKey {
        id: id.to_owned().into(),
        secret: secret.to_owned().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_ID: &str = "apca-api-key-id";
    const SECRET: &str = "apca-api-secret-key";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_key_is_read_from_its_two_headers_or_from_basic() {
        let expected = Some(ApiKey {
            id: "KEY".into(),
            secret: "se:cret".into(),
        });
        assert_eq!(read(&headers(&[(KEY_ID, "KEY"), (SECRET, "se:cret")])), expected);
        let encoded = STANDARD.encode("KEY:se:cret");
        for scheme in ["Basic", "basic", "BASIC"] {
            let value = format!("{scheme} {encoded}");
            assert_eq!(read(&headers(&[("authorization", &value)])), expected, "{scheme}");
        }
    }

    #[test]
    fn anything_less_than_a_whole_key_is_none() {
        let long = "x".repeat(PART_BYTES_MAX + 1);
        let no_colon = format!("Basic {}", STANDARD.encode("KEY"));
        for pairs in [
            &[][..],
            &[(KEY_ID, "KEY")],
            &[(SECRET, "secret")],
            &[(KEY_ID, "KEY"), (SECRET, "")],
            &[(KEY_ID, &long), (SECRET, "secret")],
            &[("authorization", "Bearer token")],
            &[("authorization", "Basic !!!")],
            &[("authorization", &no_colon)],
            &[("authorization", "Basic")],
        ] {
            assert_eq!(read(&headers(pairs)), None, "{pairs:?}");
        }
    }
}
