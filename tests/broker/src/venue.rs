//! Orders, fills and reports of the broker's accounts, without IO.
//!
//! 1. Every fact is a [`Report`], numbered across all accounts; the state of an order follows from its reports alone,
//!    so a journal of orders and reports is enough to go on from.
//! 2. What shall happen later is handed back as [`Deed`]s; whoever has a clock brings them back in time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use crate::rules::{CancelCourse, Course};

/// The price of a symbol that nobody has named one for, in quote currency.
const PRICE: Decimal = Decimal::ONE_HUNDRED;

/// Decimals of a quantity.
const SCALE: u32 = 9;

/// An order as it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    /// The caller's id; the same one again makes no second order. Without it, every request makes one.
    #[serde(default)]
    pub client_order_id: Option<String>,
    /// The instrument's id, only repeated.
    pub asset_id: String,
    /// The instrument.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// `market` or `limit`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Units.
    #[serde(default)]
    pub qty: Option<Decimal>,
    /// Or money, in quote currency.
    #[serde(default)]
    pub notional: Option<Decimal>,
    /// The worst acceptable price, in quote currency.
    #[serde(default)]
    pub limit_price: Option<Decimal>,
    /// How long it stays alive; only repeated.
    pub time_in_force: String,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// At work.
    Open,
    /// Whole.
    Filled,
    /// Ended by its owner.
    Canceled,
    /// Refused.
    Rejected,
    /// Another one took its place.
    Replaced,
}

/// An order that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The broker's id.
    pub id: String,
    /// Whose.
    pub account: String,
    /// What it says.
    #[serde(flatten)]
    pub terms: NewOrder,
    /// When it was taken, in milliseconds since 1970.
    pub entered_ms: i64,
    /// How it goes on.
    pub course: Course,
    /// Where it stands.
    pub status: Status,
    /// Units filled.
    pub filled: Decimal,
    /// The broker's words, where it was refused.
    pub reason: Option<String>,
}

/// What happened to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Happened {
    /// It was taken.
    Acknowledged,
    /// Units changed hands.
    Filled {
        /// The broker's id of the fill.
        fill_id: String,
        /// Units.
        quantity: Decimal,
        /// In quote currency.
        price: Decimal,
        /// In quote currency.
        fee: Decimal,
        /// Whether the order is whole.
        done: bool,
    },
    /// It ended, as asked.
    Canceled,
    /// It was refused after it was taken.
    Refused {
        /// The broker's words.
        reason: String,
    },
    /// Another order took its place.
    Replaced,
}

/// One fact, with its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Rising across all accounts.
    pub seq: u64,
    /// Whose.
    pub account: String,
    /// The broker's id of the order.
    pub order_id: String,
    /// The caller's id of the order.
    pub client_order_id: Option<String>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What.
    #[serde(flatten)]
    pub what: Happened,
}

/// Something for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// An order was taken.
    Taken(Box<Order>),
    /// Something happened to one.
    Reported(Report),
}

/// What shall be done to an order later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// It fills by so much, or whole; also after its end where `late` says so.
    Fill {
        /// The broker's id.
        order: String,
        /// Units.
        quantity: Option<Decimal>,
        /// Also when it has ended.
        late: bool,
    },
    /// It is refused, if it is open.
    Refuse {
        /// The broker's id.
        order: String,
        /// The broker's words.
        reason: String,
    },
}

/// Why a request is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// No such order in this account.
    UnknownOrder,
    /// It has ended.
    NotOpen,
    /// The order says neither units nor money, both, or a limit order no price.
    Malformed,
}

/// The broker's book.
#[derive(Debug, Default)]
pub struct Venue {
    orders: Vec<Order>,
    by_id: HashMap<String, usize>,
    by_client: HashMap<(String, String), usize>,
    resting: BTreeMap<String, Vec<usize>>,
    reports: HashMap<String, Vec<Report>>,
    prices: HashMap<String, Decimal>,
    last_seq: u64,
    facts: Vec<Fact>,
    deeds: Vec<(Duration, Deed)>,
}

