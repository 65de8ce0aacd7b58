//! Numbers as clients write them, and as we answer them.
//!
//! 1. A number is read from its literal text, never through a float: `100.1` is exactly 100.1.
//! 2. An exponent (−18 … +12) is fine in a JSON number token, since Python writes 0.00001 as `1e-05`; inside a string
//!    it is refused, since nobody means it there.
//! 3. Answers are strings, canonical: no exponent, no trailing zeros.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type};
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};
use serde_json::Value;
use thiserror::Error;

/// The exponents that a number token may have.
pub const EXPONENTS: std::ops::RangeInclusive<i64> = -18..=12;

/// The most significant digits that are kept exactly.
const DIGITS_MAX: usize = 28;

/// An exact decimal on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dec(pub Decimal);

/// Why a text is not a number of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NumberError {
    /// No decimal number at all.
    #[error("must be a decimal number")]
    NotANumber,
    /// A string with an exponent.
    #[error("must be written without an exponent")]
    ExponentInString,
    /// An exponent beyond [`EXPONENTS`].
    #[error("has an exponent outside -18 … +12")]
    ExponentOutOfRange,
    /// More than [`DIGITS_MAX`] significant digits, or that many decimals.
    #[error("has too many digits")]
    TooManyDigits,
}

impl Dec {
    /// Reads the content of a JSON string or of a query parameter.
    pub fn from_text(text: &str) -> Result<Self, NumberError> {
        let number = Parts::of(text).ok_or(NumberError::NotANumber)?;
        if number.exponent.is_some() {
            return Err(NumberError::ExponentInString);
        }
        number.value()
    }

    /// Reads the literal text of a JSON number token.
    pub fn from_token(text: &str) -> Result<Self, NumberError> {
        Parts::of(text).ok_or(NumberError::NotANumber)?.value()
    }

    /// Reads a JSON value: a string or a number token.
    pub fn from_json(value: &Value) -> Result<Self, NumberError> {
        match value {
            Value::String(text) => Self::from_text(text),
            Value::Number(token) => Self::from_token(token.as_str()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(NumberError::NotANumber),
        }
    }

    /// The canonical text: no exponent, no trailing zeros, no negative zero.
    pub fn canonical(self) -> String {
        self.normalized().to_string()
    }

    fn normalized(self) -> Decimal {
        if self.0.is_zero() {
            Decimal::ZERO
        } else {
            self.0.normalize()
        }
    }
}

/// A number's text, taken apart.
struct Parts<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// `None` where the text is no decimal number.
    fn of(text: &'a str) -> Option<Self> {
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (text, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let exponent_is_whole = exponent.is_none_or(|exponent| {
            let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !unsigned.is_empty() && digits(unsigned)
        });
        let is_number = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
        (is_number && exponent_is_whole).then_some(Self {
            is_negative,
            whole,
            fraction,
            exponent,
        })
    }

    fn value(&self) -> Result<Dec, NumberError> {
        let exponent = match self.exponent {
            None => 0,
            // What does not even fit an integer is out of range, too.
            Some(text) => text.parse::<i64>().map_err(|_| NumberError::ExponentOutOfRange)?,
        };
        if !EXPONENTS.contains(&exponent) {
            return Err(NumberError::ExponentOutOfRange);
        }
        let fraction = self.fraction.trim_end_matches('0');
        let whole = self.whole.trim_start_matches('0');
        // Zeros behind the point are no significant digits where nothing stands before it.
        let significant = if whole.is_empty() {
            fraction.trim_start_matches('0')
        } else {
            fraction
        };
        let count = whole.len() + significant.len();
        let scale = i64::try_from(fraction.len()).unwrap_or(i64::MAX) - exponent;
        let shift = usize::try_from(-scale).unwrap_or(0);
        if count == 0 {
            return Ok(Dec(Decimal::ZERO));
        }
        if count + shift > DIGITS_MAX {
            return Err(NumberError::TooManyDigits);
        }
        let zeros = std::iter::repeat_n(b'0', shift);
        let digits = whole.bytes().chain(significant.bytes()).chain(zeros);
        // So few digits always fit.
        let units = digits.fold(0_i128, |units, digit| units * 10 + i128::from(digit - b'0'));
        let signed = if self.is_negative { -units } else { units };
        let scale = u32::try_from(scale.max(0)).map_err(|_| NumberError::TooManyDigits)?;
        Decimal::try_from_i128_with_scale(signed, scale)
            .map(|value| Dec(value.normalize()))
            .map_err(|_| NumberError::TooManyDigits)
    }
}

impl From<Decimal> for Dec {
    fn from(value: Decimal) -> Self {
        Self(value)
    }
}

impl Type for Dec {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string(decimal)".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let mut schema = MetaSchema::new_with_format("string", "decimal");
        schema.pattern = Some(r"^-?\d+(\.\d+)?$".to_owned());
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ParseFromJSON for Dec {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Self::from_json(&value.unwrap_or_default()).map_err(ParseError::custom)
    }
}

impl ParseFromParameter for Dec {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Self::from_text(value).map_err(ParseError::custom)
    }
}

