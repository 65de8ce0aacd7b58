//! Accounts, some at a time: read, walked through, and compared with what is stored.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::AuditError;
use crate::orders;
use crate::read::{self, Stored};
use crate::report::{Findings, Row, Show};
use crate::rows::{AccountRow, BalanceRow, DayRow, PositionRow, ReservationRow, WorkRow};
use crate::snapshot::{PAGE, Snapshot};
use crate::walk::Walk;

/// The currency of every balance.
pub(crate) const CURRENCY: &str = "USD";

/// Accounts that are read together, at most.
const TOGETHER_MAX: usize = 200;

/// What the accounts add up to for those after them.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// Open exposure by user.
    pub open: BTreeMap<Uuid, Option<Decimal>>,
    /// What was filled by user and day.
    pub days: BTreeMap<(Uuid, NaiveDate), Option<Decimal>>,
    /// The trigger of each exit.
    pub exits: BTreeMap<Uuid, Uuid>,
}

/// Rows that are few, read at once: those of open orders.
#[derive(Debug, Default)]
struct Open {
    reservations: HashMap<Uuid, Vec<ReservationRow>>,
    work: HashMap<Uuid, Vec<WorkRow>>,
}

/// Audits every account.
pub(crate) async fn audit(snapshot: &Snapshot<'_>, findings: &mut Findings) -> Result<Sums, AuditError> {
    let mut open = Open::read(snapshot).await?;
    let mut sums = Sums::default();
    let mut after = Uuid::nil();
    loop {
        let accounts = page_of_accounts(snapshot, after).await?;
        let Some(last) = accounts.last() else { break };
        after = last.id;
        for together in groups(accounts) {
            audit_together(snapshot, together, &mut open, &mut sums, findings).await?;
        }
    }
    report_rows_of_nobody(snapshot, open, findings).await?;
    Ok(sums)
}

impl Open {
    async fn read(snapshot: &Snapshot<'_>) -> Result<Self, AuditError> {
        let mut open = Self::default();
        let columns = "group_id, account_id, currency, asset_id, CAST(remaining AS TEXT) AS remaining";
        for row in snapshot
            .rows(&format!("SELECT {columns} FROM reservations"), [])
            .await?
        {
            let row = ReservationRow::read(&row)?;
            open.reservations.entry(row.account_id).or_default().push(row);
        }
        for row in snapshot
            .rows("SELECT order_id, kind, account_id FROM order_work", [])
            .await?
        {
            let row = WorkRow::read(&row)?;
            open.work.entry(row.account_id).or_default().push(row);
        }
        Ok(open)
    }
}

async fn page_of_accounts(snapshot: &Snapshot<'_>, after: Uuid) -> Result<Vec<AccountRow>, AuditError> {
    let sql = format!(
        "SELECT a.id, a.user_id, a.broker_connection_id, a.last_event_seq,
                CAST(c.starting_cash AS TEXT) AS starting_cash
         FROM accounts a JOIN broker_connections c ON c.id = a.broker_connection_id
         WHERE a.id > $1 ORDER BY a.id LIMIT {PAGE}"
    );
    let rows = snapshot.rows(&sql, [after.into()]).await?;
    rows.iter().map(AccountRow::read).collect()
}

/// Accounts whose rows fit a page together; a large one by itself.
fn groups(accounts: Vec<AccountRow>) -> Vec<Vec<AccountRow>> {
    let mut groups: Vec<Vec<AccountRow>> = Vec::new();
    let mut size = 0_u64;
    for account in accounts {
        let events = u64::try_from(account.last_event_seq).unwrap_or_default();
        size = size.saturating_add(events);
        match groups.last_mut() {
            Some(group) if size <= PAGE && group.len() < TOGETHER_MAX => group.push(account),
            Some(_) | None => {
                size = events;
                groups.push(vec![account]);
            }
        }
    }
    groups
}

async fn audit_together(
    snapshot: &Snapshot<'_>,
    accounts: Vec<AccountRow>,
    open: &mut Open,
    sums: &mut Sums,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let ids: Vec<Uuid> = accounts.iter().map(|account| account.id).collect();
    let walks = accounts
        .into_iter()
        .map(|account| (account.id, Walk::new(account)));
    let mut walks: BTreeMap<Uuid, Walk> = walks.collect();
    read::orders(snapshot, &ids, &mut walks, findings).await?;
    read::fills(snapshot, &ids, &mut walks, findings).await?;
    read::events(snapshot, &ids, &mut walks, findings).await?;
    let mut stored = Stored::read(snapshot, &ids).await?;
    for (id, mut walk) in walks {
        walk.book_the_rest(findings);
        findings.counts.accounts += 1;
        let row = Row::new("accounts", id);
        findings.compare(
            &row,
            "last_event_seq",
            &walk.account.last_event_seq,
            &walk.last_seq,
        );
        orders::compare(&walk, open.work.remove(&id).unwrap_or_default(), findings);
        let held =
            orders::compare_reservations(&walk, open.reservations.remove(&id).unwrap_or_default(), findings);
        compare_money(&walk, held.money, stored.balances.remove(&id), findings);
        compare_positions(
            &walk,
            held.units,
            stored.positions.remove(&id).unwrap_or_default(),
            findings,
        );
        compare_days("account_days", id, &walk.days, stored.days.remove(&id), findings);
        sums.take(&walk, held.exposure);
    }
    Ok(())
}