impl Venue {
    /// What happened since this was asked last.
    pub fn take_facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.facts)
    }

    /// What shall be done later, asked for since this was asked last.
    pub fn take_deeds(&mut self) -> Vec<(Duration, Deed)> {
        std::mem::take(&mut self.deeds)
    }

    /// Takes up a fact of an earlier life.
    pub fn restore(&mut self, fact: Fact) {
        match fact {
            Fact::Taken(order) => {
                self.insert(*order);
            }
            Fact::Reported(report) => self.record(report),
        }
    }

    /// After the last fact of an earlier life: what was to be done later is due at once.
    pub fn resume(&mut self) {
        for order in self.orders.iter().filter(|order| order.status == Status::Open) {
            let deed = match &order.course {
                Course::Honest
                | Course::Rests
                | Course::FillsInPart {
                    rest_after_ms: None, ..
                } => continue,
                Course::FillsLate { .. } | Course::FillsInPart { .. } => Deed::Fill {
                    order: order.id.clone(),
                    quantity: None,
                    late: false,
                },
                Course::RefusedLate { reason, .. } => Deed::Refuse {
                    order: order.id.clone(),
                    reason: reason.clone(),
                },
            };
            self.deeds.push((Duration::ZERO, deed));
        }
    }

    /// Takes an order. The caller's id again is answered with the first one's order, and `false`.
    pub fn submit(
        &mut self,
        account: &str,
        terms: NewOrder,
        course: &Course,
        now_ms: i64,
    ) -> Result<(Order, bool), Denied> {
        if let Some(known) = self.by_client(account, terms.client_order_id.as_deref()) {
            return Ok((known.clone(), false));
        }
        let is_limit = terms.kind == "limit";
        if terms.qty.is_some() == terms.notional.is_some() || is_limit != terms.limit_price.is_some() {
            return Err(Denied::Malformed);
        }
        let order = Order {
            id: format!("b-{}", self.orders.len() + 1),
            account: account.to_owned(),
            terms,
            entered_ms: now_ms,
            course: course.clone(),
            status: Status::Open,
            filled: Decimal::ZERO,
            reason: None,
        };
        self.facts.push(Fact::Taken(Box::new(order.clone())));
        let index = self.insert(order);
        self.report(index, Happened::Acknowledged, now_ms);
        self.begin(index, course, now_ms);
        Ok((self.orders[index].clone(), true))
    }

    fn begin(&mut self, index: usize, course: &Course, now_ms: i64) {
        let order = self.orders[index].id.clone();
        let later = |ms: u64, deed| (Duration::from_millis(ms), deed);
        let whole = Deed::Fill {
            order: order.clone(),
            quantity: None,
            late: false,
        };
        match course {
            Course::Honest => self.match_order(index, now_ms),
            Course::Rests => {}
            Course::FillsLate { after_ms } => self.deeds.push(later(*after_ms, whole)),
            Course::FillsInPart {
                quantity,
                rest_after_ms,
            } => {
                self.fill(index, Some(*quantity), now_ms);
                self.deeds.extend(rest_after_ms.map(|ms| later(ms, whole)));
            }
            Course::RefusedLate { after_ms, reason } => {
                let reason = reason.clone();
                self.deeds.push(later(*after_ms, Deed::Refuse { order, reason }));
            }
        }
    }

    /// Ends the order that `name` names.
    pub fn cancel(
        &mut self,
        account: &str,
        name: &str,
        course: &CancelCourse,
        now_ms: i64,
    ) -> Result<(), Denied> {
        let index = self.open_order(account, name)?;
        let order = self.orders[index].id.clone();
        let (after_ms, quantity, late) = match course {
            CancelCourse::Honest => {
                self.report(index, Happened::Canceled, now_ms);
                return Ok(());
            }
            CancelCourse::FillsInstead { after_ms } => (*after_ms, None, false),
            CancelCourse::FillsAfterwards { after_ms, quantity } => {
                self.report(index, Happened::Canceled, now_ms);
                (*after_ms, Some(*quantity), true)
            }
        };
        let deed = Deed::Fill {
            order,
            quantity,
            late,
        };
        self.deeds.push((Duration::from_millis(after_ms), deed));
        Ok(())
    }

    /// Puts `terms` in the place of the order that `name` names. The caller's id again is answered as before.
    pub fn replace(
        &mut self,
        account: &str,
        name: &str,
        terms: NewOrder,
        course: &Course,
        now_ms: i64,
    ) -> Result<(Order, bool), Denied> {
        if let Some(known) = self.by_client(account, terms.client_order_id.as_deref()) {
            return Ok((known.clone(), false));
        }
        let index = self.open_order(account, name)?;
        self.report(index, Happened::Replaced, now_ms);
        self.submit(account, terms, course, now_ms)
    }

    /// Does what was to be done later.
    pub fn act(&mut self, deed: &Deed, now_ms: i64) {
        let (Deed::Fill { order, .. } | Deed::Refuse { order, .. }) = deed;
        let Some(&index) = self.by_id.get(order) else {
            return;
        };
        let is_open = self.orders[index].status == Status::Open;
        match deed {
            Deed::Fill { quantity, late, .. } if is_open || *late => self.fill(index, *quantity, now_ms),
            Deed::Refuse { reason, .. } if is_open => {
                let reason = reason.clone();
                self.report(index, Happened::Refused { reason }, now_ms);
            }
            Deed::Fill { .. } | Deed::Refuse { .. } => {}
        }
    }

    /// The price of `symbol` from now on; orders that it reaches fill.
    pub fn set_price(&mut self, symbol: &str, price: Decimal, now_ms: i64) {
        self.prices.insert(symbol.to_owned(), price);
        let mut resting = self.resting.remove(symbol).unwrap_or_default();
        resting.retain(|&index| self.orders[index].status == Status::Open);
        for &index in &resting {
            if self.orders[index].course == Course::Honest {
                self.match_order(index, now_ms);
            }
        }
        resting.retain(|&index| self.orders[index].status == Status::Open);
        self.resting.insert(symbol.to_owned(), resting);
    }

    /// The order that `name` names in `account`: the broker's id, or `client:` and the caller's.
    pub fn order(&self, account: &str, name: &str) -> Option<&Order> {
        match name.strip_prefix("client:") {
            Some(client) => self.by_client(account, Some(client)),
            None => self.by_id.get(name).map(|&index| &self.orders[index]),
        }
        .filter(|order| order.account == account)
    }

    /// Every order of `account` that was entered between the two times, in their order.
    pub fn entered(&self, account: &str, from_ms: i64, until_ms: i64) -> Vec<&Order> {
        let range = from_ms..=until_ms;
        let fits = |order: &&Order| order.account == account && range.contains(&order.entered_ms);
        self.orders.iter().filter(fits).collect()
    }

    /// At most `limit` reports of `account` behind number `after`.
    pub fn reports(&self, account: &str, after: u64, limit: usize) -> &[Report] {
        let all = self.reports.get(account).map_or(&[][..], Vec::as_slice);
        let from = all.partition_point(|report| report.seq <= after);
        &all[from..all.len().min(from.saturating_add(limit))]
    }

    /// Units of `account` by instrument (its id), and the money that its fills moved, in quote currency.
    pub fn owned(&self, account: &str) -> (BTreeMap<String, Decimal>, Decimal) {
        let (mut units, mut money) = (BTreeMap::<String, Decimal>::new(), Decimal::ZERO);
        for report in self.reports(account, 0, usize::MAX) {
            let Happened::Filled {
                quantity, price, fee, ..
            } = &report.what
            else {
                continue;
            };
            let Some(order) = self.order(account, &report.order_id) else {
                continue;
            };
            let cost = (quantity.saturating_mul(*price)).round_dp(SCALE);
            let (gained, paid) = if order.terms.side == "buy" {
                (*quantity, cost)
            } else {
                (-*quantity, -cost)
            };
            let held = units.entry(order.terms.asset_id.clone()).or_default();
            *held = held.saturating_add(gained);
            money = money.saturating_sub(paid).saturating_sub(*fee);
        }
        (units, money)
    }

    fn by_client(&self, account: &str, client: Option<&str>) -> Option<&Order> {
        let key = (account.to_owned(), client?.to_owned());
        self.by_client.get(&key).map(|&index| &self.orders[index])
    }

    fn open_order(&self, account: &str, name: &str) -> Result<usize, Denied> {
        let order = self.order(account, name).ok_or(Denied::UnknownOrder)?;
        match order.status {
            Status::Open => self.by_id.get(&order.id).copied().ok_or(Denied::UnknownOrder),
            Status::Filled | Status::Canceled | Status::Rejected | Status::Replaced => Err(Denied::NotOpen),
        }
    }

    fn insert(&mut self, order: Order) -> usize {
        let index = self.orders.len();
        self.by_id.insert(order.id.clone(), index);
        if let Some(client) = &order.terms.client_order_id {
            self.by_client
                .insert((order.account.clone(), client.clone()), index);
        }
        let resting = self.resting.entry(order.terms.symbol.clone()).or_default();
        if order.terms.kind == "limit" {
            resting.push(index);
        }
        self.orders.push(order);
        index
    }

    fn price(&self, order: &Order) -> Decimal {
        self.prices.get(&order.terms.symbol).copied().unwrap_or(PRICE)
    }

    /// Fills the order whole, where the price allows.
    fn match_order(&mut self, index: usize, now_ms: i64) {
        let order = &self.orders[index];
        let price = self.price(order);
        let is_reached = order.terms.limit_price.is_none_or(|limit| {
            if order.terms.side == "buy" {
                price <= limit
            } else {
                price >= limit
            }
        });
        if is_reached {
            self.fill(index, None, now_ms);
        }
    }

    /// Fills by `quantity`, at most by the rest; by the rest where nothing is said. A limit order at its limit or better.
    fn fill(&mut self, index: usize, quantity: Option<Decimal>, now_ms: i64) {
        let order = &self.orders[index];
        let (market, is_buy) = (self.price(order), order.terms.side == "buy");
        let price = order.terms.limit_price.map_or(market, |limit| {
            if is_buy {
                market.min(limit)
            } else {
                market.max(limit)
            }
        });
        let by_money = || order.terms.notional?.checked_div(price);
        let whole = order.terms.qty.or_else(by_money).unwrap_or_default();
        let whole = whole.round_dp_with_strategy(SCALE, RoundingStrategy::ToZero);
        let rest = whole.saturating_sub(order.filled);
        let quantity = quantity.unwrap_or(rest).min(rest);
        if quantity <= Decimal::ZERO {
            return;
        }
        let what = Happened::Filled {
            fill_id: format!("f-{}", self.last_seq + 1),
            quantity,
            price,
            fee: Decimal::ZERO,
            done: quantity == rest,
        };
        self.report(index, what, now_ms);
    }

    fn report(&mut self, index: usize, what: Happened, at_ms: i64) {
        let order = &self.orders[index];
        let report = Report {
            seq: self.last_seq + 1,
            account: order.account.clone(),
            order_id: order.id.clone(),
            client_order_id: order.terms.client_order_id.clone(),
            at_ms,
            what,
        };
        self.facts.push(Fact::Reported(report.clone()));
        self.record(report);
    }

    fn record(&mut self, report: Report) {
        self.last_seq = self.last_seq.max(report.seq);
        if let Some(order) = self
            .by_id
            .get(&report.order_id)
            .and_then(|&index| self.orders.get_mut(index))
        {
            order.follow(&report.what);
        }
        self.reports
            .entry(report.account.clone())
            .or_default()
            .push(report);
    }
}

impl Order {
    fn follow(&mut self, what: &Happened) {
        match what {
            Happened::Acknowledged => {}
            Happened::Filled { quantity, done, .. } => {
                self.filled = self.filled.saturating_add(*quantity);
                if *done && self.status == Status::Open {
                    self.status = Status::Filled;
                }
            }
            Happened::Canceled => self.status = Status::Canceled,
            Happened::Refused { reason } => {
                self.status = Status::Rejected;
                self.reason = Some(reason.clone());
            }
            Happened::Replaced => self.status = Status::Replaced,
        }
    }
}

#[cfg(test)]
mod tests;
