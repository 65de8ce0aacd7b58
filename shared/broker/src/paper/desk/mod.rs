//! The venue at work: a part of its book, locked and in memory, and what orders, cancels and quotes do to it.
//!
//! Nothing here does IO. A transaction loads a desk, lets it act, and saves what has changed.
//!
//! 1. An order is covered by what its account owns beside what other open orders hold: money for a buy, units for a
//!    sell. It holds that until it ends, and no fill takes what others hold.
//! 2. Everything that happens to an order is a row of the journal, numbered by the account.
//! 3. The account's money is its starting cash and the signed cost and fee of each fill, nothing else.

mod enter;
mod matching;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use domain::asset::Asset;
use domain::fill::Fill;
use domain::fill_model::{Execution, Then};
use domain::id::{AssetId, ConnectionId, OrderId};
use domain::order::Side;
use domain::reconcile::Reported;
use rust_decimal::Decimal;

use super::error::BookError;
use super::rows::{AccountRow, AssetRow, Ended, JournalRow, OrderRow, PositionRow};
use super::rules::PaperRules;

pub(super) use matching::is_news;

/// A locked part of the book.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) rules: &'a PaperRules,
    pub(super) now: DateTime<Utc>,
    assets: BTreeMap<AssetId, AssetRow>,
    accounts: BTreeMap<ConnectionId, AccountRow>,
    positions: BTreeMap<(ConnectionId, AssetId), PositionRow>,
    orders: BTreeMap<OrderId, OrderRow>,
    changed: Changed,
}

/// What differs from the database.
#[derive(Debug, Default)]
struct Changed {
    assets: BTreeSet<AssetId>,
    accounts: BTreeSet<ConnectionId>,
    positions: BTreeSet<(ConnectionId, AssetId)>,
    orders: BTreeSet<OrderId>,
    new_orders: BTreeSet<OrderId>,
    journal: Vec<JournalRow>,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) assets: Vec<AssetRow>,
    pub(super) accounts: Vec<AccountRow>,
    pub(super) positions: Vec<((ConnectionId, AssetId), PositionRow)>,
    pub(super) new_orders: Vec<OrderRow>,
    pub(super) orders: Vec<OrderRow>,
    pub(super) journal: Vec<JournalRow>,
}

impl<'a> Desk<'a> {
    /// A desk with locked instruments.
    pub(super) fn new(rules: &'a PaperRules, now: DateTime<Utc>, assets: Vec<AssetRow>) -> Self {
        Self {
            rules,
            now,
            assets: assets.into_iter().map(|row| (row.asset_id, row)).collect(),
            accounts: BTreeMap::new(),
            positions: BTreeMap::new(),
            orders: BTreeMap::new(),
            changed: Changed::default(),
        }
    }

    pub(super) fn add_assets(&mut self, assets: Vec<AssetRow>) {
        self.assets
            .extend(assets.into_iter().map(|row| (row.asset_id, row)));
    }

    /// The instruments, as they are now.
    pub(super) fn into_assets(self) -> Vec<AssetRow> {
        self.assets.into_values().collect()
    }

    pub(super) fn add_accounts(&mut self, accounts: Vec<AccountRow>) {
        self.accounts
            .extend(accounts.into_iter().map(|row| (row.connection_id, row)));
    }

    pub(super) fn add_positions(&mut self, positions: Vec<((ConnectionId, AssetId), PositionRow)>) {
        self.positions.extend(positions);
    }

    pub(super) fn add_orders(&mut self, orders: Vec<OrderRow>) {
        self.orders.extend(orders.into_iter().map(|row| (row.id, row)));
    }

    /// The accounts whose orders are on the desk, with the instruments that they are of.
    pub(super) fn holdings(&self) -> BTreeSet<(ConnectionId, AssetId)> {
        let orders = self.orders.values();
        orders
            .map(|order| (order.connection_id, order.asset_id))
            .collect()
    }

    /// The accounts that the journal has new rows for, since the last [`Desk::take_changes`].
    pub(super) fn told(&self) -> BTreeSet<ConnectionId> {
        self.changed.journal.iter().map(|row| row.connection_id).collect()
    }

    /// Hands out what has changed since the last call.
    pub(super) fn take_changes(&mut self) -> Changes {
        let changed = std::mem::take(&mut self.changed);
        let order = |id: &OrderId| self.orders.get(id).cloned();
        Changes {
            assets: changed
                .assets
                .iter()
                .filter_map(|id| self.assets.get(id).cloned())
                .collect(),
            accounts: changed
                .accounts
                .iter()
                .filter_map(|id| self.accounts.get(id).cloned())
                .collect(),
            positions: changed
                .positions
                .iter()
                .filter_map(|key| self.positions.get(key).map(|row| (*key, *row)))
                .collect(),
            new_orders: changed.new_orders.iter().filter_map(order).collect(),
            orders: changed
                .orders
                .difference(&changed.new_orders)
                .filter_map(order)
                .collect(),
            journal: changed.journal,
        }
    }

