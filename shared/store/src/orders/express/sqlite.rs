//! Writing a batch of accepted orders on SQLite: what is there is read and compared, then everything is written.
//!
//! The database holds its one write lock from the first step to the last, so nothing moves between them. Its decimals are
//! text, which it cannot add: the sums are made here, of what the first step has read.

use domain::id::{AccountId, AssetId, UserId};
use sea_orm::{DbBackend, QueryResult};
use uuid::Uuid;

use super::rows::{Base, account_rows, balance_rows, position_rows, user_rows, work_rows};
use super::{Approved, version_stands};
use crate::Store;
use crate::book::{held_reservations, new_events, new_orders};
use crate::entity::order_events;
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::money::Money;
use crate::orders::accept::{ACCEPT, answer_rows};
use crate::rows::{Rows, insert_statement};
use crate::time::now_of;
use crate::transaction::Script;

impl Store {
    /// See [`Store::write_accepted`].
    pub(super) async fn write_accepted_on_sqlite(&self, approved: Approved<'_>) -> Result<bool, StoreError> {
        let Approved {
            before,
            after,
            requests,
            answers,
            context,
        } = approved;
        let clock = Rows::typed(
            &[("due_at", "timestamptz"), ("updated_at", "timestamptz")],
            vec![vec![now_of(self.read()).await?.into(), after.now.into()]],
        );
        // Whatever does not depend on what is there is made ready before the lock is taken.
        let mut script = Script::default();
        let new_rows = [
            insert(&mut script, "orders", &Rows::of(new_orders(after))),
            insert(&mut script, "reservations", &Rows::of(held_reservations(after))),
            insert(
                &mut script,
                "idempotency_keys",
                &Rows::of(answer_rows(requests, answers, context)),
            ),
        ];
        let logged = format!(
            "INSERT INTO order_events (account_id, seq, order_id, kind, at, cause, data)
             SELECT v.account_id, t.last_event_seq + v.seq, v.order_id, v.kind, v.at, v.cause, v.data
             FROM {events} CROSS JOIN accounts t ON t.id = v.account_id",
            events = script.source("v", &Rows::of::<order_events::ActiveModel>(new_events(after))),
        );
        let work = format!(
            "INSERT INTO order_work (order_id, kind, account_id, due_at)
             SELECT v.order_id, v.kind, v.account_id, c.due_at FROM {work} CROSS JOIN {clock}",
            work = script.source("v", &work_rows(after)),
            clock = script.source("c", &clock),
        );
        for statement in new_rows.iter().chain([&logged, &work]) {
            script.add(statement);
        }
        self.in_two_steps(ACCEPT, standing(before, after)?, |found| {
            let Some(base) = base_of(&found, after)? else {
                return Ok(None);
            };
            add_counters(&mut script, before, after, &base, &clock)?;
            Ok(Some(script))
        })
        .await
    }
}

fn insert(script: &mut Script, table: &str, rows: &Rows) -> String {
    script.bind(|first| insert_statement(table, rows, None, DbBackend::Sqlite, first))
}

/// What [`standing`] answers of a table.
mod kind {
    pub(super) const USER: i32 = 0;
    pub(super) const ACCOUNT: i32 = 1;
    pub(super) const BALANCE: i32 = 2;
    pub(super) const POSITION: i32 = 3;
}

/// Reads the users and accounts whose versions stand, and what the ledger changes of their rows, as it is.
fn standing(before: &Ledger, ledger: &Ledger) -> Result<Script, StoreError> {
    let unmoved = Base::default();
    let mut script = Script::default();
    let sql = format!(
        "SELECT {user} AS kind, t.id AS id, NULL AS asset_id, t.notional_open AS amount
         FROM {users} CROSS JOIN users t ON t.id = v.id WHERE {stands} AND t.is_active
         UNION ALL SELECT {account}, t.id, NULL, '0'
         FROM {accounts} CROSS JOIN accounts t ON t.id = v.id WHERE {stands}
         UNION ALL SELECT {balance}, t.account_id, NULL, t.reserved
         FROM {balances} CROSS JOIN balances t ON t.account_id = v.account_id AND t.currency = v.currency
         UNION ALL SELECT {position}, t.account_id, t.asset_id, t.reserved
         FROM {positions} CROSS JOIN positions t ON t.account_id = v.account_id AND t.asset_id = v.asset_id",
        user = kind::USER,
        account = kind::ACCOUNT,
        balance = kind::BALANCE,
        position = kind::POSITION,
        stands = version_stands(),
        users = script.source("v", &user_rows(before, ledger, &unmoved)?),
        accounts = script.source("v", &account_rows(before, ledger)),
        balances = script.source("v", &balance_rows(before, ledger, &unmoved)?),
        positions = script.source("v", &position_rows(before, ledger, &unmoved)?),
    );
    script.add(&sql);
    Ok(script)
}

/// What the ledger's differences are added to; nothing, where a version has moved.
fn base_of(found: &[QueryResult], ledger: &Ledger) -> Result<Option<Base>, StoreError> {
    let (mut base, mut accounts) = (Base::default(), 0);
    for row in found {
        let id: Uuid = row.try_get_by_index(1)?;
        let asset: Option<Uuid> = row.try_get_by_index(2)?;
        let Money(amount) = row.try_get_by_index(3)?;
        match (row.try_get_by_index::<i32>(0)?, asset) {
            (kind::USER, _) => {
                base.users.insert(UserId(id), amount);
            }
            (kind::BALANCE, _) => {
                base.balances.insert(AccountId(id), amount);
            }
            (kind::POSITION, Some(asset)) => {
                base.positions.insert((AccountId(id), AssetId(asset)), amount);
            }
            _ => accounts += 1,
        }
    }
    let stands = base.users.len() == ledger.users.len() && accounts == ledger.accounts.len();
    Ok(stands.then_some(base))
}

/// The counters that the events were numbered from, and what is reserved and used now.
fn add_counters(
    script: &mut Script,
    before: &Ledger,
    ledger: &Ledger,
    base: &Base,
    clock: &Rows,
) -> Result<(), StoreError> {
    let accounts = format!(
        "UPDATE accounts AS t SET last_event_seq = t.last_event_seq + v.events, risk_version = v.next
         FROM {} WHERE t.id = v.id",
        script.source("v", &account_rows(before, ledger)),
    );
    let users = format!(
        "UPDATE users AS t SET notional_open = v.amount, risk_version = v.next FROM {} WHERE t.id = v.id",
        script.source("v", &user_rows(before, ledger, base)?),
    );
    let balances = format!(
        "INSERT INTO balances (account_id, currency, amount, reserved)
         SELECT account_id, currency, '0', amount FROM {} WHERE true
         ON CONFLICT (account_id, currency) DO UPDATE SET reserved = excluded.reserved",
        script.source("v", &balance_rows(before, ledger, base)?),
    );
    let positions = format!(
        "INSERT INTO positions (account_id, asset_id, quantity, reserved, cost_basis, realized, updated_at)
         SELECT v.account_id, v.asset_id, '0', v.amount, '0', '0', c.updated_at
         FROM {positions} CROSS JOIN {clock} WHERE true
         ON CONFLICT (account_id, asset_id)
         DO UPDATE SET reserved = excluded.reserved, updated_at = excluded.updated_at",
        positions = script.source("v", &position_rows(before, ledger, base)?),
        clock = script.source("c", clock),
    );
    for statement in [accounts, users, balances, positions] {
        script.add(&statement);
    }
    Ok(())
}
