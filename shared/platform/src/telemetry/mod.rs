//! Log lines: for people on a terminal, one JSON object a line in production, always to stderr.
//!
//! A JSON line has `timestamp`, `level`, `service`, `target` and `message` first; then the event's own fields
//! and those of all spans around it, at the top level under their dotted names (`order.id`, `account.id`,
//! `request.id`). Of two equal names the inner one counts.

mod buffer;
mod fields;
mod json;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _, Write as _};

use tracing::{Dispatch, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::config::{Config, LogFormat};
pub use buffer::LogBuffer;

/// Where log lines go.
#[derive(Debug, Clone)]
pub enum LogWriter {
    /// The standard error stream.
    Stderr,
    /// A buffer that a test reads.
    Buffer(LogBuffer),
}

/// Installs logging for the whole process. Answers whether it did: a second call changes nothing.
pub fn init(config: &Config, service: &'static str, writer: LogWriter) -> bool {
    dispatch(config, service, writer).try_init().is_ok()
}

/// The same logging without installing it, for `tracing::dispatcher::with_default` in a test.
pub fn dispatch(config: &Config, service: &'static str, writer: LogWriter) -> Dispatch {
    let is_terminal = matches!(writer, LogWriter::Stderr) && io::stderr().is_terminal();
    let is_json = match config.log_format {
        LogFormat::Auto => config.is_production(),
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let lines = if is_json {
        json::JsonLines { service, writer }.boxed()
    } else {
        human_lines(is_terminal, writer)
    };
    Dispatch::new(
        tracing_subscriber::registry()
            .with(lines)
            .with(filter(&config.log_filter)),
    )
}

/// What `text` lets through, in the syntax of `RUST_LOG`.
fn filter<S>(text: &str) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    by_target(text).map_or_else(|| EnvFilter::builder().parse_lossy(text).boxed(), Targets::boxed)
}

/// The same filter where `text` names targets and levels only: [`EnvFilter`] takes a lock whenever a span is made,
/// entered, left or closed, since it may have to know spans.
fn by_target(text: &str) -> Option<Targets> {
    let mut targets = None;
    for directive in text.split(',').filter(|directive| !directive.is_empty()) {
        let known: Targets = targets.unwrap_or_default();
        targets = Some(match directive.split_once('=') {
            Some((target, level)) if is_path(target) => known.with_target(target, level_of(level)?),
            Some(_) => return None,
            None => known.with_default(level_of(directive)?),
        });
    }
    targets
}

fn is_path(target: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':');
    !target.is_empty() && target.bytes().all(is_plain)
}

fn level_of(name: &str) -> Option<LevelFilter> {
    let known = [
        LevelFilter::OFF,
        LevelFilter::ERROR,
        LevelFilter::WARN,
        LevelFilter::INFO,
        LevelFilter::DEBUG,
        LevelFilter::TRACE,
    ];
    known
        .into_iter()
        .find(|level| level.to_string().eq_ignore_ascii_case(name))
}

impl LogWriter {
    /// Writes whole lines at once. What can't be written is lost: there is nowhere to say so.
    fn write(&self, lines: &[u8]) {
        let _is_written = match self {
            Self::Stderr => io::stderr().lock().write_all(lines),
            Self::Buffer(buffer) => buffer.clone().write_all(lines),
        };
    }
}

fn human_lines<S>(is_terminal: bool, writer: LogWriter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let writer = match writer {
        LogWriter::Stderr => BoxMakeWriter::new(io::stderr),
        LogWriter::Buffer(buffer) => BoxMakeWriter::new(buffer),
    };
    fmt::layer().with_ansi(is_terminal).with_writer(writer).boxed()
}
