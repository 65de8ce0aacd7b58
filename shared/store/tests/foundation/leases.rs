//! Leases by the database's time.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::EntityTrait;
use sea_orm::sea_query::Expr;
use store::entity::leases;
use store::testing::TestStore;
use store::{Store, StoreError};

const LONG: Duration = Duration::from_secs(60);

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
    let result = store
        .transaction("assert", async |tx| {
            store.assert_fence(&tx, "leader", fence).await
        })
        .await;
    match result {
        Ok(()) => true,
        Err(StoreError::Stale { .. }) => false,
        Err(error) => panic!("{error:?}"),
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_not_taken_over_while_a_transaction_relies_on_it() {
    let test = TestStore::postgres().await;
    let first = test
        .acquire_lease("leader", "a", Duration::from_millis(300))
        .await
        .unwrap()
        .unwrap();
    let other = test.second().await;
    let mut takeover = None;
    let started = std::time::Instant::now();
    test.transaction("write", async |tx| {
        test.assert_fence(&tx, "leader", first.fence).await?;
        Ok(())
    })
    .await
    .unwrap();
    while takeover.is_none() {
        takeover = other.acquire_lease("leader", "b", LONG).await.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(takeover.unwrap().fence, first.fence + 1);
}
