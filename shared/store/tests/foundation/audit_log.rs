//! The audit log: recorded with what it tells of, numbered without gaps, read page by page.

use std::collections::BTreeSet;
use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AccountId, CredentialId, UserId};
use futures::future::join_all;
use sea_orm::{ConnectionTrait as _, EntityTrait as _};
use store::audit_log::{AuditCursor, AuditEvent, AuditFilter, AuditKind, INSTALLATION, TEXT_MAX};
use store::entity::audit_events;
use store::testing::{TestStore, now};
use store::{Store, StoreError};
use uuid::Uuid;

fn later(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

fn by(user: Option<UserId>, kind: AuditKind, seconds: i64) -> AuditEvent {
    AuditEvent {
        user_id: user,
        ..AuditEvent::new(kind, later(seconds))
    }
}

/// All pages of two events each, as the seconds and numbers of their events.
async fn paged(store: &Store, filter: &AuditFilter) -> Vec<Vec<(i64, i64)>> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let before = store.statement_count();
        let page = store.audit_page(filter, after, 2).await.unwrap();
        assert_eq!(store.statement_count() - before, 1);
        let place = |event: &audit_events::Model| ((event.at - now()).num_seconds(), event.seq);
        pages.push(page.events.iter().map(place).collect());
        after = page.next;
        if after.is_none() {
            return pages;
        }
    }
}

