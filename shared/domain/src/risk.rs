//! Risk: whether an order may leave.
//!
//! 1. [`review`] is pure, and the only maker of [`Approved`]; only what is approved can be stored as accepted.
//! 2. It fails closed: what it cannot know (no quote, a stale one) blocks, with that reason.
//! 3. A block names its rule, the limit and the attempted value.
//! 4. Exits that reduce a position pass the limits that guard new exposure.
//! 5. The order of the rules is fixed: position, order limit, day limit, buying power.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::{self, Balance, Rates};
use crate::money;
use crate::order::{Amount, HeldBy, NewOrder, OrderKind, OrderTerms, Side};
use crate::position::Position;
use crate::quote::{Distrust, Purpose, Quote};

/// What a user may do over all accounts; amounts in quote currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The greatest notional of one order that adds exposure.
    pub order_notional: Decimal,
    /// The greatest notional of one trading date: filled today plus still open, of orders that add exposure.
    pub day_notional: Decimal,
}

/// Everything that the rules look at, as of one moment.
#[derive(Debug, Clone)]
pub struct Snapshot<'a> {
    /// The account's money.
    pub balance: Balance,
    /// The account's position in the order's instrument.
    pub position: Position,
    /// What the user has filled today plus what is still open, in quote currency.
    pub day_notional_used: Decimal,
    /// The user's limits.
    pub limits: Limits,
    /// The latest quote of the instrument, if there is one.
    pub quote: Option<&'a Quote>,
    /// Whether the instrument's regular session is open.
    pub in_session: bool,
    /// Fees that the broker takes, in basis points of the cost.
    pub fee_basis_points: Decimal,
}

/// A rule of risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A price is needed and there is none to be believed.
    Quote,
    /// Only what is owned can be sold.
    ShortSale,
    /// What open orders hold is not available twice.
    AvailableQuantity,
    /// The greatest notional of one order.
    OrderNotional,
    /// The greatest notional of one day.
    DayNotional,
    /// Money that is neither spent nor reserved.
    BuyingPower,
}

/// Why an order may not leave. Amounts in quote currency, quantities in units.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Blocked {
    /// Nobody knows what it would cost.
    #[error("no quote for {symbol}")]
    NoQuote {
        /// The instrument.
        symbol: String,
    },
    /// The price there is can't be believed.
    #[error("the quote for {symbol} is not usable ({distrust:?})")]
    UnusableQuote {
        /// The instrument.
        symbol: String,
        /// What is wrong with it.
        distrust: Distrust,
    },
    /// It would open a short position.
    #[error("account is not allowed to short")]
    ShortSale {
        /// The instrument.
        symbol: String,
        /// What was to be sold.
        requested: Decimal,
    },
    /// More than is available.
    #[error("insufficient qty available for order (requested: {requested}, available: {available})")]
    AvailableQuantity {
        /// The instrument.
        symbol: String,
        /// What was to be sold.
        requested: Decimal,
        /// What is owned and not held.
        available: Decimal,
        /// What is owned.
        existing: Decimal,
        /// What open sells hold.
        held_for_orders: Decimal,
    },
    /// One order too large.
    #[error("order notional {attempted} exceeds the limit of {limit} per order")]
    OrderNotional {
        /// The greatest allowed.
        limit: Decimal,
        /// What the order comes to.
        attempted: Decimal,
    },
    /// Too much in one day.
    #[error("day notional {attempted} exceeds the limit of {limit} per day")]
    DayNotional {
        /// The greatest allowed.
        limit: Decimal,
        /// What the day would come to with the order.
        attempted: Decimal,
    },
    /// Not enough money.
    #[error("insufficient buying power")]
    BuyingPower {
        /// What there is.
        buying_power: Decimal,
        /// What the order would reserve.
        cost_basis: Decimal,
    },
    /// The order's notional can't be kept exactly.
    #[error("the order's notional must be < {limit}")]
    NotionalRange {
        /// The limit of exact arithmetic.
        limit: Decimal,
    },
}

