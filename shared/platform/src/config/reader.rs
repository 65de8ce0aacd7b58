//! Reads typed values from a lookup, collecting every fault in place of stopping at the first.
//!
//! A faulty value yields a placeholder so that reading goes on; [`Reader::finish`] then refuses the whole.

use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use rust_decimal::Decimal;
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

use super::error::{ConfigError, Fault, VariableError};
use super::table::variables;
use crate::secret_url::SecretUrl;

/// Url-safe base64 that takes the value with and without its `=`.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The environment, read through the table.
pub(super) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    errors: Vec<VariableError>,
    read: BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Reader<'a> {
        Reader {
            lookup,
            errors: Vec::new(),
            read: BTreeSet::new(),
        }
    }

    /// The value if all reads went well, else every fault in the order of the table.
    pub(super) fn finish<T>(mut self, value: T) -> Result<T, ConfigError> {
        if self.errors.is_empty() {
            return Ok(value);
        }
        self.errors
            .sort_by_key(|error| variables().position(|v| v.name == error.variable.name));
        Err(ConfigError::Variables(self.errors))
    }

    /// The variables that were asked for so far.
    #[cfg(test)]
    pub(super) fn names_read(&self) -> BTreeSet<&'static str> {
        self.read.clone()
    }

    /// The value given, else the default. An empty value counts as not set, as in `NAME=` of a `.env` file.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.read.insert(name);
        let default = variables()
            .find(|variable| variable.name == name)
            .and_then(|variable| variable.default);
        self.given(name).or_else(|| default.map(str::to_owned))
    }

    /// Notes a fault.
    pub(super) fn refuse(&mut self, name: &'static str, fault: Fault) {
        let given = self.given(name);
        let Some(variable) = variables().find(|variable| variable.name == name) else {
            return;
        };
        let value = given.filter(|_| !variable.secret);
        self.errors.push(VariableError {
            variable,
            value,
            fault,
        });
    }

    /// One of the words, each with what it stands for.
    pub(super) fn choice<T: Copy, const N: usize>(
        &mut self,
        name: &'static str,
        words: [(&'static str, T); N],
    ) -> T {
        let text = self.text(name).unwrap_or_default();
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return *meaning;
        }
        self.refuse(name, Fault::NotOneOf(words.map(|(word, _)| word).to_vec()));
        words[0].1
    }

    /// A whole number between the two, both included.
    pub(super) fn whole<T: TryFrom<u64> + Default>(&mut self, name: &'static str, min: u64, max: u64) -> T {
        let text = self.text(name).unwrap_or_default();
        let number = text
            .parse()
            .ok()
            .filter(|number| (min..=max).contains(number) && !text.starts_with('+'));
        number
            .and_then(|number| T::try_from(number).ok())
            .unwrap_or_else(|| {
                self.refuse(name, Fault::NotWhole { min, max });
                T::default()
            })
    }

    /// A decimal number between 0 and `max`, without exponent, with at most 9 decimals (what money keeps).
    pub(super) fn decimal(&mut self, name: &'static str, max: Decimal) -> Decimal {
        let text = self.text(name).unwrap_or_default();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let number = Decimal::from_str_exact(&text)
            .ok()
            .filter(|n| is_plain && n.scale() <= 9 && *n <= max);
        number.unwrap_or_else(|| {
            self.refuse(name, Fault::NotDecimal { max });
            Decimal::ZERO
        })
    }

    /// An IP address; not set: `otherwise`.
    pub(super) fn address(&mut self, name: &'static str, otherwise: IpAddr) -> IpAddr {
        let Some(text) = self.text(name) else {
            return otherwise;
        };
        text.parse().unwrap_or_else(|_| {
            self.refuse(name, Fault::NotAnAddress);
            otherwise
        })
    }

    /// An e-mail address: something, one `@`, something, no white space. The mail server knows the rest.
    pub(super) fn email(&mut self, name: &'static str) -> String {
        let text = self.text(name).unwrap_or_default();
        let parts: Vec<&str> = text.split('@').collect();
        if parts.len() != 2 || parts.contains(&"") || text.contains(char::is_whitespace) {
            self.refuse(name, Fault::NotAnEmail);
        }
        text
    }

    /// A URL of one of the schemes that its user can work with.
    pub(super) fn url(
        &mut self,
        name: &'static str,
        schemes: &[&'static str],
        is_usable: fn(&SecretUrl) -> bool,
    ) -> Option<SecretUrl> {
        let text = self.text(name)?;
        let url = text.parse::<SecretUrl>().ok();
        let url = url.filter(|url| schemes.contains(&url.scheme()) && is_usable(url));
        if url.is_none() {
            self.refuse(name, Fault::NotAUrl(schemes.to_vec()));
        }
        url
    }

    /// A secret that must have at least `min` characters.
    pub(super) fn secret(&mut self, name: &'static str, min: usize) -> Option<SecretString> {
        let text = self.text(name)?;
        if text.chars().count() < min {
            self.refuse(name, Fault::TooShort { min });
        }
        Some(SecretString::from(text))
    }

    /// A Fernet key: 32 bytes in url-safe base64, with or without the `=` at its end.
    pub(super) fn fernet_key(&mut self, name: &'static str) -> Option<SecretString> {
        let text = self.text(name)?;
        if URL_SAFE.decode(&text).map_or(0, |bytes| bytes.len()) != 32 {
            self.refuse(name, Fault::NotAFernetKey);
        }
        Some(SecretString::from(text))
    }

    /// A log filter that `tracing-subscriber` understands.
    pub(super) fn log_filter(&mut self, name: &'static str) -> String {
        let text = self.text(name).unwrap_or_default();
        if EnvFilter::builder().parse(&text).is_err() {
            self.refuse(name, Fault::NotALogFilter);
        }
        text
    }

    fn given(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.trim().is_empty())
    }
}
