//! Writing a batch of accepted orders in one round trip, if nothing that they were decided on has moved.
//!
//! 1. The statement locks the users and then the accounts, by ascending ids, and compares their versions with those that
//!    the decisions were made on. Where one has moved it writes nothing.
//! 2. Counters and reservations are written as differences, because fills and ends move them without moving a version:
//!    those leave more room, so they make no approval wrong.
//! 3. The numbers of events are handed out by the statement, under the account's lock.
//! 4. It commits by itself. When its answer is lost, nobody knows whether it was kept.
//!
//! SQLite has no such statement; [`sqlite`] keeps the same rules there.

mod rows;
mod sqlite;

use sea_orm::{DbBackend, EntityName, Statement, Value};

use self::rows::{Base, account_rows, balance_rows, position_rows, user_rows, work_rows};
use super::accept::{ACCEPT, AcceptContext, AcceptRequest, Accepted, Refusal, answer_rows};
use crate::Store;
use crate::book::{held_reservations, new_events, new_orders};
use crate::entity::{idempotency_keys, order_events, orders, reservations};
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::rows::Rows;
use crate::transaction::is_planted;

/// A batch whose orders are all approved.
#[derive(Clone, Copy)]
pub(super) struct Approved<'a> {
    /// Its users and accounts as they were when their versions were read, with no event numbered yet.
    pub(super) before: &'a Ledger,
    /// The same, with nothing done to it but the approved orders.
    pub(super) after: &'a Ledger,
    pub(super) requests: &'a [&'a AcceptRequest],
    pub(super) answers: &'a [Result<Accepted, Refusal>],
    pub(super) context: &'a AcceptContext<'a>,
}

/// The parts of a statement, and what they bind.
#[derive(Default)]
struct Text {
    parts: Vec<String>,
    values: Vec<Value>,
}

impl Text {
    /// These rows under the name `alias`.
    fn source(&mut self, alias: &str, rows: &Rows) -> String {
        let (sql, values) = rows.source(DbBackend::Postgres, alias, self.values.len() + 1);
        self.values.extend(values);
        sql
    }

    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }
}

impl Store {
    /// Writes `approved`, all of it at once. `false`: a version has moved, and nothing was written.
    ///
    /// [`StoreError::Conflict`] when a client order id or an idempotency key is taken, [`StoreError::CommitUnknown`] when
    /// the answer was lost.
    pub(super) async fn write_accepted(&self, approved: Approved<'_>) -> Result<bool, StoreError> {
        if self.backend() != DbBackend::Postgres {
            return self.write_accepted_on_sqlite(approved).await;
        }
        let (sql, values) = statement(approved)?;
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        self.run_alone(ACCEPT, statement).await
    }
}