impl ToJSON for Dec {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.canonical()))
    }
}

impl Serialize for Dec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.normalized())
    }
}

/// A positive decimal in a request: a string or a number token; it documents both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LooseDec(pub Dec);

impl Type for LooseDec {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "decimal".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let mut number = MetaSchema::new("number");
        number.minimum = Some(0.0);
        number.exclusive_minimum = Some(true);
        let mut text = MetaSchema::new_with_format("string", "decimal");
        text.pattern = Some(r"^\d*\.?\d+$".to_owned());
        let mut schema = MetaSchema::ANY;
        schema.any_of = [text, number]
            .map(|one| MetaSchemaRef::Inline(Box::new(one)))
            .into();
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ToJSON for LooseDec {
    fn to_json(&self) -> Option<Value> {
        self.0.to_json()
    }
}

impl ParseFromJSON for LooseDec {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Dec::from_json(&value.unwrap_or_default())
            .map(LooseDec)
            .map_err(ParseError::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(json: &str) -> Result<String, NumberError> {
        let value: Value = serde_json::from_str(json).unwrap();
        Dec::from_json(&value).map(Dec::canonical)
    }

    #[test]
    fn number_tokens_are_read_by_their_literal_text() {
        for (json, expected) in [
            ("100.1", "100.1"),
            ("1e-05", "0.00001"),
            ("1E5", "100000"),
            ("1.5e+3", "1500"),
            ("-0.0", "0"),
            ("0.10", "0.1"),
            ("-2.50", "-2.5"),
            ("123456789012345678.123456789", "123456789012345678.123456789"),
            ("1e-18", "0.000000000000000001"),
            ("1e12", "1000000000000"),
            ("0e12", "0"),
        ] {
            assert_eq!(token(json).as_deref(), Ok(expected), "{json}");
        }
    }

    #[test]
    fn strings_are_read_exactly_and_never_with_an_exponent() {
        for (json, expected) in [
            (r#""1.500""#, Ok("1.5")),
            (r#""0010""#, Ok("10")),
            (r#"".5""#, Ok("0.5")),
            (r#""1e3""#, Err(NumberError::ExponentInString)),
            (r#""1E-5""#, Err(NumberError::ExponentInString)),
            (r#""""#, Err(NumberError::NotANumber)),
            (r#""-""#, Err(NumberError::NotANumber)),
            (r#"".""#, Err(NumberError::NotANumber)),
            (r#""NaN""#, Err(NumberError::NotANumber)),
            (r#""Infinity""#, Err(NumberError::NotANumber)),
            (r#"" 1""#, Err(NumberError::NotANumber)),
            (r#""+1""#, Err(NumberError::NotANumber)),
            (r#""1,000""#, Err(NumberError::NotANumber)),
            (r#""١""#, Err(NumberError::NotANumber)),
            (r#""0x10""#, Err(NumberError::NotANumber)),
        ] {
            assert_eq!(token(json), expected.map(str::to_owned), "{json}");
        }
    }

    #[test]
    fn what_cannot_be_kept_exactly_is_refused() {
        let forty = "1234567890123456789012345678901234567890";
        assert_eq!(token(forty), Err(NumberError::TooManyDigits));
        assert_eq!(token(&format!("\"{forty}\"")), Err(NumberError::TooManyDigits));
        assert_eq!(token(&format!("\"0.{forty}\"")), Err(NumberError::TooManyDigits));
        assert_eq!(
            token(&format!("\"0.{}1\"", "0".repeat(40))),
            Err(NumberError::TooManyDigits)
        );
        assert_eq!(token("1e13"), Err(NumberError::ExponentOutOfRange));
        assert_eq!(token("1e-19"), Err(NumberError::ExponentOutOfRange));
        assert_eq!(
            token("1e99999999999999999999"),
            Err(NumberError::ExponentOutOfRange)
        );
        assert_eq!(
            token("99999999999999999999999999e12"),
            Err(NumberError::TooManyDigits)
        );
    }

    #[test]
    fn other_json_values_are_no_numbers() {
        for json in ["true", "[1]", "{\"a\":1}"] {
            assert_eq!(token(json), Err(NumberError::NotANumber), "{json}");
        }
    }
}
