//! The working set of one transaction: read once under locks, changed in memory, written once.
//!
//! 1. Everything that moves money, positions, reservations, limits or an order's state goes through [`Ledger::accept`]
//!    and [`Ledger::apply`]; no other code computes any of it.
//! 2. Orders of one group reserve, and count against limits, the maximum of their needs.
//! 3. Every recorded transition takes the account's next sequence number, so events have no gaps.
//! 4. This file does no IO: [`crate::book`] fills it under locks and writes what it changed.

mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use domain::account::{self, Balance};
use domain::fill::Fill;
use domain::id::{AccountId, AssetId, BrokerOrderId, GroupId, OrderId, UserId};
use domain::lifecycle::{Facts, How, OrderEvent, Phase, Submission, Transition};
use domain::money;
use domain::order::{NewOrder, Order, Side};
use domain::position::Position;
use domain::risk::Approved;
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};

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

    /// What the user has filled today plus what is still open, in quote currency.
    pub(crate) fn day_notional(&self, user: UserId) -> Decimal {
        self.users.get(&user).map_or(Decimal::ZERO, |user| {
            user.get().notional_filled + user.get().notional_open
        })
    }

    /// Enters an order already in the book.
    pub(crate) fn load_order(&mut self, order: Order) {
        let group = self.groups.entry(order.group_id).or_default();
        let exposure = account::open_exposure(&order).max(group.get().exposure);
        group.unstored().exposure = exposure;
        self.orders.insert(
            order.id,
            LedgerOrder {
                order,
                is_new: false,
                is_changed: false,
            },
        );
    }

    /// Takes an approved order in: row, event, work, reservation, limits.
    ///
    /// `replaces` joins the group of the order it replaces, and is sent by that order's work.
    pub(crate) fn accept(
        &mut self,
        new: NewOrder,
        approved: &Approved,
        replaces: Option<(OrderId, GroupId)>,
        cause: &Cause,
    ) -> Order {
        let rates = approved.rates();
        let order = Order {
            id: new.id,
            user_id: new.user_id,
            account_id: new.account_id,
            group_id: replaces.map_or(GroupId(new.id.0), |(_, group)| group),
            client_order_id: new.client_order_id,
            asset_id: new.asset.id,
            symbol: new.asset.symbol,
            asset_class: new.asset.class,
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
        self.orders.insert(
            order.id,
            LedgerOrder {
                order: order.clone(),
                is_new: true,
                is_changed: true,
            },
        );
        self.settle(order.group_id);
        if let Some(account) = self.accounts.get_mut(&order.account_id) {
            account.change().risk_version += 1;
        }
        let kind = if order.facts.held_by.is_some() {
            "held"
        } else {
            "accepted"
        };
        self.record(order.account_id, order.id, kind, cause, json!({}));
        if replaces.is_none() {
            self.new_work.insert((order.id, WorkKind::Submit), Duration::ZERO);
        }
        order
    }

    /// Lets `event` happen to an order, with everything that follows from it.
    pub(crate) fn apply(
        &mut self,
        id: OrderId,
        event: &OrderEvent,
        cause: &Cause,
    ) -> Result<Transition, ApplyError> {
        let now = self.now;
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
        if let OrderEvent::Filled(fill) = event {
            self.book_fill(&order, fill);
        }
        self.settle(order.group_id);
        if let Some(kind) = step.recorded_as() {
            let seq = self.record(order.account_id, id, kind, cause, data_of(event, &order, step));
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

    /// Money and units change hands; what was filled counts against the day.
    fn book_fill(&mut self, order: &Order, fill: &Fill) {
        let side = order.terms.side;
        let cost = money::round(fill.price.get() * fill.quantity.get());
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
            cost: money::round(fill.price.get() * fill.quantity.get()),
            event_seq,
        });
    }

    /// Brings a group's reservation and exposure in line with its orders.
    fn settle(&mut self, group_id: GroupId) {
        let members: Vec<&Order> = self
            .orders
            .values()
            .map(|entry| &entry.order)
            .filter(|order| order.group_id == group_id)
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

    fn record(
        &mut self,
        account_id: AccountId,
        order_id: OrderId,
        kind: &'static str,
        cause: &Cause,
        data: Json,
    ) -> i64 {
        let seq = self.accounts.get_mut(&account_id).map_or(0, |account| {
            let account = account.change();
            account.last_event_seq += 1;
            account.last_event_seq
        });
        let cause = serde_json::to_value(cause).unwrap_or(Json::Null);
        self.events.push(NewEvent {
            account_id,
            seq,
            order_id,
            kind,
            cause,
            data,
        });
        seq
    }

    /// Work that a transition ends or begins.
    fn follow_work(&mut self, order: &Order, step: Transition) {
        let submit_is_settled = order.facts.submission == Submission::Acknowledged;
        let has_ended = order.facts.closed.is_some();
        for kind in WorkKind::ALL {
            let is_done = match kind {
                WorkKind::Submit | WorkKind::Reconcile => submit_is_settled || has_ended,
                WorkKind::Cancel => has_ended || order.facts.cancel_requested_at.is_none(),
                WorkKind::Replace => has_ended || order.facts.replaced_by.is_none(),
            };
            if is_done {
                self.new_work.remove(&(order.id, kind));
                self.done_work.insert((order.id, kind));
            }
        }
        match step.to {
            Phase::CancelAsked if step.from != Phase::CancelAsked => {
                self.add_work(order.id, WorkKind::Cancel, Duration::ZERO);
            }
            Phase::ReplaceAsked if step.from != Phase::ReplaceAsked => {
                self.add_work(order.id, WorkKind::Replace, Duration::ZERO);
            }
            Phase::Held
            | Phase::Unsent
            | Phase::Sending
            | Phase::Unconfirmed
            | Phase::VenueHolds
            | Phase::Working
            | Phase::CancelAsked
            | Phase::ReplaceAsked
            | Phase::Closed(_) => {}
        }
    }

    pub(crate) fn add_work(&mut self, order: OrderId, kind: WorkKind, due_in: Duration) {
        self.done_work.remove(&(order, kind));
        self.new_work.insert((order, kind), due_in);
    }

    pub(crate) fn end_work(&mut self, order: OrderId, kind: WorkKind) {
        self.new_work.remove(&(order, kind));
        self.done_work.insert((order, kind));
    }

    /// What an order's end means for others: its exit's trigger, and the order that was to take its place.
    fn follow_end(
        &mut self,
        order: &Order,
        how: How,
        pending_replacement: Option<OrderId>,
    ) -> Result<(), ApplyError> {
        if order.terms.side == Side::Sell {
            self.closed_sells.insert(order.id);
        }
        let Some(replacement) = pending_replacement.filter(|_| how != How::Replaced) else {
            return Ok(());
        };
        let Some(next) = self.order(replacement) else {
            return Ok(());
        };
        // An order that reached the venue has a life of its own.
        if next.facts.closed.is_some() || next.facts.submission == Submission::Acknowledged {
            return Ok(());
        }
        let cause = Cause::Order { order_id: order.id };
        let reason = "the order to replace ended first".to_owned();
        self.record(
            order.account_id,
            order.id,
            "order_replace_rejected",
            &cause,
            json!({ "reason": reason }),
        );
        self.apply(replacement, &OrderEvent::Refused { reason }, &cause)
            .map(|_| ())
    }
}

/// What an event's row keeps beside its kind.
fn data_of(event: &OrderEvent, order: &Order, step: Transition) -> Json {
    let mut data = match event {
        OrderEvent::Filled(fill) => json!({
            "price": fill.price.get(),
            "qty": fill.quantity.get(),
            "fee": fill.fee.normalize(),
            "execution_id": fill.broker_fill_id,
            "filled_qty": order.facts.filled_quantity.normalize(),
        }),
        OrderEvent::Refused { reason }
        | OrderEvent::CancelRefused { reason }
        | OrderEvent::ReplaceRefused { reason } => json!({ "reason": reason }),
        OrderEvent::Restated { quantity } => json!({ "qty": quantity.get() }),
        OrderEvent::ReplaceRequested { replaced_by } => json!({ "replaced_by": replaced_by }),
        OrderEvent::Acknowledged { broker_order_id, .. } => {
            json!({ "broker_order_id": broker_order_id.as_ref().map(|BrokerOrderId(id)| id) })
        }
        OrderEvent::Released
        | OrderEvent::SendStarted
        | OrderEvent::NotSent
        | OrderEvent::OutcomeUnknown
        | OrderEvent::CancelRequested
        | OrderEvent::Canceled
        | OrderEvent::Expired
        | OrderEvent::Replaced => json!({}),
    };
    if step.is_surprise
        && let Some(fields) = data.as_object_mut()
    {
        fields.insert("surprise".into(), Json::Bool(true));
    }
    data
}

pub use state::Fees;
pub(crate) use state::{
    AccountState, ApplyError, GroupState, LedgerOrder, NewEvent, NewFill, Tracked, UserState, reserved_asset,
};
