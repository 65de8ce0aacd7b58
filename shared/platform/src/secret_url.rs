//! A URL that may hold a password and never prints it.

use std::fmt;
use std::str::FromStr;

/// A URL of the form `scheme://[user[:password]@]host[:port][/path][?query]`.
///
/// `Debug` and `Display` replace the password and the query by `***`; [`SecretUrl::expose`] gives the whole
/// text to the client library that needs it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

/// The text has no scheme, or a scheme that is not letters, digits, `+`, `-` and `.`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a URL: it must start with a scheme, as in redis://127.0.0.1:6379")]
pub struct NotAUrl;

/// The pieces of a URL, borrowed from it.
struct Pieces<'a> {
    scheme: &'a str,
    user_info: Option<&'a str>,
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl SecretUrl {
    /// The whole URL, password included.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What stands before `://`, for instance `postgres` or `rediss`.
    pub fn scheme(&self) -> &str {
        self.pieces().scheme
    }

    /// The same URL with another path (`/3`), as a Redis database number is written.
    pub(crate) fn with_path(&self, path: &str) -> SecretUrl {
        let pieces = self.pieces();
        let mut url = format!("{}://", pieces.scheme);
        if let Some(user_info) = pieces.user_info {
            url.push_str(user_info);
            url.push('@');
        }
        url.push_str(pieces.host);
        url.push_str(path);
        if let Some(query) = pieces.query {
            url.push('?');
            url.push_str(query);
        }
        SecretUrl(url)
    }

    fn pieces(&self) -> Pieces<'_> {
        // `parse` let only texts with a scheme through.
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let (rest, query) = rest
            .split_once('?')
            .map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // An unescaped `@` in a password is common, so the last one ends the user's part.
        let (user_info, host) = authority
            .rsplit_once('@')
            .map_or((None, authority), |(user, host)| (Some(user), host));
        Pieces {
            scheme,
            user_info,
            host,
            path,
            query,
        }
    }
}

impl FromStr for SecretUrl {
    type Err = NotAUrl;

    fn from_str(text: &str) -> Result<SecretUrl, NotAUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAUrl)?;
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let scheme_is_legal =
            scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(legal);
        if scheme_is_legal && !rest.is_empty() && !text.contains(char::is_whitespace) {
            Ok(SecretUrl(text.to_owned()))
        } else {
            Err(NotAUrl)
        }
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pieces = self.pieces();
        write!(f, "{}://", pieces.scheme)?;
        // An `@` behind the host means a password with an unescaped `/` or `?`: nothing of it is safe to show.
        if pieces.path.contains('@') || pieces.query.is_some_and(|query| query.contains('@')) {
            return f.write_str("***");
        }
        match pieces.user_info.map(|info| info.split_once(':')) {
            Some(Some((user, _password))) => write!(f, "{user}:***@")?,
            // Without a colon it is a user, or a token that some services put there: hidden, too.
            Some(None) => f.write_str("***@")?,
            None => {}
        }
        f.write_str(pieces.host)?;
        f.write_str(pieces.path)?;
        if pieces.query.is_some() {
            f.write_str("?***")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_never_holds_the_password() {
        let cases = [
            (
                "postgres://arbion:s3cret@db:5432/arbion",
                "postgres://arbion:***@db:5432/arbion",
            ),
            (
                "postgres://arbion:p@ss@db/arbion",
                "postgres://arbion:***@db/arbion",
            ),
            ("rediss://:s3cret@cache:6380/0", "rediss://:***@cache:6380/0"),
            ("redis://s3cret@cache", "redis://***@cache"),
            ("postgres://db/arbion?password=s3cret", "postgres://db/arbion?***"),
            ("postgres://arbion:s3/cret@db/arbion", "postgres://***"),
            ("postgres://arbion:s3?cret@db/arbion", "postgres://***"),
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("sqlite:///var/lib/arbion.db", "sqlite:///var/lib/arbion.db"),
        ];
        for (text, shown) in cases {
            let url: SecretUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("SecretUrl({shown})"));
            assert_eq!(url.expose(), text);
        }
    }

    #[test]
    fn a_text_without_a_scheme_is_no_url() {
        for text in [
            "",
            "localhost:6379",
            "://host",
            "redis://",
            "9p://host",
            "redis:// host",
            "re dis://host",
        ] {
            assert_eq!(text.parse::<SecretUrl>(), Err(NotAUrl), "{text:?}");
        }
    }

    #[test]
    fn the_scheme_is_what_stands_before_the_slashes() {
        assert_eq!("rediss://h".parse::<SecretUrl>().unwrap().scheme(), "rediss");
    }
}
