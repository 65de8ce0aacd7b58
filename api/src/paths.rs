//! The documented paths: which methods each takes, and the one form in which the router knows them.
//!
//! 1. The table is built from the OpenAPI document, so `Allow`, the route's name in the log and the document agree.
//! 2. Pairs such as `BTC/USD` are one key: `/v2/positions/BTC/USD` is routed as `/v2/positions/BTC%2FUSD`.
//! 3. Poem takes a colon inside a segment as a parameter; [`PathTable::find`] compares such paths literally.

use std::borrow::Cow;
use std::sync::Arc;

use poem::http::uri::PathAndQuery;
use poem::http::{Method, Uri};
use serde_json::Value;

use crate::access::rules::{Rule, rule_of};

/// The collections whose keys may be pairs.
const KEYED_BY_SYMBOL: [&str; 2] = ["/v2/positions/", "/v2/assets/"];

/// Every documented path.
#[derive(Debug, Default)]
pub struct PathTable {
    paths: Vec<Arc<KnownPath>>,
}

/// One documented path.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownPath {
    pattern: String,
    methods: Vec<String>,
    rules: Vec<(Method, Rule)>,
}

impl KnownPath {
    fn new(pattern: String, methods: Vec<String>) -> Self {
        let methods_parsed = methods.iter().filter_map(|method| method.parse::<Method>().ok());
        let rules = methods_parsed
            .filter_map(|method| rule_of(&method, &pattern).map(|rule| (method, rule)))
            .collect();
        Self {
            pattern,
            methods,
            rules,
        }
    }

    /// What `method` needs here.
    pub(crate) fn rule(&self, method: &Method) -> Option<Rule> {
        self.rules
            .iter()
            .find(|(own, _)| own == method)
            .map(|(_, rule)| *rule)
    }

    /// Whether the path answers `method`.
    pub(crate) fn takes(&self, method: &Method) -> bool {
        self.methods.iter().any(|own| own == method.as_str())
    }

    /// The path with its parameters in braces.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The value of `Allow`.
    pub fn allow(&self) -> String {
        self.methods.join(", ")
    }

    fn matches(&self, path: &str) -> bool {
        let (mut pattern, mut asked) = (self.pattern.split('/'), path.split('/'));
        loop {
            match (pattern.next(), asked.next()) {
                (None, None) => return true,
                (Some(segment), Some(text)) if segment.starts_with('{') && !text.is_empty() => {}
                (Some(segment), Some(text)) if segment == text => {}
                (_, _) => return false,
            }
        }
    }
}

impl PathTable {
    /// Reads the paths of an OpenAPI document. GET routes answer HEAD, too.
    pub fn of_document(document: &Value) -> Self {
        let mut table = Self::default();
        let Some(paths) = document.get("paths").and_then(Value::as_object) else {
            return table;
        };
        for (pattern, operations) in paths {
            let mut methods: Vec<String> = operations
                .as_object()
                .into_iter()
                .flat_map(|operations| operations.keys().map(|method| method.to_ascii_uppercase()))
                .collect();
            if methods.iter().any(|method| method == "GET") {
                methods.push("HEAD".to_owned());
            }
            methods.sort();
            table
                .paths
                .push(Arc::new(KnownPath::new(pattern.clone(), methods)));
        }
        table
    }

    /// Adds a path that the document leaves out.
    pub fn add(&mut self, pattern: &str, methods: &[&str]) {
        let methods = methods.iter().map(|method| (*method).to_owned()).collect();
        self.paths
            .push(Arc::new(KnownPath::new(pattern.to_owned(), methods)));
    }

    /// The documented path that `path` is; a literal one wins over one with parameters.
    pub fn find(&self, path: &str) -> Option<&Arc<KnownPath>> {
        let path = joined_pair(path).map_or(Cow::Borrowed(path), Cow::Owned);
        let literal = self.paths.iter().find(|known| known.pattern == path);
        literal.or_else(|| self.paths.iter().find(|known| known.matches(&path)))
    }
}

/// `path` with a pair's slash encoded, where it asks for a pair.
fn joined_pair(path: &str) -> Option<String> {
    KEYED_BY_SYMBOL.iter().find_map(|prefix| {
        let (base, quote) = path.strip_prefix(prefix)?.split_once('/')?;
        let is_pair = !base.is_empty() && !quote.is_empty() && !quote.contains('/');
        is_pair.then(|| format!("{prefix}{base}%2F{quote}"))
    })
}

/// The URI under which the router knows what `uri` asks for; `None` where it is that already.
pub fn routed(uri: &Uri) -> Option<Uri> {
    let path = joined_pair(uri.path())?;
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table() -> PathTable {
        PathTable::of_document(&json!({"paths": {
            "/v2/orders": {"get": {}, "post": {}},
            "/v2/orders/{id}": {"get": {}, "delete": {}},
            "/v2/orders:by_client_order_id": {"get": {}},
            "/v2/positions/{key}": {"delete": {}},
        }}))
    }

    #[test]
    fn a_path_is_found_with_the_methods_that_it_takes() {
        let table = table();
        for (path, expected) in [
            ("/v2/orders", Some(("/v2/orders", "GET, HEAD, POST"))),
            ("/v2/orders/7", Some(("/v2/orders/{id}", "DELETE, GET, HEAD"))),
            (
                "/v2/orders:by_client_order_id",
                Some(("/v2/orders:by_client_order_id", "GET, HEAD")),
            ),
            ("/v2/positions/BTC/USD", Some(("/v2/positions/{key}", "DELETE"))),
            ("/v2/positions/BTC%2FUSD", Some(("/v2/positions/{key}", "DELETE"))),
            ("/v2/ordersfoo", None),
            ("/v2/orders/", None),
            ("/v2/orders/7/8", None),
            ("/v2", None),
        ] {
            let found = table.find(path).map(|known| (known.pattern(), known.allow()));
            assert_eq!(
                found,
                expected.map(|(pattern, allow)| (pattern, allow.to_owned())),
                "{path}"
            );
        }
    }

    #[test]
    fn a_pair_in_a_path_becomes_one_segment_and_keeps_its_query() {
        let routed_text = |uri: &str| routed(&uri.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(
            routed_text("/v2/positions/BTC/USD?percentage=50").as_deref(),
            Some("/v2/positions/BTC%2FUSD?percentage=50")
        );
        assert_eq!(
            routed_text("/v2/assets/BTC/USD").as_deref(),
            Some("/v2/assets/BTC%2FUSD")
        );
        for untouched in [
            "/v2/positions/AAPL",
            "/v2/positions/a/b/c",
            "/v2/positions/a/",
            "/v2/orders/a/b",
        ] {
            assert_eq!(routed_text(untouched), None, "{untouched}");
        }
    }
}
