//! What can be wrong with a configuration. A value is repeated only where it is no secret.

use std::fmt;

use rust_decimal::Decimal;

use super::table::{GENERATE_SECRET, Variable};

/// The configuration cannot be used; every fault found is listed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// At least one variable is missing or has an unusable value.
    #[error("{}", list(.0))]
    Variables(Vec<VariableError>),
    /// The `.env` file is there and cannot be read or understood.
    #[error("the file .env cannot be used: {0}")]
    DotEnv(#[source] dotenvy::Error),
}

impl ConfigError {
    /// The names of the faulty variables, in the order of the table.
    pub fn variables(&self) -> Vec<&'static str> {
        match self {
            ConfigError::Variables(errors) => errors.iter().map(|error| error.variable.name).collect(),
            ConfigError::DotEnv(_) => Vec::new(),
        }
    }
}

fn list(errors: &[VariableError]) -> String {
    let mut text = String::from("the configuration cannot be used:");
    if let [error] = errors {
        return format!("{text} {error}");
    }
    for error in errors {
        text.push_str("\n  ");
        text.push_str(&error.to_string());
    }
    text
}

/// One variable and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableError {
    /// The variable's row of the table.
    pub variable: &'static Variable,
    /// The value that was given, unless it is a secret or there was none.
    pub value: Option<String>,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for VariableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Variable { name, example, .. } = self.variable;
        write!(f, "{name} {}", self.fault)?;
        if let Some(value) = &self.value {
            write!(f, ", not {value:?}")?;
        }
        match &self.fault {
            Fault::Missing => write!(f, "; generate it with: {GENERATE_SECRET}"),
            _ if example.contains(' ') => write!(f, " (for example {example})"),
            _ => write!(f, " (for example {name}={example})"),
        }
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Production needs it.
    #[error("is missing, and production does not start without it")]
    Missing,
    /// Not one of the words.
    #[error("must be one of {}", .0.join(", "))]
    NotOneOf(Vec<&'static str>),
    /// Not a whole number in the range.
    #[error("must be a whole number from {min} to {max}")]
    NotWhole {
        /// The smallest legal number.
        min: u64,
        /// The largest legal number.
        max: u64,
    },
    /// Not a decimal number in the range.
    #[error("must be a plain decimal number from 0 to {max} with at most 9 decimals")]
    NotDecimal {
        /// The largest legal number.
        max: Decimal,
    },
    /// Not an IP address.
    #[error("must be an IP address")]
    NotAnAddress,
    /// Not an e-mail address.
    #[error("must be an e-mail address")]
    NotAnEmail,
    /// Not a URL, or one of another kind.
    #[error("must be a URL that starts with {}://", .0.join(":// or "))]
    NotAUrl(Vec<&'static str>),
    /// Not an origin.
    #[error(
        "must be an origin: http:// or https://, a host in lower case, a port where it is not the usual one"
    )]
    NotAnOrigin,
    /// Cookies and tokens would cross the network in plain text.
    #[error("must start with https:// in production, unless PLAIN_HTTP is allow")]
    NotHttps,
    /// Not a list of networks.
    #[error("must be IP addresses or networks, separated by commas")]
    NotNetworks,
    /// It makes no sense without another variable.
    #[error("needs {other}")]
    Needs {
        /// The variable that it needs.
        other: &'static str,
    },
    /// Not a Fernet key.
    #[error("must be a Fernet key: 32 bytes in url-safe base64")]
    NotAFernetKey,
    /// The same Fernet key twice.
    #[error("must not hold the same key twice")]
    RepeatedKey,
    /// Too few characters.
    #[error("must have at least {min} characters")]
    TooShort {
        /// The smallest legal number of characters.
        min: usize,
    },
    /// Not a log filter.
    #[error("must be a log filter: a level, or levels by module")]
    NotALogFilter,
    /// Not shorter than another duration.
    #[error("must be shorter than {other}")]
    NotShorterThan {
        /// The variable that it is compared with.
        other: &'static str,
    },
    /// The bytes are no text.
    #[error("must be valid UTF-8")]
    NotUnicode,
}
