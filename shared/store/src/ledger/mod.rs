//! The working set of one transaction: read once under locks, changed in memory, written once.
//!
//! 1. Everything that moves money, positions, reservations, limits or an order's state goes through [`Ledger::accept`]
//!    and [`Ledger::apply`]; no other code computes any of it.
//! 2. Orders of one group reserve, and count against limits, the maximum of their needs.
//! 3. Every recorded transition takes the account's next sequence number, so events have no gaps.
//! 4. This file does no IO: [`crate::book`] fills it under locks and writes what it changed.

mod follow;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use domain::account::{self, Balance};
use domain::fill::Fill;
use domain::id::{AccountId, AssetId, GroupId, OrderId, UserId};
use domain::lifecycle::{Facts, OrderEvent, Phase, Transition};
use domain::order::{Order, Side};
use domain::position::Position;
use domain::risk::Approved;
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};

use self::follow::data_of;
use crate::cause::Cause;
use crate::work::WorkKind;

/// The working set of one transaction.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    pub now: DateTime<Utc>,
    pub trading_date: NaiveDate,
    pub users: BTreeMap<UserId, Tracked<UserState>>,
    pub accounts: BTreeMap<AccountId, Tracked<AccountState>>,
    pub balances: BTreeMap<AccountId, Tracked<Balance>>,
    pub positions: BTreeMap<(AccountId, AssetId), Tracked<Position>>,
    pub orders: BTreeMap<OrderId, LedgerOrder>,
    pub groups: BTreeMap<GroupId, Tracked<GroupState>>,
    /// The orders of each group.
    members: BTreeMap<GroupId, BTreeSet<OrderId>>,
    pub events: Vec<NewEvent>,
    pub fills: Vec<NewFill>,
    /// Work to add, due after the delay.
    pub new_work: BTreeMap<(OrderId, WorkKind), Duration>,
    /// Work that is done or pointless.
    pub done_work: BTreeSet<(OrderId, WorkKind)>,
    /// Sells that ended here: one of them may be the exit of a trigger.
    pub closed_sells: BTreeSet<OrderId>,
    /// Positions that became flat here: their triggers end.
    pub flattened: BTreeSet<(AccountId, AssetId)>,
}

