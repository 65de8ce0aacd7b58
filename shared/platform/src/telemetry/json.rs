//! One flat JSON object a line.
//!
//! A field becomes text when it is recorded, and a span keeps the text: a line is put together by copying, so that a
//! span whose fields come one by one costs no more than one that knew them from the start.

use std::cell::RefCell;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::LogWriter;
use super::fields::{Fields, MESSAGE};
use crate::clock::{Clock as _, SystemClock};

/// Writes each event with the fields of its spans at the top level.
#[derive(Debug)]
pub(super) struct JsonLines {
    pub(super) service: &'static str,
    pub(super) writer: LogWriter,
}

impl<S> Layer<S> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().replace(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        thread_local! {
            static DRAFT: RefCell<Draft> = RefCell::default();
        }
        let write = |draft: &mut Draft| {
            draft.clear();
            if draft.compose(self.service, event, &context).is_ok() {
                self.writer.write(&draft.line);
            }
        };
        DRAFT.with(|draft| match draft.try_borrow_mut() {
            Ok(mut draft) => write(&mut draft),
            // A value that logs while it is being written comes here.
            Err(_) => write(&mut Draft::default()),
        });
    }
}

/// A line that is being put together.
#[derive(Default)]
struct Draft {
    line: Vec<u8>,
    /// The fields of the event itself.
    own: Fields,
    /// The names that stand in the line.
    names: Vec<&'static str>,
}

impl Draft {
    fn clear(&mut self) {
        self.line.clear();
        self.own.clear();
        self.names.clear();
    }

    fn compose<S>(
        &mut self,
        service: &str,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) -> serde_json::Result<()>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        event.record(&mut self.own);
        let metadata = event.metadata();
        let now = SystemClock.now();
        let timestamp = now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        self.line.push(b'{');
        self.head("timestamp", &timestamp)?;
        self.head("level", metadata.level().as_str())?;
        self.head("service", service)?;
        self.head("target", metadata.target())?;
        let scope = || context.event_scope(event).into_iter().flatten();
        if let Some(innermost) = scope().next() {
            self.head("span", innermost.name())?;
        }
        let Self { line, own, names } = self;
        if let Some((_, message)) = own.pairs().find(|(name, _)| *name == MESSAGE) {
            append(line, message);
        }
        // Only the event's own message counts.
        names.push(MESSAGE);
        append_new(line, names, own);
        for span in scope() {
            if let Some(fields) = span.extensions().get::<Fields>() {
                append_new(line, names, fields);
            }
        }
        line.extend_from_slice(b"}\n");
        Ok(())
    }

    /// Writes one of the members that every line has.
    fn head(&mut self, name: &str, value: &str) -> serde_json::Result<()> {
        self.separate();
        serde_json::to_writer(&mut self.line, name)?;
        self.line.push(b':');
        serde_json::to_writer(&mut self.line, value)
    }

    fn separate(&mut self) {
        if self.line.len() > 1 {
            self.line.push(b',');
        }
    }
}

/// Writes a member that is not the first one.
fn append(line: &mut Vec<u8>, pair: &[u8]) {
    line.push(b',');
    line.extend_from_slice(pair);
}

/// Writes the fields whose names do not stand in the line yet.
fn append_new(line: &mut Vec<u8>, names: &mut Vec<&'static str>, fields: &Fields) {
    for (name, pair) in fields.pairs() {
        if !names.contains(&name) {
            names.push(name);
            append(line, pair);
        }
    }
}
