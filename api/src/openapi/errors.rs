//! Which errors each operation can answer with, beyond those that every one has.

use crate::problem::Code;

/// What every operation behind a credential can answer with.
const AUTHENTICATED: &[Code] = &[
    Code::NotAuthorized,
    Code::AddressNotAllowed,
    Code::AccountNotFound,
    Code::RateLimited,
    Code::HttpsRequired,
    Code::BodyTooLarge,
    Code::RequestTimeout,
    Code::InternalError,
    Code::ServiceUnavailable,
];

/// What an operation behind a scope adds; a session has every scope, and needs its token.
const SCOPED: &[Code] = &[Code::InsufficientScope, Code::CsrfRefused];

/// What every operation before the login can answer with.
const OPEN: &[Code] = &[
    Code::RateLimited,
    Code::HttpsRequired,
    Code::BodyTooLarge,
    Code::RequestTimeout,
    Code::InternalError,
    Code::ServiceUnavailable,
];

/// What an operation of a session alone adds where it changes something.
const BY_SESSION: &[Code] = &[Code::CsrfRefused];

/// What an operation adds that asks for a password.
const BY_PASSWORD: &[Code] = &[Code::CsrfRefused, Code::WrongPassword, Code::UnknownField];

/// What administration adds.
const ADMIN: &[Code] = &[Code::RoleNotAllowed, Code::StaleSession];

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
        "place_order" => &[AUTHENTICATED, SCOPED, ONCE, WITH_BODY, PLACING, TERMS, RISK],
        "replace_order" => &[AUTHENTICATED, SCOPED, NOT_ONCE, WITH_BODY, REPLACING, TERMS, RISK],
        "cancel_order" => &[AUTHENTICATED, SCOPED, NOT_ONCE, CANCELING],
        "cancel_all_orders" => &[AUTHENTICATED, SCOPED, NOT_ONCE],
        "close_position" => &[AUTHENTICATED, SCOPED, ONCE, CLOSING, TERMS, RISK],
        "close_all_positions" => &[AUTHENTICATED, SCOPED, NOT_ONCE, WITH_QUERY],
        "create_trigger" => &[AUTHENTICATED, SCOPED, NOT_ONCE, WITH_BODY, PROTECTING],
        "cancel_trigger" => &[
            AUTHENTICATED,
            SCOPED,
            NOT_ONCE,
            &[Code::TriggerNotFound, Code::TriggerNotArmed],
        ],
        "list_orders" | "list_assets" | "list_trading_days" => &[AUTHENTICATED, READING, WITH_QUERY],
        "list_triggers" | "list_events" => &[AUTHENTICATED, READING, WITH_QUERY, &[Code::UnknownField]],
        "register_client" => &[
            AUTHENTICATED,
            SCOPED,
            NOT_ONCE,
            WITH_BODY,
            &[Code::UnknownField, Code::TooManyClients],
        ],
        "revoke_client" => &[AUTHENTICATED, SCOPED, NOT_ONCE, &[Code::ClientNotFound]],
        "revoke_grant" => &[AUTHENTICATED, SCOPED, NOT_ONCE, &[Code::GrantNotFound]],
        "list_clients" => &[AUTHENTICATED, SCOPED, READING, &[Code::UnknownField]],
        "list_grants" => &[AUTHENTICATED, SCOPED, READING, WITH_QUERY, &[Code::UnknownField]],
        "list_positions" | "get_clock" => &[AUTHENTICATED, READING],
        "get_order" | "get_order_by_client_id" => {
            &[AUTHENTICATED, READING, WITH_QUERY, &[Code::OrderNotFound]]
        }
        "get_position" => &[AUTHENTICATED, READING, &[Code::PositionNotFound]],
        "get_account" => &[AUTHENTICATED, READING, &[Code::AccountClosed]],
        "get_asset" => &[AUTHENTICATED, READING, &[Code::AssetNotFound]],
        "get_trigger" => &[AUTHENTICATED, READING, &[Code::TriggerNotFound]],
        "get_health" | "get_liveness" | "get_readiness" => {
            &[&[Code::InternalError, Code::RateLimited], READING]
        }
        other => return errors_of_access(other),
    };
    Some(groups.concat())
}

/// The same of what belongs to a login, and of administration.
fn errors_of_access(operation: &str) -> Option<Vec<Code>> {
    let groups: &[&[Code]] = match operation {
        "get_csrf_token" => &[OPEN, READING],
        "register" => &[
            OPEN,
            NOT_ONCE,
            WITH_BODY,
            BY_SESSION,
            &[
                Code::UnknownField,
                Code::WeakPassword,
                Code::EmailTaken,
                Code::RegistrationClosed,
            ],
        ],
        "log_in" => &[OPEN, NOT_ONCE, WITH_BODY, BY_PASSWORD],
        "reauthenticate" => &[AUTHENTICATED, NOT_ONCE, WITH_BODY, BY_PASSWORD],
        "change_password" => &[
            AUTHENTICATED,
            NOT_ONCE,
            WITH_BODY,
            BY_PASSWORD,
            &[Code::WeakPassword],
        ],
        "log_out" | "end_other_sessions" => &[AUTHENTICATED, NOT_ONCE, BY_SESSION],
        "get_me" | "list_sessions" => &[AUTHENTICATED, READING],
        "end_session" => &[AUTHENTICATED, NOT_ONCE, BY_SESSION, &[Code::SessionNotFound]],
        "create_key" => &[
            AUTHENTICATED,
            SCOPED,
            NOT_ONCE,
            WITH_BODY,
            &[Code::UnknownField, Code::TooManyKeys],
        ],
        "list_keys" => &[AUTHENTICATED, SCOPED, READING, WITH_QUERY, &[Code::UnknownField]],
        "revoke_key" => &[AUTHENTICATED, SCOPED, NOT_ONCE, &[Code::KeyNotFound]],
        "list_users" | "list_audit_events" => {
            &[AUTHENTICATED, ADMIN, READING, WITH_QUERY, &[Code::UnknownField]]
        }
        "create_user" => &[
            AUTHENTICATED,
            ADMIN,
            NOT_ONCE,
            WITH_BODY,
            BY_SESSION,
            &[Code::UnknownField, Code::WeakPassword, Code::EmailTaken],
        ],
        "get_user" => &[AUTHENTICATED, ADMIN, READING, &[Code::UserNotFound]],
        "update_user" => &[
            AUTHENTICATED,
            ADMIN,
            NOT_ONCE,
            WITH_BODY,
            BY_SESSION,
            &[Code::UnknownField, Code::UserNotFound, Code::LastSuperadmin],
        ],
        _ => return None,
    };
    Some(groups.concat())
}

/// Errors that belong to no operation: the path or the method is wrong, or a browser asks for leave in vain.
#[cfg(test)]
pub(super) const OF_NO_OPERATION: &[Code] = &[
    Code::EndpointNotFound,
    Code::MethodNotAllowed,
    Code::OriginNotAllowed,
];
