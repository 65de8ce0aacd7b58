//! A process that keeps a lease, and what it says when it cannot.

use std::time::Duration;

use platform::telemetry::LogBuffer;
use sea_orm::ConnectionTrait as _;
use store::testing::{TestStore, json_log};
use store::{LEASE, LeaseKeeper};
use tracing::instrument::WithSubscriber as _;

fn keeper(test: &TestStore, holder: &str, lease: Duration) -> LeaseKeeper {
    LeaseKeeper::new(test.store().clone(), "leader", holder.to_owned(), lease)
}

store::testing::on_both! {
    async fn one_keeper_has_the_lease_until_it_hands_it_over(test: TestStore) {
        let (mut a, mut b) = (keeper(test, "a", LEASE), keeper(test, "b", Duration::ZERO));
        let first = a.keep().await;
        assert!(first.has_begun);
        let again = a.keep().await;
        assert_eq!((again.fence, again.has_begun), (first.fence, false));
        assert_eq!(b.keep().await.fence, None);
        a.hand_over().await;
        // A lease of no time at all is taken, and over before anybody could count on it.
        assert_eq!(b.keep().await.fence, None);
        let back = a.keep().await;
        assert_eq!(back.fence, None, "it asks again when it is time");
        let mut c = keeper(test, "c", LEASE);
        assert!(c.keep().await.fence > first.fence.map(|fence| fence + 1), "b had it in between");
    }

    async fn a_lease_that_the_database_does_not_renew_lapses_and_the_log_says_so(test: TestStore) {
        let (log, mut keeper) = (LogBuffer::new(), keeper(test, "a", Duration::from_millis(300)));
        assert!(keeper.keep().await.has_begun);
        test.write().execute_unprepared("ALTER TABLE leases RENAME TO away").await.unwrap();
        async {
            while keeper.keep().await.fence.is_some() {
                tokio::task::yield_now().await;
            }
            keeper.keep().await;
        }
        .with_subscriber(json_log(&log))
        .await;
        let lines = log.json_lines();
        let told: Vec<_> =
            lines.iter().filter(|line| line["message"].as_str().unwrap().starts_with("the lease has lapsed")).collect();
        assert_eq!(told.len(), 1, "{lines:?}");
        assert_eq!((&told[0]["level"], &told[0]["lease.name"], &told[0]["lease.holder"]), (&"WARN".into(), &"leader".into(), &"a".into()));
    }
}
