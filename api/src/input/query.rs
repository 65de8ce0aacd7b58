//! Query parameters as clients write them.
//!
//! An empty value (`?until=`) counts as absent: several clients write their unset parameters so.

use std::borrow::Cow;
use std::convert::Infallible;
use std::marker::PhantomData;

use chrono::{DateTime, NaiveDate, Utc};
use poem::Request;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult, Type};

use super::fields::shown;
use crate::problem::{Code, FieldError, Problem};
use crate::wire::inline_type;

/// How many entries a page of most lists has unless more are asked for.
pub const PAGE_DEFAULT: u64 = 50;

/// A parameter that may be left out, or sent empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param<T>(pub Option<T>);

/// A yes or no, in any case: `true`, `True`, `1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag(pub bool);

/// A date or an instant: `2026-11-24`, `2026-11-24T14:30:00Z`, with any offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant(pub DateTime<Utc>);

impl<T> Param<T> {
    /// The value, where one was sent.
    pub fn get(self) -> Option<T> {
        self.0
    }
}

impl Param<Flag> {
    /// Whether it was sent, and says yes.
    pub fn is_set(&self) -> bool {
        self.0.is_some_and(|flag| flag.0)
    }
}

impl Param<Instant> {
    /// The instant, where one was sent.
    pub fn at(&self) -> Option<DateTime<Utc>> {
        self.0.map(|instant| instant.0)
    }
}

impl Param<List> {
    /// The values; none where the list was not sent.
    pub fn values(self) -> Vec<String> {
        self.0.map(|list| list.0).unwrap_or_default()
    }
}

impl<W: Words> Param<Word<W>> {
    /// What the word stands for, where one was sent.
    pub fn meaning(&self) -> Option<W::Value> {
        self.0.as_ref().map(|word| word.0)
    }
}

/// A list of values with commas between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List(pub Vec<String>);

/// Reads a boolean as clients write it.
pub fn parse_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// Reads an instant; a plain date is its first moment in UTC.
pub fn parse_instant(text: &str) -> Option<DateTime<Utc>> {
    // An offset's `+` that a client did not encode arrives as a space.
    let text = text.replace(' ', "+");
    if let Ok(at) = DateTime::parse_from_rfc3339(&text) {
        return Some(at.with_timezone(&Utc));
    }
    let date: NaiveDate = text.parse().ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc())
}

/// How many entries a page has: `unless_given` unless the parameter `limit` says it, at most `max`.
pub fn page_limit(given: Param<u64>, unless_given: u64, max: u64) -> Result<u64, Problem> {
    let limit = given.get().unwrap_or(unless_given);
    if (1..=max).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("limit must be between 1 and {max}");
    let error = FieldError::at_parameter("limit", detail.clone());
    Err(Problem::new(Code::InvalidRequest, detail).with_error(error))
}

/// Refuses a query parameter that the route does not know. Only for routes of our own: Alpaca's contract wants unknown
/// ones ignored.
pub fn refuse_unknown(request: &Request, known: &[&str]) -> Result<(), Problem> {
    let parameters: Vec<(String, String)> = request.params().unwrap_or_default();
    let unknown = parameters
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !known.contains(&name.as_str()));
    Problem::from_faults(
        unknown
            .map(|name| {
                let detail = format!("unknown parameter {}", shown(&name));
                (Code::UnknownField, FieldError::at_parameter(name, detail))
            })
            .collect(),
    )
}

inline_type!(Flag, "boolean", MetaSchema::new("boolean"));
// Without a format: a plain date is fine, too.
inline_type!(Instant, "string(instant)", MetaSchema::new("string"));
inline_type!(List, "string(csv)", MetaSchema::new("string"));

impl ParseFromParameter for Flag {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        parse_boolean(value)
            .map(Flag)
            .ok_or_else(|| ParseError::custom("must be true or false"))
    }
}

impl ParseFromParameter for Instant {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        parse_instant(value)
            .map(Instant)
            .ok_or_else(|| ParseError::custom("must be a date or an RFC 3339 time"))
    }
}

impl ParseFromParameter for List {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        let items = value
            .split(',')
            .map(str::trim)
            .filter(|item| !str::is_empty(item));
        Ok(List(items.map(str::to_owned).collect()))
    }
}

