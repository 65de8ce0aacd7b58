//! One account, walked through from its first event to its last.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::life::{Life, Told, decimal_in};
use crate::money::{Holding, add, cost_of, share_left};
use crate::report::{Findings, Row};
use crate::rows::{AccountRow, EventRow, FillRow, OrderRow};

/// An order, what its events say, and what its fills add up to.
#[derive(Debug)]
pub(crate) struct Traced {
    pub row: OrderRow,
    pub life: Life,
    /// Units filled, by the fills.
    pub quantity: Option<Decimal>,
    /// Money for them.
    pub cost: Option<Decimal>,
}

impl Traced {
    /// What it is for, in its own unit.
    fn amount(&self) -> Decimal {
        self.life.restated.unwrap_or_else(|| self.row.amount())
    }

    /// How much of that is filled.
    fn done(&self) -> Decimal {
        let done = if self.row.notional.is_some() {
            self.cost
        } else {
            self.quantity
        };
        done.unwrap_or_default()
    }

    /// What it needs to have reserved.
    pub(crate) fn need(&self) -> Decimal {
        if self.life.closed.is_some() || self.life.is_held() {
            return Decimal::ZERO;
        }
        share_left(self.amount(), self.done(), self.row.reserve_rate)
    }

    /// What it counts against limits as open.
    pub(crate) fn exposure(&self) -> Decimal {
        if self.life.closed.is_some() {
            return Decimal::ZERO;
        }
        share_left(self.amount(), self.done(), self.row.exposure_rate)
    }
}

/// An account on the way.
#[derive(Debug)]
pub(crate) struct Walk {
    pub account: AccountRow,
    pub orders: HashMap<Uuid, Traced>,
    /// Fills by the number of their event.
    fills: BTreeMap<i64, Vec<FillRow>>,
    pub last_seq: i64,
    pub cash: Option<Decimal>,
    /// `None` where a sum leaves the range.
    pub holdings: BTreeMap<Uuid, Option<Holding>>,
    pub days: BTreeMap<NaiveDate, Option<Decimal>>,
}

impl Walk {
    pub(crate) fn new(account: AccountRow) -> Self {
        Self {
            cash: Some(account.starting_cash),
            account,
            orders: HashMap::new(),
            fills: BTreeMap::new(),
            last_seq: 0,
            holdings: BTreeMap::new(),
            days: BTreeMap::new(),
        }
    }

    pub(crate) fn add_order(&mut self, row: OrderRow) {
        let traced = Traced {
            row,
            life: Life::default(),
            quantity: Some(Decimal::ZERO),
            cost: Some(Decimal::ZERO),
        };
        self.orders.insert(traced.row.id, traced);
    }

    pub(crate) fn add_fill(&mut self, fill: FillRow) {
        self.fills.entry(fill.event_seq).or_default().push(fill);
    }

    /// Takes the next event.
    pub(crate) fn follow(&mut self, event: &EventRow, findings: &mut Findings) {
        let row = Row::pair("order_events", event.account_id, event.seq);
        findings.compare(&row, "seq", &event.seq, &(self.last_seq + 1));
        self.last_seq = event.seq;
        let Some(order) = self.orders.get_mut(&event.order_id) else {
            findings.report(&row, "order_id", event.order_id, "an order of the account");
            return;
        };
        match order.life.follow(event) {
            Told::State => {}
            Told::Nonsense(wanted) => findings.report(&row, "kind", event.kind.as_str(), wanted),
            Told::Fill => self.follow_fill(event, &row, findings),
        }
    }

    /// An event of a fill, and the fill that belongs to it.
    fn follow_fill(&mut self, event: &EventRow, row: &Row, findings: &mut Findings) {
        let fills = self.fills.get_mut(&event.seq);
        let position = fills
            .as_ref()
            .and_then(|fills| fills.iter().position(|fill| fill.order_id == event.order_id));
        let Some(fill) = fills.zip(position).map(|(fills, index)| fills.remove(index)) else {
            findings.report(row, "kind", event.kind.as_str(), "a fill with this number");
            return;
        };
        self.book(&fill, findings);
        let (data, number) = (&event.data, |name| decimal_in(&event.data, name));
        findings.compare(
            row,
            "data.execution_id",
            &data["execution_id"].as_str(),
            &Some(fill.broker_fill_id.as_str()),
        );
        findings.compare(row, "data.qty", &number("qty"), &Some(fill.quantity));
        findings.compare(row, "data.price", &number("price"), &Some(fill.price));
        findings.compare(row, "data.fee", &number("fee"), &Some(fill.fee));
        let sum = self.orders.get(&event.order_id).and_then(|order| order.quantity);
        findings.compare(row, "data.filled_qty", &number("filled_qty"), &sum);
    }

    /// Moves money and units.
    fn book(&mut self, fill: &FillRow, findings: &mut Findings) {
        let row = Row::pair("fills", fill.connection_id, &fill.broker_fill_id);
        findings.compare(
            &row,
            "connection_id",
            &fill.connection_id,
            &self.account.broker_connection_id,
        );
        findings.compare(&row, "cost", &fill.cost, &cost_of(fill.quantity, fill.price));
        let paid = if fill.side == "sell" {
            fill.cost
        } else {
            -fill.cost
        };
        add(&mut self.cash, paid);
        add(&mut self.cash, -fill.fee);
        let holding = self
            .holdings
            .entry(fill.asset_id)
            .or_insert_with(|| Some(Holding::default()));
        *holding = holding.and_then(|holding| holding.after(fill.signed(), fill.price));
        let Some(order) = self.orders.get_mut(&fill.order_id) else {
            findings.report(&row, "order_id", fill.order_id, "an order of the account");
            return;
        };
        findings.compare(&row, "side", &fill.side, &order.row.side);
        findings.compare(&row, "asset_id", &fill.asset_id, &order.row.asset_id);
        add(&mut order.quantity, fill.quantity);
        add(&mut order.cost, fill.cost);
        if order.row.exposure_rate > Decimal::ZERO {
            let date = new_york(fill.recorded_at);
            add(self.days.entry(date).or_insert(Some(Decimal::ZERO)), fill.cost);
        }
    }

    /// Fills without an event are facts all the same.
    pub(crate) fn book_the_rest(&mut self, findings: &mut Findings) {
        for fill in std::mem::take(&mut self.fills).into_values().flatten() {
            let row = Row::pair("fills", fill.connection_id, &fill.broker_fill_id);
            findings.report(
                &row,
                "event_seq",
                fill.event_seq.to_string(),
                "the number of its event",
            );
            self.book(&fill, findings);
        }
    }
}

/// The date in New York.
pub(crate) fn new_york(at: chrono::DateTime<chrono::Utc>) -> NaiveDate {
    at.with_timezone(&chrono_tz::America::New_York).date_naive()
}
