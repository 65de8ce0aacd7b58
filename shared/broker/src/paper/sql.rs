//! Statements with their values, of the same words for PostgreSQL and SQLite.
//!
//! 1. The text of a statement does not depend on how many rows or ids it carries, so each is prepared once.
//! 2. PostgreSQL gets rows as one array a column, SQLite as one JSON document; both are bound as text, which is as exact
//!    as the numbers in it, and in which NULL can be written.

use std::fmt::Write;

use chrono::SecondsFormat;
use sea_orm::{DbBackend, Statement, Value};
use uuid::Uuid;

/// The place of a value, while a statement grows; no word of ours contains it.
const PLACE: char = '?';

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Uuid,
    Money,
    Text,
    Time,
    BigInt,
    Bool,
}

impl Kind {
    const fn postgres_array(self) -> &'static str {
        match self {
            Self::Uuid => "::text::uuid[]",
            Self::Money => "::text::numeric[]",
            Self::Text => "::text::text[]",
            Self::Time => "::text::timestamptz[]",
            Self::BigInt => "::text::bigint[]",
            Self::Bool => "::text::boolean[]",
        }
    }
}

/// Names and kinds of columns, in the order of their values.
pub(super) type Columns = &'static [(&'static str, Kind)];

/// The names of `columns`, in one list.
pub(super) fn names(columns: Columns) -> String {
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// A statement that grows with the values bound to it.
#[derive(Debug)]
pub(super) struct Sql {
    backend: DbBackend,
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(super) fn new(backend: DbBackend, text: &str) -> Self {
        Self {
            backend,
            text: text.to_owned(),
            values: Vec::new(),
        }
    }

    /// Adds words.
    pub(super) fn add(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Adds a value.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self.text.push(PLACE);
        self
    }

    /// Adds the condition that what stands before it is one of `ids`.
    pub(super) fn any_of<T: Copy + Into<Uuid>>(self, ids: &[T]) -> Self {
        let ids = || ids.iter().map(|id| Value::from((*id).into()));
        match self.backend {
            // Behind a SELECT the text is read once, and not for each row that is filtered.
            DbBackend::Postgres => self
                .add(" = ANY((SELECT ")
                .bind(array_text(ids()))
                .add(Kind::Uuid.postgres_array())
                .add(")::uuid[])"),
            _ => self
                .add(" IN (SELECT unhex(value) FROM json_each(")
                .bind(json_array(ids()))
                .add("))"),
        }
    }

    /// Adds a source of rows that can stand after FROM, under the name `alias`.
    pub(super) fn rows(self, columns: Columns, rows: &[Vec<Value>], alias: &str) -> Self {
        match self.backend {
            DbBackend::Postgres => self.arrays(columns, rows, alias),
            _ => self.document(columns, rows, alias),
        }
    }

    fn arrays(mut self, columns: Columns, rows: &[Vec<Value>], alias: &str) -> Self {
        for (index, (_, kind)) in columns.iter().enumerate() {
            let column = rows.iter().filter_map(|row| row.get(index).cloned());
            let text = array_text(column);
            self = self
                .add(if index == 0 { "unnest(" } else { ", " })
                .bind(text)
                .add(kind.postgres_array());
        }
        let names = names(columns);
        self.add(") AS ").add(alias).add("(").add(&names).add(")")
    }

    fn document(mut self, columns: Columns, rows: &[Vec<Value>], alias: &str) -> Self {
        for (index, (name, kind)) in columns.iter().enumerate() {
            let open = if index == 0 { "(SELECT " } else { ", " };
            // Writing to a String cannot fail.
            let _ = match kind {
                Kind::Uuid => write!(self.text, "{open}unhex(value ->> {index}) AS {name}"),
                Kind::Money | Kind::Text | Kind::Time | Kind::BigInt | Kind::Bool => {
                    write!(self.text, "{open}value ->> {index} AS {name}")
                }
            };
        }
        let mut document = "[".to_owned();
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                document.push(',');
            }
            document.push_str(&json_array(row.iter().cloned()));
        }
        document.push(']');
        self.add(" FROM json_each(")
            .bind(document)
            .add(")) AS ")
            .add(alias)
    }

    /// Adds the words that lock the rows of `of` which were read, where the database knows row locks; SQLite has one
    /// writer.
    pub(super) fn locking(self, of: &str) -> Self {
        match self.backend {
            DbBackend::Postgres => self.add(" FOR NO KEY UPDATE OF ").add(of),
            _ => self,
        }
    }

    /// The statement for its database: PostgreSQL numbers the places; SQLite, which looks for a number among all others,
    /// counts them.
    pub(super) fn statement(self) -> Statement {
        let text = match self.backend {
            DbBackend::Postgres => numbered(&self.text),
            _ => self.text,
        };
        Statement::from_sql_and_values(self.backend, text, self.values)
    }

    /// Adds another statement with its values.
    pub(super) fn append(mut self, other: Self) -> Self {
        self.text.push_str(&other.text);
        self.values.extend(other.values);
        self
    }
}

