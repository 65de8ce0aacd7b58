//! A venue in this process: its own book is the truth of what was sent, and how it ended.
//!
//! It acts at once, and tells later: its reports come in pages after a cursor, some of them twice, some late, some out of
//! order. An order that it is sent while it has it already is a fault of the sender.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::fill::Fill;
use domain::id::{BrokerOrderId, OrderId};
use domain::money::{Price, Quantity};
use domain::order::Order;
use domain::reconcile::{Report, Reported, VenueOrder};
use rust_decimal::Decimal;

use crate::random::Random;

/// How an order ended here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Filled,
    Canceled,
    Expired,
    Rejected,
    Replaced,
}

impl Ended {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
        }
    }
}

/// An order as the venue has it.
#[derive(Debug, Clone)]
pub(crate) struct Resting {
    pub quantity: Decimal,
    pub price: Decimal,
    pub filled: Decimal,
    pub ended: Option<Ended>,
    /// It waits for the venue to decide its replacing of another order.
    replaces: Option<OrderId>,
    cancel_asked: bool,
    replace_asked: Option<OrderId>,
}

/// A fill as the venue knows it.
#[derive(Debug, Clone)]
pub(crate) struct Truth {
    pub order: OrderId,
    pub quantity: Decimal,
    pub cost: Decimal,
    pub fee: Decimal,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Venue {
    /// Whether its fills say if more is to come; else an order is done by its sum.
    says_done: bool,
    pub orders: BTreeMap<OrderId, Resting>,
    pub fills: BTreeMap<String, Truth>,
    /// What can be read, by the cursor's count.
    outbox: Vec<Report>,
    /// The greatest cursor that anyone was given.
    read: usize,
    late: Vec<Report>,
    /// Orders that it was sent while it had them.
    pub doubled: Vec<OrderId>,
}

/// What a market order of the tests fills at.
const MARKET_PRICE: i64 = 90;

impl Venue {
    pub(crate) const fn new(says_done: bool) -> Self {
        Self {
            says_done,
            orders: BTreeMap::new(),
            fills: BTreeMap::new(),
            outbox: Vec::new(),
            read: 0,
            late: Vec::new(),
            doubled: Vec::new(),
        }
    }

    /// Takes an order; false where it refuses.
    pub(crate) fn submit(&mut self, order: &Order, random: &mut Random, now: DateTime<Utc>) -> bool {
        let is_refused = random.chance(5);
        if self.enter(order, None) {
            let at = self.orders.get_mut(&order.id).unwrap();
            if is_refused {
                at.ended = Some(Ended::Rejected);
                self.tell(order.id, refused(), random, now);
            } else if random.chance(50) {
                self.tell(order.id, Reported::Acknowledged { is_working: true }, random, now);
            }
        }
        self.orders[&order.id].ended != Some(Ended::Rejected)
    }

    fn enter(&mut self, order: &Order, replaces: Option<OrderId>) -> bool {
        if self.orders.contains_key(&order.id) {
            self.doubled.push(order.id);
            return false;
        }
        let limit = order.terms.kind.limit_price();
        let resting = Resting {
            quantity: order.terms.amount.get(),
            price: limit.map_or(Decimal::from(MARKET_PRICE), Price::get),
            filled: Decimal::ZERO,
            ended: None,
            replaces,
            cancel_asked: false,
            replace_asked: None,
        };
        self.orders.insert(order.id, resting);
        true
    }

    /// Asks for an order's end; false where it has ended.
    pub(crate) fn cancel(&mut self, id: OrderId) -> bool {
        self.orders.get_mut(&id).is_some_and(|order| {
            order.cancel_asked |= order.ended.is_none();
            order.ended.is_none()
        })
    }

    /// Asks for `new` in the place of `old`; false where that has ended.
    pub(crate) fn replace(&mut self, old: OrderId, new: &Order) -> bool {
        if self.orders.get(&old).is_none_or(|order| order.ended.is_some()) {
            return false;
        }
        if self.enter(new, Some(old)) {
            self.orders.get_mut(&old).unwrap().replace_asked = Some(new.id);
        }
        true
    }

    pub(crate) fn find(&self, id: OrderId) -> Option<VenueOrder> {
        self.orders.get(&id).map(|order| VenueOrder {
            broker_order_id: broker_id(id),
            is_working: order.replaces.is_none(),
            refused: (order.ended == Some(Ended::Rejected)).then(|| "no".to_owned()),
        })
    }

    /// Lets something happen to some order.
    pub(crate) fn act(&mut self, random: &mut Random, now: DateTime<Utc>) {
        let open: Vec<OrderId> = self.open();
        if let Some(id) = random.pick(&open).copied() {
            match random.below(10) {
                0..=5 => self.fill(id, random, now),
                6 => self.decide(id, random, now),
                7 if random.chance(50) => self.end(id, Ended::Expired, Reported::Expired, random, now),
                8 if random.chance(30) => self.end(id, Ended::Rejected, refused(), random, now),
                _ => self.flush(),
            }
        }
    }

