//! Lines are captured in a buffer, for the current thread only.

use serde_json::{Value, json};
use tracing::dispatcher::with_default;
use tracing::{info, info_span};

use super::*;

fn config(pairs: &'static [(&'static str, &'static str)]) -> Config {
    Config::from_lookup(|name| {
        pairs
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    })
    .unwrap()
}

fn captured(pairs: &'static [(&'static str, &'static str)], act: impl FnOnce()) -> LogBuffer {
    let buffer = LogBuffer::new();
    with_default(
        &dispatch(&config(pairs), "api", LogWriter::Buffer(buffer.clone())),
        act,
    );
    buffer
}

#[test]
fn a_line_is_kept_also_where_a_thread_that_keeps_none_was_there_first() {
    fn pass() {
        tracing::warn!("passed");
    }
    let buffer = captured(&[], || {
        std::thread::spawn(pass).join().unwrap();
        pass();
    });
    assert_eq!(buffer.text().matches("passed").count(), 1, "{}", buffer.text());
}

#[test]
fn a_json_line_has_the_fields_of_all_its_spans_at_the_top_level() {
    let buffer = captured(&[("LOG_FORMAT", "json")], || {
        let request = info_span!("request", request.id = "r-1", account.id = tracing::field::Empty);
        let _in_request = request.enter();
        request.record("account.id", "a-7");
        let _in_order = info_span!("place_order", order.id = "o-3", job.name = "outer").entered();
        info!(
            duration_ms = 12_u64,
            job.name = "inner",
            ok = true,
            "order accepted"
        );
    });
    let mut lines = buffer.json_lines();
    assert_eq!(buffer.text().lines().count(), 1);
    let timestamp = lines[0].as_object_mut().unwrap().remove("timestamp").unwrap();
    let expected = json!({
        "level": "INFO", "service": "api", "target": "arbion_platform::telemetry::tests",
        "span": "place_order", "message": "order accepted",
        "request.id": "r-1", "account.id": "a-7", "order.id": "o-3",
        "job.name": "inner", "duration_ms": 12, "ok": true,
    });
    assert_eq!(lines[0], expected);
    let timestamp = timestamp.as_str().unwrap();
    assert!(
        timestamp.len() == "2026-11-24T14:30:00.123456Z".len() && timestamp.ends_with('Z'),
        "{timestamp}"
    );
    assert!(
        buffer.text().starts_with("{\"timestamp\":"),
        "the time comes first"
    );
}

#[test]
fn a_field_with_a_name_of_the_line_itself_does_not_replace_it() {
    let buffer = captured(&[("LOG_FORMAT", "json")], || {
        let _span = info_span!("request", level = "low", message = "of the span").entered();
        info!(service = "other", "hello");
    });
    let line = &buffer.json_lines()[0];
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["service"], "api");
    assert_eq!(line["message"], "hello");
    assert_eq!(
        (&line["field.level"], &line["field.service"]),
        (&json!("low"), &json!("other"))
    );
}

#[test]
fn text_of_strangers_cannot_break_a_json_line() {
    let buffer = captured(&[("LOG_FORMAT", "json")], || {
        info!(path = "/a\"\n{\u{1b}[31m", "odd\npath");
    });
    let lines = buffer.json_lines();
    assert_eq!(buffer.text().lines().count(), 1);
    assert_eq!(lines[0]["path"], "/a\"\n{\u{1b}[31m");
    assert_eq!(lines[0]["message"], "odd\npath");
}

#[test]
fn a_field_that_is_recorded_later_stands_in_every_line_from_then_on_and_the_last_value_counts() {
    let buffer = captured(&[("LOG_FORMAT", "json")], || {
        let span = info_span!(
            "request",
            step = "read \"it\"",
            level = "low",
            order.id = tracing::field::Empty,
            share = 0.5,
        );
        let _in_span = span.enter();
        info!("before");
        span.record("order.id", "o-3");
        span.record("step", "a much longer step than the one before");
        info!("between");
        span.record("step", "end").record("share", f64::NAN);
        tracing::record_all!(span, order.id = "o-4", level = tracing::field::debug("high"));
        info!("after");
    });
    let shown: Vec<_> = buffer
        .json_lines()
        .iter()
        .map(|line| {
            let names = ["message", "step", "field.level", "order.id", "share"];
            names.map(|name| line.get(name).cloned())
        })
        .collect();
    let some = |values: [Value; 5]| values.map(Some);
    let mut expected = [
        some([
            json!("before"),
            json!("read \"it\""),
            json!("low"),
            Value::Null,
            json!(0.5),
        ]),
        some([
            json!("between"),
            json!("a much longer step than the one before"),
            json!("low"),
            json!("o-3"),
            json!(0.5),
        ]),
        some([
            json!("after"),
            json!("end"),
            json!("\"high\""),
            json!("o-4"),
            Value::Null,
        ]),
    ];
    expected[0][3] = None;
    assert_eq!(shown, expected);
}

