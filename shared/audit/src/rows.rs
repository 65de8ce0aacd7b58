//! The rows that the audit reads, as they are stored.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use sea_orm::QueryResult;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::AuditError;
use crate::snapshot::Reader;

/// Makes of each struct with its columns a row that reads itself.
macro_rules! row {
    ($($(#[$doc:meta])* $name:ident of $table:literal { $($field:ident: $kind:ty = $read:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name {
            $(pub $field: $kind,)+
        }

        impl $name {
            pub(crate) fn read(row: &QueryResult) -> Result<Self, AuditError> {
                let reader = Reader { row, table: $table };
                Ok(Self { $($field: reader.$read(stringify!($field))?,)+ })
            }
        }
    )+};
}

row! {
    /// An account, and the cash it began with.
    AccountRow of "accounts" {
        id: Uuid = id,
        user_id: Uuid = id,
        broker_connection_id: Uuid = id,
        last_event_seq: i64 = get,
        starting_cash: Decimal = decimal,
    }
    /// An order.
    OrderRow of "orders" {
        id: Uuid = id,
        user_id: Uuid = id,
        account_id: Uuid = id,
        group_id: Uuid = id,
        asset_id: Uuid = id,
        side: String = text,
        quantity: Option<Decimal> = optional_decimal,
        notional: Option<Decimal> = optional_decimal,
        reserve_rate: Decimal = decimal,
        exposure_rate: Decimal = decimal,
        trading_date: NaiveDate = get,
        replaces: Option<Uuid> = get,
        submitted_at: DateTime<Utc> = time,
        submission: String = text,
        is_working: bool = get,
        held_by_trigger: Option<Uuid> = get,
        cancel_requested_at: Option<DateTime<Utc>> = get,
        replaced_by: Option<Uuid> = get,
        filled_quantity: Decimal = decimal,
        filled_cost: Decimal = decimal,
        closed_at: Option<DateTime<Utc>> = get,
        closed_how: Option<String> = get,
        reject_reason: Option<String> = get,
    }
    /// An event of an order.
    EventRow of "order_events" {
        account_id: Uuid = id,
        seq: i64 = get,
        order_id: Uuid = id,
        kind: String = text,
        at: DateTime<Utc> = time,
        cause: Json = json,
        data: Json = json,
    }
    /// A fill.
    FillRow of "fills" {
        connection_id: Uuid = id,
        broker_fill_id: String = text,
        order_id: Uuid = id,
        account_id: Uuid = id,
        asset_id: Uuid = id,
        side: String = text,
        quantity: Decimal = decimal,
        price: Decimal = decimal,
        cost: Decimal = decimal,
        fee: Decimal = decimal,
        at: DateTime<Utc> = time,
        recorded_at: DateTime<Utc> = time,
        event_seq: i64 = get,
    }
    /// Money of an account.
    BalanceRow of "balances" {
        account_id: Uuid = id,
        currency: String = text,
        amount: Decimal = decimal,
        reserved: Decimal = decimal,
    }
    /// Units of an instrument.
    PositionRow of "positions" {
        account_id: Uuid = id,
        asset_id: Uuid = id,
        quantity: Decimal = decimal,
        reserved: Decimal = decimal,
        cost_basis: Decimal = decimal,
        realized: Decimal = decimal,
    }
    /// What was filled on a day, of an account or a user.
    DayRow of "account_days or user_days" {
        owner: Uuid = id,
        trading_date: NaiveDate = get,
        notional_filled: Decimal = decimal,
    }
    /// What a group of orders holds.
    ReservationRow of "reservations" {
        group_id: Uuid = id,
        account_id: Uuid = id,
        currency: Option<String> = get,
        asset_id: Option<Uuid> = get,
        remaining: Decimal = decimal,
    }
    /// What is to be done for an order.
    WorkRow of "order_work" {
        order_id: Uuid = id,
        kind: String = text,
        account_id: Uuid = id,
    }
    /// A user's open exposure.
    UserRow of "users" {
        id: Uuid = id,
        notional_open: Decimal = decimal,
    }
}

impl OrderRow {
    /// What the order is for, in its own unit: units, or money.
    pub(crate) fn amount(&self) -> Decimal {
        self.quantity.or(self.notional).unwrap_or_default()
    }
}

impl FillRow {
    /// Units, negative where they were sold.
    pub(crate) fn signed(&self) -> Decimal {
        if self.side == "sell" {
            -self.quantity
        } else {
            self.quantity
        }
    }
}
