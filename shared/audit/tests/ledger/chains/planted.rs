//! Sealed logs that somebody changed: exactly the rows are named.

use audit::chains::{self, Wrong};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use store::audit_log::Sealer;
use store::testing::TestStore;
use uuid::Uuid;

use super::support::{chain_of, execute, found, key, later, literal, seal, verify, with_chain};
use crate::given::history;

/// What is done to a chain of six rows, of which rows 1 to 5 are sealed by two seals (1 to 3, 4 to 5) and row 3 is anchored, and what
/// is said of it: first row, last row, what is wrong.
type Case = (&'static str, &'static [(i64, i64, Wrong)]);

const ROWS: &[Case] = &[
    ("UPDATE audit_events SET subject = 'other' WHERE seq = 2", &[(2, 2, Wrong::Changed)]),
    ("UPDATE audit_events SET subject = NULL WHERE seq = 2", &[(2, 2, Wrong::Changed)]),
    ("UPDATE audit_events SET kind = 'registered' WHERE seq = 1", &[(1, 1, Wrong::Changed)]),
    ("UPDATE audit_events SET ip = '192.0.2.2' WHERE seq = 4", &[(4, 4, Wrong::Changed)]),
    ("UPDATE audit_events SET request_id = '' WHERE seq = 5", &[(5, 5, Wrong::Changed)]),
    ("UPDATE audit_events SET data = '{\"n\": 33}' WHERE seq = 3", &[(3, 3, Wrong::Changed)]),
    ("UPDATE audit_events SET at = '2026-11-24 15:30:03.000001+00:00' WHERE seq = 3", &[(3, 3, Wrong::Changed)]),
    ("UPDATE audit_events SET user_id = NULL WHERE seq = 3", &[(3, 3, Wrong::Changed)]),
    ("UPDATE audit_events SET account_id = user_id WHERE seq = 3", &[(3, 3, Wrong::Changed)]),
    ("UPDATE audit_events SET credential_id = user_id WHERE seq = 3", &[(3, 3, Wrong::Changed)]),
    ("UPDATE audit_events SET subject = 'other'", &[
        (1, 1, Wrong::Changed),
        (2, 2, Wrong::Changed),
        (3, 3, Wrong::Changed),
        (4, 4, Wrong::Changed),
        (5, 5, Wrong::Changed),
    ]),
    ("DELETE FROM audit_events WHERE seq = 2", &[(2, 2, Wrong::Missing)]),
    ("DELETE FROM audit_events WHERE seq = 1", &[(1, 1, Wrong::Missing)]),
    ("DELETE FROM audit_events WHERE seq IN (2, 3, 4)", &[(2, 4, Wrong::Missing)]),
    ("DELETE FROM audit_events", &[(1, 6, Wrong::Missing)]),
    // Swapped, by way of a free number.
    (
        "UPDATE audit_events SET seq = 99 WHERE seq = 2;
         UPDATE audit_events SET seq = 2 WHERE seq = 3;
         UPDATE audit_events SET seq = 3 WHERE seq = 99",
        &[(2, 2, Wrong::Changed), (3, 3, Wrong::Changed)],
    ),
    // In the place of another.
    (
        "DELETE FROM audit_events WHERE seq = 2; UPDATE audit_events SET seq = 2 WHERE seq = 6",
        &[(2, 2, Wrong::Changed), (6, 6, Wrong::Missing)],
    ),
    // Forged, in front and behind.
    ("UPDATE audit_events SET seq = 0 WHERE seq = 6", &[(0, 0, Wrong::Inserted), (6, 6, Wrong::Missing)]),
    ("UPDATE audit_events SET seq = 7 WHERE seq = 6", &[(7, 7, Wrong::Inserted), (6, 6, Wrong::Missing)]),
    (
        "INSERT INTO audit_events SELECT chain_id, 9, at, kind, user_id, credential_id, account_id, subject, ip, request_id,
             data FROM audit_events WHERE seq = 5",
        &[(9, 9, Wrong::Inserted)],
    ),
    ("DELETE FROM audit_events WHERE seq = 6", &[(6, 6, Wrong::Missing)]),
];

