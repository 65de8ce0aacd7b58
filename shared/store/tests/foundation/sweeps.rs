//! Sweeps: opened once, claimed until they are done, finished by the latest claim only.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait as _, EntityTrait, QueryFilter};
use store::entity::sweeps::{Column, Entity};
use store::sweeps::PRUNED_MAX;
use store::testing::TestStore;
use store::{Store, StoreError, SweepCounts, SweepPart};

const LONG: Duration = Duration::from_mins(1);

/// Moves the ends of all claims and the times of opening into the past.
async fn age(store: &Store, by: TimeDelta) {
    let now = store
        .transaction("now", async |tx| store.db_now(&tx).await)
        .await
        .unwrap();
    Entity::update_many()
        .col_expr(Column::CreatedAt, Expr::value(now - by))
        .exec(store.write())
        .await
        .unwrap();
    Entity::update_many()
        .col_expr(Column::ClaimedUntil, Expr::value(now - by))
        .filter(Column::ClaimedUntil.is_not_null())
        .exec(store.write())
        .await
        .unwrap();
}

fn counts() -> SweepCounts {
    SweepCounts {
        symbols: 500,
        fired: 3,
        skipped: BTreeMap::from([("stale".to_owned(), vec!["AAPL".to_owned(), "MSFT".to_owned()])]),
    }
}

