//! What a [`Ledger`](super::Ledger) is made of.

use domain::asset::AssetClass;
use domain::fill::Fill;
use domain::id::{AccountId, AssetId, OrderId, UserId};
use domain::lifecycle::TransitionError;
use domain::order::{Order, Side};
use rust_decimal::Decimal;
use serde_json::Value as Json;

use crate::error::StoreError;
use crate::users::{Role, UserLimits};

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
    pub role: Role,
    pub is_active: bool,
    pub limits: UserLimits,
    /// Moves whenever there is less room under the limits of the day, and whenever the limits are changed.
    pub risk_version: i64,
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
    /// Moves whenever less money or fewer units are left to be reserved.
    pub risk_version: i64,
    pub notional_filled: Decimal,
}

/// What is left to be reserved, and what of the day's limit is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Money that is neither spent nor reserved, in quote currency.
    pub money: Decimal,
    /// Units that are owned and not reserved.
    pub units: Decimal,
    /// What the user has filled today plus what is open, in quote currency.
    pub day_notional: Decimal,
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
    #[error("user {0} is not in the working set")]
    NoUser(UserId),
    #[error("account {0} is not in the working set")]
    NoAccount(AccountId),
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
    /// The fee for trading this class, in basis points.
    pub const fn of(&self, class: AssetClass) -> Decimal {
        match class {
            AssetClass::UsEquity => self.equity_basis_points,
            AssetClass::Crypto => self.crypto_basis_points,
        }
    }
}

impl ApplyError {
    /// A working set that lacks what it was opened for is a fault of ours, or a row that went missing.
    pub(crate) fn into_inconsistent(self) -> StoreError {
        let (table, id) = match self {
            Self::NotLoaded(id) => ("orders", id.to_string()),
            Self::NoUser(id) => ("users", id.to_string()),
            Self::NoAccount(id) => ("accounts", id.to_string()),
            Self::Transition(error) => ("orders", error.to_string()),
        };
        StoreError::Inconsistent { table, id }
    }
}
