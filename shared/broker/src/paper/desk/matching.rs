//! Quotes and time: what they do to resting orders.
//!
//! Orders of an instrument meet a quote in price-time priority: market orders first, then the better limit, then who came
//! first. They share the quote's size; what one took is gone for all, in every process, until the next quote.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::fill_model::{self, Then};
use domain::id::{AssetId, OrderId};
use domain::order::Side;
use domain::quote::{CLOCK_TOLERANCE, Purpose, Quote};
use domain::reconcile::Reported;
use rust_decimal::Decimal;

use super::super::error::BookError;
use super::super::hours::{Phase, works_from};
use super::super::rows::{AssetRow, Ended, Level, OrderRow, Quoted};
use super::super::rules::PaperRules;
use super::Desk;

/// Whether `quote` tells the venue something that `row` does not hold yet, at `now`.
///
/// A quote is one step: fed again, it is nothing new, unless orders that could not trade then can trade now.
pub(in super::super) fn is_news(
    row: &AssetRow,
    quote: &Quote,
    rules: &PaperRules,
    now: DateTime<Utc>,
) -> bool {
    let Some(asset) = rules.assets.get(&quote.asset_id) else {
        return false;
    };
    if quote.at > now + CLOCK_TOLERANCE {
        return false;
    }
    let Some(quoted) = &row.quoted else {
        return true;
    };
    // A step from the future was fed by a provider that is gone; it must not silence the present one.
    if quote.at > quoted.quote.at || quoted.quote.at > now + CLOCK_TOLERANCE {
        return true;
    }
    let phase = Phase::of(asset.class, now, rules.hours);
    quote.at == quoted.quote.at && phase > quoted.matched_in && quote.trust(Purpose::Fill, now, true).is_ok()
}