impl Blocked {
    /// The rule that blocks.
    pub const fn rule(&self) -> Rule {
        match self {
            Self::NoQuote { .. } | Self::UnusableQuote { .. } => Rule::Quote,
            Self::ShortSale { .. } => Rule::ShortSale,
            Self::AvailableQuantity { .. } => Rule::AvailableQuantity,
            Self::OrderNotional { .. } | Self::NotionalRange { .. } => Rule::OrderNotional,
            Self::DayNotional { .. } => Rule::DayNotional,
            Self::BuyingPower { .. } => Rule::BuyingPower,
        }
    }

    /// The limit and the attempted value, where the rule compares two numbers.
    pub const fn numbers(&self) -> Option<(Decimal, Decimal)> {
        match self {
            Self::NoQuote { .. } | Self::UnusableQuote { .. } | Self::NotionalRange { .. } => None,
            Self::ShortSale { requested, .. } => Some((Decimal::ZERO, *requested)),
            Self::AvailableQuantity {
                requested, available, ..
            } => Some((*available, *requested)),
            Self::OrderNotional { limit, attempted } | Self::DayNotional { limit, attempted } => {
                Some((*limit, *attempted))
            }
            Self::BuyingPower {
                buying_power,
                cost_basis,
            } => Some((*buying_power, *cost_basis)),
        }
    }
}

/// An order that cannot be the exit of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("only a market sell of units, held by its trigger, is an exit")]
pub struct NotAnExit;

/// An order that passed every rule, with what it reserves and counts. Only [`review`] and [`review_exit`] make one, and
/// only what is approved can be stored as accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    order: NewOrder,
    rates: Rates,
    reservation: Decimal,
    exposure: Decimal,
}

impl Approved {
    /// The order.
    pub const fn order(&self) -> &NewOrder {
        &self.order
    }

    /// The order, to be stored.
    pub fn into_order(self) -> NewOrder {
        self.order
    }

    /// The rates that hold for the life of the order.
    pub const fn rates(&self) -> Rates {
        self.rates
    }

    /// What is reserved now: money for a buy, units for a sell.
    pub const fn reservation(&self) -> Decimal {
        self.reservation
    }

    /// What counts against the day now, in quote currency.
    pub const fn exposure(&self) -> Decimal {
        self.exposure
    }
}

/// What a market buy is taken to cost, above the ask, in basis points: 2.5 % above 50, 4 % up to it.
pub fn collar_basis_points(price: Decimal) -> Decimal {
    if price > Decimal::from(50) {
        Decimal::from(250)
    } else {
        Decimal::from(400)
    }
}

/// Whether the rules need a price for these terms: an exit of units leaves also when there is none.
pub const fn needs_quote(terms: &OrderTerms) -> bool {
    match (terms.kind, terms.side, terms.amount) {
        (OrderKind::Limit { .. }, _, _) | (OrderKind::Market, Side::Sell, Amount::Quantity(_)) => false,
        (OrderKind::Market, Side::Buy, _) | (OrderKind::Market, Side::Sell, Amount::Notional(_)) => true,
    }
}

/// Whether `order` may leave, given `snapshot` at `now`.
pub fn review(order: NewOrder, snapshot: &Snapshot<'_>, now: DateTime<Utc>) -> Result<Approved, Blocked> {
    let terms = &order.terms;
    let amount = terms.amount.get();
    let price = price_to_assume(&order, snapshot, now)?;
    let rates = account::rates(terms.side, terms.amount, price, snapshot.fee_basis_points);
    let too_large = |_| Blocked::NotionalRange {
        limit: money::NOTIONAL_LIMIT,
    };
    let reservation = money::cost(rates.reserve, amount).map_err(too_large)?;
    let exposure = money::cost(rates.exposure, amount).map_err(too_large)?;
    match terms.side {
        Side::Sell => check_quantity(&order, snapshot, reservation)?,
        Side::Buy => {
            check_limits(snapshot, exposure)?;
            let buying_power = snapshot.balance.buying_power();
            if reservation > buying_power {
                return Err(Blocked::BuyingPower {
                    buying_power,
                    cost_basis: reservation,
                });
            }
        }
    }
    Ok(Approved {
        order,
        rates,
        reservation,
        exposure,
    })
}

