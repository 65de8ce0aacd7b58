//! One random history, step by step, and what must hold after each.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::asset::Asset;
use domain::id::OrderId;
use domain::lifecycle::Submission;
use domain::order::{Order, Side};
use rust_decimal::Decimal;
use store::testing::Trader;
use store::{Claim, Dispatch, OrderFilter, StatusFilter, Store};

use crate::random::Random;
use crate::reference::{Known, Reference, Sums};
use crate::venue::Venue;

/// What went wrong.
pub(crate) type Fault = String;

/// Fails the history where something does not hold.
macro_rules! ensure {
    ($holds:expr, $($told:tt)+) => {
        if !$holds {
            return Err(format!($($told)+));
        }
    };
}
pub(crate) use ensure;

/// Something that a worker has under way. It may die at any moment.
#[derive(Debug)]
pub(crate) enum Stage {
    Claimed(Claim),
    /// On record; nothing has left.
    Begun(Box<Dispatch>),
    /// The answer is known here only.
    Answered(Box<Dispatch>, crate::worker::Answer),
}

/// A worker's piece of work; whether its lease has run out.
#[derive(Debug)]
pub(crate) struct Underway {
    pub stage: Stage,
    pub is_lapsed: bool,
}

/// How often something happened.
pub(crate) type Tally = BTreeMap<&'static str, u64>;

/// A history under way.
pub(crate) struct History<'a> {
    pub store: &'a Store,
    pub random: Random,
    pub trader: Trader,
    pub assets: [Asset; 2],
    pub now: DateTime<Utc>,
    pub venue: Venue,
    pub reference: Reference,
    pub underway: Vec<Underway>,
    /// The orders as they were stored after the step before.
    pub orders: BTreeMap<OrderId, Order>,
    /// What was done, for whoever has to find out why it failed; kept only when somebody wants to know.
    pub log: Option<Vec<String>>,
    /// How often what was to be tried has happened.
    pub tally: Tally,
}

