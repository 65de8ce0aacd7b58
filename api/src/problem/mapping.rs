//! How the errors of the domain and of the store map to codes. Each `match` names every variant, so a new one does not
//! compile until it is decided here.

use domain::order::TermsError;
use domain::risk::Blocked;
use domain::trigger::TriggerError;
use platform::password::PasswordError;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use store::StoreError;
use store::orders::{Refusal, ReplaceRefusal};

use super::{Code, Problem};
use crate::input::Dec;

fn number(value: Decimal) -> Value {
    Value::String(Dec(value).canonical())
}

impl From<TermsError> for Problem {
    fn from(error: TermsError) -> Self {
        use TermsError as E;
        let (code, field) = match &error {
            E::UnknownSide => (Code::InvalidSide, "side"),
            E::UnknownTimeInForce => (Code::InvalidTimeInForce, "time_in_force"),
            E::UnknownPositionIntent | E::IntentContradictsSide { .. } => {
                (Code::InvalidPositionIntent, "position_intent")
            }
            E::NotTradable { .. } => (Code::AssetNotTradable, "symbol"),
            E::CryptoTimeInForce => (Code::InvalidCryptoTimeInForce, "time_in_force"),
            E::NotFractionable { .. } => (Code::NotFractionable, "qty"),
            E::FractionalNotDay => (Code::FractionalNotDay, "time_in_force"),
            E::NotionalNotMarket => (Code::NotionalNotMarket, "notional"),
            E::BelowMinimum { .. } => (Code::BelowMinimumSize, "qty"),
            E::QuantityIncrement { .. } => (Code::QuantityIncrement, "qty"),
            E::NotionalIncrement => (Code::NotionalIncrement, "notional"),
            E::PriceIncrement { .. } => (Code::PriceIncrement, "limit_price"),
            E::ExtendedHours => (Code::ExtendedHoursOrder, "extended_hours"),
            E::NotionalTooLarge => (Code::NotionalTooLarge, "limit_price"),
        };
        let problem = Self::new(code, error.to_string()).at_field(field);
        match error {
            E::PriceIncrement { increment, .. } | E::QuantityIncrement { increment } => {
                problem.with("increment", number(increment))
            }
            E::BelowMinimum { minimum, .. } => problem.with("min_order_size", number(minimum)),
            E::UnknownSide
            | E::UnknownTimeInForce
            | E::UnknownPositionIntent
            | E::IntentContradictsSide { .. }
            | E::NotTradable { .. }
            | E::CryptoTimeInForce
            | E::NotFractionable { .. }
            | E::FractionalNotDay
            | E::NotionalNotMarket
            | E::NotionalIncrement
            | E::ExtendedHours
            | E::NotionalTooLarge => problem,
        }
    }
}

impl From<Blocked> for Problem {
    fn from(blocked: Blocked) -> Self {
        let code = match &blocked {
            Blocked::NoQuote { .. } => Code::NoQuote,
            Blocked::UnusableQuote { .. } => Code::UnusableQuote,
            Blocked::ShortSale { .. } => Code::ShortSaleNotAllowed,
            Blocked::AvailableQuantity { .. } => Code::InsufficientQuantity,
            Blocked::OrderNotional { .. } => Code::OrderNotionalLimit,
            Blocked::DayNotional { .. } => Code::DayNotionalLimit,
            Blocked::BuyingPower { .. } => Code::InsufficientBuyingPower,
            Blocked::NotionalRange { .. } => Code::NotionalOutOfRange,
        };
        let mut problem = Self::new(code, blocked.to_string()).with("rule", json!(blocked.rule()));
        if let Some((limit, attempted)) = blocked.numbers() {
            problem = problem
                .with("limit", number(limit))
                .with("attempted", number(attempted));
        }
        match blocked {
            Blocked::NoQuote { symbol } | Blocked::ShortSale { symbol, .. } => problem.with("symbol", symbol),
            Blocked::UnusableQuote { symbol, distrust } => {
                problem.with("symbol", symbol).with("distrust", json!(distrust))
            }
            Blocked::AvailableQuantity {
                symbol,
                available,
                existing,
                held_for_orders,
                ..
            } => problem
                .with("symbol", symbol)
                .with("available", number(available))
                .with("existing_qty", number(existing))
                .with("held_for_orders", number(held_for_orders)),
            Blocked::BuyingPower {
                buying_power,
                cost_basis,
            } => problem
                .with("buying_power", number(buying_power))
                .with("cost_basis", number(cost_basis)),
            Blocked::NotionalRange { limit } => problem.with("limit", number(limit)),
            Blocked::OrderNotional { .. } | Blocked::DayNotional { .. } => problem,
        }
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::hidden(Code::ServiceUnavailable, error),
            PasswordError::Failed => Self::hidden(Code::InternalError, error),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Blocked(blocked) => blocked.into(),
            Refusal::DuplicateClientOrderId { existing } => {
                Self::new(Code::DuplicateClientOrderId, "client_order_id must be unique")
                    .at_field("client_order_id")
                    .with("existing_order_id", existing.to_string())
            }
            Refusal::IdempotencyKeyReused { first } => {
                let detail = "the Idempotency-Key was used with another body or query";
                let problem = Self::new(Code::IdempotencyKeyReused, detail);
                match first {
                    Some(order) => problem.with("existing_order_id", order.to_string()),
                    None => problem,
                }
            }
            Refusal::AccountClosed => Self::new(Code::AccountClosed, "the account takes no orders"),
        }
    }
}