fn numbered(text: &str) -> String {
    let mut numbered = String::with_capacity(text.len() * 2);
    for (index, words) in text.split(PLACE).enumerate() {
        if index > 0 {
            let _ = write!(numbered, "${index}");
        }
        numbered.push_str(words);
    }
    numbered
}

/// Rows for one table.
#[derive(Debug)]
pub(super) struct Insert {
    pub(super) table: &'static str,
    pub(super) columns: Columns,
    pub(super) rows: Vec<Vec<Value>>,
    /// ` ON CONFLICT …`, or nothing.
    pub(super) tail: &'static str,
}

impl Insert {
    fn sql(&self, backend: DbBackend) -> Sql {
        let names = names(self.columns);
        let head = format!("INSERT INTO {} ({names}) SELECT {names} FROM ", self.table);
        // Without a WHERE, SQLite takes the ON of ON CONFLICT for a join's.
        Sql::new(backend, &head)
            .rows(self.columns, &self.rows, "v")
            .add(" WHERE true")
            .add(self.tail)
    }
}

/// One call of the database for all of `inserts` that have rows; `None` where none has.
///
/// PostgreSQL takes many tables in one statement, `WITH w0 AS (first), w1 AS (second) third`; SQLite many statements in
/// one text.
pub(super) fn statement(inserts: &[Insert], backend: DbBackend) -> Option<Statement> {
    let mut parts: Vec<Sql> = inserts
        .iter()
        .filter(|insert| !insert.rows.is_empty())
        .map(|insert| insert.sql(backend))
        .collect();
    let last = parts.pop()?;
    let mut sql = Sql::new(backend, "");
    for (index, part) in parts.into_iter().enumerate() {
        sql = if backend == DbBackend::Postgres {
            let open = if index == 0 { "WITH w" } else { ", w" };
            sql.add(open).add(&format!("{index} AS (")).append(part).add(")")
        } else {
            sql.append(part).add("; ")
        };
    }
    let separator = if sql.text.ends_with(')') { " " } else { "" };
    Some(sql.add(separator).append(last).statement())
}

/// An array's text for PostgreSQL: `{a,NULL,"b c"}`.
fn array_text(values: impl Iterator<Item = Value>) -> String {
    let mut text = "{".to_owned();
    for value in values {
        if text.len() > 1 {
            text.push(',');
        }
        match value {
            Value::Bool(Some(it)) => text.push(if it { 't' } else { 'f' }),
            Value::String(Some(it)) => quoted(&mut text, &it, false),
            value => plain(&mut text, &value, "NULL"),
        }
    }
    text.push('}');
    text
}

/// An array's text for SQLite: ids in hexadecimal, decimals as text, truth as 1.
fn json_array(values: impl Iterator<Item = Value>) -> String {
    let mut text = "[".to_owned();
    for value in values {
        if text.len() > 1 {
            text.push(',');
        }
        match value {
            Value::Bool(Some(it)) => text.push(if it { '1' } else { '0' }),
            Value::String(Some(it)) => quoted(&mut text, &it, true),
            value => plain(&mut text, &value, "null"),
        }
    }
    text.push(']');
    text
}

/// Adds what arrays and JSON write alike. A time is written as its column has it on SQLite, where times are compared as
/// text.
fn plain(text: &mut String, value: &Value, null: &str) {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::BigInt(Some(it)) => write!(text, "{it}"),
        Value::Decimal(Some(it)) => write!(text, "\"{it}\""),
        Value::Uuid(Some(it)) => write!(text, "\"{}\"", it.simple()),
        Value::ChronoDateTimeUtc(Some(it)) => {
            write!(text, "\"{}\"", it.to_rfc3339_opts(SecondsFormat::AutoSi, false))
        }
        // The venue binds no other kinds: a value of one is refused by its column, which is not null, or is nothing.
        _ => write!(text, "{null}"),
    };
}

