use std::time::Duration;

use sea_orm::ConnectionTrait as _;

use super::*;
use crate::testing::TestStore;

const READ: &str = "SELECT value FROM work_fences WHERE id = 1";
const WRITE: &str = "UPDATE work_fences SET value = value + 1 WHERE id = 1";

fn script(statements: &[&str]) -> Script {
    let mut script = Script::default();
    for statement in statements {
        script.add(statement);
    }
    script
}

async fn fence(store: &Store) -> i64 {
    let row = store
        .read()
        .query_one_raw(sea_orm::Statement::from_string(DbBackend::Sqlite, READ))
        .await
        .unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

/// Runs `statements` after [`READ`].
async fn run(store: &Store, statements: &[&str]) -> Result<bool, StoreError> {
    store
        .in_two_steps("probe", script(&[READ]), |_| Ok(Some(script(statements))))
        .await
}

/// Whether the store can write, here and from another process: nothing holds the write lock.
async fn assert_nothing_is_open(test: &TestStore) {
    let before = fence(test.store()).await;
    let options = crate::StoreOptions {
        lock_timeout: Duration::from_millis(500),
        ..test.options().clone()
    };
    let second = Store::connect(&options).await.unwrap();
    assert!(run(&second, &[WRITE]).await.unwrap());
    assert!(run(test.store(), &[WRITE]).await.unwrap());
    test.store()
        .transaction("probe", async |tx| Ok(tx.execute_unprepared(WRITE).await?))
        .await
        .unwrap();
    assert_eq!(fence(test.store()).await, before + 3);
}

#[tokio::test]
async fn what_was_read_decides_what_is_written_and_both_are_counted() {
    let test = TestStore::sqlite().await;
    let (before, sent) = (fence(test.store()).await, test.statement_count());
    let written = test
        .in_two_steps("probe", script(&[READ, READ]), |found| {
            let values: Vec<i64> = found.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
            assert_eq!(values, [before, before]);
            Ok(Some(script(&[WRITE, WRITE])))
        })
        .await;
    assert!(written.unwrap());
    assert_eq!(test.statement_count(), sent + 2);
    assert_eq!(test.transaction_stats()["probe"].committed, 1);
    assert_eq!(fence(test.store()).await, before + 2);
    assert_nothing_is_open(&test).await;
}

#[tokio::test]
async fn nothing_is_written_and_nothing_stays_open_where_nothing_is_wanted() {
    let test = TestStore::sqlite().await;
    let before = fence(test.store()).await;
    let nothing = test.in_two_steps("probe", script(&[READ]), |_| Ok(None));
    assert!(!nothing.await.unwrap());
    let refused = test.in_two_steps("probe", script(&[READ]), |_| {
        Err(StoreError::NotFound { table: "probe" })
    });
    assert!(matches!(refused.await, Err(StoreError::NotFound { .. })));
    assert_eq!(fence(test.store()).await, before);
    assert_nothing_is_open(&test).await;
}

#[tokio::test]
async fn a_statement_that_fails_undoes_those_before_it() {
    let test = TestStore::sqlite().await;
    let before = fence(test.store()).await;
    let twice = "INSERT INTO work_fences (id, value) VALUES (1, 7)";
    let error = run(test.store(), &[WRITE, twice, WRITE]).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error:?}");
    let error = run(test.store(), &[WRITE, "SELECT nothing FROM nowhere"])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Database(_)), "{error:?}");
    let unread = test.in_two_steps("probe", script(&["SELECT nothing"]), |_| Ok(None));
    assert!(matches!(unread.await, Err(StoreError::Database(_))));
    assert_eq!(fence(test.store()).await, before);
    assert_eq!(test.transaction_stats()["probe"].failed, 3);
    assert_nothing_is_open(&test).await;
}

#[tokio::test]
async fn who_stops_before_the_commit_leaves_nothing() {
    let test = TestStore::sqlite().await;
    let before = fence(test.store()).await;
    let read = script(&[READ]).query("BEGIN IMMEDIATE;\n", "").unwrap();
    let (mut begun, _) = test.begin_with(read).await.unwrap();
    begun
        .run(script(&[WRITE, WRITE]).query("", "").unwrap())
        .await
        .unwrap();
    drop(begun);
    assert_nothing_is_open(&test).await;
    assert_eq!(fence(test.store()).await, before + 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_goes_away_at_any_moment_leaves_all_or_nothing() {
    let test = TestStore::sqlite().await;
    // Long enough to be met in the middle.
    let slow = "SELECT count(*) FROM (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000) SELECT x FROM n)";
    let mut last = fence(test.store()).await;
    for wait in 0..20 {
        let store = test.store().clone();
        let task = tokio::spawn(async move { run(&store, &[WRITE, slow, WRITE]).await });
        tokio::time::sleep(Duration::from_millis(wait)).await;
        task.abort();
        let _ = task.await;
        // Waits for the one connection, thus for the end of what was begun.
        assert!(run(test.store(), &[WRITE]).await.unwrap());
        let now = fence(test.store()).await;
        assert!(
            matches!(now - last, 1 | 3),
            "half of a transaction was kept: {}",
            now - last
        );
        last = now;
    }
    assert_nothing_is_open(&test).await;
}

#[tokio::test]
async fn a_text_is_prepared_once_and_not_for_each_number_of_rows() {
    let test = TestStore::sqlite().await;
    let script_of = |rows: usize| {
        let rows = vec![vec![Value::from(1_i64)]; rows];
        let mut script = Script::default();
        let source = script.source("v", &Rows::typed(&[("n", "bigint")], rows));
        script.add(&format!("SELECT n FROM {source}"));
        script.sql
    };
    assert_eq!(script_of(0), script_of(64));
    let cached = async || {
        use sea_orm::sqlx::Connection as _;
        let pool = test.write().get_sqlite_connection_pool();
        pool.acquire().await.unwrap().cached_statements_size()
    };
    run(test.store(), &[WRITE]).await.unwrap();
    let once = cached().await;
    for _ in 0..3 {
        run(test.store(), &[WRITE]).await.unwrap();
    }
    assert_eq!(cached().await, once);
    assert!(once >= 2, "both texts are kept: {once}");
}