store::testing::on_both! {
    async fn an_event_is_kept_with_everything_that_is_known_of_it(test: TestStore) {
        let (user, account) = (UserId(Uuid::now_v7()), AccountId(Uuid::now_v7()));
        let event = AuditEvent {
            at: now(),
            kind: AuditKind::LimitsChanged,
            user_id: Some(user),
            credential_id: Some(CredentialId(Uuid::now_v7())),
            account_id: Some(account),
            subject: Some("someone@example.com".to_owned()),
            ip: Some("2001:db8::1".parse::<IpAddr>().unwrap()),
            request_id: Some("request".to_owned()),
            data: serde_json::json!({ "from": "1.10", "to": 2 }),
        };
        assert_eq!(test.audit(&event).await.unwrap(), 1);
        let page = test.audit_page(&AuditFilter::default(), None, 10).await.unwrap();
        let expected = audit_events::Model {
            chain_id: account.0,
            seq: 1,
            at: now(),
            kind: "limits_changed".to_owned(),
            user_id: Some(user.0),
            credential_id: event.credential_id.map(|id| id.0),
            account_id: Some(account.0),
            subject: event.subject.clone(),
            ip: Some("2001:db8::1".to_owned()),
            request_id: event.request_id.clone(),
            data: event.data.clone(),
        };
        assert_eq!((page.events, page.next), (vec![expected], None));
    }

    async fn each_account_user_and_the_installation_has_a_chain_of_its_own(test: TestStore) {
        let (user, account) = (UserId(Uuid::now_v7()), AccountId(Uuid::now_v7()));
        let on_account = AuditEvent { account_id: Some(account), ..by(Some(user), AuditKind::ApiKeyCreated, 0) };
        let of_user = by(Some(user), AuditKind::LoggedOut, 0);
        let of_nobody = by(None, AuditKind::LoginFailed, 0);
        assert_eq!(
            (on_account.chain_id(), of_user.chain_id(), of_nobody.chain_id()),
            (account.0, user.0, INSTALLATION)
        );
        for expected in 1..=2 {
            for event in [&on_account, &of_user, &of_nobody] {
                assert_eq!(test.audit(event).await.unwrap(), expected);
            }
        }
    }

    async fn an_event_is_kept_only_with_what_it_tells_of(test: TestStore) {
        let event = by(None, AuditKind::KeysRotated, 0);
        let failed = test.transaction("test", async |tx| {
            test.audit_within(&tx, &event).await?;
            Err::<(), StoreError>(StoreError::NotFound { table: "test" })
        });
        assert!(failed.await.is_err());
        assert!(test.audit_page(&AuditFilter::default(), None, 10).await.unwrap().events.is_empty());
        // The number is given out again: there is no gap.
        let seq = test.transaction("test", async |tx| {
            test.audit_within(&tx, &event).await?;
            test.audit_within(&tx, &event).await
        });
        assert_eq!(seq.await.unwrap(), 2);
    }

    async fn eight_writers_leave_no_gap(test: TestStore) {
        let user = UserId(Uuid::now_v7());
        let writers = join_all((0..8).map(|writer| async move {
            let mut seqs = Vec::new();
            for n in 0..10 {
                let event = by(Some(user), AuditKind::LoginSucceeded, n);
                let written = test.transaction("test", async |tx| {
                    let seq = test.audit_within(&tx, &event).await?;
                    if (n + writer) % 3 == 0 {
                        return Err(StoreError::NotFound { table: "test" });
                    }
                    Ok(seq)
                });
                seqs.extend(written.await.ok());
            }
            seqs
        }));
        let seqs: Vec<i64> = writers.await.into_iter().flatten().collect();
        let different: BTreeSet<i64> = seqs.iter().copied().collect();
        let last = i64::try_from(seqs.len()).unwrap();
        assert!(last > 40);
        assert_eq!(different, (1..=last).collect());
        let rows = audit_events::Entity::find().all(test.read()).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.seq).collect::<BTreeSet<_>>(), different);
    }

    async fn pages_go_from_the_newest_to_the_oldest_and_lose_nothing(test: TestStore) {
        let (one, other) = (UserId(Uuid::now_v7()), UserId(Uuid::now_v7()));
        for (user, kind, seconds) in [
            (one, AuditKind::Registered, 1),
            (one, AuditKind::LoginSucceeded, 5),
            (other, AuditKind::Registered, 5),
            (other, AuditKind::LoginSucceeded, 5),
            (one, AuditKind::LoggedOut, 9),
        ] {
            test.audit(&by(Some(user), kind, seconds)).await.unwrap();
        }
        let all = AuditFilter::default();
        assert_eq!(paged(test, &all).await, [vec![(9, 3), (5, 2)], vec![(5, 1), (5, 2)], vec![(1, 1)]]);
        let of_user = AuditFilter { user: Some(one), ..all.clone() };
        assert_eq!(paged(test, &of_user).await, [vec![(9, 3), (5, 2)], vec![(1, 1)]]);
        let of_kind = AuditFilter { kind: Some(AuditKind::Registered), ..all.clone() };
        assert_eq!(paged(test, &of_kind).await, [vec![(5, 1), (1, 1)]]);
        let since = AuditFilter { since: Some(later(5)), ..all.clone() };
        assert_eq!(paged(test, &since).await, [vec![(9, 3), (5, 2)], vec![(5, 1), (5, 2)]]);
        let each = AuditFilter { user: Some(other), kind: Some(AuditKind::Registered), since: Some(later(6)) };
        assert_eq!(paged(test, &each).await, [vec![]]);
        // What comes meanwhile is on no later page.
        let first = test.audit_page(&all, None, 2).await.unwrap();
        test.audit(&by(Some(one), AuditKind::LoginSucceeded, 20)).await.unwrap();
        let second = test.audit_page(&all, first.next, 1).await.unwrap();
        assert_eq!((second.events[0].user_id, second.events[0].seq), (Some(other.0), 1));
        let end = AuditCursor { at: later(0), chain_id: INSTALLATION, seq: 0 };
        assert!(test.audit_page(&all, Some(end), 2).await.unwrap().events.is_empty());
    }

    async fn what_a_caller_puts_in_begins_no_line_and_has_an_end(test: TestStore) {
        let event = AuditEvent {
            subject: Some(format!("a\n{}", "b".repeat(2 * TEXT_MAX))),
            request_id: Some("id\r\0".to_owned()),
            data: serde_json::json!({ "agent": "x\u{1b}[2J\0" }),
            ..by(None, AuditKind::LoginFailed, 0)
        };
        test.audit(&event).await.unwrap();
        let row = audit_events::Entity::find().one(test.read()).await.unwrap().unwrap();
        let subject = row.subject.unwrap();
        assert!(subject.starts_with("a\u{fffd}b") && subject.chars().count() == TEXT_MAX);
        assert_eq!(row.request_id.as_deref(), Some("id\u{fffd}\u{fffd}"));
        assert_eq!(row.data, serde_json::json!({ "agent": "x\u{fffd}[2J\u{fffd}" }));
    }

    async fn no_row_of_the_log_is_ever_changed_by_the_store(test: TestStore) {
        test.audit(&by(None, AuditKind::LoginFailed, 0)).await.unwrap();
        let forbid = match test.backend() {
            sea_orm::DbBackend::Postgres => "CREATE RULE a AS ON UPDATE TO audit_events DO INSTEAD SELECT 1 / 0",
            _ => "CREATE TRIGGER a BEFORE UPDATE ON audit_events BEGIN SELECT RAISE(ABORT, 'changed'); END",
        };
        test.write().execute_unprepared(forbid).await.unwrap();
        let key = platform::chain::ChainKey::of(&[1; 32]);
        let mut sealer = store::Sealer::new(test.store().clone(), key);
        assert_eq!(sealer.pass(later(1), 10).await.unwrap().rows, 1);
        assert_eq!(sealer.pass(later(2), 10).await.unwrap().rows, 0);
    }
}