fn statement(approved: Approved<'_>) -> Result<(String, Vec<Value>), StoreError> {
    let Approved {
        before,
        after,
        requests,
        answers,
        context,
    } = approved;
    let mut text = Text::default();
    // The statement adds to what is there.
    let base = Base::default();
    let users = user_rows(before, after, &base)?;
    let accounts = account_rows(before, after);
    let always = format!(
        "u AS MATERIALIZED (
            SELECT t.id FROM users t JOIN {users_read} ON t.id = v.id
            WHERE {stands} AND t.is_active ORDER BY t.id FOR NO KEY UPDATE OF t),
        a AS MATERIALIZED (
            SELECT t.id FROM accounts t JOIN {accounts_read} ON t.id = v.id
            WHERE {stands} AND (SELECT count(*) FROM u) >= 0 ORDER BY t.id FOR NO KEY UPDATE OF t),
        go AS MATERIALIZED (
            SELECT (SELECT count(*) FROM u) = {user_count} AND (SELECT count(*) FROM a) = {account_count} AS ok),
        u2 AS (
            UPDATE users t SET notional_open = t.notional_open + v.amount, risk_version = v.next
            FROM {users_moved} WHERE t.id = v.id AND (SELECT ok FROM go)),
        a2 AS (
            UPDATE accounts t SET last_event_seq = t.last_event_seq + v.events, risk_version = v.next
            FROM {accounts_moved} WHERE t.id = v.id AND (SELECT ok FROM go)
            RETURNING t.id, t.last_event_seq - v.events AS base),
        o AS ({orders}),
        e AS (
            INSERT INTO order_events (account_id, seq, order_id, kind, at, cause, data)
            SELECT v.account_id, a2.base + v.seq, v.order_id, v.kind, v.at, v.cause, v.data
            FROM {events} JOIN a2 ON a2.id = v.account_id),
        w AS (
            INSERT INTO order_work (order_id, kind, account_id, due_at)
            SELECT order_id, kind, account_id, clock_timestamp() FROM {work} WHERE (SELECT ok FROM go))",
        stands = version_stands(),
        users_read = text.source("v", &users),
        accounts_read = text.source("v", &accounts),
        user_count = text.value(count(&after.users)),
        account_count = text.value(count(&after.accounts)),
        users_moved = text.source("v", &users),
        accounts_moved = text.source("v", &accounts),
        orders = insert(&mut text, &orders::Entity, &Rows::of(new_orders(after))),
        events = text.source("v", &Rows::of::<order_events::ActiveModel>(new_events(after))),
        work = text.source("v", &work_rows(after)),
    );
    text.parts.push(always);
    reserve(&mut text, before, after, &base)?;
    let keys = Rows::of(answer_rows(requests, answers, context));
    if !keys.is_empty() {
        let keys = insert(&mut text, &idempotency_keys::Entity, &keys);
        text.parts.push(format!("k AS ({keys})"));
    }
    let sql = format!("WITH {} SELECT ok FROM go", text.parts.join(", "));
    Ok((sql, text.values))
}

/// Adds what accepting reserves. A table that gets no row is left out, since opening it and its indexes would be most of
/// what an order that is alone costs.
fn reserve(text: &mut Text, before: &Ledger, after: &Ledger, base: &Base) -> Result<(), StoreError> {
    let balances = balance_rows(before, after, base)?;
    if !balances.is_empty() {
        let balances = text.source("v", &balances);
        text.parts.push(format!(
            "b AS (
            INSERT INTO balances (account_id, currency, amount, reserved)
            SELECT account_id, currency, 0, amount FROM {balances} WHERE (SELECT ok FROM go)
            ON CONFLICT (account_id, currency) DO UPDATE SET reserved = balances.reserved + excluded.reserved)"
        ));
    }
    let positions = position_rows(before, after, base)?;
    if !positions.is_empty() {
        let now = text.value(after.now);
        let positions = text.source("v", &positions);
        text.parts.push(format!(
            "p AS (
            INSERT INTO positions (account_id, asset_id, quantity, reserved, cost_basis, realized, updated_at)
            SELECT account_id, asset_id, 0, amount, 0, 0, {now} FROM {positions} WHERE (SELECT ok FROM go)
            ON CONFLICT (account_id, asset_id)
            DO UPDATE SET reserved = positions.reserved + excluded.reserved, updated_at = excluded.updated_at)"
        ));
    }
    let reservations = Rows::of(held_reservations(after));
    if !reservations.is_empty() {
        let reservations = insert(text, &reservations::Entity, &reservations);
        text.parts.push(format!("r AS ({reservations})"));
    }
    Ok(())
}

/// The condition that a version is the one that the decisions were made on.
fn version_stands() -> &'static str {
    // A fault that the trials have to notice: limits are judged by what may have moved since it was read.
    if is_planted("plant::limit_outside_lock") {
        "true"
    } else {
        "t.risk_version = v.version"
    }
}

/// An insert of `rows` that happens only if the versions stand.
fn insert(text: &mut Text, table: &impl EntityName, rows: &Rows) -> String {
    let source = text.source("v", rows);
    let names = rows.names();
    format!(
        "INSERT INTO \"{}\" ({names}) SELECT {names} FROM {source} WHERE (SELECT ok FROM go)",
        table.table_name()
    )
}

fn count<K, V>(map: &std::collections::BTreeMap<K, V>) -> i64 {
    i64::try_from(map.len()).unwrap_or(i64::MAX)
}