impl Desk<'_> {
    /// Takes a quote; answers whether resting orders are to meet it now, by [`Desk::match_asset`].
    pub(in super::super) fn quote(&mut self, quote: &Quote) -> bool {
        let (rules, now) = (self.rules, self.now);
        let Some(row) = self.assets.get_mut(&quote.asset_id) else {
            return false;
        };
        if !is_news(row, quote, rules, now) {
            return false;
        }
        let same_step = row.quoted.take().filter(|quoted| quoted.quote.at == quote.at);
        let quoted = same_step.unwrap_or_else(|| Quoted {
            quote: quote.clone(),
            step: fill_model::Step::of(quote),
            matched_in: Phase::Closed,
        });
        let class = rules.assets.get(&quote.asset_id).map(|asset| asset.class);
        let phase = class.map_or(Phase::Closed, |class| Phase::of(class, now, rules.hours));
        let is_met = phase > Phase::Closed && quoted.quote.trust(Purpose::Fill, now, true).is_ok();
        row.quoted = Some(quoted);
        self.changed.assets.insert(quote.asset_id);
        is_met
    }

    /// What orders must reach to fill at the quote of an instrument, on each side of which something is left.
    pub(in super::super) fn levels(&self, asset_id: AssetId) -> Result<Vec<Level>, BookError> {
        let phase = Phase::of(self.asset(asset_id)?.class, self.now, self.rules.hours);
        let mut levels = Vec::with_capacity(2);
        for side in [Side::Sell, Side::Buy] {
            if let Some(quoted) = self.quoted(asset_id)
                && self.has_left(asset_id, side)?
            {
                levels.push(Level {
                    asset_id,
                    side,
                    key: quoted.price_key(side),
                    is_regular: phase.lets_trade(false),
                });
            }
        }
        Ok(levels)
    }

    /// Whether a quote has units left for orders on `side`.
    fn has_left(&self, asset_id: AssetId, side: Side) -> Result<bool, BookError> {
        let least = self.asset(asset_id)?.min_trade_increment;
        let left = self.quoted(asset_id).map(|quoted| quoted.step.left(side));
        Ok(left.is_some_and(|left| left > Decimal::ZERO && left >= least))
    }

    fn quoted(&self, asset_id: AssetId) -> Option<&Quoted> {
        self.assets.get(&asset_id).and_then(|row| row.quoted.as_ref())
    }

    /// Lets time pass for the orders on the desk: those whose time is over expire, those whose market has opened begin to
    /// work.
    pub(in super::super) fn pass_time(&mut self) -> Result<(), BookError> {
        let due: Vec<OrderId> = self
            .orders
            .values()
            .filter(|order| order.is_open() && order.due_at <= self.now)
            .map(|order| order.id)
            .collect();
        for id in due {
            let order = self.order(id)?;
            if order.expires_at <= self.now {
                self.end(id, Ended::Expired, None)?;
                continue;
            }
            let class = self.rules.assets.get(&order.asset_id).map(|asset| asset.class);
            // What is not traded any more only waits for its end.
            let works_from = class.map_or(order.expires_at, |class| {
                works_from(class, order.extended_hours, self.now, self.rules.hours)
            });
            if works_from <= self.now {
                self.begin_to_work(id)?;
            } else {
                // The session passed while the venue was down.
                let order = self.order_mut(id)?;
                order.due_at = works_from.min(order.expires_at);
            }
        }
        Ok(())
    }

    /// Lets a page of the resting orders of an instrument meet its quote: the best, at most `page_max` of a side.
    ///
    /// Answers whether that was all. The quote counts as met only then; until then whoever comes new waits behind those
    /// who are there.
    pub(in super::super) fn match_asset(
        &mut self,
        asset_id: AssetId,
        page: &BTreeSet<OrderId>,
        page_max: usize,
    ) -> Result<bool, BookError> {
        let phase = Phase::of(self.asset(asset_id)?.class, self.now, self.rules.hours);
        let mut queue: Vec<_> = page
            .iter()
            .filter_map(|id| self.orders.get(id))
            .filter(|order| {
                order.is_open() && order.asset_id == asset_id && phase.lets_trade(order.extended_hours)
            })
            .map(|order| {
                let rank = match order.side {
                    // Sells first: the money that they raise may pay for buys.
                    Side::Sell => (0, i128::from(order.price_key())),
                    Side::Buy => (1, -i128::from(order.price_key())),
                };
                (rank, order.entered_at, order.id)
            })
            .collect();
        queue.sort_unstable();
        for (_, _, id) in queue {
            self.fill(id)?;
        }
        let mut is_all = true;
        for side in [Side::Sell, Side::Buy] {
            let of_side = || {
                let orders = page.iter().filter_map(|id| self.orders.get(id));
                orders.filter(|order| order.asset_id == asset_id && order.side == side)
            };
            // A page of which nobody ended would only be read again.
            is_all &= of_side().count() < page_max
                || of_side().all(OrderRow::is_open)
                || !self.has_left(asset_id, side)?;
        }
        if is_all && let Some(quoted) = self.assets.get_mut(&asset_id).and_then(|row| row.quoted.as_mut()) {
            quoted.matched_in = phase;
            self.changed.assets.insert(asset_id);
        }
        Ok(is_all)
    }

    /// Lets an order meet the quote of its instrument.
    pub(super) fn fill(&mut self, id: OrderId) -> Result<(), BookError> {
        let order = self.order(id)?;
        let (asset_id, side, is_working) = (order.asset_id, order.side, order.is_working);
        let (Some(asking), Some(quoted)) = (order.asking(), self.quoted(asset_id)) else {
            return Ok(());
        };
        let terms = self
            .rules
            .terms(self.asset(asset_id)?, quoted.step.price(side).get());
        let decision = fill_model::decide(&asking, &quoted.step, &terms);
        if !is_working {
            self.begin_to_work(id)?;
        }
        let Some(execution) = decision.execution else {
            return match decision.then {
                Then::Rest => Ok(()),
                Then::Cancel | Then::Done => self.end(id, Ended::Canceled, None),
            };
        };
        if let Some(reason) = self.shortage(id, &execution)? {
            let (ended, reason) = match self.order(id)?.fills {
                0 => (Ended::Refused, Some(reason)),
                _ => (Ended::Canceled, None),
            };
            return self.end(id, ended, reason);
        }
        if let Some(quoted) = self.assets.get_mut(&asset_id).and_then(|row| row.quoted.as_mut()) {
            quoted.step.take(side, execution.quantity);
            self.changed.assets.insert(asset_id);
        }
        self.settle(id, execution, decision.then)
    }

    /// Why the account cannot pay for an execution without what other orders hold: the price has run away from what the
    /// order held.
    fn shortage(
        &self,
        id: OrderId,
        execution: &fill_model::Execution,
    ) -> Result<Option<&'static str>, BookError> {
        let available = self.uncommitted(id)?;
        Ok(match self.order(id)?.side {
            Side::Buy => (execution.cost + execution.fee > available)
                .then_some("insufficient buying power at the price of the fill"),
            Side::Sell => (execution.quantity.get() > available)
                .then_some("insufficient quantity at the price of the fill"),
        })
    }

    /// Money (of a buy) or units (of a sell) that no other order holds.
    pub(super) fn uncommitted(&self, id: OrderId) -> Result<Decimal, BookError> {
        let order = self.order(id)?;
        Ok(match order.side {
            Side::Buy => {
                let account = self.account(order.connection_id)?;
                account.cash - (account.held - order.held)
            }
            Side::Sell => {
                let position = self.position(order.connection_id, order.asset_id);
                position.quantity - (position.held - order.held)
            }
        })
    }

    fn begin_to_work(&mut self, id: OrderId) -> Result<(), BookError> {
        let order = self.order_mut(id)?;
        if order.is_working {
            return Ok(());
        }
        order.is_working = true;
        order.due_at = order.expires_at;
        let connection_id = order.connection_id;
        self.tell(id, connection_id, Reported::Acknowledged { is_working: true })
    }

    /// Whether a quote may fill an order now.
    pub(super) fn is_trusted(&self, quoted: &Quoted, phase: Phase) -> bool {
        quoted
            .quote
            .trust(Purpose::Fill, self.now, phase > Phase::Closed)
            .is_ok()
    }
}
