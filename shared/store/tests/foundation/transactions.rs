//! Transactions: all or nothing, alone on SQLite, tried again on PostgreSQL, and honest about a lost COMMIT.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter, Statement,
};
use store::entity::users;
use store::testing::{TestStore, now};
use store::users::Role;
use store::{Store, StoreError, StoreOptions};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Barrier;

async fn count(store: &Store) -> usize {
    users::Entity::find().all(store.read()).await.unwrap().len()
}

async fn add_to(tx: &DatabaseTransaction, email: &str) -> Result<(), StoreError> {
    let sql = "UPDATE users SET password_hash = COALESCE(password_hash, '') || 'x' WHERE email = $1";
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, [email.into()]);
    tx.execute_raw(statement).await?;
    Ok(())
}

async fn marks(store: &Store, email: &str) -> usize {
    let row = users::Entity::find()
        .filter(users::Column::Email.eq(email))
        .one(store.read())
        .await
        .unwrap();
    row.unwrap().password_hash.unwrap_or_default().len()
}

store::testing::on_both! {
    async fn a_body_that_fails_leaves_nothing_and_its_error_is_answered(test: TestStore) {
        test.create_user("a@example.com", Role::Standard, now()).await.unwrap();
        let failed: Result<(), StoreError> = test
            .transaction("probe", async |tx| {
                add_to(&tx, "a@example.com").await?;
                Err(StoreError::Stale { what: "probe" })
            })
            .await;
        assert!(matches!(failed, Err(StoreError::Stale { what: "probe" })));
        assert_eq!(marks(test, "a@example.com").await, 0);
        let stats = test.transaction_stats()["probe"];
        assert_eq!((stats.committed, stats.failed, stats.retried), (0, 1, 0));
    }

    async fn a_taken_key_is_a_conflict_and_the_connection_goes_on(test: TestStore) {
        test.create_user("a@example.com", Role::Standard, now()).await.unwrap();
        let again = test.create_user(" A@Example.com ", Role::Admin, now()).await;
        assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
        test.create_user("b@example.com", Role::Standard, now()).await.unwrap();
        assert_eq!(count(test).await, 2);
    }

    async fn transactions_at_once_lose_no_update(test: TestStore) {
        test.create_user("a@example.com", Role::Standard, now()).await.unwrap();
        let other = test.second().await;
        let tasks: Vec<_> = (0..24)
            .map(|n| {
                let store = if n % 2 == 0 { test.store().clone() } else { other.clone() };
                tokio::spawn(async move {
                    store.transaction("add", async |tx| add_to(&tx, "a@example.com").await).await
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(marks(test, "a@example.com").await, 24);
    }

    async fn readers_do_not_wait_for_a_writer_and_see_the_last_commit(test: TestStore) {
        test.create_user("a@example.com", Role::Standard, now()).await.unwrap();
        test.transaction("probe", async |tx| {
            add_to(&tx, "a@example.com").await?;
            assert_eq!(marks(test, "a@example.com").await, 0);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(marks(test, "a@example.com").await, 1);
    }

    async fn a_body_that_is_dropped_half_way_leaves_nothing(test: TestStore) {
        test.create_user("a@example.com", Role::Standard, now()).await.unwrap();
        let store = test.store().clone();
        let reached = std::sync::Arc::new(tokio::sync::Notify::new());
        let inside = std::sync::Arc::clone(&reached);
        let task = tokio::spawn(async move {
            store
                .transaction("probe", async |tx| {
                    add_to(&tx, "a@example.com").await?;
                    inside.notify_one();
                    std::future::pending::<()>().await;
                    Ok(())
                })
                .await
        });
        reached.notified().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        // Its locks are gone, too.
        test.transaction("after", async |tx| add_to(&tx, "a@example.com").await).await.unwrap();
        assert_eq!(marks(test, "a@example.com").await, 1);
    }

    async fn statements_are_counted_by_store(test: TestStore) {
        let before = test.statement_count();
        assert_eq!(count(test).await, 0);
        test.transaction("probe", async |tx| {
            add_to(&tx, "nobody@example.com").await?;
            add_to(&tx, "nobody@example.com").await
        })
        .await
        .unwrap();
        assert_eq!(test.statement_count() - before, 3);
    }

    async fn time_and_fences_only_go_forwards(test: TestStore) {
        let mut seen = Vec::new();
        for run in 0..6 {
            let result: Result<(), StoreError> = test
                .transaction("probe", async |tx| {
                    let now = test.db_now(&tx).await?;
                    assert_eq!(now.timestamp_subsec_nanos() % 1_000, 0);
                    Ok(())
                })
                .await;
            result.unwrap();
            let fence = test.transaction("fence", async |tx| test.next_fence(&tx).await).await.unwrap();
            seen.push((run, fence));
        }
        assert!(seen.windows(2).all(|pair| pair[0].1 < pair[1].1), "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_deadlock_postgres_ends_one_and_it_runs_again() {
    let test = TestStore::postgres().await;
    for email in ["a@example.com", "b@example.com"] {
        test.create_user(email, Role::Standard, now()).await.unwrap();
    }
    let both_hold_one = Barrier::new(2);
    let runs = AtomicU32::new(0);
    let cross = async |first: &str, second: &str| {
        let met = AtomicU32::new(0);
        test.transaction("cross", async |tx| {
            runs.fetch_add(1, Ordering::SeqCst);
            add_to(&tx, first).await?;
            if met.fetch_add(1, Ordering::SeqCst) == 0 {
                both_hold_one.wait().await;
            }
            add_to(&tx, second).await
        })
        .await
    };
    let (one, other) = tokio::join!(
        cross("a@example.com", "b@example.com"),
        cross("b@example.com", "a@example.com")
    );
    one.unwrap();
    other.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    assert_eq!(
        (
            marks(&test, "a@example.com").await,
            marks(&test, "b@example.com").await
        ),
        (2, 2)
    );
    let stats = test.transaction_stats()["cross"];
    assert_eq!((stats.committed, stats.failed, stats.retried), (2, 0, 1));
}

/// Ends every other session of the database once one of them is at COMMIT.
async fn end_the_committer(test: &TestStore) {
    let admin = test.second().await;
    let sql = "SELECT count(pg_terminate_backend(pid)) AS ended FROM pg_stat_activity
               WHERE datname = current_database() AND state = 'active' AND query = 'COMMIT'";
    loop {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = admin.read().query_one_raw(statement).await.unwrap().unwrap();
        if row.try_get::<i64>("", "ended").unwrap() > 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_during_commit_leaves_the_outcome_unknown() {
    let test = TestStore::postgres().await;
    // A COMMIT that takes its time: a check at its end that waits.
    test.write()
        .execute_unprepared(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep(20); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION wait()",
        )
        .await
        .unwrap();
    let (created, ()) = tokio::join!(
        test.create_user("a@example.com", Role::Standard, now()),
        end_the_committer(&test)
    );
    let error = created.unwrap_err();
    assert!(matches!(error, StoreError::CommitUnknown(_)), "{error:?}");
    assert!(!error.is_unavailable());
    assert_eq!(count(&test).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_the_server_refuses_is_known_to_have_failed() {
    let test = TestStore::postgres().await;
    test.write()
        .execute_unprepared(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
             CREATE CONSTRAINT TRIGGER refuses AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await
        .unwrap();
    let error = test
        .create_user("a@example.com", Role::Standard, now())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Database(_)), "{error:?}");
    assert_eq!(count(&test).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_lost_their_server_are_replaced_before_anything_is_lost() {
    let test = TestStore::postgres().await;
    // Several connections rest in the pool.
    let tasks: Vec<_> = (0..6)
        .map(|n| {
            let store = test.store().clone();
            tokio::spawn(async move {
                store
                    .create_user(&format!("{n}@example.com"), Role::Standard, now())
                    .await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let admin = test.second().await;
    admin
        .write()
        .execute_unprepared(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
    test.create_user("after@example.com", Role::Standard, now())
        .await
        .unwrap();
    assert_eq!(count(&admin).await, 7);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_not_an_error_of_ours() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let options = StoreOptions {
        acquire_timeout: Duration::from_millis(300),
        ..StoreOptions::new(format!("postgres://nobody@127.0.0.1:{port}/nothing"))
    };
    let error = Store::connect(&options).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_without_a_free_connection_is_unavailable() {
    let test = TestStore::postgres().await;
    let options = StoreOptions {
        max_connections: 1,
        acquire_timeout: Duration::from_millis(200),
        ..test.options().clone()
    };
    let small = Store::connect(&options).await.unwrap();
    let error: StoreError = small
        .transaction("outer", async |_tx| {
            Err::<(), _>(small.transaction("inner", async |_tx| Ok(())).await.unwrap_err())
        })
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
}

/// Hands bytes from a client to the server and back, until it is told to fall silent.
async fn half_open_way(server: std::net::SocketAddr) -> (u16, tokio::sync::watch::Sender<bool>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (silence, is_silent) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream = tokio::net::TcpStream::connect(server).await.unwrap();
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), upstream.into_split());
            tokio::spawn(hand_on(from_client, to_server, is_silent.clone()));
            tokio::spawn(hand_on(from_server, to_client, is_silent.clone()));
        }
    });
    (port, silence)
}

async fn hand_on(from: OwnedReadHalf, to: OwnedWriteHalf, mut is_silent: tokio::sync::watch::Receiver<bool>) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        from.readable().await.unwrap();
        match from.try_read(&mut bytes) {
            Ok(0) => return,
            Ok(count) => {
                // What arrives now never goes on, and nobody is told.
                if *is_silent.borrow() && is_silent.wait_for(|silent| !silent).await.is_err() {
                    return;
                }
                let mut sent = 0;
                while sent < count {
                    to.writable().await.unwrap();
                    sent += to.try_write(&bytes[sent..count]).unwrap_or(0);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// A store on `test`'s database whose way there can fall silent.
async fn behind_a_half_open_way(test: &TestStore) -> (Store, tokio::sync::watch::Sender<bool>) {
    let url = &test.options().url;
    let (user, rest) = url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let (port, silence) = half_open_way(server.parse().unwrap()).await;
    let options = StoreOptions {
        transaction_timeout: Duration::from_millis(500),
        max_connections: 1,
        ..StoreOptions::new(format!("{user}@127.0.0.1:{port}/{database}"))
    };
    (Store::connect(&options).await.unwrap(), silence)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_holds_nobody_for_longer_than_the_limit() {
    let test = TestStore::postgres().await;
    let (store, silence) = behind_a_half_open_way(&test).await;
    let error: StoreError = store
        .transaction("probe", async |tx| {
            add_to(&tx, "a@example.com").await?;
            silence.send_replace(true);
            add_to(&tx, "a@example.com").await
        })
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_does_not_come_is_unknown() {
    let test = TestStore::postgres().await;
    test.create_user("a@example.com", Role::Standard, now())
        .await
        .unwrap();
    let (store, silence) = behind_a_half_open_way(&test).await;
    let error: StoreError = store
        .transaction("probe", async |tx| {
            add_to(&tx, "a@example.com").await?;
            silence.send_replace(true);
            Ok(())
        })
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::CommitUnknown(_)), "{error:?}");
}

#[tokio::test]
async fn urls_of_no_use_are_refused_without_being_shown() {
    for url in [
        "mysql://root:secret@localhost/x",
        "sqlite::memory:",
        "sqlite:x?mode=memory",
        "",
    ] {
        let error = Store::connect(&StoreOptions::new(url)).await.unwrap_err();
        assert!(matches!(error, StoreError::Url { .. }), "{url}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{url}");
    }
}

#[tokio::test]
async fn sqlite_waits_for_the_disk_and_its_readers_cannot_write() {
    let test = TestStore::sqlite().await;
    for (connection, pragma, expected) in [
        (test.write(), "journal_mode", "wal"),
        (test.write(), "synchronous", "2"),
        (test.write(), "foreign_keys", "1"),
        (test.read(), "query_only", "1"),
    ] {
        let statement = Statement::from_string(
            DbBackend::Sqlite,
            format!("SELECT {pragma} || '' AS v FROM pragma_{pragma}"),
        );
        let row = connection.query_one_raw(statement).await.unwrap().unwrap();
        assert_eq!(row.try_get::<String>("", "v").unwrap(), expected, "{pragma}");
    }
    assert!(test.read().execute_unprepared("DELETE FROM users").await.is_err());
}

#[tokio::test]
async fn postgres_compiles_no_queries_and_ends_what_takes_too_long() {
    let test = TestStore::postgres().await;
    for (setting, expected) in [
        ("jit", "off"),
        ("enable_seqscan", "off"),
        ("plan_cache_mode", "force_generic_plan"),
        ("lock_timeout", "5s"),
        ("statement_timeout", "15s"),
        ("idle_in_transaction_session_timeout", "30s"),
        ("application_name", "arbion"),
    ] {
        let statement = Statement::from_string(DbBackend::Postgres, format!("SHOW {setting}"));
        let row = test.read().query_one_raw(statement).await.unwrap().unwrap();
        assert_eq!(row.try_get::<String>("", setting).unwrap(), expected, "{setting}");
    }
}
