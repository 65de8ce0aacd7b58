//! Reads typed values from a lookup, collecting every fault in place of stopping at the first.
//!
//! A faulty value yields a placeholder so that reading goes on; [`Reader::finish`] then refuses the whole.

use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use ipnet::IpNet;
use rust_decimal::Decimal;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
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

    /// An origin, as browsers write it (RFC 6454 section 6.1).
    pub(super) fn origin(&mut self, name: &'static str) -> Option<String> {
        let text = self.text(name)?;
        if !is_origin(&text) {
            self.refuse(name, Fault::NotAnOrigin);
        }
        Some(text)
    }

    /// Origins, separated by commas.
    pub(super) fn origins(&mut self, name: &'static str) -> Vec<String> {
        let origins: Vec<String> = self.list(name);
        if !origins.iter().all(|origin| is_origin(origin)) {
            self.refuse(name, Fault::NotAnOrigin);
        }
        origins
    }

    /// IP addresses and networks in CIDR form, separated by commas.
    pub(super) fn networks(&mut self, name: &'static str) -> Vec<IpNet> {
        let texts = self.list(name);
        let networks: Vec<IpNet> = texts.iter().filter_map(|text| network(text)).collect();
        if networks.len() != texts.len() {
            self.refuse(name, Fault::NotNetworks);
        }
        networks
    }

    fn list(&mut self, name: &'static str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(str::to_owned).collect()
    }

    /// A secret that must have at least `min` characters.
    pub(super) fn secret(&mut self, name: &'static str, min: usize) -> Option<SecretString> {
        let text = self.text(name)?;
        if text.chars().count() < min {
            self.refuse(name, Fault::TooShort { min });
        }
        Some(SecretString::from(text))
    }

    /// Fernet keys, separated by commas.
    pub(super) fn fernet_keys(&mut self, name: &'static str) -> Option<SecretString> {
        let text = self.text(name)?;
        if let Err(fault) = check_fernet_keys(&text) {
            self.refuse(name, fault);
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

/// Whether `text` is a list of Fernet keys, separated by commas: 32 bytes each in url-safe base64, with or without the `=`
/// at the end. A key that stands there twice is a mistake in the making: whoever removes one of them leaves the other.
pub(crate) fn check_fernet_keys(text: &str) -> Result<(), Fault> {
    let mut seen: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    for key in text.split(',').map(str::trim) {
        let bytes = URL_SAFE.decode(key).map(Zeroizing::new);
        let bytes = bytes.ok().filter(|bytes| bytes.len() == 32);
        let bytes = bytes.ok_or(Fault::NotAFernetKey)?;
        if seen.contains(&bytes) {
            return Err(Fault::RepeatedKey);
        }
        seen.push(bytes);
    }
    Ok(())
}

/// Whether `text` is what a browser sends as `Origin`: `https://app.example.com`, `http://localhost:3000`.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let usual = if scheme == "https" { "443" } else { "80" };
    let is_port =
        |port: &str| port != usual && port.parse::<u16>().is_ok_and(|number| number.to_string() == port);
    let is_host_byte =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-[]:".contains(&byte);
    matches!(scheme, "http" | "https")
        && !host.is_empty()
        && host.bytes().all(is_host_byte)
        && (host.starts_with('[') || !host.contains(':'))
        && port.is_none_or(is_port)
}

/// A network, or an address as the network that holds it alone.
fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}
