//! What the sealer does, and what a verification says of it.

use audit::chains::Wrong;
use futures::future::join_all;
use store::audit_log::Sealer;
use store::testing::TestStore;

use super::support::{ALL, chain_of, execute, found, key, later, number, seal, verify, verify_with};
use crate::given::history;

store::testing::on_both! {
    async fn what_was_sealed_verifies_and_the_rest_is_the_tail(test: TestStore) {
        let empty = verify(test).await;
        assert!(empty.is_clean() && empty.read.iter().all(|read| read.rows == 0), "{empty:?}");
        let chain = chain_of(test, 40).await;
        let unsealed = verify(test).await;
        assert!(unsealed.is_clean(), "{}", unsealed.text());
        let read = &unsealed.read[0];
        assert_eq!((read.chains, read.rows, read.verified, read.tail), (1, 40, 0, 40));
        assert_eq!((read.tail_oldest_at, read.tail_age_seconds), (Some(later(1)), Some(3_599)));

        assert_eq!(seal(test, 41).await.rows, 40);
        let sealed = verify(test).await;
        let read = &sealed.read[0];
        assert_eq!((read.rows, read.verified, read.tail, read.tail_oldest_at), (40, 40, 0, None));
        assert!(sealed.text().ends_with("\nnothing was changed\n"), "{}", sealed.text());
        assert_eq!(seal(test, 42).await.rows, 0);
        assert_eq!(number(test, "SELECT count(*) FROM audit_seals").await, 1);
        let user = domain::id::UserId(chain);
        test.audit(&super::support::event(user, 41)).await.unwrap();
        assert_eq!(seal(test, 43).await.rows, 1);
        assert_eq!(verify(test).await.read[0].verified, 41);
    }

    async fn both_logs_are_sealed_and_the_ledger_stays_as_it_was(test: TestStore) {
        history(test).await;
        chain_of(test, 3).await;
        assert_eq!(seal(test, 10).await.rows, 29);
        let report = verify(test).await;
        assert!(report.is_clean(), "{}", report.text());
        assert_eq!((report.read[0].verified, report.read[1].verified), (3, 26));
        let connection = audit::connect(&test.options().url).await.unwrap();
        assert!(audit::audit_ledger(&connection).await.unwrap().is_clean());
    }

    async fn a_pass_is_bounded_and_the_tail_is_caught_up_without_keeping_any_chain_waiting(test: TestStore) {
        let busy = chain_of(test, 12).await;
        let (_, _) = (chain_of(test, 3).await, chain_of(test, 3).await);
        let mut sealer = Sealer::new(test.store().clone(), key(1));
        let mut passes = Vec::new();
        for seconds in 0..6 {
            let sealed = sealer.pass(later(seconds), 4).await.unwrap();
            passes.push((sealed.rows, sealed.is_behind));
        }
        assert_eq!(passes.iter().map(|(rows, _)| rows).sum::<u64>(), 18, "{passes:?}");
        assert!(passes.iter().all(|(rows, _)| *rows <= 4), "{passes:?}");
        assert!(passes[0].1 && !passes[5].1, "{passes:?}");
        let report = verify(test).await;
        assert!(report.is_clean(), "{}", report.text());
        assert_eq!((report.read[0].verified, report.read[0].tail), (18, 0));
        let seals = format!("SELECT count(*) FROM audit_seals WHERE chain_id = {}", super::support::literal(test, busy));
        assert!(number(test, &seals).await >= 3);
    }

    async fn a_moved_head_is_anchored_at_most_once_a_minute_and_at_last(test: TestStore) {
        let chain = chain_of(test, 1).await;
        let user = domain::id::UserId(chain);
        let mut sealer = Sealer::new(test.store().clone(), key(1));
        let mut anchored = Vec::new();
        for (seconds, has_event) in [(1, true), (2, true), (30, true), (60, false), (61, false), (62, false), (200, false), (201, true)] {
            if has_event {
                test.audit(&super::support::event(user, seconds)).await.unwrap();
            }
            let sealed = sealer.pass(later(seconds), ALL).await.unwrap();
            anchored.extend(sealed.anchors.iter().map(|anchor| (seconds, anchor.seq)));
        }
        assert_eq!(anchored, [(1, 2), (61, 4), (201, 5)]);
        assert_eq!(number(test, "SELECT count(*) FROM audit_anchors").await, 3);
        assert_eq!(found(&verify(test).await), []);
    }

    async fn two_sealers_at_once_do_no_harm(test: TestStore) {
        for _ in 0..5 {
            chain_of(test, 20).await;
        }
        history(test).await;
        let sealing = (0..4).map(|_| async move {
            let mut sealer = Sealer::new(test.second().await, key(1));
            let mut rows = 0;
            for seconds in 0..8 {
                rows += sealer.pass(later(seconds), 30).await.unwrap().rows;
            }
            rows
        });
        let rows: u64 = join_all(sealing).await.into_iter().sum();
        let rest = seal(test, 9).await.rows;
        assert_eq!((rows + rest, rows > 30), (126, true), "each row was sealed once");
        let report = verify(test).await;
        assert!(report.is_clean(), "{}", report.text());
        assert_eq!((report.read[0].verified, report.read[1].verified), (100, 26));
    }

    async fn sealing_beside_writers_leaves_nothing_out(test: TestStore) {
        let user = domain::id::UserId(uuid::Uuid::now_v7());
        let writing = join_all((0..4).map(|writer| async move {
            for n in 0..15 {
                test.audit(&super::support::event(user, writer * 100 + n)).await.unwrap();
            }
        }));
        let sealing = async {
            let mut sealer = Sealer::new(test.second().await, key(1));
            let mut rows = 0;
            while rows < 60 {
                let sealed = sealer.pass(later(1), ALL).await.unwrap();
                assert_eq!(sealed.gaps, []);
                rows += sealed.rows;
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(writing, sealing);
        let report = verify(test).await;
        assert!(report.is_clean(), "{}", report.text());
        assert_eq!(report.read[0].verified, 60);
    }

    async fn after_a_rotation_both_keys_verify_and_one_that_is_gone_is_told(test: TestStore) {
        let chain = chain_of(test, 3).await;
        seal(test, 3).await;
        let user = domain::id::UserId(chain);
        for n in 4..=5 {
            test.audit(&super::support::event(user, n)).await.unwrap();
        }
        Sealer::new(test.store().clone(), key(2)).pass(later(5), ALL).await.unwrap();
        let both = verify_with(test, &[key(2), key(1)]).await;
        assert!(both.is_clean() && both.read[0].verified == 5, "{}", both.text());
        let new = verify_with(test, &[key(2)]).await;
        assert_eq!(found(&new), [("audit", chain, 1, 3, Wrong::UnknownKey)]);
        assert_eq!(new.read[0].verified, 2);
        let old = verify_with(test, &[key(1)]).await;
        assert_eq!(found(&old), [("audit", chain, 4, 5, Wrong::UnknownKey)]);
    }

    async fn a_key_that_is_not_the_one_makes_no_hash(test: TestStore) {
        let chain = chain_of(test, 2).await;
        Sealer::new(test.store().clone(), key(2)).pass(later(3), ALL).await.unwrap();
        // Somebody without the key, who gives out his own for it.
        let sql = format!("UPDATE audit_seals SET key_fingerprint = '{}' WHERE chain_id = {{chain}}", key(1).fingerprint());
        execute(test, &sql, chain).await;
        assert_eq!(found(&verify(test).await), [("audit", chain, 1, 1, Wrong::Changed), ("audit", chain, 2, 2, Wrong::Changed)]);
    }
}
