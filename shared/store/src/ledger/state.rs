//! What a [`Ledger`](super::Ledger) is made of.

use domain::asset::Asset;
use domain::fill::Fill;
use domain::id::{AccountId, AssetId, OrderId, UserId};
use domain::lifecycle::TransitionError;
use domain::order::{Order, Side};
use rust_decimal::Decimal;
use serde_json::Value as Json;

/// A value, and whether it has to be written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracked<T> {
    value: T,
    is_changed: bool,
}

impl<T> Tracked<T> {
    pub(crate) const fn loaded(value: T) -> Self {
        Self {
            value,
            is_changed: false,
        }
    }

    pub(crate) const fn get(&self) -> &T {
        &self.value
    }

    pub(crate) const fn change(&mut self) -> &mut T {
        self.is_changed = true;
        &mut self.value
    }

    /// For a part that is computed and never stored.
    pub(crate) const fn unstored(&mut self) -> &mut T {
        &mut self.value
    }

    pub(crate) const fn is_changed(&self) -> bool {
        self.is_changed
    }
}

/// What the ledger keeps of a user.
#[derive(Debug, Clone)]
pub(crate) struct UserState {
    pub role: String,
    pub is_active: bool,
    /// Σ of what open orders still count against daily limits.
    pub notional_open: Decimal,
    /// What was filled on the ledger's trading date, of orders that add exposure.
    pub notional_filled: Decimal,
}

/// What the ledger keeps of an account.
#[derive(Debug, Clone)]
pub(crate) struct AccountState {
    pub user_id: UserId,
    pub last_event_seq: i64,
    pub risk_version: i64,
    pub notional_filled: Decimal,
}

/// An order in the working set.
#[derive(Debug, Clone)]
pub(crate) struct LedgerOrder {
    pub order: Order,
    pub is_new: bool,
    pub is_changed: bool,
}

/// What a group has reserved, and what it counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GroupState {
    pub reserved: Decimal,
    pub exposure: Decimal,
}

/// A row for `order_events`.
#[derive(Debug, Clone)]
pub(crate) struct NewEvent {
    pub account_id: AccountId,
    pub seq: i64,
    pub order_id: OrderId,
    pub kind: &'static str,
    pub cause: Json,
    pub data: Json,
}

/// A row for `fills`.
#[derive(Debug, Clone)]
pub(crate) struct NewFill {
    pub order_id: OrderId,
    pub account_id: AccountId,
    pub asset_id: AssetId,
    pub side: Side,
    pub fill: Fill,
    pub cost: Decimal,
    pub event_seq: i64,
}

/// Why an event could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error("order {0} is not in the working set")]
    NotLoaded(OrderId),
    #[error(transparent)]
    Transition(#[from] TransitionError),
}

/// The asset whose units, or the money, that `order` reserves.
pub(crate) const fn reserved_asset(order: &Order) -> Option<AssetId> {
    match order.terms.side {
        Side::Buy => None,
        Side::Sell => Some(order.asset_id),
    }
}

/// Fees that a broker takes, in basis points of the cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fees {
    /// For shares.
    pub equity_basis_points: Decimal,
    /// For coins.
    pub crypto_basis_points: Decimal,
}

impl Fees {
    /// The fee for trading `asset`, in basis points.
    pub const fn of(&self, asset: &Asset) -> Decimal {
        match asset.class {
            domain::asset::AssetClass::UsEquity => self.equity_basis_points,
            domain::asset::AssetClass::Crypto => self.crypto_basis_points,
        }
    }
}
