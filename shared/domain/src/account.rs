//! Money of an account, and what open orders reserve of it.
//!
//! 1. `cash` includes what is reserved; `buying_power` is what is left beside the reservations.
//! 2. An order reserves (its remaining amount × its reserve rate): money for a buy, units for a sell. The rate is fixed
//!    at acceptance, so a reservation only shrinks with fills and ends with the order.
//! 3. Orders of one group (an order and its replacement) reserve the maximum of their needs, not the sum.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::money;
use crate::order::{Amount, Order, Side};

/// Money of an account in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balance {
    /// All the money there is, reserved or not; a late fill may take it below zero.
    pub cash: Decimal,
    /// Σ of what open buys reserve.
    pub reserved: Decimal,
}

impl Balance {
    /// Money that a new order may use; never negative.
    pub fn buying_power(&self) -> Decimal {
        (self.cash - self.reserved).max(Decimal::ZERO)
    }

    /// What a fill of `cost` with `fee` on `side` does to the money.
    pub fn apply_fill(&mut self, side: Side, cost: Decimal, fee: Decimal) {
        match side {
            Side::Buy => self.cash -= cost + fee,
            Side::Sell => self.cash += cost - fee,
        }
    }
}

/// What an order needs to have reserved now: money for a buy, units for a sell; zero once it has ended, or while it is
/// held.
pub fn reservation_need(order: &Order) -> Decimal {
    if order.facts.closed.is_some() || order.facts.held_by.is_some() {
        return Decimal::ZERO;
    }
    order
        .remaining_amount()
        .checked_mul(order.reserve_rate)
        .map_or(Decimal::ZERO, money::round)
}

/// What an order still counts against daily limits as open, in quote currency; zero once it has ended.
pub fn open_exposure(order: &Order) -> Decimal {
    if order.facts.closed.is_some() {
        return Decimal::ZERO;
    }
    order
        .remaining_amount()
        .checked_mul(order.exposure_rate)
        .map_or(Decimal::ZERO, money::round)
}

/// The rates at which an order reserves and counts; see [`rates`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Money (buy) or units (sell) reserved for each unit of the order's amount.
    pub reserve: Decimal,
    /// Quote currency that each unit of the order's amount counts against daily limits.
    pub exposure: Decimal,
}

/// The rates of an order of `amount` on `side` whose units are taken to cost `price`, with fees of `fee_basis_points`.
///
/// `price` is the limit, or the ask with its collar for a market buy and the bid for a market sell, in quote currency.
/// A sell that closes counts nothing against limits: exits are never held up by what guards new exposure.
pub fn rates(side: Side, amount: Amount, price: Decimal, fee_basis_points: Decimal) -> Rates {
    match (side, amount) {
        (Side::Buy, Amount::Quantity(_)) => Rates {
            reserve: money::plus_basis_points(price, fee_basis_points),
            exposure: price,
        },
        (Side::Buy, Amount::Notional(_)) => Rates {
            reserve: money::plus_basis_points(Decimal::ONE, fee_basis_points),
            exposure: Decimal::ONE,
        },
        (Side::Sell, Amount::Quantity(_)) => Rates {
            reserve: Decimal::ONE,
            exposure: Decimal::ZERO,
        },
        (Side::Sell, Amount::Notional(_)) => {
            let units = Decimal::ONE
                .checked_div(price)
                .map_or(Decimal::ZERO, |units| units.round_dp(18));
            Rates {
                reserve: units,
                exposure: Decimal::ZERO,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::{Notional, Quantity};

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn buying_power_is_what_is_neither_spent_nor_reserved() {
        let mut balance = Balance {
            cash: decimal("1000"),
            reserved: decimal("300"),
        };
        assert_eq!(balance.buying_power(), decimal("700"));
        balance.apply_fill(Side::Buy, decimal("250"), decimal("1"));
        assert_eq!(balance.cash, decimal("749"));
        balance.apply_fill(Side::Sell, decimal("100"), decimal("1"));
        assert_eq!(balance.cash, decimal("848"));
        let overdrawn = Balance {
            cash: decimal("-5"),
            reserved: Decimal::ZERO,
        };
        assert_eq!(overdrawn.buying_power(), Decimal::ZERO);
    }

    #[test]
    fn a_buy_reserves_money_with_fees_and_a_sell_reserves_units() {
        let quantity = Amount::Quantity(Quantity::new(decimal("2")).unwrap());
        let notional = Amount::Notional(Notional::new(decimal("50")).unwrap());
        let fee = decimal("25");
        let cases = [
            (Side::Buy, quantity, "100.25", "100"),
            (Side::Buy, notional, "1.0025", "1"),
            (Side::Sell, quantity, "1", "0"),
            (Side::Sell, notional, "0.01", "0"),
        ];
        for (side, amount, reserve, exposure) in cases {
            let got = rates(side, amount, decimal("100"), fee);
            assert_eq!(
                got,
                Rates {
                    reserve: decimal(reserve),
                    exposure: decimal(exposure)
                },
                "{side} {amount:?}"
            );
        }
    }
}
