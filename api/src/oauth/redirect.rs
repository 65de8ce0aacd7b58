//! Redirect URIs: where answers may be sent.
//!
//! 1. A URI that is asked for is compared as text with the registered ones, to the byte (RFC 9700 §2.1): no prefixes, no
//!    patterns, no normalisation that an attacker could bend.
//! 2. The one exception is the port of an app on the person's own machine, which takes whichever is free (RFC 8252 §7.3):
//!    for public clients, with the addresses `127.0.0.1` and `[::1]`.
//! 3. Registered are only URIs that every reader understands in the same way: in their normal form, in printable ASCII,
//!    without user, fragment or wildcard.

use oauth2::url::{Host, Url};
use thiserror::Error;

/// A redirect URI has at most as many bytes.
const BYTES_MAX: usize = 512;

/// What the server itself writes into the query.
const RESERVED: [&str; 5] = ["code", "state", "iss", "error", "error_description"];

/// The origins of apps on the person's own machine.
const LOOPBACK: [&str; 2] = ["http://127.0.0.1", "http://[::1]"];

/// Why a redirect URI can't be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RedirectFault {
    /// It is empty or too long.
    #[error("must have between 1 and 512 bytes")]
    Length,
    /// It has blanks, controls, backslashes or characters beyond ASCII.
    #[error("must be printable ASCII, without blanks and backslashes: encode everything else")]
    Characters,
    /// It has a `*`.
    #[error("must not have a wildcard: register each URI by itself")]
    Wildcard,
    /// It has a `#`.
    #[error("must not have a fragment")]
    Fragment,
    /// It is no absolute URI.
    #[error("must be an absolute URI")]
    NotAbsolute,
    /// Nobody guarantees who receives what is sent there.
    #[error(
        "must begin with https://, http://127.0.0.1, http://[::1], http://localhost, or a scheme of a domain of yours, such as com.example.app:/"
    )]
    Scheme,
    /// It has a user or a password.
    #[error("must not name a user or a password")]
    UserInfo,
    /// Another text means the same.
    #[error(
        "must be in its normal form: lower case, no default port, no . or .. in the path, a path of at least /"
    )]
    NotNormal,
    /// Its query has a parameter that the answer has.
    #[error("must not have code, state, iss or error in its query")]
    Reserved,
}

/// Whether `uri` may be registered.
pub fn check(uri: &str) -> Result<(), RedirectFault> {
    if uri.is_empty() || uri.len() > BYTES_MAX {
        return Err(RedirectFault::Length);
    }
    // Some browsers read a backslash as a slash.
    if !uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Err(RedirectFault::Characters);
    }
    if uri.contains('*') {
        return Err(RedirectFault::Wildcard);
    }
    if uri.contains('#') {
        return Err(RedirectFault::Fragment);
    }
    let url = Url::parse(uri).map_err(|_| RedirectFault::NotAbsolute)?;
    if !url.username().is_empty() || url.password().is_some() || has_at_in_authority(uri) {
        return Err(RedirectFault::UserInfo);
    }
    if !is_delivered(&url) {
        return Err(RedirectFault::Scheme);
    }
    if url.as_str() != uri {
        return Err(RedirectFault::NotNormal);
    }
    if url
        .query_pairs()
        .any(|(name, _)| RESERVED.contains(&name.as_ref()))
    {
        return Err(RedirectFault::Reserved);
    }
    Ok(())
}

/// An empty user (`https://@host/`) leaves no trace in the parsed form.
fn has_at_in_authority(uri: &str) -> bool {
    let after = uri.split_once("://").map_or("", |(_, after)| after);
    let authority = after.split(['/', '?']).next().unwrap_or_default();
    authority.contains('@')
}

/// Whether what is sent to `url` reaches the app and nobody on the way.
fn is_delivered(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        },
        // RFC 8252 §7.1: a private scheme is the reverse of a domain that its app owns.
        scheme => scheme.contains('.'),
    }
}

/// Whether an answer to `asked` may be sent, when `registered` is registered.
pub fn matches(registered: &str, asked: &str, is_public: bool) -> bool {
    if registered == asked {
        return true;
    }
    let both = is_public
        .then(|| split_port(registered).zip(split_port(asked)))
        .flatten();
    both.is_some_and(|(registered, asked)| registered == asked)
}