const SEALS: &[Case] = &[
    // Rows with their seals: the head, then the anchor, tells.
    ("DELETE FROM audit_events WHERE seq >= 4; DELETE FROM audit_seals WHERE seq_from = 4", &[
        (5, 5, Wrong::HeadDiffers),
        (4, 6, Wrong::Missing),
    ]),
    (
        "DELETE FROM audit_events; DELETE FROM audit_seals; DELETE FROM audit_heads; DELETE FROM audit_chains",
        &[(1, 3, Wrong::Missing)],
    ),
    ("DELETE FROM audit_seals; DELETE FROM audit_heads", &[(1, 3, Wrong::SealMissing)]),
    ("DELETE FROM audit_seals WHERE seq_from = 1", &[(1, 3, Wrong::SealMissing)]),
    // Hashes of other rows.
    (
        "UPDATE audit_seals SET hashes = (SELECT s.hashes FROM audit_seals AS s WHERE s.seq_from = 4), seq_to = 2
         WHERE seq_from = 1",
        &[
            (1, 1, Wrong::Changed),
            (2, 2, Wrong::Changed),
            (3, 3, Wrong::SealMissing),
        ],
    ),
    ("UPDATE audit_seals SET seq_to = 4 WHERE seq_from = 1", &[
        (1, 4, Wrong::SealBroken),
        (1, 3, Wrong::SealMissing),
    ]),
    ("UPDATE audit_seals SET seq_from = 3, seq_to = 4 WHERE seq_from = 4", &[
        (3, 4, Wrong::SealBroken),
        (5, 5, Wrong::HeadDiffers),
        (4, 5, Wrong::SealMissing),
    ]),
    ("UPDATE audit_seals SET key_fingerprint = 'other' WHERE seq_from = 1", &[(1, 3, Wrong::UnknownKey)]),
    ("UPDATE audit_heads SET seq = 4", &[(4, 4, Wrong::HeadDiffers)]),
    ("UPDATE audit_heads SET hash = (SELECT hash FROM audit_anchors)", &[(5, 5, Wrong::HeadDiffers)]),
    ("UPDATE audit_anchors SET hash = (SELECT hash FROM audit_heads)", &[(3, 3, Wrong::AnchorDiffers)]),
    ("UPDATE audit_chains SET last_seq = 2", &[(5, 5, Wrong::CounterDiffers), (6, 6, Wrong::Inserted)]),
];

/// A chain as [`Case`] says.
async fn given(test: &TestStore) -> Uuid {
    let chain = chain_of(test, 3).await;
    assert_eq!(seal(test, 3).await.anchors.len(), 1);
    let user = domain::id::UserId(chain);
    for n in 4..=5 {
        test.audit(&super::support::event(user, n)).await.unwrap();
    }
    assert_eq!(seal(test, 5).await.rows, 2);
    test.audit(&super::support::event(user, 6)).await.unwrap();
    chain
}

/// Plants each case in a transaction of its own, verifies what that transaction sees, and takes it back.
async fn each_is_named(test: &TestStore, chain: Uuid, cases: &[Case]) {
    for (sql, expected) in cases {
        let planted = test.write().begin().await.unwrap();
        planted.execute_unprepared(sql).await.unwrap();
        let report = chains::verify_within(&planted, &[key(1)], later(3_600))
            .await
            .unwrap();
        planted.rollback().await.unwrap();
        let expected: Vec<_> = expected
            .iter()
            .map(|(seq, seq_to, wrong)| ("audit", chain, *seq, *seq_to, *wrong))
            .collect();
        assert_eq!(found(&report), expected, "{sql}");
        assert_eq!(report.finding_count, u64::try_from(expected.len()).unwrap());
    }
    assert_eq!(found(&verify(test).await), []);
}

