//! Where the answer of a consent page leads: what the person reads of it, and what the browser is told.
//!
//! Chromium holds the redirect that answers a form to the policy of the page with the form (`form-action`), so a consent
//! page has to name the place that its answer is sent on to. Tried with 148: under `'self'` alone the redirect is blocked.

use oauth2::url::{Host, Url};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    shown: String,
    source: String,
}

impl Destination {
    /// The destination that a registered redirect URI leads to; `None` where it can't stand in a policy.
    pub fn of(redirect_uri: &str) -> Option<Self> {
        let url = Url::parse(redirect_uri).ok()?;
        let scheme = url.scheme();
        if !matches!(scheme, "http" | "https") {
            let is_own = scheme.contains('.');
            return is_own.then(|| Self {
                shown: format!("an app on this device ({scheme})"),
                source: format!("{scheme}:"),
            });
        }
        let host = url.host()?;
        let name = host.to_string();
        let place = url.port().map_or(name.clone(), |port| format!("{name}:{port}"));
        let is_loopback = match &host {
            Host::Domain(name) => *name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        let source = match &host {
            // The grammar of policies has no place for it.
            Host::Ipv6(_) => format!("{scheme}:"),
            Host::Domain(_) | Host::Ipv4(_) if name.chars().all(is_of_host) => format!("{scheme}://{place}"),
            Host::Domain(_) | Host::Ipv4(_) => return None,
        };
        let shown = if is_loopback {
            format!("a program on this device ({place})")
        } else {
            place
        };
        Some(Self { shown, source })
    }

    /// How a person recognises it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The policy of a page whose form may lead here.
    pub(super) fn policy(&self) -> String {
        let source = &self.source;
        format!(
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' {source}; base-uri 'none'; \
             frame-ancestors 'none'"
        )
    }
}

/// What may stand in a policy without ending it: parsers of URLs let `;` and `,` pass.
fn is_of_host(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_leads_to_the_place_of_the_redirect_uri_and_no_further() {
        for (redirect_uri, expected) in [
            (
                "https://app.example/cb?a=b",
                Some(("app.example", "https://app.example")),
            ),
            (
                "https://app.example:8443/cb",
                Some(("app.example:8443", "https://app.example:8443")),
            ),
            (
                "https://user@app.example/cb",
                Some(("app.example", "https://app.example")),
            ),
            // What looks like another name is shown as what it is.
            (
                "https://\u{0430}pp.example/",
                Some(("xn--pp-6kc.example", "https://xn--pp-6kc.example")),
            ),
            (
                "http://127.0.0.1:8123/cb",
                Some((
                    "a program on this device (127.0.0.1:8123)",
                    "http://127.0.0.1:8123",
                )),
            ),
            (
                "http://[::1]:8123/cb",
                Some(("a program on this device ([::1]:8123)", "http:")),
            ),
            (
                "com.example.app:/cb",
                Some(("an app on this device (com.example.app)", "com.example.app:")),
            ),
            ("https://app.example;script-src", None),
            ("https://app.example,b/", None),
            ("https://*.example/", None),
            ("https://'self'/", None),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("/cb", None),
            ("", None),
        ] {
            let found = Destination::of(redirect_uri);
            let found = found.as_ref().map(|found| (found.shown(), found.source.as_str()));
            assert_eq!(found, expected, "{redirect_uri}");
        }
    }
}
