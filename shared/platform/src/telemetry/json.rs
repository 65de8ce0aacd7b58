//! One flat JSON object a line.

use std::fmt;

use serde::ser::{SerializeMap as _, Serializer as _};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::clock::{Clock as _, SystemClock};

/// Formats an event with the fields of its spans at the top level. The spans' fields must be formatted by
/// `JsonFields`.
pub(super) struct FlatJson {
    pub(super) service: &'static str,
}

/// Names that every line has; a field of the same name would hide them and is renamed to `field.<name>`.
const RESERVED: [&str; 6] = ["timestamp", "level", "service", "target", "message", "span"];

impl<S, N> FormatEvent<S, N> for FlatJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        let mut innermost = None;
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            innermost = Some(span.name());
            let extensions = span.extensions();
            let Some(text) = extensions.get::<FormattedFields<N>>() else {
                continue;
            };
            if let Ok(Value::Object(of_span)) = serde_json::from_str(&text.fields) {
                of_span
                    .into_iter()
                    .for_each(|(name, value)| fields.put(&name, value));
            }
        }
        fields.message = None;
        event.record(&mut fields);
        let line = self.line(event, innermost, fields).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

impl FlatJson {
    fn line(
        &self,
        event: &Event<'_>,
        span: Option<&'static str>,
        fields: Fields,
    ) -> Result<String, serde_json::Error> {
        let mut bytes = Vec::with_capacity(256);
        let mut serializer = serde_json::Serializer::new(&mut bytes);
        let mut line = serializer.serialize_map(None)?;
        let timestamp = SystemClock
            .now()
            .to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        line.serialize_entry("timestamp", &timestamp)?;
        line.serialize_entry("level", event.metadata().level().as_str())?;
        line.serialize_entry("service", self.service)?;
        line.serialize_entry("target", event.metadata().target())?;
        if let Some(span) = span {
            line.serialize_entry("span", span)?;
        }
        if let Some(message) = fields.message {
            line.serialize_entry("message", &message)?;
        }
        for (name, value) in fields.others {
            line.serialize_entry(&name, &value)?;
        }
        line.end()?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The message and the other fields of an event and its spans.
#[derive(Default)]
struct Fields {
    message: Option<Value>,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, name: &str, value: Value) {
        if name == "message" {
            self.message = Some(value);
        } else if RESERVED.contains(&name) {
            self.others.insert(format!("field.{name}"), value);
        } else {
            self.others.insert(name.to_owned(), value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), Value::from(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        self.put(field.name(), Value::String(text));
    }
}
