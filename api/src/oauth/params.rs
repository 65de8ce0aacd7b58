//! The parameters of a request in the form of the protocol (RFC 6749, appendix B).
//!
//! 1. A parameter without a value counts as left out (RFC 6749 §3.1).
//! 2. A parameter that stands there twice is refused by whoever asks for it: two readers that each believe another one
//!    of the two are how checks are evaded.
//! 3. Parameters that nobody asks for are ignored, as the protocol wants it.

use oauth2::url::form_urlencoded;

/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// The parameters of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

/// The parameter with this name stands there more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated(pub &'static str);

impl Params {
    /// Reads a query or a form's body.
    pub fn parse(text: impl AsRef<[u8]>) -> Self {
        Self {
            pairs: form_urlencoded::parse(text.as_ref()).into_owned().collect(),
        }
    }

    /// The value of `name`, unless it is left out.
    pub fn get(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Repeated(name));
        }
        Ok(first
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty()))
    }

    /// The value of `name`, where it stands there once and is not empty.
    pub fn once(&self, name: &'static str) -> Option<&str> {
        self.get(name).ok().flatten()
    }
}

/// Whether a body with this `Content-Type` is a form.
pub fn is_form(content_type: Option<&str>) -> bool {
    let essence = content_type.unwrap_or_default().split(';').next();
    essence.unwrap_or_default().trim().eq_ignore_ascii_case(FORM)
}

/// `uri` with `pairs` behind what its query has already. `uri` keeps its text otherwise, to the byte.
pub fn with_query(uri: &str, pairs: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let joint = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{uri}{joint}{query}")
}

/// `text` as one value of a query.
pub fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// What `text`, encoded as one value of a form, means; `None` where it is no single value.
pub fn decoded(text: &str) -> Option<String> {
    if text.contains('&') {
        return None;
    }
    let pair = format!("={text}");
    let mut pairs = form_urlencoded::parse(pair.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_parameter_is_none_and_a_repeated_one_is_refused() {
        let params = Params::parse("scope=&state=a%20b+c&client_id=x&client_id=y&%73%74=z");
        assert_eq!(params.get("scope"), Ok(None));
        assert_eq!(params.get("absent"), Ok(None));
        assert_eq!(params.get("state"), Ok(Some("a b c")));
        assert_eq!(params.get("client_id"), Err(Repeated("client_id")));
        assert_eq!(params.once("client_id"), None);
        assert_eq!(
            params.get("st"),
            Ok(Some("z")),
            "an encoded name is the same name"
        );
        let evading = Params::parse("state=a&st%61te=b&state=");
        assert_eq!(evading.get("state"), Err(Repeated("state")));
    }

    #[test]
    fn only_a_form_is_a_form() {
        for (content_type, expected) in [
            (Some("application/x-www-form-urlencoded"), true),
            (Some("Application/X-WWW-Form-Urlencoded; charset=UTF-8"), true),
            (Some("application/json"), false),
            (Some("multipart/form-data"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(is_form(content_type), expected, "{content_type:?}");
        }
    }

    #[test]
    fn a_query_is_added_without_touching_the_rest() {
        let pairs = [("code", "a b"), ("state", "x&y=z#\r\n")];
        for (uri, expected) in [
            (
                "https://a.example/cb",
                "https://a.example/cb?code=a+b&state=x%26y%3Dz%23%0D%0A",
            ),
            (
                "https://a.example/cb?x=1",
                "https://a.example/cb?x=1&code=a+b&state=x%26y%3Dz%23%0D%0A",
            ),
            (
                "com.example.app:/cb?",
                "com.example.app:/cb?code=a+b&state=x%26y%3Dz%23%0D%0A",
            ),
        ] {
            assert_eq!(with_query(uri, &pairs), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(text in ".*") {
            let escaped = encoded(&text);
            prop_assert!(escaped.is_ascii() && !escaped.contains(['&', '#', '\r', '\n', ' ', '/']));
            prop_assert_eq!(decoded(&escaped), Some(text));
        }
    }
}
