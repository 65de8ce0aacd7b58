//! Tokens that show that a request with a cookie was meant by the page that sent it.
//!
//! A browser adds cookies to requests that other sites make; it lets no other site read an answer of ours. So a token
//! that only our answers tell proves the page. It is the HMAC of what the cookie stands for, bound to one session (the
//! signed double-submit cookie of OWASP's CSRF Prevention Cheat Sheet): nothing has to be stored, and a token of another
//! session, planted or stolen, is worth nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use platform::config::Access;
use platform::secrets::sha256;
use poem::http::header::{HOST, HeaderMap, ORIGIN};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use uuid::Uuid;

use crate::middleware::is_expected;

/// The header with the token.
pub(crate) const HEADER: &str = "x-csrf-token";

/// The field of a form with the token.
pub(crate) const FIELD: &str = "csrf_token";

/// What a token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound<'a> {
    /// A session.
    Session(Uuid),
    /// The cookie of a browser that has not logged in yet.
    Visitor(&'a str),
    /// The cookie `id` of a browser in which `account` has logged in before. It gets nobody in: see [`super::device`].
    Device {
        /// The e-mail address, in the form in which logins are compared.
        account: &'a str,
        /// The random part of the cookie.
        id: &'a str,
    },
}

/// Makes and checks tokens.
pub(crate) struct Csrf {
    secret: SecretString,
}

impl Csrf {
    /// Tokens under `SESSION_SECRET`.
    pub(crate) const fn new(secret: SecretString) -> Self {
        Self { secret }
    }

    /// The token of `bound`.
    pub(crate) fn token(&self, bound: Bound<'_>) -> String {
        let mac = self.mac(bound).map(|mac| mac.finalize().into_bytes());
        mac.map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).unwrap_or_default()
    }

    /// Whether `token` is the one of `bound`, in constant time.
    pub(crate) fn is_right(&self, bound: Bound<'_>, token: &str) -> bool {
        let Ok(given) = URL_SAFE_NO_PAD.decode(token) else {
            return false;
        };
        self.mac(bound)
            .is_some_and(|mac| mac.verify_slice(&given).is_ok())
    }

    /// `None` never happens: HMAC takes keys of every length.
    fn mac(&self, bound: Bound<'_>) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes()).ok()?;
        Some(match bound {
            Bound::Session(id) => mac.chain_update(b"csrf of session\0").chain_update(id.as_bytes()),
            Bound::Visitor(id) => mac.chain_update(b"csrf of visitor\0").chain_update(id.as_bytes()),
            Bound::Device { account, id } => mac
                .chain_update(b"device of account\0")
                .chain_update(sha256(account))
                .chain_update(id.as_bytes()),
        })
    }
}

impl std::fmt::Debug for Csrf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Csrf").finish_non_exhaustive()
    }
}

/// Whether the page that sent the request may: the API's own origin, or one of `CORS_ORIGINS`. Browsers send `Origin`
/// with every request that may change something; where it is absent the token alone decides.
pub(crate) fn is_origin_allowed(headers: &HeaderMap, access: &Access) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else {
        return headers.get(ORIGIN).is_none();
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    origin
        .to_str()
        .is_ok_and(|origin| is_expected(origin, host, access))
}

#[cfg(test)]
mod tests {
    use platform::Config;

    use super::*;

    #[test]
    fn a_token_fits_what_it_was_made_for_and_nothing_else() {
        let csrf = Csrf::new("a secret of more than thirty-two characters".into());
        let other = Csrf::new("another secret of more than thirty-two characters".into());
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let token = csrf.token(Bound::Session(one));
        assert!(csrf.is_right(Bound::Session(one), &token));
        assert!(!csrf.is_right(Bound::Session(two), &token));
        assert!(!csrf.is_right(Bound::Visitor(&one.to_string()), &token));
        assert!(!other.is_right(Bound::Session(one), &token));
        for wrong in ["", "x", &token[1..], &format!("{token}A")] {
            assert!(!csrf.is_right(Bound::Session(one), wrong), "{wrong}");
        }
        let visitor = csrf.token(Bound::Visitor("random"));
        assert!(csrf.is_right(Bound::Visitor("random"), &visitor));
        assert!(!csrf.is_right(Bound::Visitor("other"), &visitor));
        assert!(!format!("{csrf:?}").contains("secret"));
    }

    #[test]
    fn only_the_own_and_the_listed_origins_may_send_a_session() {
        let access = |pairs: &[(&str, &str)]| {
            let find = |name: &str| pairs.iter().find(|(key, _)| *key == name);
            let config = Config::from_lookup(|name| find(name).map(|(_, value)| (*value).to_owned()));
            config.unwrap().access
        };
        let public = access(&[
            ("PUBLIC_URL", "https://trade.example.com"),
            ("CORS_ORIGINS", "https://app.example.com"),
        ]);
        let local = access(&[]);
        for (access, origins, expected) in [
            (&public, &[][..], true),
            (&public, &["https://trade.example.com"], true),
            (&public, &["https://app.example.com"], true),
            (&public, &["http://trade.example.com"], false),
            (&public, &["https://trade.example.com:8443"], false),
            (&public, &["https://trade.example.com.evil.com"], false),
            (&public, &["https://evil.com"], false),
            // Who asks under another host does not choose what is the API's own.
            (&public, &["http://localhost:5000"], false),
            (&public, &["null"], false),
            (&public, &[""], false),
            (&public, &["https://trade.example.com", "https://evil.com"], false),
            (&local, &["http://localhost:5000"], true),
            (&local, &["http://localhost:5001"], false),
            (&local, &["null"], false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "localhost:5000".parse().unwrap());
            for origin in origins {
                headers.append(ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(is_origin_allowed(&headers, access), expected, "{origins:?}");
        }
    }
}
