//! Values as both databases read them from text.

use std::fmt::Write;

use sea_orm::Value;
use sea_orm::sea_query::ColumnType;

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

/// Rows as the JSON document for SQLite has them: an array of arrays.
pub(super) fn document_text(rows: &[Vec<Value>]) -> String {
    // A value and its comma; one that grew by doubling would be copied as often.
    let size: usize = rows.iter().map(|row| 2 + row.len() * 24).sum();
    let mut text = String::with_capacity(size);
    text.push('[');
    for row in rows {
        if text.len() > 1 {
            text.push(',');
        }
        list(&mut text, row.iter());
    }
    text.push(']');
    text
}

/// Values as a JSON array for SQLite.
pub(super) fn list_text<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    let mut text = String::new();
    list(&mut text, values);
    text
}

fn list<'a>(text: &mut String, values: impl Iterator<Item = &'a Value>) {
    text.push('[');
    for (place, value) in values.enumerate() {
        if place > 0 {
            text.push(',');
        }
        json(text, value);
    }
    text.push(']');
}

/// Bytes are in hexadecimal, decimals are text: JSON has neither.
fn json(text: &mut String, value: &Value) {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Bool(Some(it)) => write!(text, "{}", u8::from(*it)),
        Value::Int(Some(it)) => write!(text, "{it}"),
        Value::BigInt(Some(it)) => write!(text, "{it}"),
        Value::Decimal(Some(it)) => write!(text, "\"{it}\""),
        Value::Uuid(Some(it)) => write!(text, "\"{}\"", it.simple()),
        Value::ChronoDate(Some(it)) => write!(text, "\"{it}\""),
        Value::ChronoDateTimeUtc(Some(it)) => write!(text, "\"{}\"", time_text(it)),
        Value::Bytes(Some(it)) => write!(text, "\"{}\"", hex(it)),
        Value::String(Some(it)) => json_string(text, it),
        Value::Json(Some(it)) => json_string(text, &it.to_string()),
        _ => write!(text, "null"),
    };
}

fn json_string(text: &mut String, string: &str) -> std::fmt::Result {
    text.push('"');
    for letter in string.chars() {
        match letter {
            '"' | '\\' => {
                text.push('\\');
                text.push(letter);
            }
            '\0'..='\u{1f}' => write!(text, "\\u{:04x}", u32::from(letter))?,
            _ => text.push(letter),
        }
    }
    text.push('"');
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_string_comes_back_out_of_a_document() {
        let all: String = (0..0x250)
            .filter_map(char::from_u32)
            .chain("\u{2028}漢😀".chars())
            .collect();
        let nested = serde_json::json!({ "a\"b": ["\\", "\n", 1.5] });
        let row = vec![
            Value::from(all.as_str()),
            Value::from(nested.clone()),
            Value::from(true),
            Value::from(-7_i64),
            Value::String(None),
        ];
        let expected = serde_json::json!([[all, nested.to_string(), 1, -7, null], []]);
        let read: serde_json::Value = serde_json::from_str(&document_text(&[row, Vec::new()])).unwrap();
        assert_eq!(read, expected);
        assert_eq!(document_text(&[]), "[]");
        assert_eq!(
            list_text([Value::from("a"), Value::from("b")].iter()),
            r#"["a","b"]"#
        );
    }
}
