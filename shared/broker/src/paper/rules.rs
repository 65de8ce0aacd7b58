//! What the venue charges, when it is open, and what it trades: the same for all its accounts.

use std::collections::HashMap;

use domain::asset::{Asset, AssetClass, MarketHours};
use domain::fill_model::Terms;
use domain::id::AssetId;
use rust_decimal::Decimal;

/// The rules of the venue.
#[derive(Debug, Clone)]
pub struct PaperRules {
    /// By how much market orders trade worse than the quote, in basis points.
    pub slippage_basis_points: Decimal,
    /// The fee on equities, in basis points of the money that changes hands.
    pub equity_fee_basis_points: Decimal,
    /// The fee on crypto, in basis points of the money that changes hands.
    pub crypto_fee_basis_points: Decimal,
    /// Whether equities keep the exchange's hours.
    pub hours: MarketHours,
    /// What can be traded.
    pub assets: HashMap<AssetId, Asset>,
}

impl PaperRules {
    /// The fee on an instrument of `class`, in basis points.
    pub(super) const fn fee_basis_points(&self, class: AssetClass) -> Decimal {
        match class {
            AssetClass::UsEquity => self.equity_fee_basis_points,
            AssetClass::Crypto => self.crypto_fee_basis_points,
        }
    }

    /// The terms on which `asset` trades near `price`.
    pub(super) fn terms(&self, asset: &Asset, price: Decimal) -> Terms {
        Terms {
            slippage_basis_points: self.slippage_basis_points,
            fee_basis_points: self.fee_basis_points(asset.class),
            price_increment: asset.price_increment_at(price),
            quantity_increment: asset.min_trade_increment,
        }
    }
}
