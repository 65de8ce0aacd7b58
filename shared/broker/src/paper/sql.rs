//! SQL texts with their values, of the same words for PostgreSQL and SQLite.

use sea_orm::{DbBackend, Statement, Value};

/// The most rows of one statement: with the widest table, well below SQLite's 32 766 values.
pub(super) const ROWS_MAX: usize = 500;

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

    /// Adds a value's place.
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

    pub(super) fn on(self, backend: DbBackend) -> Statement {
        Statement::from_sql_and_values(backend, self.text, self.values)
    }

    fn push(&mut self, value: Value) {
        self.values.push(value);
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_in_the_order_in_which_they_are_bound() {
        let sql = Sql::new("SELECT a FROM t WHERE b = ")
            .bind(1_i64)
            .add(" AND c IN ")
            .list([Value::from(2_i64), Value::from(3_i64)])
            .locking("t", DbBackend::Postgres)
            .on(DbBackend::Postgres);
        assert_eq!(
            sql.sql,
            "SELECT a FROM t WHERE b = $1 AND c IN ($2, $3) FOR NO KEY UPDATE OF t"
        );
        assert_eq!(sql.values.map_or(0, |values| values.0.len()), 3);
    }

    #[test]
    fn an_empty_list_contains_nothing() {
        assert_eq!(
            Sql::new("x IN ").list([]).on(DbBackend::Sqlite).sql,
            "x IN (NULL)"
        );
    }
}
