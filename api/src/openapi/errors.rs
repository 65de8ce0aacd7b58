//! Which errors each operation can answer with, beyond those that every one has.

use crate::problem::Code;

/// What every operation behind a credential can answer with.
const AUTHENTICATED: &[Code] = &[
    Code::NotAuthorized,
    Code::BodyTooLarge,
    Code::RequestTimeout,
    Code::InternalError,
    Code::ServiceUnavailable,
];

/// What an operation that trades adds.
const TRADING: &[Code] = &[Code::InsufficientScope];

/// What an operation with a JSON body adds.
const WITH_BODY: &[Code] = &[
    Code::MalformedJson,
    Code::NestedTooDeeply,
    Code::InvalidRequest,
    Code::InvalidNumber,
    Code::UnsupportedMediaType,
];

/// What an operation with parameters in its query adds.
const WITH_QUERY: &[Code] = &[Code::InvalidRequest];

/// What an operation that only reads adds.
const READING: &[Code] = &[Code::TimedOut];

/// The rules of an instrument.
const TERMS: &[Code] = &[
    Code::AssetNotTradable,
    Code::InvalidCryptoTimeInForce,
    Code::NotFractionable,
    Code::FractionalNotDay,
    Code::BelowMinimumSize,
    Code::QuantityIncrement,
    Code::PriceIncrement,
    Code::ExtendedHoursOrder,
    Code::NotionalTooLarge,
];

/// The rules of risk, and those of the account.
const RISK: &[Code] = &[
    Code::NoQuote,
    Code::UnusableQuote,
    Code::ShortSaleNotAllowed,
    Code::InsufficientQuantity,
    Code::OrderNotionalLimit,
    Code::DayNotionalLimit,
    Code::InsufficientBuyingPower,
    Code::NotionalOutOfRange,
    Code::AccountClosed,
];

/// What an operation that keeps its answers adds.
const ONCE: &[Code] = &[Code::InvalidIdempotencyKey, Code::IdempotencyKeyReused];

/// What an operation adds that changes something and keeps no answer.
const NOT_ONCE: &[Code] = &[Code::IdempotencyKeyNotTaken];

const PLACING: &[Code] = &[
    Code::InvalidOrderType,
    Code::UnsupportedOrderType,
    Code::UnsupportedOrderClass,
    Code::InvalidSide,
    Code::InvalidTimeInForce,
    Code::InvalidPositionIntent,
    Code::AmountRequired,
    Code::AmountAmbiguous,
    Code::LimitPriceRequired,
    Code::PriceNotUsed,
    Code::InvalidClientOrderId,
    Code::DuplicateClientOrderId,
    Code::UnknownSymbol,
    Code::NotionalNotMarket,
    Code::NotionalIncrement,
];

const REPLACING: &[Code] = &[
    Code::InvalidTimeInForce,
    Code::PriceNotUsed,
    Code::InvalidClientOrderId,
    Code::DuplicateClientOrderId,
    Code::OrderNotFound,
    Code::OrderNotReplaceable,
    Code::OrderNotSentYet,
    Code::PartlyFilledReplace,
    Code::OrderUnchanged,
    Code::NotionalReplace,
];

const CANCELING: &[Code] = &[
    Code::OrderNotFound,
    Code::OrderNotCancelable,
    Code::ReplacePending,
];

const CLOSING: &[Code] = &[
    Code::PositionNotFound,
    Code::InvalidRequest,
    Code::InvalidNumber,
    Code::AmountAmbiguous,
    Code::NothingToClose,
];

const PROTECTING: &[Code] = &[
    Code::UnknownField,
    Code::UnknownSymbol,
    Code::PositionNotFound,
    Code::StopPriceThrough,
    Code::ShortNotProtectable,
    Code::TriggerExceedsPosition,
    Code::AlreadyProtected,
];

/// The groups of errors that `operation` can answer with; `None` for an operation that is not listed here.
pub(super) fn errors_of(operation: &str) -> Option<Vec<Code>> {
    let groups: &[&[Code]] = match operation {
        "place_order" => &[AUTHENTICATED, TRADING, ONCE, WITH_BODY, PLACING, TERMS, RISK],
        "replace_order" => &[
            AUTHENTICATED,
            TRADING,
            NOT_ONCE,
            WITH_BODY,
            REPLACING,
            TERMS,
            RISK,
        ],
        "cancel_order" => &[AUTHENTICATED, TRADING, NOT_ONCE, CANCELING],
        "cancel_all_orders" => &[AUTHENTICATED, TRADING, NOT_ONCE],
        "close_position" => &[AUTHENTICATED, TRADING, ONCE, CLOSING, TERMS, RISK],
        "close_all_positions" => &[AUTHENTICATED, TRADING, NOT_ONCE, WITH_QUERY],
        "create_trigger" => &[AUTHENTICATED, TRADING, NOT_ONCE, WITH_BODY, PROTECTING],
        "cancel_trigger" => &[
            AUTHENTICATED,
            TRADING,
            NOT_ONCE,
            &[Code::TriggerNotFound, Code::TriggerNotArmed],
        ],
        "list_orders" | "list_assets" | "list_trading_days" => &[AUTHENTICATED, READING, WITH_QUERY],
        "list_triggers" | "list_events" => &[AUTHENTICATED, READING, WITH_QUERY, &[Code::UnknownField]],
        "list_positions" | "get_clock" => &[AUTHENTICATED, READING],
        "get_order" | "get_order_by_client_id" => {
            &[AUTHENTICATED, READING, WITH_QUERY, &[Code::OrderNotFound]]
        }
        "get_position" => &[AUTHENTICATED, READING, &[Code::PositionNotFound]],
        "get_account" => &[AUTHENTICATED, READING, &[Code::AccountClosed]],
        "get_asset" => &[AUTHENTICATED, READING, &[Code::AssetNotFound]],
        "get_trigger" => &[AUTHENTICATED, READING, &[Code::TriggerNotFound]],
        "get_health" | "get_liveness" | "get_readiness" => &[&[Code::InternalError], READING],
        _ => return None,
    };
    Some(groups.concat())
}

/// Errors that belong to no operation: the path or the method is wrong.
#[cfg(test)]
pub(super) const OF_NO_OPERATION: &[Code] = &[Code::EndpointNotFound, Code::MethodNotAllowed];
