//! Many rows in one statement whose text does not depend on how many there are, so that it is prepared once.
//!
//! PostgreSQL gets one array for each column, SQLite one JSON document. Both are bound as text: a bound array cannot
//! hold a NULL, and an array's text is as exact as the numbers in it.

mod text;

use std::fmt::Write;

use sea_orm::sea_query::{ColumnType, Expr, SimpleExpr};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DbBackend, EntityName, EntityTrait, Iden,
    Iterable, Statement, Value,
};

pub(crate) use self::text::array_text;
use self::text::{column_type, document_text, list_text, postgres_type};
use crate::StoreError;

/// Rows of one statement: enough to make its fixed cost small, few enough for a message of moderate size.
const ROWS_MAX: usize = 10_000;

/// Rows by their columns.
///
/// A column has one variant of [`Value`] in all rows: a `NULL` is the empty variant (`Value::Decimal(None)`), by which
/// the databases learn the type.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    /// The name of its type on PostgreSQL.
    kind: &'static str,
}

impl Rows {
    /// Rows of `names`' columns; there is at least one, which tells the types.
    pub(crate) fn new(names: &[&str], rows: Vec<Vec<Value>>) -> Self {
        let kind = |place: usize| {
            rows.first()
                .and_then(|row| row.get(place))
                .map_or("text", postgres_type)
        };
        let typed: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(place, name)| (*name, kind(place)))
            .collect();
        Self::typed(&typed, rows)
    }

    /// Rows, or none, of columns of these types on PostgreSQL.
    pub(crate) fn typed(columns: &[(&str, &'static str)], rows: Vec<Vec<Value>>) -> Self {
        let column = |(name, kind): &(&str, &'static str)| Column {
            name: (*name).to_owned(),
            kind,
        };
        Self {
            columns: columns.iter().map(column).collect(),
            rows,
        }
    }

    /// The rows of an entity, or none, with every column.
    pub(crate) fn of<A: ActiveModelTrait>(models: Vec<A>) -> Self {
        let columns: Vec<_> = <A::Entity as EntityTrait>::Column::iter().collect();
        let rows = models.into_iter().map(|mut model| {
            let value = |column: &<A::Entity as EntityTrait>::Column| match model.take(*column) {
                ActiveValue::Set(value) | ActiveValue::Unchanged(value) => value,
                ActiveValue::NotSet => Value::String(None),
            };
            columns.iter().map(value).collect()
        });
        let rows = rows.collect();
        let column = |column: &<A::Entity as EntityTrait>::Column| Column {
            name: column.unquoted().to_string(),
            kind: column_type(column.def().get_column_type()),
        };
        Self {
            columns: columns.iter().map(column).collect(),
            rows,
        }
    }

    /// The rows in parts that are each small enough for one statement.
    fn parts(self) -> impl Iterator<Item = Self> {
        let Self { columns, mut rows } = self;
        std::iter::from_fn(move || {
            if rows.is_empty() {
                return None;
            }
            let rest = rows.split_off(rows.len().min(ROWS_MAX));
            let part = std::mem::replace(&mut rows, rest);
            Some(Self {
                columns: columns.clone(),
                rows: part,
            })
        })
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The names of the columns, as SQL lists them.
    pub(crate) fn names(&self) -> String {
        let quoted: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("\"{}\"", column.name))
            .collect();
        quoted.join(", ")
    }

    /// What stands after FROM for these rows under the name `alias`, and what it binds from `$first` on.
    pub(crate) fn source(&self, backend: DbBackend, alias: &str, first: usize) -> (String, Vec<Value>) {
        if backend == DbBackend::Postgres {
            self.arrays(alias, first)
        } else {
            self.document(alias, first)
        }
    }

    fn arrays(&self, alias: &str, first: usize) -> (String, Vec<Value>) {
        let mut sql = "unnest(".to_owned();
        let mut values = Vec::with_capacity(self.columns.len());
        for (place, Column { kind, .. }) in self.columns.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(sql, "{comma}${}::text::{kind}[]", first + place);
            let column = self.rows.iter().filter_map(|row| row.get(place));
            values.push(Value::from(array_text(column)));
        }
        let _ = write!(sql, ") AS {alias}({})", self.names());
        (sql, values)
    }

    fn document(&self, alias: &str, first: usize) -> (String, Vec<Value>) {
        // Without the inner step SQLite would write a row's text anew for each of its columns.
        let mut sql =
            format!("(WITH d AS MATERIALIZED (SELECT value AS row FROM json_each(${first})) SELECT ");
        for (place, Column { name, kind }) in self.columns.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let _ = if matches!(*kind, "uuid" | "bytea") {
                write!(sql, "{comma}unhex(row ->> {place}) AS \"{name}\"")
            } else {
                write!(sql, "{comma}row ->> {place} AS \"{name}\"")
            };
        }
        let _ = write!(sql, " FROM d) AS {alias}");
        (sql, vec![Value::from(document_text(&self.rows))])
    }
}

