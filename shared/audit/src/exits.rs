//! Exits: each generation of a trigger has at most one, and each exit is known to its trigger.

use std::collections::BTreeMap;

use sea_orm::Value;
use uuid::Uuid;

use crate::AuditError;
use crate::report::{Findings, Row};
use crate::snapshot::{PAGE, Reader, Snapshot};

/// Compares the exits of triggers with the orders that triggers made, by their events (`made`: order to trigger).
pub(crate) async fn audit(
    snapshot: &Snapshot<'_>,
    made: &BTreeMap<Uuid, Uuid>,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let mut made = made.clone();
    let sql = format!(
        "SELECT e.trigger_id, e.generation, e.order_id, t.generation AS present, t.state, t.exit_order_id
         FROM trigger_exits e JOIN triggers t ON t.id = e.trigger_id
         WHERE (e.trigger_id, e.generation) > ($1, $2) ORDER BY e.trigger_id, e.generation LIMIT {PAGE}"
    );
    let mut last = (Uuid::nil(), i32::MIN);
    loop {
        let rows = snapshot.rows(&sql, [Value::from(last.0), last.1.into()]).await?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            let reader = Reader {
                row,
                table: "trigger_exits",
            };
            findings.counts.exits += 1;
            last = (reader.id("trigger_id")?, reader.get("generation")?);
            let order = reader.id("order_id")?;
            let exit = Row::pair("trigger_exits", last.0, last.1);
            findings.compare(&exit, "trigger_id", &Some(last.0), &made.remove(&order));
            compare_trigger(&reader, last, order, findings)?;
        }
    }
    for (order, trigger) in made {
        findings.report(&Row::new("trigger_exits", trigger), "order_id", "nothing", order);
    }
    report_firings_without_exits(snapshot, findings).await
}

/// What the trigger says of an exit of its present generation; one of a later generation is none of its own.
fn compare_trigger(
    exit: &Reader<'_>,
    (trigger, generation): (Uuid, i32),
    order: Uuid,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let row = Row::new("triggers", trigger);
    let present: i32 = exit.get("present")?;
    let state = exit.text("state")?;
    if generation > present {
        let (present, generation) = (i64::from(present), i64::from(generation));
        findings.compare(&row, "generation", &present, &generation);
    }
    if generation == present {
        findings.compare(&row, "exit_order_id", &exit.get("exit_order_id")?, &Some(order));
        if state == "armed" {
            findings.report(&row, "state", state, "fired: this generation has an exit");
        }
    }
    Ok(())
}

/// A trigger that fires has an exit that is under way.
async fn report_firings_without_exits(
    snapshot: &Snapshot<'_>,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let sql = "
        SELECT t.id FROM triggers t WHERE t.state = 'firing' AND NOT EXISTS (
            SELECT 1 FROM trigger_exits e JOIN orders o ON o.id = e.order_id
            WHERE e.trigger_id = t.id AND e.generation = t.generation AND o.closed_at IS NULL)";
    for row in snapshot.rows(sql, []).await? {
        let trigger: Uuid = row.try_get("", "id")?;
        findings.report(
            &Row::new("triggers", trigger),
            "state",
            "firing",
            "an exit that is open",
        );
    }
    Ok(())
}
