//! Leases by the database's time.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Statement};
use store::entity::leases;
use store::testing::TestStore;
use store::{Store, StoreError};

const LONG: Duration = Duration::from_mins(1);

/// Lets every lease run out, as if time had passed.
async fn let_run_out(store: &Store) {
    let past = store
        .transaction("now", async |tx| store.db_now(&tx).await)
        .await
        .unwrap()
        - TimeDelta::milliseconds(1);
    leases::Entity::update_many()
        .col_expr(leases::Column::ExpiresAt, Expr::value(past))
        .exec(store.write())
        .await
        .unwrap();
}

async fn fence_holds(store: &Store, fence: i64) -> bool {
    let assert = store.transaction("assert", async |tx| {
        store.assert_fence(&tx, "leader", fence).await
    });
    let answer = assert.await;
    assert!(
        matches!(answer, Ok(()) | Err(StoreError::Stale { .. })),
        "{answer:?}"
    );
    answer.is_ok()
}

store::testing::on_both! {
    async fn only_one_holds_a_lease_until_it_runs_out(test: TestStore) {
        let first = test.acquire_lease("leader", "a", LONG).await.unwrap().unwrap();
        assert_eq!(test.acquire_lease("leader", "b", LONG).await.unwrap(), None);
        let renewed = test.acquire_lease("leader", "a", LONG).await.unwrap().unwrap();
        assert_eq!(renewed.fence, first.fence);
        assert!(renewed.expires_at > first.expires_at);
        let_run_out(test).await;
        let taken = test.acquire_lease("leader", "b", LONG).await.unwrap().unwrap();
        assert!(taken.fence > first.fence);
        assert_eq!(test.acquire_lease("leader", "a", LONG).await.unwrap(), None);
        // Names do not disturb each other.
        assert!(test.acquire_lease("other", "a", LONG).await.unwrap().is_some());
    }

    async fn the_lease_lasts_as_long_as_asked_by_the_database_s_time(test: TestStore) {
        let before = test.transaction("now", async |tx| test.db_now(&tx).await).await.unwrap();
        let lease = test.acquire_lease("leader", "a", LONG).await.unwrap().unwrap();
        let after = test.transaction("now", async |tx| test.db_now(&tx).await).await.unwrap();
        assert!(lease.expires_at >= before + LONG && lease.expires_at <= after + LONG);
    }

    async fn a_lease_that_was_given_back_is_free_at_once_and_its_fence_goes_on(test: TestStore) {
        let first = test.acquire_lease("leader", "a", LONG).await.unwrap().unwrap();
        test.release_lease("leader", "b").await.unwrap();
        assert_eq!(test.acquire_lease("leader", "b", LONG).await.unwrap(), None);
        test.release_lease("leader", "a").await.unwrap();
        let second = test.acquire_lease("leader", "b", LONG).await.unwrap().unwrap();
        assert!(second.fence > first.fence);
        test.release_lease("leader", "b").await.unwrap();
        let third = test.acquire_lease("leader", "a", LONG).await.unwrap().unwrap();
        assert!(third.fence > second.fence);
    }

    async fn a_fence_holds_only_while_its_lease_does(test: TestStore) {
        assert!(!fence_holds(test, 1).await);
        let first = test.acquire_lease("leader", "a", LONG).await.unwrap().unwrap();
        assert!(fence_holds(test, first.fence).await);
        assert!(!fence_holds(test, first.fence + 1).await);
        let_run_out(test).await;
        assert!(!fence_holds(test, first.fence).await);
        let second = test.acquire_lease("leader", "b", LONG).await.unwrap().unwrap();
        assert!(!fence_holds(test, first.fence).await);
        assert!(fence_holds(test, second.fence).await);
    }

    async fn of_many_who_ask_at_once_one_wins(test: TestStore) {
        for round in 1..=3 {
            let mut asked = Vec::new();
            for n in 0..8 {
                let store = test.store().clone();
                asked.push(tokio::spawn(async move {
                    store.acquire_lease("leader", &format!("{round}-{n}"), LONG).await.unwrap()
                }));
            }
            let mut fences = BTreeSet::new();
            for answer in asked {
                fences.extend(answer.await.unwrap().map(|lease| lease.fence));
            }
            assert_eq!(fences, BTreeSet::from([round]));
            let_run_out(test).await;
        }
    }
}

/// Waits until a session waits for a row lock.
async fn somebody_waits(store: &Store) {
    let sql = "SELECT count(*) AS waiting FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    loop {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = store.read().query_one_raw(statement).await.unwrap().unwrap();
        if row.try_get::<i64>("", "waiting").unwrap() > 0 {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_not_taken_over_while_a_transaction_relies_on_it() {
    let test = TestStore::postgres().await;
    let short = Duration::from_millis(300);
    let first = test.acquire_lease("leader", "a", short).await.unwrap().unwrap();
    let other = test.second().await;
    let order = Mutex::new(Vec::new());
    let takeover = async {
        somebody_relies(&test).await;
        let mut taken = None;
        while taken.is_none() {
            taken = other.acquire_lease("leader", "b", LONG).await.unwrap();
        }
        order.lock().unwrap().push("taken over");
        taken.unwrap()
    };
    let write = test.transaction("write", async |tx| {
        test.assert_fence(&tx, "leader", first.fence).await?;
        somebody_waits(&other).await;
        while test.db_now(&tx).await? <= first.expires_at {}
        // The lease has run out, and still nobody has it.
        order.lock().unwrap().push("written");
        Ok(())
    });
    let (second, written) = tokio::join!(takeover, write);
    written.unwrap();
    assert_eq!(*order.lock().unwrap(), ["written", "taken over"]);
    assert_eq!(second.fence, first.fence + 1);
}

/// Waits until a transaction holds the row of the lease.
async fn somebody_relies(store: &Store) {
    let sql =
        "SELECT count(*) AS held FROM pg_locks WHERE relation = 'leases'::regclass AND mode = 'RowShareLock'";
    loop {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = store.read().query_one_raw(statement).await.unwrap().unwrap();
        if row.try_get::<i64>("", "held").unwrap() > 0 {
            return;
        }
    }
}
