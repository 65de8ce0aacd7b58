//! The plain model: what was accepted, what was filled as far as it is recorded, and what follows.
//!
//! Which orders have ended it is told; what they then hold, cost and count it works out by itself, each time from the
//! beginning.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::id::{AssetId, OrderId};
use domain::order::Side;
use rust_decimal::Decimal;

use crate::venue::Truth;

pub(crate) const CASH: i64 = 10_000;
pub(crate) const ORDER_LIMIT: i64 = 3_000;
pub(crate) const DAY_LIMIT: i64 = 8_000;

/// An order that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub asset: AssetId,
    pub side: Side,
    pub quantity: Decimal,
    /// Zero for a sell.
    pub limit: Decimal,
    /// The fee that its reservation allows for, in basis points.
    pub fee: Decimal,
    /// The first order of its group.
    pub group: OrderId,
    pub is_held: bool,
    /// How it ended.
    pub ended: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    pub orders: BTreeMap<OrderId, Known>,
    /// Fills that are recorded, and the day of that.
    pub fills: BTreeMap<String, (Truth, NaiveDate)>,
}

/// What an account must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    pub cash: Decimal,
    pub reserved: Decimal,
    pub open: Decimal,
    /// Units and reserved units, where there are any.
    pub positions: BTreeMap<AssetId, (Decimal, Decimal)>,
}

impl Reference {
    pub(crate) fn filled(&self, order: OrderId) -> Decimal {
        let fills = self.fills.values().filter(|(fill, _)| fill.order == order);
        fills.map(|(fill, _)| fill.quantity).sum()
    }

    /// What the rows must say. `without` is left out: a group that gives back what it holds.
    pub(crate) fn sums(&self, without: Option<OrderId>) -> Sums {
        let mut sums = Sums {
            cash: Decimal::from(CASH),
            reserved: Decimal::ZERO,
            open: Decimal::ZERO,
            positions: BTreeMap::new(),
        };
        for (fill, _) in self.fills.values() {
            let order = &self.orders[&fill.order];
            let units = &mut sums.positions.entry(order.asset).or_default().0;
            match order.side {
                Side::Buy => {
                    sums.cash -= fill.cost + fill.fee;
                    *units += fill.quantity;
                }
                Side::Sell => {
                    sums.cash += fill.cost - fill.fee;
                    *units -= fill.quantity;
                }
            }
        }
        let mut groups: BTreeMap<OrderId, (Decimal, Decimal, &Known)> = BTreeMap::new();
        for (id, order) in &self.orders {
            if order.ended.is_some() || Some(order.group) == without {
                continue;
            }
            let left = (order.quantity - self.filled(*id)).max(Decimal::ZERO);
            let (need, open) = match order.side {
                Side::Buy => (left * with_fee(order.limit, order.fee), left * order.limit),
                Side::Sell if order.is_held => (Decimal::ZERO, Decimal::ZERO),
                Side::Sell => (left, Decimal::ZERO),
            };
            let group = groups.entry(order.group).or_insert((need, open, order));
            group.0 = group.0.max(need);
            group.1 = group.1.max(open);
        }
        for (need, open, order) in groups.into_values() {
            sums.open += open;
            match order.side {
                Side::Buy => sums.reserved += need,
                Side::Sell => sums.positions.entry(order.asset).or_default().1 += need,
            }
        }
        sums.positions
            .retain(|_, (units, reserved)| !units.is_zero() || !reserved.is_zero());
        sums
    }

    /// Whether an order like `new` is to be accepted on `day`.
    pub(crate) fn accepts(&self, new: &Known, day: NaiveDate, without: Option<OrderId>) -> bool {
        let sums = self.sums(without);
        let cost = new.quantity * new.limit;
        match new.side {
            Side::Buy => {
                let bought = self
                    .fills
                    .values()
                    .filter(|(fill, on)| *on == day && self.orders[&fill.order].side == Side::Buy);
                let filled: Decimal = bought.map(|(fill, _)| fill.cost).sum();
                let power = (sums.cash - sums.reserved).max(Decimal::ZERO);
                cost <= Decimal::from(ORDER_LIMIT)
                    && filled + sums.open + cost <= Decimal::from(DAY_LIMIT)
                    && new.quantity * with_fee(new.limit, new.fee) <= power
            }
            Side::Sell => {
                let (units, reserved) = sums.positions.get(&new.asset).copied().unwrap_or_default();
                units > Decimal::ZERO && new.quantity <= units - reserved
            }
        }
    }
}

fn with_fee(price: Decimal, basis_points: Decimal) -> Decimal {
    price * (Decimal::ONE + basis_points / Decimal::from(10_000))
}
