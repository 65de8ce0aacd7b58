//! Values as both databases read them from text.

use std::fmt::Write;

use sea_orm::Value;
use sea_orm::sea_query::ColumnType;
use serde_json::Value as Json;

/// The name of a value's type. A variant that no table of ours has is written, and refused, as text.
pub(super) const fn postgres_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Int(_) => "integer",
        Value::BigInt(_) => "bigint",
        Value::Decimal(_) => "numeric",
        Value::Uuid(_) => "uuid",
        Value::Bytes(_) => "bytea",
        Value::Json(_) => "json",
        Value::ChronoDate(_) => "date",
        Value::ChronoDateTimeUtc(_) => "timestamptz",
        _ => "text",
    }
}

/// The name of a column's type.
pub(super) const fn column_type(kind: &ColumnType) -> &'static str {
    match kind {
        ColumnType::Boolean => "boolean",
        ColumnType::Integer => "integer",
        ColumnType::BigInteger => "bigint",
        ColumnType::Decimal(_) => "numeric",
        ColumnType::Uuid => "uuid",
        ColumnType::Binary(_) | ColumnType::VarBinary(_) | ColumnType::Blob => "bytea",
        ColumnType::Json | ColumnType::JsonBinary => "json",
        ColumnType::Date => "date",
        ColumnType::TimestampWithTimeZone => "timestamptz",
        _ => "text",
    }
}

/// An array's text: `{a,NULL,"b c"}`.
pub(crate) fn array_text<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    let mut text = "{".to_owned();
    for value in values {
        if text.len() > 1 {
            text.push(',');
        }
        element(&mut text, value);
    }
    text.push('}');
    text
}

fn element(text: &mut String, value: &Value) {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Bool(Some(it)) => write!(text, "{it}"),
        Value::Int(Some(it)) => write!(text, "{it}"),
        Value::BigInt(Some(it)) => write!(text, "{it}"),
        Value::Decimal(Some(it)) => write!(text, "{it}"),
        Value::Uuid(Some(it)) => write!(text, "{it}"),
        Value::ChronoDate(Some(it)) => write!(text, "{it}"),
        Value::ChronoDateTimeUtc(Some(it)) => write!(text, "\"{}\"", time_text(it)),
        Value::Bytes(Some(it)) => write!(text, "\"\\\\x{}\"", hex(it)),
        Value::String(Some(it)) => {
            quote(text, it);
            Ok(())
        }
        Value::Json(Some(it)) => {
            quote(text, &it.to_string());
            Ok(())
        }
        _ => write!(text, "NULL"),
    };
}

fn quote(text: &mut String, element: &str) {
    text.push('"');
    for letter in element.chars() {
        if matches!(letter, '"' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text.push('"');
}

/// A value as the JSON document for SQLite has it: bytes in hexadecimal, decimals as text.
pub(super) fn json_of(value: &Value) -> Json {
    match value {
        Value::Bool(Some(it)) => i64::from(*it).into(),
        Value::Int(Some(it)) => (*it).into(),
        Value::BigInt(Some(it)) => (*it).into(),
        Value::Decimal(Some(it)) => it.to_string().into(),
        Value::Uuid(Some(it)) => it.simple().to_string().into(),
        Value::ChronoDate(Some(it)) => it.to_string().into(),
        Value::ChronoDateTimeUtc(Some(it)) => time_text(it).into(),
        Value::Bytes(Some(it)) => hex(it).into(),
        Value::String(Some(it)) => it.as_str().into(),
        Value::Json(Some(it)) => it.to_string().into(),
        _ => Json::Null,
    }
}

/// As sqlx writes a time: on SQLite, where times are compared as text, all must be written alike.
fn time_text(time: &chrono::DateTime<chrono::Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false)
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
