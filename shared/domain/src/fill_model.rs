//! What the paper venue fills at a quote: one decision for one order, without IO.
//!
//! 1. A market order trades at the ask (buy) or the bid (sell), worsened by the slippage and rounded to the price
//!    increment against the trader. A limit order trades only where the quote is at its limit or better, and then at
//!    the quote's price: never through the limit.
//! 2. Nobody gets more than what is left of the quoted size. The rest of a `day` or `gtc` order rests, market orders
//!    too, and meets the size of the next quote; `ioc` cancels its rest; `fok` fills whole or not at all.
//! 3. A notional buys or sells as many units as it pays for, rounded down to the increment of the quantity. It is done
//!    when what is left does not pay for one more increment.
//! 4. The only roundings are those of [`money::cost`] and of the fee, half-even to nine decimals, once per fill.
//!
//! The caller decides who comes first at a price, and [takes](Step::take) what was filled off the size that is left.

use rust_decimal::{Decimal, RoundingStrategy};

use crate::money::{self, NOTIONAL_LIMIT, Price, Quantity};
use crate::order::{Amount, OrderKind, Side, TimeInForce};
use crate::quote::Quote;

/// The order that asks for units, as far as the decision needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// Buy or sell.
    pub side: Side,
    /// Market or limit, with its price.
    pub kind: OrderKind,
    /// How long it stays alive.
    pub time_in_force: TimeInForce,
    /// What is still to fill, in units or in quote currency.
    pub remaining: Amount,
    /// Whether the venue has tried to fill it before: `ioc` and `fok` have one try.
    pub was_tried: bool,
}

/// What the venue charges, and the steps of the instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// By how much market orders trade worse than the quote, in basis points.
    pub slippage_basis_points: Decimal,
    /// What the venue takes of the money that changes hands, in basis points.
    pub fee_basis_points: Decimal,
    /// Prices of market orders are multiples of this, in quote currency.
    pub price_increment: Decimal,
    /// Quantities that the venue chooses are multiples of this, in units.
    pub quantity_increment: Decimal,
}

/// The prices of a quote, and what is left of its sizes: shared by all orders that meet the quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The best price someone pays, in quote currency.
    pub bid: Price,
    /// Units at the bid that nobody has sold yet.
    pub bid_left: Decimal,
    /// The best price someone asks, in quote currency.
    pub ask: Price,
    /// Units at the ask that nobody has bought yet.
    pub ask_left: Decimal,
}

impl Step {
    /// A quote that nobody has met yet.
    pub const fn of(quote: &Quote) -> Self {
        Self {
            bid: quote.bid,
            bid_left: quote.bid_size.get(),
            ask: quote.ask,
            ask_left: quote.ask_size.get(),
        }
    }

    /// The price that an order on `side` meets.
    pub const fn price(&self, side: Side) -> Price {
        match side {
            Side::Buy => self.ask,
            Side::Sell => self.bid,
        }
    }

    /// Units that an order on `side` can still get.
    pub const fn left(&self, side: Side) -> Decimal {
        match side {
            Side::Buy => self.ask_left,
            Side::Sell => self.bid_left,
        }
    }

    /// Takes what was filled on `side` off the size; never below zero.
    pub fn take(&mut self, side: Side, quantity: Quantity) {
        let left = match side {
            Side::Buy => &mut self.ask_left,
            Side::Sell => &mut self.bid_left,
        };
        *left = (*left - quantity.get()).max(Decimal::ZERO).normalize();
    }
}

/// Units that change hands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execution {
    /// Units.
    pub quantity: Quantity,
    /// Price of one unit, in quote currency.
    pub price: Price,
    /// What the units cost, in quote currency, without the fee.
    pub cost: Decimal,
    /// What the venue takes, in quote currency.
    pub fee: Decimal,
}

/// What becomes of the order after the fill, if there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It waits for the next quote.
    Rest,
    /// What is left of it ends.
    Cancel,
    /// It is complete: the last fill carries [`venue_done`](crate::fill::Fill::venue_done).
    Done,
}

/// What a quote does to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FillDecision {
    /// What changes hands now.
    pub execution: Option<Execution>,
    /// What becomes of the order.
    pub then: Then,
}

impl FillDecision {
    const fn nothing(then: Then) -> Self {
        Self {
            execution: None,
            then,
        }
    }
}