impl<T: Type> Type for Param<T> {
    const IS_REQUIRED: bool = false;

    type RawValueType = T::RawValueType;
    type RawElementValueType = T::RawElementValueType;

    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        self.0.as_ref().and_then(Type::as_raw_value)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        match &self.0 {
            Some(value) => value.raw_element_iter(),
            None => Box::new(std::iter::empty()),
        }
    }
}

impl<T: ParseFromParameter> ParseFromParameter for Param<T> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Self::parse_from_parameters([value])
    }

    fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(iter: I) -> ParseResult<Self> {
        let values: Vec<A> = iter
            .into_iter()
            .filter(|value| !value.as_ref().is_empty())
            .collect();
        if values.is_empty() {
            return Ok(Param(None));
        }
        T::parse_from_parameters(values)
            .map(|value| Param(Some(value)))
            .map_err(ParseError::propagate)
    }
}

/// One of a few words; the words show in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<W: Words>(pub W::Value, PhantomData<W>);

/// The words that a parameter may be.
pub trait Words: Send + Sync + 'static {
    /// What a word stands for.
    type Value: Copy + Send + Sync + 'static;
    /// Each word with its meaning.
    const WORDS: &'static [(&'static str, Self::Value)];
}

impl<W: Words> Type for Word<W> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Infallible;
    type RawElementValueType = Infallible;

    fn name() -> Cow<'static, str> {
        "string(word)".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let mut schema = MetaSchema::new("string");
        schema.enum_items = W::WORDS.iter().map(|(word, _)| (*word).into()).collect();
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        None
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(std::iter::empty())
    }
}

impl<W: Words> ParseFromParameter for Word<W> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        let found = W::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
        found
            .map(|(_, meaning)| Word(*meaning, PhantomData))
            .ok_or_else(|| {
                let words: Vec<&str> = W::WORDS.iter().map(|(word, _)| *word).collect();
                ParseError::custom(format!("must be one of {}", words.join(", ")))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_accepted_in_any_case() {
        for text in ["true", "True", "TRUE", "1"] {
            assert_eq!(parse_boolean(text), Some(true), "{text}");
        }
        for text in ["false", "False", "0"] {
            assert_eq!(parse_boolean(text), Some(false), "{text}");
        }
        assert_eq!(parse_boolean("yes"), None);
    }

    #[test]
    fn instants_are_dates_or_times_with_any_offset() {
        for (text, expected) in [
            ("2026-11-24", "2026-11-24T00:00:00Z"),
            ("2026-11-24T09:30:00-05:00", "2026-11-24T14:30:00Z"),
            ("2026-11-24T14:30:00.5Z", "2026-11-24T14:30:00.5Z"),
            ("2026-11-24T14:30:00 00:00", "2026-11-24T14:30:00Z"),
        ] {
            assert_eq!(parse_instant(text), Some(expected.parse().unwrap()), "{text}");
        }
        for text in ["yesterday", "2026-13-01", "20261124", ""] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }

    #[test]
    fn an_empty_parameter_counts_as_absent() {
        let none: [&str; 0] = [];
        assert_eq!(Param::<Flag>::parse_from_parameters(none).unwrap(), Param(None));
        assert_eq!(Param::<Flag>::parse_from_parameters([""]).unwrap(), Param(None));
        assert_eq!(
            Param::<Flag>::parse_from_parameters(["True"]).unwrap(),
            Param(Some(Flag(true)))
        );
        assert!(Param::<Flag>::parse_from_parameters(["nope"]).is_err());
    }

    #[test]
    fn an_unknown_parameter_is_named() {
        let request = Request::builder().uri_str("/v2/events?after=1&befor=2").finish();
        let problem = refuse_unknown(&request, &["after"]).unwrap_err();
        assert_eq!(
            (problem.code(), problem.errors()[0].place()),
            (Code::UnknownField, "befor")
        );
        assert!(refuse_unknown(&request, &["after", "befor"]).is_ok());
    }

    #[test]
    fn lists_lose_their_blanks() {
        let list = List::parse_from_parameter("AAPL, ,BTC/USD,").unwrap();
        assert_eq!(list, List(vec!["AAPL".into(), "BTC/USD".into()]));
    }
}
