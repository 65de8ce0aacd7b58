//! Events, seals, and what a verification says of them.

use audit::chains::{self, ChainReport, Wrong};
use chrono::{DateTime, TimeDelta, Utc};
use domain::id::UserId;
use platform::chain::ChainKey;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use store::audit_log::{AuditEvent, AuditKind, Sealed, Sealer};
use store::testing::{TestStore, now};
use uuid::Uuid;

/// More rows than any test has.
pub(crate) const ALL: u64 = 1_000_000;

pub(crate) fn key(byte: u8) -> ChainKey {
    ChainKey::of(&[byte; 32])
}

pub(crate) fn later(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

/// What happens to `user`, `seconds` after the beginning.
pub(crate) fn event(user: UserId, seconds: i64) -> AuditEvent {
    AuditEvent {
        user_id: Some(user),
        subject: Some(format!("subject {seconds}")),
        ip: Some([192, 0, 2, 1].into()),
        request_id: Some("request".to_owned()),
        data: serde_json::json!({ "n": seconds }),
        ..AuditEvent::new(AuditKind::RoleChanged, later(seconds))
    }
}

/// A new user, to whom `count` things happen.
pub(crate) async fn chain_of(test: &TestStore, count: i64) -> Uuid {
    let user = UserId(Uuid::now_v7());
    for n in 1..=count {
        assert_eq!(test.audit(&event(user, n)).await.unwrap(), n);
    }
    user.0
}

/// One pass of a new sealer with key 1.
pub(crate) async fn seal(test: &TestStore, seconds: i64) -> Sealed {
    let mut sealer = Sealer::new(test.store().clone(), key(1));
    sealer.pass(later(seconds), ALL).await.unwrap()
}

/// What a verification with `keys` says of the whole database, an hour after the beginning.
pub(crate) async fn verify_with(test: &TestStore, keys: &[ChainKey]) -> ChainReport {
    let connection = audit::connect(&test.options().url).await.unwrap();
    let report = chains::verify_chains(&connection, keys, later(3_600)).await;
    connection.close().await.unwrap();
    report.unwrap()
}

pub(crate) async fn verify(test: &TestStore) -> ChainReport {
    verify_with(test, &[key(1)]).await
}

/// The findings of `report`: log, chain, first and last row, what is wrong.
pub(crate) fn found(report: &ChainReport) -> Vec<(&'static str, Uuid, i64, i64, Wrong)> {
    let findings = report.findings.iter();
    findings
        .map(|found| (found.source, found.chain, found.seq, found.seq_to, found.wrong))
        .collect()
}

/// An id as the database writes it.
pub(crate) fn literal(test: &TestStore, id: Uuid) -> String {
    if test.backend() == DbBackend::Postgres {
        format!("'{id}'")
    } else {
        format!("x'{}'", id.simple())
    }
}

/// `sql` with `{chain}` as an id of this database.
pub(crate) fn with_chain(test: &TestStore, sql: &str, chain: Uuid) -> String {
    sql.replace("{chain}", &literal(test, chain))
}

pub(crate) async fn execute(test: &TestStore, sql: &str, chain: Uuid) {
    let sql = with_chain(test, sql, chain);
    test.write().execute_unprepared(&sql).await.unwrap();
}

/// The number that `sql` answers.
pub(crate) async fn number(test: &TestStore, sql: &str) -> i64 {
    let statement = Statement::from_string(test.backend(), sql);
    let row = test.read().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}
