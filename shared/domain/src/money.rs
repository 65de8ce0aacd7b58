//! Prices, quantities and notionals: exact decimals with a domain, never floats.
//!
//! 1. A price or a quantity is positive, below 9·10⁹, with at most nine decimals.
//! 2. A notional is positive, below 10¹⁰, with at most nine decimals.
//! 3. So the product of a price and a quantity whose notional is in range fits a 96-bit decimal exactly, and the only
//!    rounding in the system is the one of [`cost`]: half-even, to nine decimals, once per fill.

use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Decimals that are kept of every amount.
pub const SCALE: u32 = 9;

/// Prices and quantities stay below this.
pub const UNIT_LIMIT: Decimal = Decimal::from_parts(410_065_408, 2, 0, false, 0);

/// A notional stays below this (10¹⁰, in quote currency).
pub const NOTIONAL_LIMIT: Decimal = Decimal::from_parts(1_410_065_408, 2, 0, false, 0);

/// The quote currency of everything that Arbion trades today.
pub const USD: &str = "USD";

/// Why a number is no valid amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Zero or negative.
    #[error("must be > 0")]
    NotPositive,
    /// At or above the limit of its kind.
    #[error("is too large")]
    TooLarge,
    /// More decimals than are kept.
    #[error("must have at most 9 decimal places")]
    TooPrecise,
}

fn checked(value: Decimal, limit: Decimal) -> Result<Decimal, AmountError> {
    if value <= Decimal::ZERO {
        return Err(AmountError::NotPositive);
    }
    if value >= limit {
        return Err(AmountError::TooLarge);
    }
    let value = value.normalize();
    if value.scale() > SCALE {
        return Err(AmountError::TooPrecise);
    }
    Ok(value)
}

macro_rules! amount {
    ($($(#[$doc:meta])* $name:ident < $limit:expr),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "Decimal", into = "Decimal")]
        pub struct $name(Decimal);

        impl $name {
            /// Checks and wraps `value`.
            pub fn new(value: Decimal) -> Result<Self, AmountError> {
                checked(value, $limit).map(Self)
            }

            /// The exact number, without trailing zeros.
            pub const fn get(self) -> Decimal {
                self.0
            }
        }

        impl TryFrom<Decimal> for $name {
            type Error = AmountError;

            fn try_from(value: Decimal) -> Result<Self, Self::Error> {
                Self::new(value)
            }
        }

        impl From<$name> for Decimal {
            fn from(amount: $name) -> Self {
                amount.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )+};
}

amount! {
    /// A price of one unit, in quote currency.
    Price < UNIT_LIMIT,
    /// A number of units (shares, coins), fractions included.
    Quantity < UNIT_LIMIT,
    /// An amount of money to spend or to raise, in quote currency.
    Notional < NOTIONAL_LIMIT,
}

/// `amount` rounded half-even to the nine decimals that are kept, without trailing zeros.
pub fn round(amount: Decimal) -> Decimal {
    amount
        .round_dp_with_strategy(SCALE, RoundingStrategy::MidpointNearestEven)
        .normalize()
}

/// What `quantity` units cost at `price`, in quote currency, rounded once.
///
/// Fails with [`AmountError::TooLarge`] where the product reaches [`NOTIONAL_LIMIT`].
pub fn cost(price: Decimal, quantity: Decimal) -> Result<Decimal, AmountError> {
    let product = price.checked_mul(quantity).ok_or(AmountError::TooLarge)?;
    if product.abs() >= NOTIONAL_LIMIT {
        return Err(AmountError::TooLarge);
    }
    Ok(round(product))
}

/// The average price of `quantity` units that cost `cost`, in quote currency; `None` for no units.
///
/// Costs are kept to nine decimals, so the average of a small quantity is known to fewer places: no more are shown.
pub fn average(cost: Decimal, quantity: Decimal) -> Option<Decimal> {
    let mut places = SCALE;
    let mut magnitude = quantity.abs();
    while magnitude < Decimal::ONE && places > 2 {
        magnitude = magnitude.checked_mul(Decimal::TEN)?;
        places -= 1;
    }
    let average = cost.checked_div(quantity)?;
    Some(
        average
            .round_dp_with_strategy(places, RoundingStrategy::MidpointNearestEven)
            .normalize(),
    )
}

/// `amount` × (1 + `basis_points` / 10 000), rounded once.
pub fn plus_basis_points(amount: Decimal, basis_points: Decimal) -> Decimal {
    let factor = Decimal::ONE + basis_points / Decimal::from(10_000);
    amount.checked_mul(factor).map_or(amount, round)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn the_limits_are_what_they_say() {
        assert_eq!(UNIT_LIMIT, decimal("9000000000"));
        assert_eq!(NOTIONAL_LIMIT, decimal("10000000000"));
    }

    #[test]
    fn amounts_refuse_what_is_out_of_their_domain() {
        for (text, expected) in [
            ("0", Err(AmountError::NotPositive)),
            ("-1", Err(AmountError::NotPositive)),
            ("0.0000000001", Err(AmountError::TooPrecise)),
            ("9000000000", Err(AmountError::TooLarge)),
            ("8999999999.999999999", Ok("8999999999.999999999")),
            ("1.500", Ok("1.5")),
            ("1.0000000000", Ok("1")),
        ] {
            let got = Price::new(decimal(text)).map(|price| price.to_string());
            assert_eq!(got, expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_cost_is_exact_below_the_limit_and_rounded_half_even_once() {
        assert_eq!(
            cost(decimal("100000"), decimal("99999.999999999")),
            Ok(decimal("9999999999.9999"))
        );
        assert_eq!(cost(decimal("0.000000001"), decimal("0.5")), Ok(decimal("0")));
        assert_eq!(
            cost(decimal("0.000000003"), decimal("0.5")),
            Ok(decimal("0.000000002"))
        );
        assert_eq!(
            cost(decimal("8999999999"), decimal("8999999999")),
            Err(AmountError::TooLarge)
        );
        assert_eq!(
            cost(decimal("100000"), decimal("100000")),
            Err(AmountError::TooLarge)
        );
    }

    #[test]
    fn an_average_shows_the_places_that_are_known() {
        for (price, quantity) in [
            ("94377.05", "0.005297898"),
            ("187.5", "10"),
            ("0.08123", "12345.678901234"),
        ] {
            let spent = cost(decimal(price), decimal(quantity)).unwrap();
            assert_eq!(
                average(spent, decimal(quantity)),
                Some(decimal(price)),
                "{quantity} at {price}"
            );
        }
        assert_eq!(average(decimal("2"), decimal("3")), Some(decimal("0.666666667")));
        assert_eq!(average(decimal("-550"), decimal("-5")), Some(decimal("110")));
        assert_eq!(average(decimal("0"), decimal("0")), None);
    }

    #[test]
    fn basis_points_add_a_share_of_the_amount() {
        assert_eq!(
            plus_basis_points(decimal("100"), decimal("250")),
            decimal("102.5")
        );
    }
}