/// Adds text between quotes. Arrays take it as it is, JSON has no control characters.
fn quoted(text: &mut String, element: &str, is_json: bool) {
    text.push('"');
    for letter in element.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            // Writing to a String cannot fail.
            '\0'..='\x1f' if is_json => drop(write!(text, "\\u{:04x}", u32::from(letter))),
            _ => text.push(letter),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns = &[("a", Kind::BigInt), ("b", Kind::Text), ("c", Kind::Uuid)];

    fn row(number: i64) -> Vec<Value> {
        vec![
            number.into(),
            Value::String(None),
            Uuid::from_u128(u128::try_from(number).unwrap()).into(),
        ]
    }

    fn insert(table: &'static str, rows: i64) -> Insert {
        Insert {
            table,
            columns: COLUMNS,
            rows: (0..rows).map(row).collect(),
            tail: " ON CONFLICT DO NOTHING",
        }
    }

    fn bound(statement: &Statement) -> Vec<Value> {
        statement.values.clone().map_or_else(Vec::new, |values| values.0)
    }

    #[test]
    fn values_stand_in_the_order_in_which_they_are_bound() {
        let sql = |backend| {
            Sql::new(backend, "SELECT a FROM t WHERE b = ")
                .bind(1_i64)
                .add(" AND c")
                .any_of(&[Uuid::from_u128(1), Uuid::from_u128(2)])
                .locking("t")
                .statement()
        };
        let postgres = sql(DbBackend::Postgres);
        assert_eq!(
            postgres.sql,
            "SELECT a FROM t WHERE b = $1 AND c = ANY((SELECT $2::text::uuid[])::uuid[]) FOR NO KEY UPDATE OF t"
        );
        let sqlite = sql(DbBackend::Sqlite);
        assert_eq!(
            sqlite.sql,
            "SELECT a FROM t WHERE b = ? AND c IN (SELECT unhex(value) FROM json_each(?))"
        );
        let ids = "\"00000000000000000000000000000001\",\"00000000000000000000000000000002\"";
        assert_eq!(bound(&postgres), [1_i64.into(), format!("{{{ids}}}").into()]);
        assert_eq!(bound(&sqlite), [1_i64.into(), format!("[{ids}]").into()]);
    }

    #[test]
    fn many_tables_are_written_by_one_call_whose_text_does_not_grow_with_the_rows() {
        for (backend, text) in [
            (
                DbBackend::Postgres,
                "WITH w0 AS (INSERT INTO a (a, b, c) SELECT a, b, c FROM \
                 unnest($1::text::bigint[], $2::text::text[], $3::text::uuid[]) AS v(a, b, c) WHERE true \
                 ON CONFLICT DO NOTHING) INSERT INTO c (a, b, c) SELECT a, b, c FROM \
                 unnest($4::text::bigint[], $5::text::text[], $6::text::uuid[]) AS v(a, b, c) WHERE true \
                 ON CONFLICT DO NOTHING",
            ),
            (
                DbBackend::Sqlite,
                "INSERT INTO a (a, b, c) SELECT a, b, c FROM (SELECT value ->> 0 AS a, value ->> 1 AS b, \
                 unhex(value ->> 2) AS c FROM json_each(?)) AS v WHERE true ON CONFLICT DO NOTHING; \
                 INSERT INTO c (a, b, c) SELECT a, b, c FROM (SELECT value ->> 0 AS a, value ->> 1 AS b, \
                 unhex(value ->> 2) AS c FROM json_each(?)) AS v WHERE true ON CONFLICT DO NOTHING",
            ),
        ] {
            for rows in [1, 1_000] {
                let inserts = [insert("a", rows), insert("b", 0), insert("c", rows)];
                assert_eq!(statement(&inserts, backend).unwrap().sql, text);
            }
            assert!(statement(&[insert("a", 0)], backend).is_none());
        }
    }

    #[test]
    fn text_is_quoted_so_that_nothing_in_it_is_taken_for_more() {
        let values = || {
            [
                Value::from("a\"b\\c,}\n"),
                Value::String(None),
                Value::from("NULL"),
                Value::from(true),
                Value::Bool(None),
                Value::from(i64::MAX),
                Value::from(rust_decimal::Decimal::new(150, 2)),
            ]
            .into_iter()
        };
        assert_eq!(
            array_text(values()),
            "{\"a\\\"b\\\\c,}\n\",NULL,\"NULL\",t,NULL,9223372036854775807,\"1.50\"}"
        );
        assert_eq!(
            json_array(values()),
            "[\"a\\\"b\\\\c,}\\u000a\",null,\"NULL\",1,null,9223372036854775807,\"1.50\"]"
        );
    }
}