impl Ledger {
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        Self {
            now,
            trading_date: domain::calendar::trading_date(now),
            users: BTreeMap::new(),
            accounts: BTreeMap::new(),
            balances: BTreeMap::new(),
            positions: BTreeMap::new(),
            orders: BTreeMap::new(),
            groups: BTreeMap::new(),
            members: BTreeMap::new(),
            events: Vec::new(),
            fills: Vec::new(),
            new_work: BTreeMap::new(),
            done_work: BTreeSet::new(),
            closed_sells: BTreeSet::new(),
            flattened: BTreeSet::new(),
        }
    }

    pub(crate) fn balance(&self, account: AccountId) -> Balance {
        self.balances
            .get(&account)
            .map_or_else(Balance::default, |balance| *balance.get())
    }

    pub(crate) fn position(&self, account: AccountId, asset: AssetId) -> Position {
        self.positions
            .get(&(account, asset))
            .map_or_else(Position::default, |position| *position.get())
    }

    pub(crate) fn order(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id).map(|entry| &entry.order)
    }

    /// Some order of a group.
    pub(crate) fn member_of(&self, group: GroupId) -> Option<&Order> {
        self.members.get(&group)?.first().and_then(|id| self.order(*id))
    }

    /// What the user has filled today plus what is still open, in quote currency.
    pub(crate) fn day_notional(&self, user: UserId) -> Decimal {
        self.users.get(&user).map_or(Decimal::ZERO, |user| {
            user.get().notional_filled + user.get().notional_open
        })
    }

    /// Takes in what was done to another user's part of the book.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.users.extend(other.users);
        self.accounts.extend(other.accounts);
        self.balances.extend(other.balances);
        self.positions.extend(other.positions);
        self.orders.extend(other.orders);
        self.groups.extend(other.groups);
        self.members.extend(other.members);
        self.events.extend(other.events);
        self.fills.extend(other.fills);
        self.new_work.extend(other.new_work);
        self.done_work.extend(other.done_work);
        self.closed_sells.extend(other.closed_sells);
        self.flattened.extend(other.flattened);
    }

    /// Enters an order already in the book.
    pub(crate) fn load_order(&mut self, order: Order) {
        let group = self.groups.entry(order.group_id).or_default();
        let exposure = account::open_exposure(&order).max(group.get().exposure);
        group.unstored().exposure = exposure;
        self.enter(order, false);
    }

    /// Takes an approved order in: row, event, work, reservation, limits.
    ///
    /// `replaces` joins the group of the order it replaces, and is sent by that order's work.
    pub(crate) fn accept(
        &mut self,
        approved: Approved,
        replaces: Option<(OrderId, GroupId)>,
        cause: &Cause,
    ) -> Result<Order, ApplyError> {
        let rates = approved.rates();
        let new = approved.into_order();
        self.require(new.user_id, new.account_id)?;
        let order = Order {
            id: new.id,
            user_id: new.user_id,
            account_id: new.account_id,
            group_id: replaces.map_or(GroupId(new.id.0), |(_, group)| group),
            client_order_id: new.client_order_id,
            asset_id: new.instrument.id,
            symbol: new.instrument.symbol,
            asset_class: new.instrument.class,
            terms: new.terms,
            reserve_rate: rates.reserve,
            exposure_rate: rates.exposure,
            trading_date: self.trading_date,
            replaces: replaces.map(|(old, _)| old),
            submitted_at: new.submitted_at,
            updated_at: new.submitted_at,
            broker_order_id: None,
            facts: Facts::accepted(new.held_by),
        };
        self.enter(order.clone(), true);
        let before = self.room(&order);
        self.settle(order.group_id);
        self.note_room(&order, before);
        let is_held = order.facts.held_by.is_some();
        let kind = if is_held { "held" } else { "accepted" };
        self.record(&order, kind, cause, json!({}));
        if replaces.is_none() {
            self.new_work.insert((order.id, WorkKind::Submit), Duration::ZERO);
        }
        Ok(order)
    }

    fn enter(&mut self, order: Order, is_new: bool) {
        self.members.entry(order.group_id).or_default().insert(order.id);
        let entry = LedgerOrder {
            order,
            is_new,
            is_changed: is_new,
        };
        self.orders.insert(entry.order.id, entry);
    }

    /// An order whose user or account is not here cannot be booked: better no change than half of one.
    fn require(&self, user: UserId, account: AccountId) -> Result<(), ApplyError> {
        if !self.users.contains_key(&user) {
            return Err(ApplyError::NoUser(user));
        }
        if !self.accounts.contains_key(&account) {
            return Err(ApplyError::NoAccount(account));
        }
        Ok(())
    }

    /// Lets `event` happen to an order, with everything that follows from it.
    pub(crate) fn apply(
        &mut self,
        id: OrderId,
        event: &OrderEvent,
        cause: &Cause,
    ) -> Result<Transition, ApplyError> {
        let now = self.now;
        let (user, account) = self
            .order(id)
            .map(|order| (order.user_id, order.account_id))
            .ok_or(ApplyError::NotLoaded(id))?;
        self.require(user, account)?;
        let entry = self.orders.get_mut(&id).ok_or(ApplyError::NotLoaded(id))?;
        let broker_order_id = entry.order.broker_order_id.clone();
        let pending_replacement = entry
            .order
            .facts
            .replaced_by
            .filter(|_| entry.order.facts.closed.is_none());
        let step = entry.order.apply(event, now)?;
        entry.is_changed |= step.is_change || entry.order.broker_order_id != broker_order_id;
        if !step.is_change {
            return Ok(step);
        }
        let order = entry.order.clone();
        let before = self.room(&order);
        if let OrderEvent::Filled(fill) = event {
            self.book_fill(&order, fill);
        }
        self.settle(order.group_id);
        self.note_room(&order, before);
        if let Some(kind) = step.recorded_as() {
            let seq = self.record(&order, kind, cause, data_of(event, &order, step));
            if let OrderEvent::Filled(fill) = event {
                self.remember_fill(&order, fill, seq);
            }
        }
        self.follow_work(&order, step);
        if let Phase::Closed(how) = step.to
            && step.from != step.to
        {
            self.follow_end(&order, how, pending_replacement)?;
        }
        Ok(step)
    }

    /// What is left for other orders where this one is booked.
    fn room(&self, order: &Order) -> Room {
        let balance = self.balance(order.account_id);
        let position = self.position(order.account_id, order.asset_id);
        Room {
            money: balance.cash - balance.reserved,
            units: position.quantity - position.reserved,
            day_notional: self.day_notional(order.user_id),
        }
    }

    /// Tells by the versions that there is less room than `before`: whoever has approved an order on that older state
    /// must decide again. More room makes no approval wrong, so fills within their reservation, and ends, move none.
    fn note_room(&mut self, order: &Order, before: Room) {
        let now = self.room(order);
        if (now.money < before.money || now.units < before.units)
            && let Some(account) = self.accounts.get_mut(&order.account_id)
        {
            account.change().risk_version += 1;
        }
        if now.day_notional > before.day_notional
            && let Some(user) = self.users.get_mut(&order.user_id)
        {
            user.change().risk_version += 1;
        }
    }

    /// Moves every version, as if there were less room.
    pub(crate) fn move_versions(&mut self) {
        for account in self.accounts.values_mut() {
            account.change().risk_version += 1;
        }
        for user in self.users.values_mut() {
            user.change().risk_version += 1;
        }
    }

    /// Money and units change hands; what was filled counts against the day.
    fn book_fill(&mut self, order: &Order, fill: &Fill) {
        let side = order.terms.side;
        let cost = fill.cost();
        self.balances
            .entry(order.account_id)
            .or_default()
            .change()
            .apply_fill(side, cost, fill.fee);
        let position = self
            .positions
            .entry((order.account_id, order.asset_id))
            .or_default()
            .change();
        position.apply_fill(side, fill.quantity.get(), fill.price.get());
        if position.is_flat() {
            self.flattened.insert((order.account_id, order.asset_id));
        }
        if order.exposure_rate > Decimal::ZERO {
            if let Some(user) = self.users.get_mut(&order.user_id) {
                user.change().notional_filled += cost;
            }
            if let Some(account) = self.accounts.get_mut(&order.account_id) {
                account.change().notional_filled += cost;
            }
        }
    }

    fn remember_fill(&mut self, order: &Order, fill: &Fill, event_seq: i64) {
        self.fills.push(NewFill {
            order_id: order.id,
            account_id: order.account_id,
            asset_id: order.asset_id,
            side: order.terms.side,
            fill: fill.clone(),
            cost: fill.cost(),
            event_seq,
        });
    }

    /// Brings a group's reservation and exposure in line with its orders.
    fn settle(&mut self, group_id: GroupId) {
        let members: Vec<&Order> = self
            .members
            .get(&group_id)
            .into_iter()
            .flatten()
            .filter_map(|id| self.order(*id))
            .collect();
        let Some(first) = members.first() else { return };
        let (account_id, user_id, asset_id, side) =
            (first.account_id, first.user_id, first.asset_id, first.terms.side);
        let greatest = |of: fn(&Order) -> Decimal| {
            members
                .iter()
                .map(|order| of(order))
                .max()
                .unwrap_or(Decimal::ZERO)
        };
        let after = GroupState {
            reserved: greatest(account::reservation_need),
            exposure: greatest(account::open_exposure),
        };
        let group = self.groups.entry(group_id).or_default();
        let before = *group.get();
        if before.reserved != after.reserved {
            *group.change() = after;
            let difference = after.reserved - before.reserved;
            match side {
                Side::Buy => self.balances.entry(account_id).or_default().change().reserved += difference,
                Side::Sell => {
                    self.positions
                        .entry((account_id, asset_id))
                        .or_default()
                        .change()
                        .reserved += difference;
                }
            }
        }
        if before.exposure != after.exposure {
            group.unstored().exposure = after.exposure;
            if let Some(user) = self.users.get_mut(&user_id) {
                user.change().notional_open += after.exposure - before.exposure;
            }
        }
    }

    /// Gives an event the account's next number; the account is here ([`Ledger::require`]).
    fn record(&mut self, order: &Order, kind: &'static str, cause: &Cause, data: Json) -> i64 {
        let Some(account) = self.accounts.get_mut(&order.account_id) else {
            return 0;
        };
        let account = account.change();
        account.last_event_seq += 1;
        let seq = account.last_event_seq;
        self.events.push(NewEvent {
            account_id: order.account_id,
            seq,
            order_id: order.id,
            kind,
            cause: cause.to_json(),
            data,
        });
        seq
    }
}

pub use state::Fees;
pub(crate) use state::{
    AccountState, ApplyError, GroupState, LedgerOrder, NewEvent, NewFill, Room, Tracked, UserState,
    reserved_asset,
};
