use rust_decimal::Decimal;

use super::*;

fn rows() -> Rows {
    let row = |name: Option<&str>, price| {
        vec![
            Value::from(uuid::Uuid::nil()),
            Value::String(name.map(Into::into)),
            Value::Decimal(price),
        ]
    };
    let rows = vec![
        row(Some("a\"b\\c,}"), None),
        row(None, Some(Decimal::new(150, 2))),
    ];
    Rows::new(&["id", "name", "price"], rows)
}

#[test]
fn postgres_gets_an_array_for_each_column() {
    let (sql, values) = rows().source(DbBackend::Postgres, "v", 2);
    assert_eq!(
        sql,
        "unnest($2::text::uuid[], $3::text::text[], $4::text::numeric[]) AS v(\"id\", \"name\", \"price\")"
    );
    let nil = uuid::Uuid::nil();
    let expected = [
        format!("{{{nil},{nil}}}"),
        r#"{"a\"b\\c,}",NULL}"#.to_owned(),
        "{NULL,1.50}".to_owned(),
    ];
    assert_eq!(values, expected.map(Value::from));
}

#[test]
fn sqlite_gets_one_document() {
    let (sql, values) = rows().source(DbBackend::Sqlite, "v", 1);
    assert_eq!(
        sql,
        "(WITH d AS MATERIALIZED (SELECT value AS row FROM json_each($1)) SELECT unhex(row ->> 0) AS \"id\", row ->> 1 AS \"name\", row ->> 2 AS \"price\" \
         FROM d) AS v"
    );
    let nil = uuid::Uuid::nil().simple();
    let document = format!(r#"[["{nil}","a\"b\\c,}}",null],["{nil}",null,"1.50"]]"#);
    assert_eq!(values, [Value::from(document)]);
}

#[test]
fn the_texts_of_statements_do_not_depend_on_the_number_of_rows() {
    let one = Rows {
        rows: rows().rows[..1].to_vec(),
        ..rows()
    };
    let upsert = Upsert {
        keys: &["id"],
        set: &["name", "price"],
    };
    for backend in [DbBackend::Postgres, DbBackend::Sqlite] {
        let text = |rows: &Rows| insert_statement("t", rows, Some(upsert), backend, 1).0;
        assert_eq!(text(&one), text(&rows()));
        let text = |rows: &Rows| update_statement("t", &["id"], &["name"], rows, backend, 1).0;
        assert_eq!(text(&one), text(&rows()));
    }
    let (sql, _) = insert_statement("t", &one, Some(upsert), DbBackend::Postgres, 1);
    assert!(
        sql.ends_with(
            "WHERE true ON CONFLICT (\"id\") DO UPDATE SET \"name\" = excluded.\"name\", \
             \"price\" = excluded.\"price\""
        ),
        "{sql}"
    );
}

#[test]
fn many_rows_go_in_parts_and_none_is_lost() {
    let row = |n: i32| vec![Value::from(n)];
    let rows = Rows::new(&["n"], (0..25_000).map(row).collect());
    let parts: Vec<Rows> = rows.parts().collect();
    assert_eq!(
        parts.iter().map(|part| part.rows.len()).collect::<Vec<_>>(),
        [10_000, 10_000, 5_000]
    );
    let all: Vec<_> = parts.into_iter().flat_map(|part| part.rows).collect();
    assert_eq!(all, (0..25_000).map(row).collect::<Vec<_>>());
}

#[test]
fn the_changes_of_several_tables_are_one_statement_where_the_database_takes_them_so() {
    let row = |n: i32, name: &str| vec![Value::from(n), Value::from(name)];
    let written = |backend| {
        let mut writes = Writes::new(backend);
        writes.update("a", &["id"], &["name"], vec![row(1, "x"), row(2, "y")]);
        writes.update("none", &["id"], &["name"], Vec::new());
        writes.delete("b", &["id"], vec![row(3, "z")]);
        writes.statements()
    };
    let [(sql, values)] = &written(DbBackend::Postgres)[..] else {
        panic!("one statement")
    };
    assert_eq!(
        sql,
        "WITH w0 AS (UPDATE \"a\" AS t SET \"name\" = v.\"name\" \
         FROM unnest($1::text::integer[], $2::text::text[]) AS v(\"id\", \"name\") WHERE t.\"id\" = v.\"id\") \
         DELETE FROM \"b\" WHERE (\"id\") IN \
         (SELECT \"id\" FROM unnest($3::text::integer[]) AS v(\"id\"))"
    );
    let expected = ["{1,2}", "{\"x\",\"y\"}", "{3}"];
    assert_eq!(values[..], expected.map(Value::from));
    let apart = written(DbBackend::Sqlite);
    assert_eq!(apart.len(), 2);
    assert!(
        apart
            .iter()
            .all(|(sql, values)| sql.contains("$1") && values.len() == 1)
    );
}