impl History<'_> {
    /// Lives through `steps` random steps, and then until everything has ended.
    pub(crate) async fn run(&mut self, steps: u64) -> Result<(), Fault> {
        for _ in 0..steps {
            if self.step().await? {
                self.check().await?;
            }
        }
        self.settle().await?;
        self.check_the_end().await?;
        let ends: Vec<_> = self
            .reference
            .orders
            .values()
            .filter_map(|order| order.ended.clone())
            .collect();
        for end in ends {
            let names = ["filled", "canceled", "expired", "rejected", "replaced"];
            names
                .into_iter()
                .filter(|name| *name == end)
                .for_each(|name| self.count(name));
        }
        Ok(())
    }

    /// Answers whether anything was stored.
    async fn step(&mut self) -> Result<bool, Fault> {
        match self.random.below(100) {
            0..=17 => self.place().await,
            18..=47 => self.work().await,
            48..=64 => {
                self.tell(|| "the venue acts".into());
                for _ in 0..=self.random.below(3) {
                    self.venue.act(&mut self.random, self.now);
                }
                return Ok(false);
            }
            65..=79 => self.read_reports().await,
            80..=82 => self.cancel().await,
            83..=87 => self.replace().await,
            88..=94 => self.protect_or_fire().await,
            95..=97 => self.let_time_pass().await,
            98 => self.expire().await,
            _ => {
                // Clocks of processes differ, and are set.
                let seconds = i64::try_from(self.random.below(100_000)).unwrap() - 50_000;
                self.now += TimeDelta::seconds(seconds);
                self.tell(|| format!("the clock steps by {seconds} s"));
                return Ok(false);
            }
        }?;
        Ok(true)
    }

    /// Notes what is done.
    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(what());
        }
    }

    /// Notes that something happened which the histories are there for.
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    pub(crate) fn day(&self) -> NaiveDate {
        self.now.with_timezone(&chrono_tz::America::New_York).date_naive()
    }

    /// Reads the orders, and compares everything with the reference.
    pub(crate) async fn check(&mut self) -> Result<(), Fault> {
        let filter = OrderFilter {
            status: StatusFilter::All,
            limit: 500,
            after: None,
            until: None,
            ascending: true,
            assets: Vec::new(),
            side: None,
            asset_class: None,
            before_order_id: None,
            after_order_id: None,
        };
        let orders = self
            .store
            .orders(self.trader.account, &filter)
            .await
            .map_err(|error| error.to_string())?;
        ensure!(
            orders.len() == self.reference.orders.len(),
            "{} orders, not {}",
            orders.len(),
            self.reference.orders.len()
        );
        for order in orders {
            self.check_order(&order)?;
            self.orders.insert(order.id, order);
        }
        let stored = self.stored().await?;
        let expected = self.reference.sums(None);
        ensure!(stored == expected, "stored {stored:?}, expected {expected:?}");
        ensure!(
            self.venue.doubled.is_empty(),
            "sent twice: {:?}",
            self.venue.doubled
        );
        Ok(())
    }

    /// An order moves forwards only, and says what was filled.
    fn check_order(&mut self, order: &Order) -> Result<(), Fault> {
        let id = order.id;
        let how = order.facts.closed.map(|(how, _)| how.as_str().to_owned());
        if let Some(before) = self.orders.get(&id) {
            let (was, is) = (&before.facts, &order.facts);
            ensure!(
                was.closed.is_none() || was.closed == is.closed,
                "{id} ended {:?}, then {:?}",
                was.closed,
                is.closed
            );
            ensure!(was.filled_quantity <= is.filled_quantity, "{id} lost fills");
            let is_back =
                was.submission == Submission::Acknowledged && is.submission != Submission::Acknowledged;
            ensure!(!is_back, "{id} is {:?} after it was acknowledged", is.submission);
        }
        let filled = self.reference.filled(id);
        ensure!(
            order.facts.filled_quantity == filled,
            "{id} filled {}, not {filled}",
            order.facts.filled_quantity
        );
        let free = self.free(order);
        let known = self
            .reference
            .orders
            .get_mut(&id)
            .ok_or_else(|| format!("{id} was not accepted"))?;
        if known.is_held && order.facts.held_by.is_none() {
            let amount = order.terms.amount.get();
            ensure!(
                amount == known.quantity.min(free),
                "{id} sells {amount} of {free}"
            );
            known.quantity = amount;
            known.is_held = false;
        }
        known.ended = how;
        Ok(())
    }

    /// Units of an order's instrument that no other sell holds.
    fn free(&self, order: &Order) -> Decimal {
        let sums = self.reference.sums(None);
        let (units, reserved) = sums.positions.get(&order.asset_id).copied().unwrap_or_default();
        units - reserved
    }

    async fn stored(&self) -> Result<Sums, Fault> {
        let account = self.trader.account;
        let view = self
            .store
            .account_view(account)
            .await
            .map_err(|error| error.to_string())?;
        let view = view.ok_or("no account")?;
        let rows = self
            .store
            .positions(account)
            .await
            .map_err(|error| error.to_string())?;
        let mut positions: BTreeMap<_, _> = rows
            .into_iter()
            .map(|row| (row.asset_id, (row.position.quantity, row.position.reserved)))
            .collect();
        positions.retain(|_, (units, reserved)| !units.is_zero() || !reserved.is_zero());
        Ok(Sums {
            cash: view.balance.cash,
            reserved: view.balance.reserved,
            open: view.user_notional_open,
            positions,
        })
    }

    /// Nobody dies any more, the venue decides and tells everything, and every order is asked to end.
    async fn settle(&mut self) -> Result<(), Fault> {
        self.tell(|| "settle".into());
        for round in 0..60 {
            // What was under way is finished first: taking over is no matter of wanting to end.
            if round > 0 {
                self.cancel_everything().await?;
            }
            self.let_leases_lapse().await?;
            self.work_through().await?;
            self.venue.decide_all(&mut self.random, self.now);
            while self.read_page(100, false).await? > 0 {}
            self.check().await?;
            if self.reference.orders.values().all(|order| order.ended.is_some()) {
                return Ok(());
            }
        }
        let open: Vec<_> = self
            .orders
            .values()
            .filter(|order| order.facts.closed.is_none())
            .collect();
        Err(format!("these orders never end: {open:#?}"))
    }

    async fn check_the_end(&mut self) -> Result<(), Fault> {
        // Answers that come after everything has ended change nothing.
        while !self.underway.is_empty() {
            self.advance(0, false).await?;
            self.check().await?;
        }
        for (id, known) in &self.reference.orders {
            let ended = known.ended.as_deref();
            let fits = match self.venue.orders.get(id) {
                Some(at) => {
                    at.ended.map(crate::venue::Ended::name) == ended
                        && at.filled == self.reference.filled(*id)
                }
                // Never sent: its owner's wish, its day's end, or an order to replace that ended first.
                None => matches!(ended, Some("canceled" | "expired" | "rejected")),
            };
            ensure!(
                fits,
                "{id} ended {ended:?}; the venue has {:?}",
                self.venue.orders.get(id)
            );
        }
        ensure!(
            self.venue.fills.len() == self.reference.fills.len(),
            "fills are missing"
        );
        let sums = self.reference.sums(None);
        let is_free = sums.reserved.is_zero()
            && sums.open.is_zero()
            && sums.positions.values().all(|(_, held)| held.is_zero());
        ensure!(is_free, "something stays reserved: {sums:?}");
        Ok(())
    }

    /// Enters an accepted order into the reference.
    pub(crate) fn know(&mut self, order: &Order) {
        let limit = order
            .terms
            .kind
            .limit_price()
            .map_or(Decimal::ZERO, domain::money::Price::get);
        let is_sell = order.terms.side == Side::Sell;
        let known = Known {
            asset: order.asset_id,
            side: order.terms.side,
            quantity: order.terms.amount.get(),
            limit: if is_sell { Decimal::ZERO } else { limit },
            fee: crate::steps::fee_of(order.asset_class),
            group: OrderId(order.group_id.0),
            is_held: order.facts.held_by.is_some(),
            ended: None,
        };
        self.reference.orders.insert(order.id, known);
    }
}
