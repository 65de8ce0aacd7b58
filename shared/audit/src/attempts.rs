//! Calls to brokers: numbered without gaps, one at a time, and none unrecorded.

use std::collections::BTreeMap;

use sea_orm::Value;
use uuid::Uuid;

use crate::AuditError;
use crate::report::{Findings, Row};
use crate::snapshot::{PAGE, Reader, Snapshot};

/// Checks the numbers of attempts, and that what the venue knows was sent by one.
pub(crate) async fn audit(snapshot: &Snapshot<'_>, findings: &mut Findings) -> Result<(), AuditError> {
    let sql = format!(
        "SELECT order_id, kind, n, outcome FROM broker_attempts
         WHERE (order_id, kind, n) > ($1, $2, $3) ORDER BY order_id, kind, n LIMIT {PAGE}"
    );
    let mut last = (Uuid::nil(), String::new(), 0_i32);
    let mut is_open = false;
    loop {
        let values = [Value::from(last.0), last.1.clone().into(), last.2.into()];
        let rows = snapshot.rows(&sql, values).await?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            let reader = Reader {
                row,
                table: "broker_attempts",
            };
            findings.counts.attempts += 1;
            let (order, kind, n) = (reader.id("order_id")?, reader.text("kind")?, reader.get("n")?);
            let follows = (order, kind.as_str()) == (last.0, last.1.as_str());
            let row = Row::new("broker_attempts", &format!("{order}/{kind}/{n}"));
            let expected = if follows { last.2 + 1 } else { 1 };
            findings.compare(&row, "n", &i64::from(n), &i64::from(expected));
            if follows && is_open {
                let before = Row::new("broker_attempts", &format!("{order}/{kind}/{}", last.2));
                findings.report(
                    &before,
                    "outcome",
                    "nothing",
                    "an outcome: another attempt followed",
                );
            }
            is_open = reader.get::<Option<String>>("outcome")?.is_none();
            last = (order, kind, n);
        }
    }
    report_unrecorded_sends(snapshot, findings).await
}

/// An order that left, or may have, was sent by an attempt: its own, or that of the order it replaces.
async fn report_unrecorded_sends(snapshot: &Snapshot<'_>, findings: &mut Findings) -> Result<(), AuditError> {
    let sql = "
        SELECT o.id, o.submission FROM orders o WHERE o.submission <> 'unsent'
        AND NOT EXISTS (SELECT 1 FROM broker_attempts a WHERE a.order_id = o.id AND a.kind = 'submit')
        AND NOT EXISTS (SELECT 1 FROM broker_attempts a WHERE a.order_id = o.replaces AND a.kind = 'replace')";
    let mut sent = BTreeMap::new();
    for row in snapshot.rows(sql, []).await? {
        sent.insert(
            row.try_get::<Uuid>("", "id")?,
            row.try_get::<String>("", "submission")?,
        );
    }
    for (order, submission) in sent {
        findings.report(
            &Row::new("orders", order),
            "submission",
            submission,
            "unsent: no attempt is on record",
        );
    }
    Ok(())
}