    fn asset(&self, id: AssetId) -> Result<&'a Asset, BookError> {
        self.rules.assets.get(&id).ok_or_else(|| BookError::Inconsistent {
            table: "paper_orders",
            what: format!("an order of the asset {id}, which is not traded"),
        })
    }

    fn order(&self, id: OrderId) -> Result<&OrderRow, BookError> {
        self.orders.get(&id).ok_or_else(|| missing("paper_orders", id))
    }

    fn order_mut(&mut self, id: OrderId) -> Result<&mut OrderRow, BookError> {
        self.changed.orders.insert(id);
        self.orders
            .get_mut(&id)
            .ok_or_else(|| missing("paper_orders", id))
    }

    fn account(&self, id: ConnectionId) -> Result<&AccountRow, BookError> {
        self.accounts
            .get(&id)
            .ok_or_else(|| missing("paper_accounts", id))
    }

    fn account_mut(&mut self, id: ConnectionId) -> Result<&mut AccountRow, BookError> {
        self.changed.accounts.insert(id);
        self.accounts
            .get_mut(&id)
            .ok_or_else(|| missing("paper_accounts", id))
    }

    fn position(&self, connection_id: ConnectionId, asset_id: AssetId) -> PositionRow {
        self.positions
            .get(&(connection_id, asset_id))
            .copied()
            .unwrap_or_default()
    }

    fn position_mut(&mut self, connection_id: ConnectionId, asset_id: AssetId) -> &mut PositionRow {
        let key = (connection_id, asset_id);
        self.changed.positions.insert(key);
        self.positions.entry(key).or_default()
    }

    /// Adds a row to the journal.
    fn tell(
        &mut self,
        order_id: OrderId,
        connection_id: ConnectionId,
        what: Reported,
    ) -> Result<(), BookError> {
        let account = self.account_mut(connection_id)?;
        account.last_seq += 1;
        let seq = account.last_seq;
        self.changed.journal.push(JournalRow {
            connection_id,
            seq,
            order_id,
            at: self.now,
            what,
        });
        Ok(())
    }

    /// Lets an order hold `amount`, instead of what it holds now.
    fn hold(&mut self, id: OrderId, amount: Decimal) -> Result<(), BookError> {
        let order = self.order_mut(id)?;
        let more = amount - order.held;
        if more.is_zero() {
            return Ok(());
        }
        order.held = amount;
        let (side, connection_id, asset_id) = (order.side, order.connection_id, order.asset_id);
        match side {
            Side::Buy => self.account_mut(connection_id)?.held += more,
            Side::Sell => self.position_mut(connection_id, asset_id).held += more,
        }
        Ok(())
    }

    /// Ends an order and lets go of what it holds.
    fn end(&mut self, id: OrderId, ended: Ended, reason: Option<&str>) -> Result<(), BookError> {
        self.hold(id, Decimal::ZERO)?;
        let now = self.now;
        let order = self.order_mut(id)?;
        order.ended = Some(ended);
        order.closed_at = Some(now);
        order.reason = reason.map(str::to_owned);
        let connection_id = order.connection_id;
        let reason = || reason.unwrap_or_default().to_owned();
        let what = match ended {
            // The last fill says it.
            Ended::Filled => return Ok(()),
            Ended::Canceled => Reported::Canceled,
            Ended::Expired => Reported::Expired,
            Ended::Refused => Reported::Refused { reason: reason() },
            Ended::Replaced => Reported::Replaced,
        };
        self.tell(id, connection_id, what)
    }

    /// Books an execution and what becomes of its order.
    fn settle(&mut self, id: OrderId, execution: Execution, then: Then) -> Result<(), BookError> {
        let (quantity, cost, fee) = (execution.quantity.get(), execution.cost, execution.fee);
        let order = self.order_mut(id)?;
        order.filled_quantity += quantity;
        order.filled_cost += cost;
        order.fills += 1;
        let fill_id = format!("{id}:{}", order.fills);
        let (side, connection_id, asset_id) = (order.side, order.connection_id, order.asset_id);
        let account = self.account_mut(connection_id)?;
        match side {
            Side::Buy => account.cash -= cost + fee,
            Side::Sell => account.cash += cost - fee,
        }
        let position = self.position_mut(connection_id, asset_id);
        match side {
            Side::Buy => position.quantity += quantity,
            Side::Sell => position.quantity -= quantity,
        }
        let at = self.now;
        self.tell(
            id,
            connection_id,
            Reported::Filled(Fill {
                broker_fill_id: fill_id,
                quantity: execution.quantity,
                price: execution.price,
                fee,
                at,
                venue_done: Some(then == Then::Done),
            }),
        )?;
        match then {
            Then::Done => self.end(id, Ended::Filled, None),
            Then::Cancel => self.end(id, Ended::Canceled, None),
            Then::Rest => {
                // What it held for the units that it has got is spent now; it never holds more for its rest, nor more
                // than the fill has left: at a price below the one at its entry, a notional takes more units.
                let need = self.need(self.order(id)?)?;
                let held = self.order(id)?.held;
                let left = self.uncommitted(id)?.max(Decimal::ZERO);
                self.hold(id, need.min(held).min(left))
            }
        }
    }
}

fn missing(table: &'static str, id: impl fmt::Display) -> BookError {
    BookError::Inconsistent {
        table,
        what: format!("no row {id} under the lock"),
    }
}
