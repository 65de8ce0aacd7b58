//! The arithmetic of fills, written anew: nine decimals, half-even, once per fill.
//!
//! Everything is checked: `None` where a sum leaves the range of a decimal.

use rust_decimal::{Decimal, RoundingStrategy};

/// Decimals that are kept.
const PLACES: u32 = 9;

/// A fill beyond this is booked at this: 10¹⁰ in quote currency.
const COST_MAX: Decimal = Decimal::from_parts(1_410_065_408, 2, 0, false, 0);

/// `value` as it is kept.
pub(crate) fn kept(value: Decimal) -> Decimal {
    value
        .round_dp_with_strategy(PLACES, RoundingStrategy::MidpointNearestEven)
        .normalize()
}

/// What `quantity` units cost at `price`.
pub(crate) fn cost_of(quantity: Decimal, price: Decimal) -> Decimal {
    match quantity.checked_mul(price) {
        Some(product) if product < COST_MAX => kept(product),
        Some(_) | None => COST_MAX,
    }
}

/// What is left of `whole`, times `rate`: what an open order reserves, or counts against limits.
pub(crate) fn share_left(whole: Decimal, done: Decimal, rate: Decimal) -> Decimal {
    let left = whole.checked_sub(done).filter(|left| *left > Decimal::ZERO);
    left.and_then(|left| left.checked_mul(rate))
        .map_or(Decimal::ZERO, kept)
}

/// Adds where it can.
pub(crate) fn add(sum: &mut Option<Decimal>, value: Decimal) {
    *sum = sum.and_then(|sum| sum.checked_add(value));
}

/// Units of one instrument, what was paid for them, and what closing has earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Holding {
    pub quantity: Decimal,
    pub basis: Decimal,
    pub realized: Decimal,
}

impl Holding {
    /// This holding after `signed` units (negative: sold) changed hands at `price`.
    pub(crate) fn after(self, signed: Decimal, price: Decimal) -> Option<Self> {
        let quantity = self.quantity.checked_add(signed)?;
        let opposite = (self.quantity > Decimal::ZERO && signed < Decimal::ZERO)
            || (self.quantity < Decimal::ZERO && signed > Decimal::ZERO);
        if !opposite {
            let basis = self.basis.checked_add(kept(signed.checked_mul(price)?))?;
            return Some(Self {
                quantity,
                basis,
                realized: self.realized,
            });
        }
        let crosses = signed.abs() > self.quantity.abs();
        // Units of the holding that go away, with the holding's sign.
        let gone = if crosses { self.quantity } else { -signed };
        let paid = if gone == self.quantity {
            self.basis
        } else {
            kept(
                self.basis
                    .checked_mul(gone.abs())?
                    .checked_div(self.quantity.abs())?,
            )
        };
        let earned = kept(gone.checked_mul(price)?).checked_sub(paid)?;
        let mut basis = self.basis.checked_sub(paid)?;
        if crosses {
            basis = basis.checked_add(kept(quantity.checked_mul(price)?))?;
        }
        Some(Self {
            quantity,
            basis,
            realized: self.realized.checked_add(earned)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_holding_grows_shrinks_closes_and_crosses() {
        // fills (signed quantity, price) → quantity, basis, realized
        let cases = [
            (vec![("10", "100")], ["10", "1000", "0"]),
            (vec![("10", "100"), ("-4", "110")], ["6", "600", "40"]),
            (vec![("10", "100"), ("-10", "90")], ["0", "0", "-100"]),
            (vec![("10", "100"), ("-15", "110")], ["-5", "-550", "100"]),
            (vec![("-10", "100"), ("12", "90")], ["2", "180", "100"]),
            (
                vec![("3", "33.333333333"), ("-1", "40")],
                ["2", "66.666666666", "6.666666667"],
            ),
        ];
        for (fills, [quantity, basis, realized]) in cases {
            let holding = fills.iter().fold(Holding::default(), |holding, (signed, price)| {
                holding.after(decimal(signed), decimal(price)).unwrap()
            });
            let expected = Holding {
                quantity: decimal(quantity),
                basis: decimal(basis),
                realized: decimal(realized),
            };
            assert_eq!(holding, expected, "{fills:?}");
        }
    }

    #[test]
    fn a_cost_is_rounded_half_even_and_capped() {
        assert_eq!(cost_of(decimal("0.5"), decimal("0.000000001")), Decimal::ZERO);
        assert_eq!(
            cost_of(decimal("1.5"), decimal("0.000000001")),
            decimal("0.000000002")
        );
        assert_eq!(
            cost_of(decimal("8999999999"), decimal("8999999999")),
            decimal("10000000000")
        );
        assert_eq!(COST_MAX, decimal("10000000000"));
    }

    #[test]
    fn nothing_is_left_of_what_is_overfilled() {
        assert_eq!(
            share_left(decimal("2"), decimal("3"), decimal("10")),
            Decimal::ZERO
        );
        assert_eq!(
            share_left(decimal("3"), decimal("1"), decimal("10.5")),
            decimal("21")
        );
    }

    #[test]
    fn what_leaves_the_range_has_no_value() {
        let huge = Holding {
            quantity: Decimal::MAX,
            ..Holding::default()
        };
        assert_eq!(huge.after(Decimal::ONE, Decimal::ONE), None);
    }
}
