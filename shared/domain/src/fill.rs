//! Fills: facts that a broker reports, recorded exactly once.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::money::{self, Price, Quantity};

/// Units that changed hands at a price.
///
/// A fill is a fact: a late or surplus one is recorded, too, since refusing it would falsify the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// The broker's id for it; unique per connection, so that a replay is a no-op.
    pub broker_fill_id: String,
    /// Units.
    pub quantity: Quantity,
    /// Price of one unit, in quote currency.
    pub price: Price,
    /// What the broker took for it, in quote currency.
    pub fee: Decimal,
    /// The broker's time.
    pub at: DateTime<Utc>,
    /// Whether the broker says that the order is complete; a notional order ends by this word, not by a sum.
    pub venue_done: Option<bool>,
}

impl Fill {
    /// What the units cost, in quote currency, without the fee: the one rounding of a fill.
    ///
    /// A broker's fill may be of any size, so a product beyond the range that is kept exactly is capped at it.
    pub fn cost(&self) -> Decimal {
        money::cost(self.price.get(), self.quantity.get()).unwrap_or(money::NOTIONAL_LIMIT)
    }
}