store::testing::on_both! {
    async fn a_slot_is_opened_once_with_one_number_of_parts(test: TestStore) {
        assert!(test.open_sweep(7, 3, 1).await.unwrap());
        assert!(!test.open_sweep(7, 3, 1).await.unwrap());
        assert!(!test.open_sweep(7, 5, 2).await.unwrap());
        assert!(test.open_sweep(8, 1, 2).await.unwrap());
        let rows = test.recent_sweeps(10).await.unwrap();
        let rows: Vec<_> = rows.iter().map(|row| (row.slot, row.shard, row.shards, row.state.as_str())).collect();
        assert_eq!(rows, [(8, 0, 1, "pending"), (7, 0, 3, "pending"), (7, 1, 3, "pending"), (7, 2, 3, "pending")]);
    }

    async fn leaders_at_once_open_a_slot_once(test: TestStore) {
        let leaders: Vec<_> = (1..=6)
            .map(|shards| {
                let store = test.store().clone();
                tokio::spawn(async move { store.open_sweep(7, shards, i64::from(shards)).await.unwrap() })
            })
            .collect();
        let mut opened = 0;
        for leader in leaders {
            opened += usize::from(leader.await.unwrap());
        }
        assert_eq!(opened, 1);
        let rows = test.recent_sweeps(10).await.unwrap();
        assert!(rows.iter().all(|row| usize::try_from(row.shards) == Ok(rows.len())), "{rows:?}");
    }

    async fn a_part_belongs_to_one_worker_until_it_is_done(test: TestStore) {
        test.open_sweep(7, 1, 1).await.unwrap();
        let claim = test.claim_sweep("a", 7, 0, LONG).await.unwrap().unwrap();
        assert_eq!((claim.slot, claim.shard, claim.shards), (7, 0, 1));
        assert_eq!(test.claim_sweep("b", 7, 0, LONG).await.unwrap(), None);
        assert_eq!(test.claim_due_sweep("b", LONG).await.unwrap(), None);
        test.finish_sweep(&claim, &counts()).await.unwrap();
        age(test, TimeDelta::hours(1)).await;
        assert_eq!(test.claim_sweep("b", 7, 0, LONG).await.unwrap(), None);
        let row = test.recent_sweeps(1).await.unwrap().remove(0);
        assert_eq!((row.state.as_str(), row.symbols, row.fired), ("done", 500, 3));
        assert_eq!(row.skipped, serde_json::json!({"stale": ["AAPL", "MSFT"]}));
        assert_eq!(row.claimed_by.as_deref(), Some("a"));
        assert!(row.finished_at >= row.started_at && row.started_at.is_some());
    }

    async fn a_part_that_its_worker_lost_is_claimed_again_and_the_lost_claim_is_worth_nothing(test: TestStore) {
        test.open_sweep(7, 1, 1).await.unwrap();
        let lost = test.claim_sweep("a", 7, 0, LONG).await.unwrap().unwrap();
        let started_at = test.recent_sweeps(1).await.unwrap()[0].started_at;
        age(test, TimeDelta::seconds(5)).await;
        let found = SweepPart { slot: 7, shard: 0 };
        assert_eq!(test.overdue_sweeps(Duration::from_secs(6), 10).await.unwrap(), []);
        assert_eq!(test.overdue_sweeps(Duration::from_secs(4), 10).await.unwrap(), [found]);
        let claim = test.claim_due_sweep("b", LONG).await.unwrap().unwrap();
        assert!(claim.fence > lost.fence);
        let late = test.finish_sweep(&lost, &counts()).await;
        assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
        test.finish_sweep(&claim, &counts()).await.unwrap();
        let twice = test.finish_sweep(&claim, &counts()).await;
        assert!(matches!(twice, Err(StoreError::Stale { .. })), "{twice:?}");
        assert_eq!(test.recent_sweeps(1).await.unwrap()[0].started_at, started_at);
    }

    async fn overdue_parts_come_the_oldest_first_and_no_more_than_asked(test: TestStore) {
        for slot in [9, 7, 8] {
            test.open_sweep(slot, 2, 1).await.unwrap();
        }
        assert_eq!(test.overdue_sweeps(Duration::from_mins(1), 10).await.unwrap(), []);
        let parts = test.overdue_sweeps(Duration::ZERO, 3).await.unwrap();
        let parts: Vec<_> = parts.iter().map(|part| (part.slot, part.shard)).collect();
        assert_eq!(parts, [(7, 0), (7, 1), (8, 0)]);
    }

    async fn workers_at_once_share_the_parts_without_overlap(test: TestStore) {
        test.open_sweep(7, 12, 1).await.unwrap();
        let workers: Vec<_> = (0..4)
            .map(|n| {
                let store = test.store().clone();
                tokio::spawn(async move {
                    let mut shards = Vec::new();
                    while let Some(claim) = store.claim_due_sweep(&format!("w{n}"), LONG).await.unwrap() {
                        store.finish_sweep(&claim, &SweepCounts::default()).await.unwrap();
                        shards.push(claim.shard);
                    }
                    shards
                })
            })
            .collect();
        let mut shards = Vec::new();
        for worker in workers {
            shards.extend(worker.await.unwrap());
        }
        shards.sort_unstable();
        assert_eq!(shards, (0..12).collect::<Vec<_>>());
    }

    async fn old_sweeps_are_forgotten_when_they_are_done(test: TestStore) {
        test.open_sweep(7, 2, 1).await.unwrap();
        let claim = test.claim_sweep("a", 7, 0, LONG).await.unwrap().unwrap();
        test.finish_sweep(&claim, &counts()).await.unwrap();
        let now = test.transaction("now", async |tx| test.db_now(&tx).await).await.unwrap();
        assert_eq!(test.prune_sweeps(now - TimeDelta::hours(1)).await.unwrap(), 0);
        assert_eq!(test.prune_sweeps(now + TimeDelta::hours(1)).await.unwrap(), 1);
        assert_eq!(test.recent_sweeps(10).await.unwrap().len(), 1);
    }

    async fn only_so_many_old_sweeps_are_forgotten_in_one_go_the_oldest_first(test: TestStore) {
        let count = PRUNED_MAX + 7;
        let sql = format!(
            "WITH RECURSIVE n(slot) AS (SELECT 1 UNION ALL SELECT slot + 1 FROM n WHERE slot < {count})
             INSERT INTO sweeps (slot, shard, shards, fence, state, skipped, created_at, finished_at)
             SELECT slot, 0, 1, 1, 'done', '{{}}', '2026-01-01 00:00:00+00:00', '2026-01-01 00:00:00+00:00' FROM n"
        );
        test.write().execute_unprepared(&sql).await.unwrap();
        let before = store::testing::now();
        assert_eq!(test.prune_sweeps(before).await.unwrap(), u64::try_from(PRUNED_MAX).unwrap());
        let left = test.recent_sweeps(100).await.unwrap();
        assert_eq!(left.iter().map(|row| row.slot).min(), Some(PRUNED_MAX + 1));
        assert_eq!(test.prune_sweeps(before).await.unwrap(), 7);
        assert_eq!(test.prune_sweeps(before).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_somebody_is_claiming_is_left_to_them_without_a_wait() {
    let test = TestStore::postgres().await;
    test.open_sweep(7, 2, 1).await.unwrap();
    let other = test.second().await;
    test.transaction("stopped while it claims", async |tx| {
        let locked = "SELECT slot FROM sweeps WHERE slot = 7 AND shard = 0 FOR NO KEY UPDATE";
        tx.execute_unprepared(locked).await?;
        // A wait would end by the lock's time-out, which is an error.
        assert_eq!(other.claim_sweep("b", 7, 0, LONG).await?, None);
        let next = other.claim_due_sweep("b", LONG).await?;
        assert_eq!(next.map(|claim| claim.shard), Some(1));
        Ok(())
    })
    .await
    .unwrap();
    assert!(other.claim_sweep("b", 7, 0, LONG).await.unwrap().is_some());
}