impl From<ReplaceRefusal> for Problem {
    fn from(refusal: ReplaceRefusal) -> Self {
        match refusal {
            ReplaceRefusal::NotFound => order_not_found(),
            ReplaceRefusal::NotReplaceable(order) => {
                let detail = format!("cannot replace order in {} status", order.facts.status());
                Self::new(Code::OrderNotReplaceable, detail)
                    .with("order_status", order.facts.status().as_str())
            }
            ReplaceRefusal::NotSentYet(_) => {
                let detail = "unable to replace order, order isn't sent to exchange yet";
                Self::new(Code::OrderNotSentYet, detail)
            }
            ReplaceRefusal::PartlyFilled(_) => {
                let detail = "a partly filled order can't be replaced: cancel the rest and place a new order";
                Self::new(Code::PartlyFilledReplace, detail)
            }
            ReplaceRefusal::Unchanged => Self::new(Code::OrderUnchanged, "order parameters are not changed"),
            ReplaceRefusal::NotionalOrder => {
                let detail = "a notional order can't be replaced: cancel it and place a new order";
                Self::new(Code::NotionalReplace, detail)
            }
            ReplaceRefusal::NoLimitPrice => {
                Self::new(Code::PriceNotUsed, "limit_price is not used by market orders")
                    .at_field("limit_price")
            }
            ReplaceRefusal::Terms(error) => error.into(),
            ReplaceRefusal::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<TriggerError> for Problem {
    fn from(error: TriggerError) -> Self {
        let detail = error.to_string();
        match error {
            TriggerError::NoPosition => Self::new(Code::PositionNotFound, detail).at_field("symbol"),
            TriggerError::ShortPosition => Self::new(Code::ShortNotProtectable, detail).at_field("symbol"),
            TriggerError::ExceedsPosition { requested, owned } => {
                Self::new(Code::TriggerExceedsPosition, detail)
                    .at_field("qty")
                    .with("attempted", number(requested))
                    .with("existing_qty", number(owned))
            }
            TriggerError::ThroughAlready {
                stop_price,
                market_price,
            } => Self::new(Code::StopPriceThrough, detail)
                .at_field("stop_price")
                .with("stop_price", number(stop_price))
                .with("market_price", number(market_price)),
            TriggerError::AlreadyProtected { existing } => {
                Self::new(Code::AlreadyProtected, detail).with("existing_trigger_id", existing.to_string())
            }
        }
    }
}

/// The problem of a look-up that failed: `absent` where the row is not there.
pub(crate) fn or_absent(error: StoreError, absent: impl FnOnce() -> Problem) -> Problem {
    match error {
        StoreError::NotFound { .. } => absent(),
        other => other.into(),
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Ended => return Self::new(Code::NotAuthorized, error.to_string()),
            StoreError::Unavailable(_) | StoreError::CommitUnknown(_) | StoreError::Stale { .. } => {
                Code::ServiceUnavailable
            }
            StoreError::NotFound { .. }
            | StoreError::Conflict { .. }
            | StoreError::Inconsistent { .. }
            | StoreError::Url { .. }
            | StoreError::Database(_) => Code::InternalError,
        };
        Self::hidden(code, error)
    }
}

/// 404 of an order.
pub(crate) fn order_not_found() -> Problem {
    Problem::new(Code::OrderNotFound, "order not found")
}