/// Approves the exit of a trigger: a sell of units that waits for its release, and learns only then how much there is.
///
/// Until then it reserves nothing, and it never counts as exposure: what guards new exposure does not hold up an exit.
/// How much it sells is settled against the position under its lock ([`crate::trigger::exit_quantity`]).
pub fn review_exit(order: NewOrder) -> Result<Approved, NotAnExit> {
    let is_exit = matches!(order.held_by, Some(HeldBy::Trigger(_)))
        && order.terms.side == Side::Sell
        && order.terms.kind == OrderKind::Market
        && order.terms.amount.quantity().is_some();
    if !is_exit {
        return Err(NotAnExit);
    }
    let rates = account::rates(Side::Sell, order.terms.amount, Decimal::ZERO, Decimal::ZERO);
    Ok(Approved {
        order,
        rates,
        reservation: Decimal::ZERO,
        exposure: Decimal::ZERO,
    })
}

/// The price of one unit that the rules assume, in quote currency.
fn price_to_assume(
    order: &NewOrder,
    snapshot: &Snapshot<'_>,
    now: DateTime<Utc>,
) -> Result<Decimal, Blocked> {
    match (order.terms.side, order.terms.kind, order.terms.amount) {
        (_, OrderKind::Limit { limit_price }, _) => Ok(limit_price.get()),
        // Units are reserved one for one: an exit needs no price, so it leaves also when there is none.
        (Side::Sell, OrderKind::Market, Amount::Quantity(_)) => Ok(Decimal::ZERO),
        (Side::Sell, OrderKind::Market, Amount::Notional(_)) => {
            Ok(usable_quote(order, snapshot, now)?.bid.get())
        }
        (Side::Buy, OrderKind::Market, _) => {
            let ask = usable_quote(order, snapshot, now)?.ask.get();
            Ok(money::plus_basis_points(ask, collar_basis_points(ask)))
        }
    }
}

fn usable_quote<'a>(
    order: &NewOrder,
    snapshot: &Snapshot<'a>,
    now: DateTime<Utc>,
) -> Result<&'a Quote, Blocked> {
    let symbol = || order.instrument.symbol.clone();
    let quote = snapshot
        .quote
        .ok_or_else(|| Blocked::NoQuote { symbol: symbol() })?;
    quote
        .trust(Purpose::Risk, now, snapshot.in_session)
        .map_err(|distrust| Blocked::UnusableQuote {
            symbol: symbol(),
            distrust,
        })?;
    Ok(quote)
}

fn check_quantity(order: &NewOrder, snapshot: &Snapshot<'_>, requested: Decimal) -> Result<(), Blocked> {
    let position = snapshot.position;
    let symbol = || order.instrument.symbol.clone();
    if position.quantity <= Decimal::ZERO {
        return Err(Blocked::ShortSale {
            symbol: symbol(),
            requested,
        });
    }
    let available = position.available();
    if requested > available {
        return Err(Blocked::AvailableQuantity {
            symbol: symbol(),
            requested,
            available,
            existing: position.quantity,
            held_for_orders: position.reserved,
        });
    }
    Ok(())
}

fn check_limits(snapshot: &Snapshot<'_>, exposure: Decimal) -> Result<(), Blocked> {
    let limits = snapshot.limits;
    if exposure > limits.order_notional {
        return Err(Blocked::OrderNotional {
            limit: limits.order_notional,
            attempted: exposure,
        });
    }
    let attempted = snapshot.day_notional_used + exposure;
    if attempted > limits.day_notional {
        return Err(Blocked::DayNotional {
            limit: limits.day_notional,
            attempted,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
