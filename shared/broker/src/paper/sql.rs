//! SQL texts with their values, of the same words for PostgreSQL and SQLite.

use sea_orm::{DbBackend, Statement, Value};

/// The most rows of one table in one statement: with the widest table, well below SQLite's 32 766 values.
const ROWS_MAX: usize = 500;

/// The most values of one statement on PostgreSQL, which allows 65 535.
const VALUES_MAX: usize = 30_000;

/// The place of a value, while a statement grows; no word of ours contains it.
const PLACE: char = '?';

/// A statement that grows with the values bound to it.
#[derive(Debug, Default)]
pub(super) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(super) fn new(text: &str) -> Self {
        Self {
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
        self.push(value.into());
        self
    }

    /// Adds `(value, value, …)`.
    pub(super) fn list(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        let mut open = "(";
        for value in values {
            self.text.push_str(open);
            self.push(value);
            open = ", ";
        }
        // An empty list is no SQL, and nothing is in it.
        self.text.push_str(if open == "(" { "(NULL)" } else { ")" });
        self
    }

    /// Adds `(…), (…), …`, one pair of brackets a row.
    pub(super) fn rows(mut self, rows: impl IntoIterator<Item = Vec<Value>>) -> Self {
        for (index, row) in rows.into_iter().enumerate() {
            if index > 0 {
                self.text.push_str(", ");
            }
            self = self.list(row);
        }
        self
    }

    /// Adds the words that lock the rows of `of` which were read, where the database knows row locks; SQLite has one
    /// writer.
    pub(super) fn locking(self, of: &str, backend: DbBackend) -> Self {
        match backend {
            DbBackend::Postgres => self.add(" FOR NO KEY UPDATE OF ").add(of),
            _ => self,
        }
    }

    /// The statement for a database: PostgreSQL numbers the places; SQLite, which looks for a number among all others,
    /// counts them.
    pub(super) fn on(self, backend: DbBackend) -> Statement {
        let text = match backend {
            DbBackend::Postgres => numbered(&self.text),
            _ => self.text,
        };
        Statement::from_sql_and_values(backend, text, self.values)
    }

    fn push(&mut self, value: Value) {
        self.values.push(value);
        self.text.push(PLACE);
    }

    /// Adds another statement with its values.
    fn append(mut self, other: Self) -> Self {
        self.text.push_str(&other.text);
        self.values.extend(other.values);
        self
    }
}

fn numbered(text: &str) -> String {
    let mut numbered = String::with_capacity(text.len() * 2);
    for (index, words) in text.split(PLACE).enumerate() {
        if index > 0 {
            numbered.push('$');
            numbered.push_str(&index.to_string());
        }
        numbered.push_str(words);
    }
    numbered
}

/// Rows for one table.
#[derive(Debug)]
pub(super) struct Insert {
    /// `INSERT INTO … VALUES `.
    pub(super) head: String,
    pub(super) rows: Vec<Vec<Value>>,
    /// ` ON CONFLICT …`, or nothing.
    pub(super) tail: &'static str,
}

/// As few statements as the size of `inserts` allows: PostgreSQL takes many tables in one, SQLite one at a time.
pub(super) fn statements(inserts: Vec<Insert>, backend: DbBackend) -> Vec<Statement> {
    let mut parts = Vec::new();
    for Insert { head, rows, tail } in inserts {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            parts.push(Sql::new(&head).rows(rows.by_ref().take(ROWS_MAX)).add(tail));
        }
    }
    if backend == DbBackend::Postgres {
        parts = joined(parts);
    }
    parts.into_iter().map(|part| part.on(backend)).collect()
}

/// `WITH w0 AS (first), w1 AS (second) third`: one round trip instead of three.
fn joined(parts: Vec<Sql>) -> Vec<Sql> {
    let mut groups: Vec<Vec<Sql>> = Vec::new();
    let mut values = 0;
    for part in parts {
        values += part.values.len();
        match groups.last_mut() {
            Some(group) if values <= VALUES_MAX => group.push(part),
            _ => {
                values = part.values.len();
                groups.push(vec![part]);
            }
        }
    }
    groups.into_iter().filter_map(with_queries).collect()
}

fn with_queries(mut group: Vec<Sql>) -> Option<Sql> {
    let last = group.pop()?;
    let mut sql = Sql::default();
    for (index, part) in group.into_iter().enumerate() {
        let open = if index == 0 {
            "WITH w0 AS (".to_owned()
        } else {
            format!(", w{index} AS (")
        };
        sql = sql.add(&open).append(part).add(")");
    }
    let separator = if sql.text.is_empty() { "" } else { " " };
    Some(sql.add(separator).append(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(table: &str, rows: i64) -> Insert {
        Insert {
            head: format!("INSERT INTO {table} VALUES "),
            rows: (0..rows)
                .map(|row| vec![Value::from(row), Value::from(row)])
                .collect(),
            tail: " ON CONFLICT DO NOTHING",
        }
    }

    #[test]
    fn values_stand_in_the_order_in_which_they_are_bound() {
        let sql = || {
            Sql::new("SELECT a FROM t WHERE b = ")
                .bind(1_i64)
                .add(" AND c IN ")
                .list([Value::from(2_i64), Value::from(3_i64)])
        };
        let postgres = sql().locking("t", DbBackend::Postgres).on(DbBackend::Postgres);
        assert_eq!(
            postgres.sql,
            "SELECT a FROM t WHERE b = $1 AND c IN ($2, $3) FOR NO KEY UPDATE OF t"
        );
        let sqlite = sql().locking("t", DbBackend::Sqlite).on(DbBackend::Sqlite);
        assert_eq!(sqlite.sql, "SELECT a FROM t WHERE b = ? AND c IN (?, ?)");
        assert_eq!(sqlite.values, postgres.values);
        assert_eq!(sqlite.values.map_or(0, |values| values.0.len()), 3);
    }

    #[test]
    fn an_empty_list_contains_nothing() {
        assert_eq!(
            Sql::new("x IN ").list([]).on(DbBackend::Sqlite).sql,
            "x IN (NULL)"
        );
    }

    #[test]
    fn postgres_writes_many_tables_at_once() {
        let written = statements(
            vec![insert("a", 1), insert("b", 0), insert("c", 2)],
            DbBackend::Postgres,
        );
        let texts: Vec<_> = written.iter().map(|statement| statement.sql.as_str()).collect();
        assert_eq!(
            texts,
            [
                "WITH w0 AS (INSERT INTO a VALUES ($1, $2) ON CONFLICT DO NOTHING) \
              INSERT INTO c VALUES ($3, $4), ($5, $6) ON CONFLICT DO NOTHING"
            ]
        );
        let written = statements(vec![insert("a", 1), insert("c", 2)], DbBackend::Sqlite);
        assert_eq!(written.len(), 2);
        assert!(statements(vec![insert("a", 0)], DbBackend::Postgres).is_empty());
    }

    #[test]
    fn no_statement_grows_beyond_what_a_database_takes() {
        for (backend, most) in [
            (DbBackend::Postgres, VALUES_MAX),
            (DbBackend::Sqlite, 2 * ROWS_MAX),
        ] {
            let written = statements(vec![insert("a", 40_000), insert("b", 1)], backend);
            let sizes: Vec<_> = written
                .iter()
                .map(|statement| statement.values.as_ref().map_or(0, |values| values.0.len()))
                .collect();
            assert!(sizes.iter().all(|size| *size <= most), "{sizes:?}");
            assert_eq!(sizes.iter().sum::<usize>(), 80_002);
        }
    }
}
