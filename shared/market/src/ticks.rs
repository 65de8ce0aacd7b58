//! Prices on the grid of their instrument.
//!
//! The increment of a share depends on its price, so a price is put on the grid of where it lands.

use domain::asset::Asset;
use domain::money::Price;
use rust_decimal::Decimal;

/// The greatest tick at or below `price`, but at least one tick.
pub(crate) fn floor(asset: &Asset, price: Decimal) -> Option<Price> {
    on_grid(asset, price, Decimal::floor)
}

/// The least tick at or above `price`.
pub(crate) fn ceil(asset: &Asset, price: Decimal) -> Option<Price> {
    on_grid(asset, price, Decimal::ceil)
}

/// The tick nearest to `price`, but at least one tick.
pub(crate) fn nearest(asset: &Asset, price: Decimal) -> Option<Price> {
    on_grid(asset, price, Decimal::round)
}

/// One tick above `price`.
pub(crate) fn next(asset: &Asset, price: Price) -> Option<Price> {
    Price::new(price.get().checked_add(asset.price_increment_at(price.get()))?).ok()
}

fn on_grid(asset: &Asset, price: Decimal, round: impl Fn(&Decimal) -> Decimal) -> Option<Price> {
    let increment = asset.price_increment_at(price);
    let ticks = round(&price.checked_div(increment)?).max(Decimal::ONE);
    Price::new(ticks.checked_mul(increment)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn prices_land_on_the_grid_of_their_instrument() {
        let share = catalog::asset("AAPL").unwrap();
        let coin = catalog::asset("DOGE/USD").unwrap();
        for (asset, price, down, near, up) in [
            (&share, "272.4051", "272.4", "272.41", "272.41"),
            (&share, "272.40", "272.4", "272.4", "272.4"),
            (&share, "0.12345", "0.1234", "0.1234", "0.1235"),
            (&share, "0.99999", "0.9999", "1", "1"),
            (&share, "0.00001", "0.0001", "0.0001", "0.0001"),
            (&coin, "0.152004", "0.152", "0.152", "0.15201"),
        ] {
            let price = decimal(price);
            assert_eq!(floor(asset, price).unwrap().get(), decimal(down), "{price} down");
            assert_eq!(
                nearest(asset, price).unwrap().get(),
                decimal(near),
                "{price} near"
            );
            assert_eq!(ceil(asset, price).unwrap().get(), decimal(up), "{price} up");
        }
        let below_a_dollar = Price::new(decimal("0.9999")).unwrap();
        assert_eq!(next(&share, below_a_dollar).unwrap().get(), decimal("1"));
    }
}
