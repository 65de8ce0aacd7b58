//! Users: what their accounts' orders count against limits.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;
use uuid::Uuid;

use crate::AuditError;
use crate::accounts::{Sums, compare_days};
use crate::report::{Findings, Row};
use crate::rows::{DayRow, UserRow};
use crate::snapshot::{PAGE, Snapshot, texts};

/// Compares open exposure and day tables of every user.
pub(crate) async fn audit(
    snapshot: &Snapshot<'_>,
    sums: &Sums,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let mut after = Uuid::nil();
    loop {
        let columns = texts(&["notional_open"]);
        let sql = format!("SELECT id, {columns} FROM users WHERE id > $1 ORDER BY id LIMIT {PAGE}");
        let rows = snapshot.rows(&sql, [after.into()]).await?;
        let users = rows.iter().map(UserRow::read).collect::<Result<Vec<_>, _>>()?;
        let Some(last) = users.last() else { return Ok(()) };
        let mut days = days_of(snapshot, after, last.id).await?;
        after = last.id;
        for user in users {
            let row = Row::new("users", user.id);
            let open = sums.open.get(&user.id).copied().unwrap_or(Some(Decimal::ZERO));
            findings.compare(&row, "notional_open", &Some(user.notional_open), &open);
            let range = (user.id, chrono::NaiveDate::MIN)..=(user.id, chrono::NaiveDate::MAX);
            let computed: BTreeMap<_, _> = sums
                .days
                .range(range)
                .map(|((_, date), filled)| (*date, *filled))
                .collect();
            compare_days("user_days", user.id, &computed, days.remove(&user.id), findings);
        }
    }
}

async fn days_of(
    snapshot: &Snapshot<'_>,
    after: Uuid,
    to: Uuid,
) -> Result<HashMap<Uuid, Vec<DayRow>>, AuditError> {
    let columns = texts(&["notional_filled"]);
    let sql = format!(
        "SELECT user_id AS owner, trading_date, {columns} FROM user_days WHERE user_id > $1 AND user_id <= $2"
    );
    let mut days: HashMap<Uuid, Vec<DayRow>> = HashMap::new();
    for row in snapshot.rows(&sql, [after.into(), to.into()]).await? {
        let row = DayRow::read(&row)?;
        days.entry(row.owner).or_default().push(row);
    }
    Ok(days)
}
