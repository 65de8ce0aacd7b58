//! `Idempotency-Key`: a request that is sent twice is carried out once.
//!
//! The key, the hash of what is asked for and the finished answer are written in the transaction that accepts the order,
//! so a request that got a 4xx used nothing up, and a crash can't separate them. What makes no order has no such
//! transaction: there the header is refused ([`NoIdempotencyKey`]), because a caller who sends it relies on it.

use platform::secrets::sha256;
use poem::{FromRequest, Request, RequestBody, Response};
use store::orders::{IdempotencyKey, SavedAnswer};

use crate::auth::Principal;
use crate::problem::{Code, FieldError, Problem};

/// The header with the caller's key.
pub const HEADER: &str = "idempotency-key";

/// Says that an answer was given before.
pub const REPLAYED: &str = "idempotency-replayed";

/// A key may be this long.
const KEY_CHARACTERS_MAX: usize = 255;

/// The key of `request`, if its caller sent one. `asked` is what the request asks for, to the byte: its body, or its query
/// where it has none.
pub fn key_of(
    request: &Request,
    principal: &Principal,
    asked: &[u8],
) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = request.headers().get(HEADER) else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=KEY_CHARACTERS_MAX).contains(&key.len()))
        .ok_or_else(invalid)?;
    Ok(Some(IdempotencyKey {
        credential_id: principal.credential,
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        key: key.to_owned(),
        body_hash: sha256(asked),
    }))
}

/// Proof that a request names no key: for operations that change something and keep no answer.
pub(crate) struct NoIdempotencyKey;

impl<'a> FromRequest<'a> for NoIdempotencyKey {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        if request.headers().contains_key(HEADER) {
            let detail = "this operation takes no Idempotency-Key: send the request without it";
            let error = FieldError::at_header("Idempotency-Key", detail);
            return Err(Problem::new(Code::IdempotencyKeyNotTaken, detail)
                .with_error(error)
                .into());
        }
        Ok(Self)
    }
}

fn invalid() -> Problem {
    let detail = format!("Idempotency-Key must be 1 to {KEY_CHARACTERS_MAX} printable ASCII characters");
    let error = FieldError::at_header("Idempotency-Key", detail.clone());
    Problem::new(Code::InvalidIdempotencyKey, detail).with_error(error)
}

/// The saved answer, given again.
pub fn replay(saved: &SavedAnswer) -> Response {
    let mut response = Response::builder()
        .content_type("application/json")
        .header(REPLAYED, "true")
        .body(saved.body.clone());
    if let Ok(status) = poem::http::StatusCode::from_u16(saved.status) {
        response.set_status(status);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: Option<&str>, body: &[u8]) -> Result<Option<IdempotencyKey>, Problem> {
        let mut request = Request::builder()
            .method(poem::http::Method::POST)
            .uri_str("/v2/orders?x=1");
        if let Some(value) = value {
            request = request.header(HEADER, value);
        }
        key_of(&request.finish(), &Principal::example(), body)
    }

    #[test]
    fn a_key_belongs_to_its_caller_its_route_and_its_body() {
        let one = key(Some("k"), b"{}").unwrap().unwrap();
        assert_eq!(
            (one.method.as_str(), one.path.as_str(), one.key.as_str()),
            ("POST", "/v2/orders", "k")
        );
        assert_eq!(one.credential_id, Principal::example().credential);
        let other = key(Some("k"), b"{ }").unwrap().unwrap();
        assert_ne!(one.body_hash, other.body_hash);
        assert_eq!(key(None, b"{}").unwrap(), None);
    }

    #[test]
    fn a_key_that_cannot_be_kept_is_refused() {
        for bad in ["", &"x".repeat(256)] {
            assert_eq!(
                key(Some(bad), b"").unwrap_err().code(),
                Code::InvalidIdempotencyKey
            );
        }
        assert!(key(Some(&"x".repeat(255)), b"").is_ok());
    }
}