/// What an insert does with a row whose key is there already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upsert<'a> {
    /// The key.
    pub keys: &'a [&'a str],
    /// The columns that take the new values.
    pub set: &'a [&'a str],
}

/// Changes of several tables that go to the database together.
///
/// 1. On PostgreSQL they are one statement, so many tables cost one round trip. Its parts run in no particular order and
///    see nothing of each other: no two of them may touch the same row.
/// 2. On SQLite, where a statement costs no round trip, they run one after the other.
/// 3. Rows are locked in no particular order: a caller that may meet another one holds the locks already.
#[derive(Debug)]
pub(crate) struct Writes {
    backend: DbBackend,
    parts: Vec<(String, Vec<Value>)>,
    /// What the parts bind together.
    bound: usize,
}

impl Writes {
    /// Nothing to write yet.
    pub(crate) const fn new(backend: DbBackend) -> Self {
        Self {
            backend,
            parts: Vec::new(),
            bound: 0,
        }
    }

    /// The place of the first value that the next part binds.
    const fn first(&self) -> usize {
        match self.backend {
            DbBackend::Postgres => self.bound + 1,
            _ => 1,
        }
    }

    fn push(&mut self, (sql, values): (String, Vec<Value>)) {
        self.bound += values.len();
        self.parts.push((sql, values));
    }

    /// Inserts `models`; those that are there already are changed as `upsert` says, or fail the statement.
    pub(crate) fn insert<A: ActiveModelTrait>(&mut self, models: Vec<A>, upsert: Option<Upsert<'_>>) {
        let table = A::Entity::default();
        for part in Rows::of(models).parts() {
            self.push(insert_statement(
                table.table_name(),
                &part,
                upsert,
                self.backend,
                self.first(),
            ));
        }
    }

    /// Sets the columns `set` to the rows' values where the columns `keys` match. Each row holds the values of the keys,
    /// then those to be set, in the order of the names; no two rows have equal keys.
    pub(crate) fn update(&mut self, table: &str, keys: &[&str], set: &[&str], rows: Vec<Vec<Value>>) {
        let names: Vec<&str> = keys.iter().chain(set).copied().collect();
        for part in Rows::new(&names, rows).parts() {
            self.push(update_statement(
                table,
                keys,
                set,
                &part,
                self.backend,
                self.first(),
            ));
        }
    }

    /// Deletes the rows whose columns `keys` have the values of one of `rows`.
    pub(crate) fn delete(&mut self, table: &str, keys: &[&str], rows: Vec<Vec<Value>>) {
        for part in Rows::new(keys, rows).parts() {
            let (source, values) = part.source(self.backend, "v", self.first());
            let columns = part.names();
            let sql =
                format!("DELETE FROM \"{table}\" WHERE ({columns}) IN (SELECT {columns} FROM {source})");
            self.push((sql, values));
        }
    }

    /// Writes everything.
    pub(crate) async fn run(self, connection: &impl ConnectionTrait) -> Result<(), StoreError> {
        let backend = self.backend;
        for (sql, values) in self.statements() {
            connection
                .execute_raw(Statement::from_sql_and_values(backend, sql, values))
                .await?;
        }
        Ok(())
    }

    fn statements(self) -> Vec<(String, Vec<Value>)> {
        if self.backend != DbBackend::Postgres || self.parts.len() < 2 {
            return self.parts;
        }
        let (mut texts, mut values) = (Vec::new(), Vec::with_capacity(self.bound));
        for (text, mut bound) in self.parts {
            texts.push(text);
            values.append(&mut bound);
        }
        let last = texts.pop().unwrap_or_default();
        let named = texts.iter().enumerate();
        let named: Vec<String> = named.map(|(n, text)| format!("w{n} AS ({text})")).collect();
        vec![(format!("WITH {} {last}", named.join(", ")), values)]
    }
}

/// [`Writes::insert`] alone.
pub(crate) async fn insert<A: ActiveModelTrait>(
    connection: &impl ConnectionTrait,
    models: Vec<A>,
    upsert: Option<Upsert<'_>>,
) -> Result<(), StoreError> {
    let mut writes = Writes::new(connection.get_database_backend());
    writes.insert(models, upsert);
    writes.run(connection).await
}