#[test]
fn no_name_stands_twice_in_a_line() {
    let buffer = captured(&[("LOG_FORMAT", "json")], || {
        let _outer = info_span!("outer", a = 1, b = 1, message = "no").entered();
        let inner = info_span!("inner", a = 2, b = 2, c = 2).entered();
        inner.record("c", 3);
        info!(a = 3, d = -3_i64, "hello");
    });
    let text = buffer.text();
    for pair in [
        r#""a":3"#,
        r#""b":2"#,
        r#""c":3"#,
        r#""d":-3"#,
        r#""message":"hello""#,
    ] {
        let (_, rest) = text
            .split_once(pair)
            .unwrap_or_else(|| panic!("{pair} is not in {text}"));
        let name = pair.split(':').next().unwrap();
        assert!(!rest.contains(name), "{name} stands twice in {text}");
        assert_eq!(text.matches(name).count(), 1, "{text}");
    }
}

#[test]
fn an_error_is_written_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the tape")]
    struct Outer(#[source] io::Error);
    let error = Outer(io::Error::other("disk on fire"));
    let buffer = captured(&[("LOG_FORMAT", "json")], || {
        info!(error = &error as &(dyn std::error::Error + 'static), "failed");
    });
    assert_eq!(
        buffer.json_lines()[0]["error"],
        "cannot read the tape: disk on fire"
    );
}

#[test]
fn production_writes_json_and_development_writes_for_people() {
    const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const PRODUCTION: &[(&str, &str)] = &[
        ("ARBION_ENV", "production"),
        ("ENCRYPTION_KEY", KEY),
        ("ENCRYPTION_SALT", KEY),
        ("SESSION_SECRET", KEY),
    ];
    assert_eq!(
        captured(PRODUCTION, || info!("hello")).json_lines()[0]["message"],
        "hello"
    );

    let human = captured(&[], || {
        let _span = info_span!("request", request.id = "r-1").entered();
        info!(order.id = "o-3", "hello");
    });
    assert!(human.json_lines().is_empty());
    let text = human.text();
    for part in ["INFO", "request{request.id=\"r-1\"}", "hello", "order.id=\"o-3\""] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains('\u{1b}'), "colours are for terminals");
}

#[test]
fn the_filter_decides_what_is_written() {
    let act = || {
        tracing::debug!("detail");
        tracing::warn!("problem");
    };
    let messages = |buffer: &LogBuffer| -> Vec<Value> {
        buffer
            .json_lines()
            .iter()
            .map(|line| line["message"].clone())
            .collect()
    };
    assert_eq!(messages(&captured(&[("LOG_FORMAT", "json")], act)), ["problem"]);
    let detailed = captured(
        &[
            ("LOG_FORMAT", "json"),
            ("RUST_LOG", "error,arbion_platform=debug"),
        ],
        act,
    );
    assert_eq!(messages(&detailed), ["detail", "problem"]);
    assert!(
        captured(&[("LOG_FORMAT", "json"), ("RUST_LOG", "off")], act)
            .text()
            .is_empty()
    );
}

#[test]
fn a_filter_of_targets_and_levels_decides_as_the_general_one_does() {
    let written = |filter: &str| {
        let name = |name: &str| match name {
            "LOG_FORMAT" => Some("json".to_owned()),
            "RUST_LOG" => Some(filter.to_owned()),
            _ => None,
        };
        let (config, buffer) = (Config::from_lookup(name).unwrap(), LogBuffer::new());
        let dispatch = dispatch(&config, "api", LogWriter::Buffer(buffer.clone()));
        with_default(&dispatch, || {
            tracing::error!(target: "sqlx::query", "1");
            tracing::debug!(target: "sqlx", "2");
            tracing::warn!(target: "sqlxx", "3");
            let _span = info_span!(target: "arbion::run", "request").entered();
            tracing::trace!(target: "arbion::run", "4");
            tracing::info!(target: "arbion", "5");
        });
        let messages = buffer.json_lines();
        let messages = messages.iter().filter_map(|line| line["message"].as_str());
        messages.map(str::to_owned).collect::<String>()
    };
    for (filter, expected) in [
        ("info", "135"),
        ("trace", "12345"),
        ("OFF", ""),
        ("warn,sqlx::query=off", "3"),
        ("sqlx::query=off,warn", "3"),
        ("sqlx::query=info,arbion=Debug", "15"),
        ("arbion=info,arbion::run=trace", "45"),
        // A target is a prefix.
        ("error,,sqlx=debug", "123"),
    ] {
        assert!(by_target(filter).is_some(), "{filter}");
        assert_eq!(written(filter), expected, "{filter}");
        // A directive for spans that do not exist makes the general filter of it.
        let general = format!("{filter},[no_such_span]=trace");
        assert!(by_target(&general).is_none(), "{general}");
        assert_eq!(written(&general), expected, "{general}");
    }
    assert_eq!(written("off,[request]=trace"), "45");
    for filter in [
        "",
        "arbion",
        "arbion=",
        "arbion=loud",
        "=info",
        "[request]=info",
        "a[{b}]=info",
    ] {
        assert!(by_target(filter).is_none(), "{filter}");
    }
}

#[test]
fn installing_twice_is_harmless() {
    let config = config(&[("RUST_LOG", "error")]);
    let first = init(&config, "api", LogWriter::Buffer(LogBuffer::new()));
    assert!(first);
    assert!(!init(&config, "worker", LogWriter::Stderr));
}
