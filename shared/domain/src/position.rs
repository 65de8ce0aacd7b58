//! Positions: what an account owns of an instrument, at what cost, and what it has earned.
//!
//! 1. `quantity` = Σ signed fills; a short position is negative.
//! 2. `cost_basis` is the money paid for what is held now (received, for a short one), never an average: the average is
//!    computed when it is read.
//! 3. A fill that closes realises (proceeds − its share of the cost basis); one that crosses zero closes and opens.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::money;
use crate::order::Side;

/// What an account owns of one instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// Units; negative when short.
    pub quantity: Decimal,
    /// Units that open sell orders hold; never negative.
    pub reserved: Decimal,
    /// Money for the units held, in quote currency, without fees; carries the sign of `quantity`.
    pub cost_basis: Decimal,
    /// Money earned by closing, in quote currency, without fees.
    pub realized: Decimal,
}

impl Position {
    /// Units that a new sell order may use.
    pub fn available(&self) -> Decimal {
        (self.quantity - self.reserved).max(Decimal::ZERO)
    }

    /// The average price of the units held, in quote currency; zero when there are none.
    pub fn average_entry_price(&self) -> Decimal {
        money::average(self.cost_basis, self.quantity).unwrap_or(Decimal::ZERO)
    }

    /// Whether nothing is held.
    pub fn is_flat(&self) -> bool {
        self.quantity.is_zero()
    }

    /// What the units held are worth at `price`, in quote currency.
    pub fn market_value(&self, price: Decimal) -> Decimal {
        money::round(self.quantity * price)
    }

    /// Moves `quantity` (> 0) units on `side` at `price`; answers what that realised, in quote currency.
    pub fn apply_fill(&mut self, side: Side, quantity: Decimal, price: Decimal) -> Decimal {
        let signed = match side {
            Side::Buy => quantity,
            Side::Sell => -quantity,
        };
        let is_exit = self.quantity.is_sign_negative() != signed.is_sign_negative() && !self.is_flat();
        if !is_exit {
            self.cost_basis += money::round(signed * price);
            self.quantity += signed;
            return Decimal::ZERO;
        }
        let closed = signed.abs().min(self.quantity.abs());
        let opened = signed.abs() - closed;
        let sign = if self.quantity.is_sign_negative() {
            -Decimal::ONE
        } else {
            Decimal::ONE
        };
        let basis = if closed == self.quantity.abs() {
            self.cost_basis
        } else {
            money::round(self.cost_basis * closed / self.quantity.abs())
        };
        let realized = money::round(sign * closed * price) - basis;
        self.quantity += signed;
        self.cost_basis -= basis;
        self.realized += realized;
        if !opened.is_zero() {
            self.cost_basis += money::round(self.quantity * price);
        }
        realized
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn fills_open_add_reduce_close_and_flip() {
        let cases = [
            // name, fills (side, quantity, price), quantity, cost basis, realized
            ("opens", vec![(Side::Buy, "10", "100")], "10", "1000", "0"),
            (
                "adds",
                vec![(Side::Buy, "10", "100"), (Side::Buy, "10", "110")],
                "20",
                "2100",
                "0",
            ),
            (
                "reduces",
                vec![(Side::Buy, "10", "100"), (Side::Sell, "4", "110")],
                "6",
                "600",
                "40",
            ),
            (
                "closes",
                vec![(Side::Buy, "10", "100"), (Side::Sell, "10", "90")],
                "0",
                "0",
                "-100",
            ),
            (
                "flips",
                vec![(Side::Buy, "10", "100"), (Side::Sell, "15", "110")],
                "-5",
                "-550",
                "100",
            ),
            ("shorts", vec![(Side::Sell, "10", "100")], "-10", "-1000", "0"),
            (
                "covers",
                vec![(Side::Sell, "10", "100"), (Side::Buy, "10", "90")],
                "0",
                "0",
                "100",
            ),
            (
                "covers and flips",
                vec![(Side::Sell, "10", "100"), (Side::Buy, "12", "90")],
                "2",
                "180",
                "100",
            ),
            (
                "rounds the share of the basis once",
                vec![(Side::Buy, "3", "33.333333333"), (Side::Sell, "1", "40")],
                "2",
                "66.666666666",
                "6.666666667",
            ),
        ];
        for (name, fills, quantity, cost_basis, realized) in cases {
            let mut position = Position::default();
            for (side, quantity, price) in fills {
                position.apply_fill(side, decimal(quantity), decimal(price));
            }
            assert_eq!(position.quantity, decimal(quantity), "{name}");
            assert_eq!(position.cost_basis, decimal(cost_basis), "{name}");
            assert_eq!(position.realized, decimal(realized), "{name}");
        }
    }

    #[test]
    fn what_open_sells_hold_is_not_available_twice() {
        let position = Position {
            quantity: decimal("10"),
            reserved: decimal("4"),
            ..Position::default()
        };
        assert_eq!(position.available(), decimal("6"));
        let oversold = Position {
            reserved: decimal("12"),
            ..position
        };
        assert_eq!(oversold.available(), Decimal::ZERO);
    }

    proptest! {
        /// Money is conserved: what went in and out equals what is held plus what was earned.
        #[test]
        fn cash_moved_equals_cost_basis_less_realized(fills in prop::collection::vec(
            (any::<bool>(), 1_i64..5_000_000, 1_i64..90_000), 1..60,
        )) {
            let mut position = Position::default();
            let (mut paid, mut held) = (Decimal::ZERO, Decimal::ZERO);
            for (is_buy, quantity, cents) in fills {
                let (side, quantity, price) =
                    (if is_buy { Side::Buy } else { Side::Sell }, Decimal::new(quantity, 3), Decimal::new(cents, 2));
                let signed = if is_buy { quantity } else { -quantity };
                paid += signed * price;
                held += signed;
                position.apply_fill(side, quantity, price);
                prop_assert_eq!(position.quantity, held);
                prop_assert_eq!(position.cost_basis - position.realized, paid);
            }
        }
    }
}