store::testing::on_both! {
    async fn each_row_that_was_changed_is_named(test: TestStore) {
        let chain = given(test).await;
        each_is_named(test, chain, ROWS).await;
    }

    async fn each_seal_that_was_changed_is_named(test: TestStore) {
        let chain = given(test).await;
        each_is_named(test, chain, SEALS).await;
    }

    async fn what_was_done_to_one_chain_is_not_said_of_another(test: TestStore) {
        let (one, other) = (chain_of(test, 4).await, chain_of(test, 4).await);
        seal(test, 5).await;
        execute(test, "UPDATE audit_events SET kind = 'registered' WHERE chain_id = {chain} AND seq = 2", one).await;
        let report = verify(test).await;
        assert_eq!(found(&report), [("audit", one, 2, 2, Wrong::Changed)]);
        assert_eq!((report.read[0].rows, report.read[0].verified), (8, 7));
        // A row of one chain, sealed and all, in the place of one of the other.
        let move_seal = "DELETE FROM audit_events WHERE chain_id = {chain} AND seq = 3;
            UPDATE audit_events SET chain_id = {chain} WHERE seq = 3";
        execute(test, move_seal, other).await;
        let expected = [
            ("audit", one, 2, 2, Wrong::Changed),
            ("audit", one, 3, 3, Wrong::Missing),
            ("audit", other, 3, 3, Wrong::Changed),
        ];
        assert_eq!(found(&verify(test).await), expected);
    }

    async fn each_changed_event_of_an_order_is_named(test: TestStore) {
        let account = history(test).await.trader.account.0;
        seal(test, 10).await;
        let report = verify(test).await;
        assert!(report.is_clean(), "{}", report.text());
        assert_eq!(report.read[1].verified, 26);
        for (sql, wrong) in [
            ("UPDATE order_events SET data = '{}' WHERE seq = 3 AND account_id = {chain}", Wrong::Changed),
            ("UPDATE order_events SET cause = '{}' WHERE seq = 3 AND account_id = {chain}", Wrong::Changed),
            ("UPDATE order_events SET kind = 'canceled' WHERE seq = 3 AND account_id = {chain}", Wrong::Changed),
            ("UPDATE order_events SET order_id = account_id WHERE seq = 3 AND account_id = {chain}", Wrong::Changed),
            ("UPDATE order_events SET at = '2026-11-24 16:00:00+00:00' WHERE seq = 3", Wrong::Changed),
            ("DELETE FROM order_events WHERE seq = 3 AND account_id = {chain}", Wrong::Missing),
        ] {
            let planted = test.write().begin().await.unwrap();
            planted.execute_unprepared(&with_chain(test, sql, account)).await.unwrap();
            let report = chains::verify_within(&planted, &[key(1)], later(3_600)).await.unwrap();
            planted.rollback().await.unwrap();
            assert_eq!(found(&report), [("orders", account, 3, 3, wrong)], "{sql}");
        }
        let forged = "INSERT INTO order_events (account_id, seq, order_id, kind, at, cause, data)
             SELECT account_id, 27, order_id, kind, at, cause, data FROM order_events WHERE seq = 26";
        execute(test, forged, account).await;
        assert_eq!(found(&verify(test).await), [("orders", account, 27, 27, Wrong::Inserted)]);
    }

    async fn a_row_that_went_before_it_was_sealed_stops_its_chain_and_no_other(test: TestStore) {
        let (one, other) = (chain_of(test, 4).await, chain_of(test, 4).await);
        let sql = "DELETE FROM audit_events WHERE chain_id = {chain} AND seq = 3";
        execute(test, sql, one).await;
        let sealed = seal(test, 5).await;
        let gaps: Vec<_> = sealed.gaps.iter().map(|gap| (gap.chain_id, gap.seq)).collect();
        assert_eq!((sealed.rows, gaps), (6, vec![(one, 3)]));
        let report = verify(test).await;
        assert_eq!(found(&report), [("audit", one, 3, 3, Wrong::Missing)]);
        assert_eq!((report.read[0].tail, report.read[0].verified), (1, 6));
        assert!(report.text().contains(&format!("audit {one} 3: missing\n")), "{}", report.text());
        assert_eq!(seal(test, 6).await.gaps.len(), 1);
        // A head that is none stops its chain, too.
        let sql = format!("UPDATE audit_heads SET hash = {} WHERE chain_id = {{chain}}", bytes(test, "00"));
        execute(test, &sql, other).await;
        test.audit(&super::support::event(domain::id::UserId(other), 5)).await.unwrap();
        let sealed = seal(test, 7).await;
        assert_eq!((sealed.rows, sealed.gaps.len()), (0, 2));
    }

    async fn a_chain_that_stands_still_takes_one_row_of_a_pass(test: TestStore) {
        let (stuck, other) = (chain_of(test, 30).await, chain_of(test, 30).await);
        execute(test, "DELETE FROM audit_events WHERE chain_id = {chain} AND seq = 1", stuck).await;
        let mut sealer = Sealer::new(test.store().clone(), key(1));
        let mut rows = Vec::new();
        for second in 31..35 {
            let sealed = sealer.pass(later(second), 12).await.unwrap();
            let gaps: Vec<_> = sealed.gaps.iter().map(|gap| (gap.chain_id, gap.seq)).collect();
            assert!(gaps.is_empty() || gaps == [(stuck, 1)], "{gaps:?}");
            rows.push(sealed.rows);
        }
        assert!(rows[0] >= 11 && rows[1] >= 11, "{rows:?}");
        assert_eq!(rows.iter().sum::<u64>(), 30, "{rows:?}");
        let report = verify(test).await;
        assert_eq!(found(&report), [("audit", stuck, 1, 1, Wrong::Missing)], "{other}");
    }

    async fn rows_of_a_chain_that_nobody_knows_are_inserted(test: TestStore) {
        let chain = chain_of(test, 2).await;
        seal(test, 3).await;
        let stranger = Uuid::now_v7();
        let sql = format!(
            "INSERT INTO audit_events SELECT {}, 1, at, kind, user_id, credential_id, account_id, subject, ip, request_id,
                 data FROM audit_events WHERE chain_id = {{chain}} AND seq = 1",
            literal(test, stranger)
        );
        execute(test, &sql, chain).await;
        assert_eq!(found(&verify(test).await), [("audit", stranger, 1, 1, Wrong::Inserted)]);
    }
}

/// Bytes as the database writes them.
fn bytes(test: &TestStore, hex: &str) -> String {
    if test.backend() == sea_orm::DbBackend::Postgres {
        format!("'\\x{hex}'")
    } else {
        format!("x'{hex}'")
    }
}