impl Sums {
    fn take(&mut self, walk: &Walk, exposure: Option<Decimal>) {
        let user = walk.account.user_id;
        let open = self.open.entry(user).or_insert(Some(Decimal::ZERO));
        *open = open.zip(exposure).and_then(|(sum, more)| sum.checked_add(more));
        for (date, filled) in &walk.days {
            let sum = self.days.entry((user, *date)).or_insert(Some(Decimal::ZERO));
            *sum = sum.zip(*filled).and_then(|(sum, more)| sum.checked_add(more));
        }
        let exits = walk
            .orders
            .iter()
            .filter_map(|(id, order)| Some((*id, order.life.exit_of?)));
        self.exits.extend(exits);
    }
}

fn compare_money(
    walk: &Walk,
    reserved: Option<Decimal>,
    stored: Option<BalanceRow>,
    findings: &mut Findings,
) {
    let id = walk.account.id;
    let Some(stored) = stored else {
        let row = Row::pair("balances", id, CURRENCY);
        findings.report(&row, "amount", "nothing", walk.cash.show());
        return;
    };
    let row = Row::pair("balances", id, &stored.currency);
    findings.compare(&row, "amount", &Some(stored.amount), &walk.cash);
    findings.compare(&row, "reserved", &Some(stored.reserved), &reserved);
}

fn compare_positions(
    walk: &Walk,
    mut reserved: BTreeMap<Uuid, Option<Decimal>>,
    stored: Vec<PositionRow>,
    findings: &mut Findings,
) {
    let mut holdings = walk.holdings.clone();
    for stored in stored {
        let row = Row::pair("positions", stored.account_id, stored.asset_id);
        let holding = holdings
            .remove(&stored.asset_id)
            .unwrap_or(Some(crate::money::Holding::default()));
        let reserved = reserved.remove(&stored.asset_id).unwrap_or(Some(Decimal::ZERO));
        findings.compare(
            &row,
            "quantity",
            &Some(stored.quantity),
            &holding.map(|holding| holding.quantity),
        );
        findings.compare(
            &row,
            "cost_basis",
            &Some(stored.cost_basis),
            &holding.map(|holding| holding.basis),
        );
        findings.compare(
            &row,
            "realized",
            &Some(stored.realized),
            &holding.map(|holding| holding.realized),
        );
        findings.compare(&row, "reserved", &Some(stored.reserved), &reserved);
    }
    for (asset, holding) in holdings {
        let row = Row::pair("positions", walk.account.id, asset);
        findings.report(
            &row,
            "quantity",
            "nothing",
            holding.map(|holding| holding.quantity).show(),
        );
    }
    for (asset, reserved) in reserved {
        if reserved != Some(Decimal::ZERO) {
            let row = Row::pair("positions", walk.account.id, asset);
            findings.report(&row, "reserved", "nothing", reserved.show());
        }
    }
}

/// What was filled on each day; a day without a row is one on which nothing was.
pub(crate) fn compare_days(
    table: &'static str,
    owner: Uuid,
    computed: &BTreeMap<NaiveDate, Option<Decimal>>,
    stored: Option<Vec<DayRow>>,
    findings: &mut Findings,
) {
    let mut computed = computed.clone();
    for day in stored.unwrap_or_default() {
        let row = Row::pair(table, owner, day.trading_date);
        let filled = computed.remove(&day.trading_date).unwrap_or(Some(Decimal::ZERO));
        findings.compare(&row, "notional_filled", &Some(day.notional_filled), &filled);
    }
    for (date, filled) in computed {
        if filled != Some(Decimal::ZERO) {
            let row = Row::pair(table, owner, date);
            findings.report(&row, "notional_filled", "nothing", filled.show());
        }
    }
}

/// Rows whose account is not there.
async fn report_rows_of_nobody(
    snapshot: &Snapshot<'_>,
    open: Open,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    for held in open.reservations.into_values().flatten() {
        let row = Row::new("reservations", held.group_id);
        findings.report(&row, "account_id", held.account_id, "an account");
    }
    for work in open.work.into_values().flatten() {
        let row = Row::pair("order_work", work.order_id, &work.kind);
        findings.report(&row, "account_id", work.account_id, "an account");
    }
    for (table, key) in [
        ("orders", "id"),
        ("order_events", "order_id"),
        ("fills", "order_id"),
    ] {
        let sql = format!(
            "SELECT {key} AS found, t.account_id FROM {table} t
             WHERE NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = t.account_id) LIMIT {PAGE}"
        );
        for row in snapshot.rows(&sql, []).await? {
            let (found, account): (Uuid, Uuid) = (row.try_get("", "found")?, row.try_get("", "account_id")?);
            findings.report(&Row::new(table, found), "account_id", account, "an account");
        }
    }
    Ok(())
}