/// A loopback URI without its port: the origin, and what stands behind the port.
fn split_port(uri: &str) -> Option<(&'static str, &str)> {
    let (origin, after) = LOOPBACK
        .iter()
        .find_map(|origin| Some((*origin, uri.strip_prefix(origin)?)))?;
    let rest = match after.strip_prefix(':') {
        None => after,
        Some(with_port) => {
            let digits = with_port.bytes().take_while(u8::is_ascii_digit).count();
            let (port, rest) = with_port.split_at_checked(digits)?;
            port.parse::<u16>().ok().filter(|port| *port != 0)?;
            rest
        }
    };
    rest.starts_with('/').then_some((origin, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_uris_that_mean_one_thing_are_registered() {
        use RedirectFault as F;
        let long = format!("https://a.example/{}", "x".repeat(BYTES_MAX));
        for (uri, expected) in [
            ("https://a.example/cb", Ok(())),
            ("https://a.example/", Ok(())),
            ("https://a.example:8443/cb?tenant=7&x=%20", Ok(())),
            ("http://127.0.0.1/cb", Ok(())),
            ("http://127.0.0.1:8080/", Ok(())),
            ("http://[::1]:8080/cb", Ok(())),
            ("http://localhost:3000/cb", Ok(())),
            ("com.example.app:/cb", Ok(())),
            ("", Err(F::Length)),
            (long.as_str(), Err(F::Length)),
            ("https://a.example/c b", Err(F::Characters)),
            ("https://a.example/\r\nLocation:x", Err(F::Characters)),
            ("https://ä.example/cb", Err(F::Characters)),
            ("https://a.example\\@evil.example/", Err(F::Characters)),
            ("https://*.a.example/cb", Err(F::Wildcard)),
            ("https://a.example/cb#", Err(F::Fragment)),
            ("https://a.example/cb#x", Err(F::Fragment)),
            ("/cb", Err(F::NotAbsolute)),
            ("a.example/cb", Err(F::NotAbsolute)),
            ("https://", Err(F::NotAbsolute)),
            ("https://user@a.example/cb", Err(F::UserInfo)),
            ("https://:pw@a.example/cb", Err(F::UserInfo)),
            ("https://@a.example/cb", Err(F::UserInfo)),
            ("http://a.example/cb", Err(F::Scheme)),
            ("http://127.0.0.1.evil.example/cb", Err(F::Scheme)),
            ("http://localhost.evil.example/cb", Err(F::Scheme)),
            ("http://0.0.0.0/cb", Err(F::Scheme)),
            ("javascript:alert(1)", Err(F::Scheme)),
            ("data:text/html,x", Err(F::Scheme)),
            ("myapp:/cb", Err(F::Scheme)),
            ("https://a.example", Err(F::NotNormal)),
            ("https://A.example/cb", Err(F::NotNormal)),
            ("HTTPS://a.example/cb", Err(F::NotNormal)),
            ("https://a.example:443/cb", Err(F::NotNormal)),
            ("https://a.example/x/../cb", Err(F::NotNormal)),
            ("https://a.example/%2e%2e/cb", Err(F::NotNormal)),
            ("https:a.example/cb", Err(F::NotNormal)),
            ("http://127.1/cb", Err(F::NotNormal)),
            ("http://2130706433/cb", Err(F::NotNormal)),
            ("https://a.example/cb?code=1", Err(F::Reserved)),
            ("https://a.example/cb?x=1&st%61te=2", Err(F::Reserved)),
        ] {
            assert_eq!(check(uri), expected, "{uri}");
        }
    }

    #[test]
    fn an_answer_goes_to_the_registered_uri_and_nowhere_else() {
        const REGISTERED: &str = "https://a.example/cb?x=1";
        for (trick, asked) in [
            ("path", "https://a.example/cb/more?x=1"),
            ("path above", "https://a.example/cb/../?x=1"),
            ("slash at the end", "https://a.example/cb/?x=1"),
            ("prefix", "https://a.example/c"),
            ("query", "https://a.example/cb?x=1&y=2"),
            ("no query", "https://a.example/cb"),
            ("other query", "https://a.example/cb?x=2"),
            ("fragment", "https://a.example/cb?x=1#f"),
            ("subdomain", "https://evil.a.example/cb?x=1"),
            ("suffix", "https://a.example.evil.test/cb?x=1"),
            ("scheme", "http://a.example/cb?x=1"),
            ("user", "https://a.example@evil.test/cb?x=1"),
            ("empty user", "https://@a.example/cb?x=1"),
            ("port", "https://a.example:8443/cb?x=1"),
            ("default port", "https://a.example:443/cb?x=1"),
            ("case of the host", "https://A.example/cb?x=1"),
            ("case of the path", "https://a.example/CB?x=1"),
            ("encoded letter", "https://a.example/%63b?x=1"),
            ("encoded slash", "https://a.example%2Fcb?x=1"),
            ("backslash", "https://a.example\\cb?x=1"),
            ("blank", " https://a.example/cb?x=1"),
            ("line end", "https://a.example/cb?x=1\r\n"),
            ("nul", "https://a.example/cb?x=1\0"),
            ("dot at the end", "https://a.example./cb?x=1"),
            ("nothing", ""),
        ] {
            for is_public in [false, true] {
                assert!(!matches(REGISTERED, asked, is_public), "{trick}");
            }
        }
        assert!(matches(REGISTERED, REGISTERED, false) && matches(REGISTERED, REGISTERED, true));
    }

    #[test]
    fn only_a_public_app_on_this_very_machine_chooses_its_port() {
        for (registered, asked, expected) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", true),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", true),
            ("http://[::1]/cb?x=1", "http://[::1]:8080/cb?x=1", true),
            ("http://127.0.0.1:80/cb", "http://127.0.0.1/cb", true),
            ("http://127.0.0.1/cb", "http://127.0.0.1:8080/other", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:8080/cb?x=1", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:8080@evil.test/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:8080", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1.evil.test/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.2:8080/cb", false),
            ("http://127.0.0.1/cb", "http://[::1]:8080/cb", false),
            ("http://127.0.0.1/cb", "https://127.0.0.1:8080/cb", false),
            ("http://localhost/cb", "http://localhost:8080/cb", false),
            ("https://a.example/cb", "https://a.example:8080/cb", false),
        ] {
            assert_eq!(matches(registered, asked, true), expected, "{asked}");
            assert!(!matches(registered, asked, false), "{asked}, confidential");
        }
    }

    proptest! {
        #[test]
        fn whatever_matches_a_registered_uri_differs_in_a_loopback_port_at_most(asked in "https?://[a-z0-9.@:/?\\[\\]-]{0,40}") {
            prop_assert!(!matches("https://a.example/cb", &asked, true) || asked == "https://a.example/cb");
            if matches("http://127.0.0.1/cb", &asked, true) {
                let url = Url::parse(&asked).unwrap();
                prop_assert_eq!((url.host_str(), url.path()), (Some("127.0.0.1"), "/cb"));
                prop_assert!(url.username().is_empty());
            }
        }
    }
}
