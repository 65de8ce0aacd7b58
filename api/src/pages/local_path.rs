//! Where a form may lead afterwards: to a path of this server, never to another host.

/// The longest path, query included. An authorization request fits many times over.
const BYTES_MAX: usize = 4096;

/// `next`, if it is a path of this server that every reader takes for the same one.
///
/// Browsers take `\` for `/`, drop tabs and line breaks, and take `//` for the beginning of a host; some proxies decode
/// `%2F` and resolve dots first. So the path may hold none of these, in whatever spelling; what follows `?` may hold
/// anything that is encoded as a query must be.
pub fn local_path(next: &str) -> Option<&str> {
    let (path, query) = next.split_once('?').unwrap_or((next, ""));
    let is_plain = path.starts_with('/') && path.chars().all(is_of_path) && query.chars().all(is_of_query);
    let mut segments = path.split('/').skip(1).peekable();
    let mut is_clear = true;
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let is_empty_within = segment.is_empty() && !is_last;
        is_clear &= !is_empty_within && !matches!(segment, "." | "..");
    }
    (next.len() <= BYTES_MAX && is_plain && is_clear).then_some(next)
}

/// RFC 3986's characters of a path, without `%`: no path of ours needs one, and it is what tricks are made of.
fn is_of_path(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/".contains(character)
}

fn is_of_query(character: char) -> bool {
    is_of_path(character) || matches!(character, '%' | '?')
}

#[cfg(test)]
mod tests {
    use oauth2::url::Url;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_paths_of_this_server_are_local() {
        for (next, is_local) in [
            ("/", true),
            ("/access", true),
            ("/docs/", true),
            ("/v2/orders:by_client_order_id?client_order_id=a", true),
            (
                "/oauth/authorize?client_id=a&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&state=x%2Fy",
                true,
            ),
            ("/oauth/authorize?redirect_uri=https://app.example/cb", true),
            ("", false),
            ("access", false),
            ("?next=/", false),
            ("#main", false),
            ("/access#main", false),
            // Another host.
            ("//evil.example", false),
            ("///evil.example", false),
            ("/\\evil.example", false),
            ("\\\\evil.example", false),
            ("\\/evil.example", false),
            ("/access//evil.example", false),
            ("https:", false),
            ("https:evil.example", false),
            ("https://evil.example", false),
            ("HTTPS://evil.example", false),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            // Characters that browsers drop, or readers see differently.
            ("/\t/evil.example", false),
            ("/\n/evil.example", false),
            ("/\r/evil.example", false),
            ("\t//evil.example", false),
            (" /access", false),
            ("/access ", false),
            ("/\0/evil.example", false),
            ("/access\r\nSet-Cookie: a=b", false),
            ("/access?a=\r\nSet-Cookie: a=b", false),
            ("/access?a=\\", false),
            ("/access\u{7f}", false),
            ("/\u{ff0f}evil.example", false),
            ("/access?a=<script>", false),
            ("/access?a=\"x", false),
            // Encoded, once and twice.
            ("/%2fevil.example", false),
            ("/%2Fevil.example", false),
            ("/%5cevil.example", false),
            ("/%09/evil.example", false),
            ("/%252fevil.example", false),
            ("/%2e%2e/evil.example", false),
            ("%2f%2fevil.example", false),
            // Dots.
            ("/..//evil.example", false),
            ("/.//evil.example", false),
            ("/./access", false),
            ("/access/..", false),
            ("/..", false),
        ] {
            assert_eq!(local_path(next), is_local.then_some(next), "{next:?}");
        }
    }

    #[test]
    fn a_path_has_a_longest_length() {
        let longest = format!("/{}", "a".repeat(BYTES_MAX - 1));
        assert_eq!(local_path(&longest), Some(longest.as_str()));
        assert_eq!(local_path(&format!("{longest}a")), None);
    }

    proptest! {
        #[test]
        fn a_browser_stays_where_it_is(next in r"[/\\:.?#@%2fFcC5eaht\t\n\r -]{0,3}[/\\:.?#@%2fFcC5eaht\t\n\r -]{0,12}|/[a-z/?:.@]{0,12}") {
            if let Some(path) = local_path(&next) {
                let here = Url::parse("https://arbion.example/login").unwrap();
                let there = here.join(path).unwrap();
                prop_assert_eq!(there.origin(), here.origin());
                prop_assert_eq!(there.as_str().strip_prefix("https://arbion.example"), Some(path));
            }
        }
    }
}
