//! OAuth access tokens: `Authorization: Bearer` (RFC 6750).

use platform::secrets::sha256;
use poem::http::HeaderMap;
use poem::http::header::AUTHORIZATION;

use super::Principal;
use crate::access::not_authorized;
use crate::app::App;
use crate::problem::Problem;

/// The token, where one is sent. Only in the header: an address or a form would end in logs (RFC 9700 section 4.3.2).
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Who sends this token.
pub(crate) async fn authenticate(token: &str, app: &App) -> Result<Principal, Problem> {
    let known = app.credentials.of_token(&app.store, sha256(token)).await?;
    let now = app.now();
    let known = known
        .filter(|known| known.is_valid_at(now))
        .ok_or_else(|| not_authorized().of_token())?;
    known.touch(&app.store, now);
    Ok(known.principal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_from_one_bearer_header_alone() {
        for (lines, expected) in [
            (&["Bearer abc"][..], Some("abc")),
            (&["bearer  abc "], Some("abc")),
            (&["Basic abc"], None),
            (&["Bearer"], None),
            (&["Bearer abc", "Bearer def"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(AUTHORIZATION, line.parse().unwrap());
            }
            assert_eq!(token(&headers), expected, "{lines:?}");
        }
    }
}