    /// Decides everything that is asked for, and tells everything.
    pub(crate) fn decide_all(&mut self, random: &mut Random, now: DateTime<Utc>) {
        for id in self.open() {
            self.decide(id, random, now);
        }
        self.flush();
    }

    /// Orders at work.
    fn open(&self) -> Vec<OrderId> {
        let open = self
            .orders
            .iter()
            .filter(|(_, order)| order.ended.is_none() && order.replaces.is_none());
        open.map(|(id, _)| *id).collect()
    }

    fn fill(&mut self, id: OrderId, random: &mut Random, now: DateTime<Utc>) {
        let order = self.orders.get_mut(&id).unwrap();
        let left = order.quantity - order.filled;
        let quantity = if random.chance(50) {
            left
        } else {
            (left / Decimal::TWO).round_dp(3)
        };
        let quantity = if quantity.is_zero() { left } else { quantity };
        order.filled += quantity;
        let is_done = order.filled == order.quantity;
        let number = self.fills.len() + 1;
        let fill = Fill {
            broker_fill_id: format!("fill-{number}"),
            quantity: Quantity::new(quantity).unwrap(),
            price: Price::new(order.price).unwrap(),
            fee: Decimal::new(i64::try_from(random.below(3)).unwrap(), 2),
            at: now,
            venue_done: self.says_done.then_some(is_done),
        };
        let truth = Truth {
            order: id,
            quantity,
            cost: quantity * order.price,
            fee: fill.fee,
        };
        self.fills.insert(fill.broker_fill_id.clone(), truth);
        if is_done {
            self.end(id, Ended::Filled, Reported::Filled(fill), random, now);
        } else {
            self.tell(id, Reported::Filled(fill), random, now);
        }
    }

    fn decide(&mut self, id: OrderId, random: &mut Random, now: DateTime<Utc>) {
        let order = self.orders[&id].clone();
        let reason = || "no".to_owned();
        if let Some(new) = order.replace_asked {
            if random.chance(70) {
                let next = self.orders.get_mut(&new).unwrap();
                next.replaces = None;
                self.orders.get_mut(&id).unwrap().replace_asked = None;
                self.end(id, Ended::Replaced, Reported::Replaced, random, now);
                self.tell(new, Reported::Acknowledged { is_working: true }, random, now);
            } else {
                self.refuse_replacement(id, new, random, now);
                self.tell(id, Reported::ReplaceRefused { reason: reason() }, random, now);
            }
        } else if order.cancel_asked {
            if random.chance(80) {
                self.end(id, Ended::Canceled, Reported::Canceled, random, now);
            } else {
                self.orders.get_mut(&id).unwrap().cancel_asked = false;
                self.tell(id, Reported::CancelRefused { reason: reason() }, random, now);
            }
        }
    }

    fn refuse_replacement(&mut self, old: OrderId, new: OrderId, random: &mut Random, now: DateTime<Utc>) {
        self.orders.get_mut(&old).unwrap().replace_asked = None;
        let next = self.orders.get_mut(&new).unwrap();
        next.replaces = None;
        next.ended = Some(Ended::Rejected);
        self.tell(new, refused(), random, now);
    }

    fn end(&mut self, id: OrderId, how: Ended, what: Reported, random: &mut Random, now: DateTime<Utc>) {
        let order = self.orders.get_mut(&id).unwrap();
        order.ended = Some(how);
        let pending = order.replace_asked;
        self.tell(id, what, random, now);
        if let Some(new) = pending {
            self.refuse_replacement(id, new, random, now);
        }
    }

    /// Puts a report where it can be read: in order, or late, or twice, or before another one.
    fn tell(&mut self, id: OrderId, what: Reported, random: &mut Random, now: DateTime<Utc>) {
        // A refused request may be made again, and the venue's word names the order, not the request.
        let is_answer = matches!(
            what,
            Reported::CancelRefused { .. } | Reported::ReplaceRefused { .. }
        );
        let report = Report {
            order_id: id,
            broker_order_id: Some(broker_id(id)),
            at: now,
            what,
        };
        match random.below(20) {
            0 | 1 if !is_answer => {
                self.outbox.push(report.clone());
                self.outbox.push(report);
            }
            2 if !is_answer => self.late.push(report),
            3 if !is_answer => {
                let unread = self.outbox.len() - self.read;
                let place = self.read + random.index(unread + 1);
                self.outbox.insert(place, report);
            }
            _ => self.outbox.push(report),
        }
    }

    /// What was dropped comes at last.
    fn flush(&mut self) {
        self.outbox.append(&mut self.late);
    }

    /// Reports after `cursor`, at most `limit`, and the cursor after them.
    pub(crate) fn reports(&mut self, cursor: &str, limit: usize) -> (Vec<Report>, String) {
        let from: usize = cursor.parse().unwrap_or(0);
        let to = self.outbox.len().min(from + limit);
        self.read = self.read.max(to);
        (self.outbox[from..to].to_vec(), to.to_string())
    }
}

fn refused() -> Reported {
    Reported::Refused {
        reason: "no".to_owned(),
    }
}

fn broker_id(id: OrderId) -> BrokerOrderId {
    BrokerOrderId(format!("venue-{id}"))
}
