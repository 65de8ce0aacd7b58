//! Many rows changed by one statement.

use std::fmt::Write;

use sea_orm::{ConnectionTrait, Statement, Value};

use crate::StoreError;

/// SQLite binds at most 32 766 values in one statement, PostgreSQL 65 535.
const VALUES_MAX: usize = 16_384;

/// Sets the columns `set` to the rows' values where the columns `keys` match. Each row holds the values of the keys,
/// then those to be set, in the order of the names. Answers how many rows were changed.
///
/// 1. A column has one variant of [`Value`] in all rows and in all calls for the same names: a `NULL` is the empty
///    variant of its column (`Value::Decimal(None)`), by which PostgreSQL learns its type.
/// 2. No two rows have equal keys.
/// 3. Rows are locked in no particular order: a caller that may meet another one holds the locks already.
pub async fn update_many<C: ConnectionTrait>(
    connection: &C,
    table: &str,
    keys: &[&str],
    set: &[&str],
    rows: Vec<Vec<Value>>,
) -> Result<u64, StoreError> {
    let width = keys.len() + set.len();
    let backend = connection.get_database_backend();
    let mut changed = 0;
    for chunk in rows.chunks((VALUES_MAX / width.max(1)).max(1)) {
        let height = chunk.len().next_power_of_two();
        let mut values: Vec<Value> = Vec::with_capacity(height * width);
        values.extend(chunk.iter().flatten().cloned());
        // Few texts, so that each is prepared once: the last row again changes nothing and is not counted twice.
        for _ in chunk.len()..height {
            values.extend(chunk.iter().next_back().into_iter().flatten().cloned());
        }
        let sql = statement(table, keys, set, height);
        let result = connection
            .execute_raw(Statement::from_sql_and_values(backend, sql, values))
            .await?;
        changed += result.rows_affected();
    }
    Ok(changed)
}

/// `UPDATE … FROM (VALUES …)`, in words that both databases understand: each calls the columns of VALUES `column1`
/// and so on, and takes `$1`.
fn statement(table: &str, keys: &[&str], set: &[&str], height: usize) -> String {
    let column = |(n, name): (usize, &&str), left: &str| format!("{left}\"{name}\" = v.column{}", n + 1);
    let matches: Vec<_> = keys.iter().enumerate().map(|key| column(key, "t.")).collect();
    let sets: Vec<_> = set
        .iter()
        .enumerate()
        .map(|(n, name)| column((n + keys.len(), name), ""))
        .collect();
    let mut sql = format!("UPDATE \"{table}\" AS t SET {} FROM (VALUES ", sets.join(", "));
    let width = keys.len() + set.len();
    for row in 0..height {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for place in 0..width {
            let comma = if place == 0 { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(sql, "{comma}${}", row * width + place + 1);
        }
        sql.push(')');
    }
    let _ = write!(sql, ") AS v WHERE {}", matches.join(" AND "));
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_names_keys_before_values() {
        assert_eq!(
            statement("positions", &["account_id", "asset_id"], &["quantity"], 2),
            "UPDATE \"positions\" AS t SET \"quantity\" = v.column3 FROM (VALUES ($1, $2, $3), ($4, $5, $6)) AS v \
             WHERE t.\"account_id\" = v.column1 AND t.\"asset_id\" = v.column2"
        );
    }
}