/// What `order` gets of `step`.
pub fn decide(order: &Asking, step: &Step, terms: &Terms) -> FillDecision {
    let has_one_try = matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
    let unfilled = if has_one_try { Then::Cancel } else { Then::Rest };
    if has_one_try && order.was_tried {
        return FillDecision::nothing(Then::Cancel);
    }
    let Some(price) = execution_price(order.side, order.kind, step, terms) else {
        return FillDecision::nothing(unfilled);
    };
    let wanted = units(order.remaining, price, terms.quantity_increment);
    if wanted.is_zero() {
        // Too little money for one increment, now and most likely for ever: an order that rests would never end.
        return FillDecision::nothing(Then::Cancel);
    }
    let available = down_to(step.left(order.side), terms.quantity_increment)
        .min(most_units(price, terms.quantity_increment));
    let quantity = wanted.min(available);
    if order.time_in_force == TimeInForce::Fok && quantity < wanted {
        return FillDecision::nothing(Then::Cancel);
    }
    let Some(execution) = execution(quantity, price, terms) else {
        return FillDecision::nothing(unfilled);
    };
    let then = if quantity == wanted || is_dust(order.remaining, &execution, terms) {
        Then::Done
    } else {
        unfilled
    };
    FillDecision {
        execution: Some(execution),
        then,
    }
}

/// The price at which a market order on `side` trades at `step`; `None` where it leaves the range of prices.
pub fn market_price(side: Side, step: &Step, terms: &Terms) -> Option<Price> {
    let share = terms.slippage_basis_points.checked_div(Decimal::from(10_000))?;
    let price = match side {
        Side::Buy => {
            let worse = step.ask.get().checked_mul(Decimal::ONE.checked_add(share)?)?;
            up_to(worse, terms.price_increment)?
        }
        Side::Sell => {
            let bid = step.bid.get();
            let worse = bid.checked_mul(Decimal::ONE.checked_sub(share)?)?;
            // A price cannot be rounded down to nothing: the lowest is one increment, or a bid below it.
            down_to(worse, terms.price_increment).max(terms.price_increment.min(bid))
        }
    };
    Price::new(price).ok()
}

/// What the venue takes of `cost`, in quote currency, rounded once.
pub fn fee(cost: Decimal, basis_points: Decimal) -> Option<Decimal> {
    let share = basis_points.checked_div(Decimal::from(10_000))?;
    cost.checked_mul(share).map(money::round)
}

/// How many units `amount` asks for at `price`: a notional is rounded down to `increment`.
pub fn units(amount: Amount, price: Price, increment: Decimal) -> Decimal {
    match amount {
        Amount::Quantity(quantity) => quantity.get(),
        Amount::Notional(notional) => notional
            .get()
            .checked_div(price.get())
            .map_or(Decimal::ZERO, |units| down_to(units, increment)),
    }
}

fn execution_price(side: Side, kind: OrderKind, step: &Step, terms: &Terms) -> Option<Price> {
    match (kind, side) {
        (OrderKind::Market, _) => market_price(side, step, terms),
        (OrderKind::Limit { limit_price }, Side::Buy) => (step.ask <= limit_price).then_some(step.ask),
        (OrderKind::Limit { limit_price }, Side::Sell) => (step.bid >= limit_price).then_some(step.bid),
    }
}

fn execution(quantity: Decimal, price: Price, terms: &Terms) -> Option<Execution> {
    let quantity = Quantity::new(quantity).ok()?;
    let cost = money::cost(price.get(), quantity.get()).ok()?;
    Some(Execution {
        quantity,
        price,
        cost,
        fee: fee(cost, terms.fee_basis_points)?,
    })
}

/// Whether what `execution` leaves of a notional does not pay for one more increment at its price.
fn is_dust(remaining: Amount, execution: &Execution, terms: &Terms) -> bool {
    let Some(notional) = remaining.notional() else {
        return false;
    };
    match money::Notional::new(notional.get() - execution.cost) {
        Ok(rest) => units(Amount::Notional(rest), execution.price, terms.quantity_increment).is_zero(),
        Err(_) => true,
    }
}

/// The most units whose cost stays in the range that is kept exactly.
fn most_units(price: Price, increment: Decimal) -> Decimal {
    (NOTIONAL_LIMIT - Decimal::ONE)
        .checked_div(price.get())
        .map_or(Decimal::ZERO, |units| down_to(units, increment))
}

/// `value` rounded down to a multiple of `increment`, and to the decimals that are kept.
fn down_to(value: Decimal, increment: Decimal) -> Decimal {
    let kept = value.round_dp_with_strategy(money::SCALE, RoundingStrategy::ToZero);
    match kept.checked_rem(increment) {
        Some(rest) => (kept - rest).normalize(),
        None => kept.normalize(),
    }
}

/// `value` rounded up to a multiple of `increment`; `None` where that leaves the range of decimals.
fn up_to(value: Decimal, increment: Decimal) -> Option<Decimal> {
    let Some(rest) = value.checked_rem(increment) else {
        return Some(value.round_dp_with_strategy(money::SCALE, RoundingStrategy::AwayFromZero));
    };
    if rest.is_zero() {
        return Some(value);
    }
    (value - rest).checked_add(increment)
}

#[cfg(test)]
mod tests;
