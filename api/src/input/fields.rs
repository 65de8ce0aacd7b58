//! The members of a JSON object, read one by one; every fault is kept with its pointer.
//!
//! `null` and an absent member are the same. What is read is marked as known, so that routes of our own can refuse the
//! rest ([`Fields::refuse_unknown`]), while Alpaca's contract wants it ignored.

#[cfg(test)]
use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use domain::money::AmountError;
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::decimal::Dec;
use crate::problem::{Code, FieldError, Problem};

/// The members of one object, and what was found wrong with them so far.
#[derive(Debug)]
pub struct Fields {
    members: Map<String, Value>,
    known: Vec<&'static str>,
    faults: Vec<(Code, FieldError)>,
}

impl Fields {
    /// Reads the members of `members`.
    pub fn new(members: Map<String, Value>) -> Self {
        Self {
            members,
            known: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Notes a fault of the member `name`.
    pub fn refuse(&mut self, code: Code, name: &str, detail: impl Into<String>) {
        let pointer = format!("/{name}");
        self.faults.push((code, FieldError::at_pointer(pointer, detail)));
    }

    /// The member `name`, unless it is absent or null.
    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// Whether the member `name` is there and not null.
    pub fn has(&mut self, name: &'static str) -> bool {
        self.take(name).is_some()
    }

    /// A string.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) | Value::Null => {
                self.refuse(Code::InvalidRequest, name, format!("{name} must be a string"));
                None
            }
        }
    }

    /// Whether the member `name` is this word, which is read then.
    pub fn is_word(&mut self, name: &'static str, word: &str) -> bool {
        let is_it = self.members.get(name).is_some_and(|value| value == word);
        is_it && self.has(name)
    }

    /// A list of strings.
    pub fn texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        let text = |value| match value {
            Value::String(text) => Some(text),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) | Value::Null => None,
        };
        let texts = match self.take(name)? {
            Value::Array(values) => values.into_iter().map(text).collect::<Option<Vec<_>>>(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) | Value::Null => None,
        };
        if texts.is_none() {
            let detail = format!("{name} must be a list of strings");
            self.refuse(Code::InvalidRequest, name, detail);
        }
        texts
    }

    /// A string that a type of ours reads; its fault is told in `wording` followed by the text.
    pub fn parsed<T: FromStr>(&mut self, name: &'static str, code: Code, wording: &str) -> Option<T> {
        let text = self.text(name)?;
        text.parse().map_or_else(
            |_| {
                self.refuse(code, name, format!("{wording}: {}", shown(&text)));
                None
            },
            Some,
        )
    }

    /// A number, as a string or a token.
    pub fn decimal(&mut self, name: &'static str) -> Option<Decimal> {
        let value = self.take(name)?;
        match Dec::from_json(&value) {
            Ok(Dec(number)) => Some(number),
            Err(error) => {
                self.refuse(Code::InvalidNumber, name, format!("{name} {error}"));
                None
            }
        }
    }

    /// A number that `make` accepts, such as a price.
    pub fn amount<T>(
        &mut self,
        name: &'static str,
        make: impl Fn(Decimal) -> Result<T, AmountError>,
    ) -> Option<T> {
        let number = self.decimal(name)?;
        match make(number) {
            Ok(amount) => Some(amount),
            Err(error) => {
                self.refuse(Code::InvalidNumber, name, format!("{name} {error}"));
                None
            }
        }
    }

    /// A boolean; clients also write it as a string, in any case.
    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let flag = match self.take(name)? {
            Value::Bool(flag) => Some(flag),
            Value::String(text) => super::query::parse_boolean(&text),
            Value::Number(_) | Value::Array(_) | Value::Object(_) | Value::Null => None,
        };
        if flag.is_none() {
            self.refuse(
                Code::InvalidRequest,
                name,
                format!("{name} must be true or false"),
            );
        }
        flag
    }

    /// Refuses every member that nobody asked for.
    pub fn refuse_unknown(&mut self) {
        let unknown: Vec<String> = self
            .members
            .keys()
            .filter(|name| !self.known.contains(&name.as_str()))
            .cloned()
            .collect();
        for name in unknown {
            let detail = format!("unknown field {}", shown(&name));
            let escaped = name.replace('~', "~0").replace('/', "~1");
            self.refuse(Code::UnknownField, &escaped, detail);
        }
    }

    /// The problem that tells all faults, if there are any; the first one names it.
    pub fn finish(&mut self) -> Result<(), Problem> {
        Problem::from_faults(std::mem::take(&mut self.faults))
    }

    /// Every member that was asked for.
    #[cfg(test)]
    pub(crate) fn asked_for(&self) -> BTreeSet<String> {
        self.known.iter().map(|name| (*name).to_owned()).collect()
    }

    /// How many faults were found so far.
    pub fn fault_count(&self) -> usize {
        self.faults.len()
    }

    /// Whether a fault of the member `name` was found.
    pub fn has_fault_at(&self, name: &str) -> bool {
        let is_there = |place: &str| place.strip_prefix('/') == Some(name);
        self.faults.iter().any(|(_, error)| is_there(error.place()))
    }
}

/// A client's text in an error: cut, so that an answer never grows with the request.
pub fn shown(text: impl Display) -> String {
    const SHOWN_MAX: usize = 64;
    let text = text.to_string();
    let mut cut: String = text
        .chars()
        .filter(|one| !one.is_control())
        .take(SHOWN_MAX)
        .collect();
    if text.chars().count() > SHOWN_MAX {
        cut.push('…');
    }
    format!("\"{cut}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::money::Quantity;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        match value {
            Value::Object(members) => Fields::new(members),
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn null_and_absent_are_the_same() {
        let mut fields = fields(json!({"symbol": null}));
        assert_eq!(fields.text("symbol"), None);
        assert_eq!(fields.text("side"), None);
        assert!(fields.finish().is_ok());
    }

    #[test]
    fn every_fault_is_told_with_its_pointer_and_the_first_one_names_the_problem() {
        let mut fields = fields(json!({"qty": "0", "symbol": 5, "extended_hours": "maybe"}));
        fields.amount("qty", Quantity::new);
        fields.text("symbol");
        fields.boolean("extended_hours");
        let problem = fields.finish().unwrap_err();
        assert_eq!(problem.detail(), "qty must be > 0");
        let pointers: Vec<_> = problem
            .errors()
            .iter()
            .map(|error| error.place().to_owned())
            .collect();
        assert_eq!(pointers, ["/qty", "/symbol", "/extended_hours"]);
    }

    #[test]
    fn booleans_are_read_in_every_form_that_clients_write() {
        let mut fields = fields(json!({"a": true, "b": "True", "c": "false", "d": "FALSE"}));
        let read = ["a", "b", "c", "d"].map(|name| fields.boolean(name));
        assert_eq!(read, [Some(true), Some(true), Some(false), Some(false)]);
    }

    #[test]
    fn unknown_members_are_refused_only_where_that_is_asked_for() {
        let object = json!({"symbol": "SPY", "a/b": 1});
        let mut lenient = fields(object.clone());
        lenient.text("symbol");
        assert!(lenient.finish().is_ok());
        let mut strict = fields(object);
        strict.text("symbol");
        strict.refuse_unknown();
        let problem = strict.finish().unwrap_err();
        assert_eq!(problem.errors()[0].place(), "/a~1b");
    }

    #[test]
    fn a_clients_text_is_cut_before_it_is_shown() {
        let text = shown("x".repeat(1000));
        assert!(text.chars().count() < 70, "{text}");
        assert_eq!(shown("a\nb"), "\"ab\"");
    }
}
