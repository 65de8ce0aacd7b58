//! The doors as a test configures them.

use std::sync::Arc;

use platform::Config;
use platform::config::Access;

/// More than any test asks for.
const PLENTY: &str = "1000000000";

/// The doors with these variables set; limits that are not among them are out of the way.
pub(crate) fn access(variables: &[(&str, &str)]) -> Arc<Access> {
    let config = Config::from_lookup(|name| {
        let set = variables.iter().find(|(variable, _)| *variable == name);
        let plenty = || name.starts_with("RATE_LIMIT_").then(|| PLENTY.to_owned());
        set.map(|(_, value)| (*value).to_owned()).or_else(plenty)
    });
    Arc::new(config.unwrap().access)
}