/// `INSERT … SELECT … FROM` the rows, and what it binds from `$first` on.
pub(crate) fn insert_statement(
    table: &str,
    rows: &Rows,
    upsert: Option<Upsert<'_>>,
    backend: DbBackend,
    first: usize,
) -> (String, Vec<Value>) {
    let (source, values) = rows.source(backend, "v", first);
    let columns = rows.names();
    // Without a WHERE, SQLite takes the ON of ON CONFLICT for a join's.
    let mut sql = format!("INSERT INTO \"{table}\" ({columns}) SELECT {columns} FROM {source} WHERE true");
    if let Some(upsert) = upsert {
        let sets: Vec<String> = upsert
            .set
            .iter()
            .map(|name| format!("\"{name}\" = excluded.\"{name}\""))
            .collect();
        let _ = write!(sql, " ON CONFLICT (\"{}\")", upsert.keys.join("\", \""));
        let _ = write!(sql, " DO UPDATE SET {}", sets.join(", "));
    }
    (sql, values)
}

/// [`Writes::update`] alone. Answers how many rows were changed.
pub async fn update_many(
    connection: &impl ConnectionTrait,
    table: &str,
    keys: &[&str],
    set: &[&str],
    rows: Vec<Vec<Value>>,
) -> Result<u64, StoreError> {
    let backend = connection.get_database_backend();
    let names: Vec<&str> = keys.iter().chain(set).copied().collect();
    let mut changed = 0;
    for part in Rows::new(&names, rows).parts() {
        let (sql, values) = update_statement(table, keys, set, &part, backend, 1);
        let result = connection
            .execute_raw(Statement::from_sql_and_values(backend, sql, values))
            .await?;
        changed += result.rows_affected();
    }
    Ok(changed)
}

/// Whether `column`, of ids or of text, has one of `values`: in a text that does not depend on how many there are.
pub(crate) fn is_among<V: Into<Value>>(
    connection: &impl ConnectionTrait,
    column: impl ColumnTrait,
    values: impl IntoIterator<Item = V>,
) -> SimpleExpr {
    let values: Vec<Value> = values.into_iter().map(Into::into).collect();
    let name = column.unquoted();
    let is_id = *column.def().get_column_type() == ColumnType::Uuid;
    if connection.get_database_backend() == DbBackend::Postgres {
        let kind = if is_id { "uuid" } else { "text" };
        // Behind a SELECT the array is read once; as a cast alone, it would be read again for each row that is filtered.
        let sql = format!("\"{name}\" = ANY((SELECT $1::text::{kind}[])::{kind}[])");
        return Expr::cust_with_values(sql, [array_text(values.iter())]);
    }
    let value = if is_id { "unhex(value)" } else { "value" };
    let sql = format!("\"{name}\" IN (SELECT {value} FROM json_each(?))");
    Expr::cust_with_values(sql, [list_text(values.iter())])
}

/// The rows of `table` whose columns `keys`, which have an index, have the values of one of `rows`; each at most once.
pub(crate) fn among_statement(
    backend: DbBackend,
    table: &str,
    keys: &[&str],
    rows: Vec<Vec<Value>>,
) -> Statement {
    let (source, values) = Rows::new(keys, rows).source(backend, "v", 1);
    let matches: Vec<String> = keys.iter().map(|key| format!("t.{key} = v.{key}")).collect();
    let matches = matches.join(" AND ");
    let sql = if backend == DbBackend::Postgres {
        // With an OFFSET, each key is looked up by the index, however small the table was when this was planned.
        format!(
            "SELECT t.* FROM {source} CROSS JOIN LATERAL (SELECT * FROM {table} AS t WHERE {matches} OFFSET 0) AS t"
        )
    } else {
        format!("SELECT t.* FROM {source} CROSS JOIN {table} AS t WHERE {matches}")
    };
    Statement::from_sql_and_values(backend, sql, values)
}

fn update_statement(
    table: &str,
    keys: &[&str],
    set: &[&str],
    rows: &Rows,
    backend: DbBackend,
    first: usize,
) -> (String, Vec<Value>) {
    let (source, values) = rows.source(backend, "v", first);
    let sets: Vec<String> = set
        .iter()
        .map(|name| format!("\"{name}\" = v.\"{name}\""))
        .collect();
    let matches: Vec<String> = keys
        .iter()
        .map(|name| format!("t.\"{name}\" = v.\"{name}\""))
        .collect();
    let sql = format!(
        "UPDATE \"{table}\" AS t SET {} FROM {source} WHERE {}",
        sets.join(", "),
        matches.join(" AND ")
    );
    (sql, values)
}

#[cfg(test)]
mod tests;
