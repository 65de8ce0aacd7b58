//! The fields of a span or of an event, as JSON that is made once and then only copied.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use serde::{Serialize, Serializer};
use tracing::field::{Field, Visit};

/// Names that every line has; a field of the same name would hide them and is renamed to `field.<name>`.
const RESERVED: [&str; 5] = ["timestamp", "level", "service", "target", "span"];

/// The text of an event.
pub(super) const MESSAGE: &str = "message";

/// Fields by their names; of two values of a name the later one is kept.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// All pairs, one after the other.
    text: Vec<u8>,
    /// Which part of the text is whose, in the order of the text.
    pairs: Vec<(&'static str, Range<usize>)>,
}

impl Fields {
    /// Each field's name, and `"name":value`.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.pairs
            .iter()
            .map(|(name, place)| (*name, self.text.get(place.clone()).unwrap_or_default()))
    }

    /// Forgets all fields and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.pairs.clear();
    }

    fn put(&mut self, field: &Field, value: impl Serialize) {
        let name = field.name();
        self.remove(name);
        let start = self.text.len();
        if write_pair(&mut self.text, name, value).is_ok() {
            self.pairs.push((name, start..self.text.len()));
        } else {
            self.text.truncate(start);
        }
    }

    fn remove(&mut self, name: &str) {
        let Some(index) = self.pairs.iter().position(|(known, _)| *known == name) else {
            return;
        };
        let (_, gone) = self.pairs.remove(index);
        for (_, later) in self.pairs.iter_mut().skip(index) {
            *later = later.start - gone.len()..later.end - gone.len();
        }
        self.text.drain(gone);
    }
}

/// Writes `"name":value`, the name as it stands in a line.
fn write_pair(text: &mut Vec<u8>, name: &str, value: impl Serialize) -> serde_json::Result<()> {
    if RESERVED.contains(&name) {
        serde_json::to_writer(&mut *text, &Shown(format_args!("field.{name}")))?;
    } else {
        serde_json::to_writer(&mut *text, name)?;
    }
    text.push(b':');
    serde_json::to_writer(text, &value)
}

/// Something that can be displayed, as a JSON string.
struct Shown<T>(T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// An error with all its causes.
struct Causes<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Shown(format_args!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field, Shown(Causes(value)));
    }
}
