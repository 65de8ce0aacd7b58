//! Every way in which a request can fail: one closed list.
//!
//! 1. A code is in snake case, is never renamed and never used again for something else: clients match on it.
//! 2. The page at [`PAGE_PATH`] and `docs/errors.md` are generated from here; a test keeps the file equal.

use poem::http::StatusCode;

/// Where the server explains every code, each under its name.
pub const PAGE_PATH: &str = "/docs/errors";

macro_rules! codes {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// What went wrong, as clients can match on it; [`Code::row`] says the rest.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = concat!("`", $name, "`")] $variant),+
        }

        impl Code {
            /// Every code, in the order of the document.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

codes! {
    MalformedJson = "malformed_json",
    NestedTooDeeply = "nested_too_deeply",
    InvalidRequest = "invalid_request",
    InvalidNumber = "invalid_number",
    UnknownField = "unknown_field",
    InvalidOrderType = "invalid_order_type",
    UnsupportedOrderType = "unsupported_order_type",
    UnsupportedOrderClass = "unsupported_order_class",
    InvalidSide = "invalid_side",
    InvalidTimeInForce = "invalid_time_in_force",
    InvalidPositionIntent = "invalid_position_intent",
    AmountRequired = "amount_required",
    AmountAmbiguous = "amount_ambiguous",
    LimitPriceRequired = "limit_price_required",
    PriceNotUsed = "price_not_used",
    InvalidClientOrderId = "invalid_client_order_id",
    DuplicateClientOrderId = "duplicate_client_order_id",
    UnknownSymbol = "unknown_symbol",
    AssetNotTradable = "asset_not_tradable",
    InvalidCryptoTimeInForce = "invalid_crypto_time_in_force",
    NotFractionable = "not_fractionable",
    FractionalNotDay = "fractional_not_day",
    NotionalNotMarket = "notional_not_market",
    BelowMinimumSize = "below_minimum_size",
    QuantityIncrement = "quantity_increment",
    NotionalIncrement = "notional_increment",
    PriceIncrement = "price_increment",
    ExtendedHoursOrder = "extended_hours_order",
    NotionalTooLarge = "notional_too_large",
    OrderNotCancelable = "order_not_cancelable",
    ReplacePending = "replace_pending",
    OrderNotReplaceable = "order_not_replaceable",
    OrderNotSentYet = "order_not_sent_yet",
    PartlyFilledReplace = "partly_filled_replace",
    OrderUnchanged = "order_unchanged",
    NotionalReplace = "notional_replace",
    StopPriceThrough = "stop_price_through",
    ShortNotProtectable = "short_not_protectable",
    TriggerExceedsPosition = "trigger_exceeds_position",
    AlreadyProtected = "already_protected",
    TriggerNotArmed = "trigger_not_armed",
    NothingToClose = "nothing_to_close",
    NoQuote = "no_quote",
    UnusableQuote = "unusable_quote",
    ShortSaleNotAllowed = "short_sale_not_allowed",
    InsufficientQuantity = "insufficient_quantity",
    OrderNotionalLimit = "order_notional_limit",
    DayNotionalLimit = "day_notional_limit",
    InsufficientBuyingPower = "insufficient_buying_power",
    NotionalOutOfRange = "notional_out_of_range",
    AccountClosed = "account_closed",
    InsufficientScope = "insufficient_scope",
    HttpsRequired = "https_required",
    OriginNotAllowed = "origin_not_allowed",
    NotAuthorized = "not_authorized",
    WrongPassword = "wrong_password",
    WeakPassword = "weak_password",
    EmailTaken = "email_taken",
    RegistrationClosed = "registration_closed",
    CsrfRefused = "csrf_refused",
    AddressNotAllowed = "address_not_allowed",
    RoleNotAllowed = "role_not_allowed",
    StaleSession = "stale_session",
    LastSuperadmin = "last_superadmin",
    AccountNotFound = "account_not_found",
    SessionNotFound = "session_not_found",
    KeyNotFound = "key_not_found",
    UserNotFound = "user_not_found",
    OrderNotFound = "order_not_found",
    PositionNotFound = "position_not_found",
    AssetNotFound = "asset_not_found",
    TriggerNotFound = "trigger_not_found",
    ClientNotFound = "client_not_found",
    GrantNotFound = "grant_not_found",
    EndpointNotFound = "endpoint_not_found",
    MethodNotAllowed = "method_not_allowed",
    RequestTimeout = "request_timeout",
    TooManyKeys = "too_many_keys",
    TooManyClients = "too_many_clients",
    IdempotencyKeyReused = "idempotency_key_reused",
    InvalidIdempotencyKey = "invalid_idempotency_key",
    IdempotencyKeyNotTaken = "idempotency_key_not_taken",
    BodyTooLarge = "body_too_large",
    UnsupportedMediaType = "unsupported_media_type",
    RateLimited = "rate_limited",
    InternalError = "internal_error",
    ServiceUnavailable = "service_unavailable",
    TimedOut = "timed_out",
}

/// The numeric codes of Alpaca's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AlpacaCode {
    /// 40010001: malformed, or of the wrong shape, type or enum.
    Malformed,
    /// 42210000: a rule of trading.
    Rule,
    /// 40310000: a block.
    Forbidden,
    /// 40410000: not there.
    NotFound,
    /// Any other status S: S × 100000 + 10000.
    Status,
}

/// All that is said about a code.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    status: StatusCode,
    alpaca: AlpacaCode,
    title: &'static str,
    meaning: &'static str,
    remedy: &'static str,
}

const fn row(
    status: StatusCode,
    alpaca: AlpacaCode,
    title: &'static str,
    meaning: &'static str,
    remedy: &'static str,
) -> Row {
    Row {
        status,
        alpaca,
        title,
        meaning,
        remedy,
    }
}

impl Code {
    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        self.row().status
    }

    /// The problem in a few words, the same for every occurrence.
    pub const fn title(self) -> &'static str {
        self.row().title
    }

    /// When it happens.
    pub const fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// What the caller can do.
    pub const fn remedy(self) -> &'static str {
        self.row().remedy
    }

    /// The number that Alpaca's SDKs read as `code`.
    pub const fn alpaca_code(self) -> u32 {
        match self.row().alpaca {
            AlpacaCode::Malformed => 40_010_001,
            AlpacaCode::Rule => 42_210_000,
            AlpacaCode::Forbidden => 40_310_000,
            AlpacaCode::NotFound => 40_410_000,
            AlpacaCode::Status => self.status().as_u16() as u32 * 100_000 + 10_000,
        }
    }

    /// Where the code is explained, relative to the server that answers.
    pub fn type_uri(self) -> String {
        format!("{PAGE_PATH}#{}", self.as_str())
    }

    /// The table.
    #[rustfmt::skip]
    #[expect(clippy::too_many_lines, reason = "one table, one row a code")]
    const fn row(self) -> Row {
        use AlpacaCode::{Forbidden, Malformed, NotFound, Rule, Status};
        use StatusCode as S;
        match self {
            Self::MalformedJson => row(S::BAD_REQUEST, Malformed, "The body is not JSON",
                "The body is empty, is not valid UTF-8, or is not JSON.",
                "Send one JSON object in UTF-8. `NaN` and `Infinity` are not JSON."),
            Self::NestedTooDeeply => row(S::UNPROCESSABLE_ENTITY, Malformed, "The body is nested too deeply",
                "Objects or lists stand in each other deeper than any request needs.",
                "Send the fields that the operation documents."),
            Self::InvalidRequest => row(S::UNPROCESSABLE_ENTITY, Malformed, "The request has the wrong shape",
                "A field or a parameter is missing, or has the wrong type or form.",
                "Look at `errors[]`: each entry names the place and what is wrong there."),
            Self::InvalidNumber => row(S::UNPROCESSABLE_ENTITY, Malformed, "A number is out of its domain",
                "A number is not decimal, not positive, too large (9·10⁹ for a price or a quantity, 10¹⁰ for a notional), or has more than 9 decimals; or a string holds an exponent.",
                "Send a plain decimal, as a string or a number token."),
            Self::UnknownField => row(S::UNPROCESSABLE_ENTITY, Malformed, "A field is unknown",
                "A route of Arbion's own (not of Alpaca's contract) got a field or a parameter that it does not know.",
                "Correct its name, or leave it out."),
            Self::InvalidOrderType => row(S::UNPROCESSABLE_ENTITY, Malformed, "The order type is invalid",
                "`type` is missing, or is no type of order.",
                "Send `market` or `limit`."),
            Self::UnsupportedOrderType => row(S::UNPROCESSABLE_ENTITY, Malformed, "The order type is not supported yet",
                "`type` is `stop`, `stop_limit` or `trailing_stop`.",
                "Protect a position with POST /v2/triggers, which sells at the market when the price is through."),
            Self::UnsupportedOrderClass => row(S::UNPROCESSABLE_ENTITY, Malformed, "The order class is not supported yet",
                "`order_class` is `bracket`, `oco`, `oto` or unknown, or legs are given without a class.",
                "Send a plain order, and protect the position with POST /v2/triggers once it is filled."),
            Self::InvalidSide => row(S::UNPROCESSABLE_ENTITY, Malformed, "The side is invalid",
                "`side` is missing, or neither `buy` nor `sell`.",
                "Send `buy` or `sell`."),
            Self::InvalidTimeInForce => row(S::UNPROCESSABLE_ENTITY, Malformed, "The time in force is invalid",
                "`time_in_force` is missing, unknown, or one that Arbion does not take yet (`opg`, `cls`).",
                "Send `day`, `gtc`, `ioc` or `fok`."),
            Self::InvalidPositionIntent => row(S::UNPROCESSABLE_ENTITY, Malformed, "The position intent is invalid",
                "`position_intent` is unknown, or contradicts `side`.",
                "Leave it out, or send the intent that fits the side."),
            Self::AmountRequired => row(S::UNPROCESSABLE_ENTITY, Malformed, "An amount is required",
                "Neither `qty` nor `notional` is given.",
                "Send exactly one of them."),
            Self::AmountAmbiguous => row(S::UNPROCESSABLE_ENTITY, Malformed, "Two amounts are given",
                "Both `qty` and `notional` (or `qty` and `percentage`) are given.",
                "Send exactly one of them."),
            Self::LimitPriceRequired => row(S::UNPROCESSABLE_ENTITY, Malformed, "A limit price is required",
                "A limit order has no `limit_price`.",
                "Send `limit_price`."),
            Self::PriceNotUsed => row(S::UNPROCESSABLE_ENTITY, Malformed, "A price is given that the type does not use",
                "For instance a market order with a `limit_price`. It is refused and not ignored, because it shows that something else was meant.",
                "Leave the price out, or choose the type that uses it."),
            Self::InvalidClientOrderId => row(S::UNPROCESSABLE_ENTITY, Malformed, "The client order id is invalid",
                "It is longer than 128 characters or contains control characters.",
                "Send at most 128 printable characters, or leave it out."),
            Self::DuplicateClientOrderId => row(S::UNPROCESSABLE_ENTITY, Malformed, "The client order id is taken",
                "Another order of the account has it; ended orders count, too. `existing_order_id` names it.",
                "Choose another one. To repeat a request safely, send an `Idempotency-Key`."),
            Self::UnknownSymbol => row(S::UNPROCESSABLE_ENTITY, Rule, "The symbol is unknown",
                "The body names an instrument that Arbion does not have.",
                "Look at GET /v2/assets."),
            Self::AssetNotTradable => row(S::UNPROCESSABLE_ENTITY, Rule, "The instrument takes no orders",
                "It is listed, but not tradable now.",
                "Choose another one."),
            Self::InvalidCryptoTimeInForce => row(S::UNPROCESSABLE_ENTITY, Rule, "Crypto does not know this time in force",
                "Crypto orders are `gtc` or `ioc`.",
                "Send one of these."),
            Self::NotFractionable => row(S::UNPROCESSABLE_ENTITY, Rule, "The instrument trades in whole units",
                "A fraction or a notional was asked of an instrument that is not fractionable.",
                "Send a whole `qty`."),
            Self::FractionalNotDay => row(S::UNPROCESSABLE_ENTITY, Rule, "Fractional orders end with the day",
                "A fractional or notional order of an equity must have the time in force `day`.",
                "Send `day`."),
            Self::NotionalNotMarket => row(S::UNPROCESSABLE_ENTITY, Rule, "A notional needs a market order",
                "A limit order names a `notional`.",
                "Send `qty`."),
            Self::BelowMinimumSize => row(S::UNPROCESSABLE_ENTITY, Rule, "The order is too small",
                "The quantity is below the instrument's `min_order_size`.",
                "Send at least that much."),
            Self::QuantityIncrement => row(S::UNPROCESSABLE_ENTITY, Rule, "The quantity lies between two steps",
                "It is no multiple of the instrument's `min_trade_increment`.",
                "Round it to a step."),
            Self::NotionalIncrement => row(S::UNPROCESSABLE_ENTITY, Rule, "The notional has parts of a cent",
                "A notional has at most two decimals.",
                "Round it to cents."),
            Self::PriceIncrement => row(S::UNPROCESSABLE_ENTITY, Rule, "The price lies between two steps",
                "From one dollar up equities have two decimals, below four; crypto has the instrument's `price_increment`. `increment` names the step.",
                "Round it to a step."),
            Self::ExtendedHoursOrder => row(S::UNPROCESSABLE_ENTITY, Rule, "Extended hours take resting limit orders only",
                "`extended_hours` is set on an order that is not a limit order with `day` or `gtc`.",
                "Leave it out, or send such an order."),
            Self::NotionalTooLarge => row(S::UNPROCESSABLE_ENTITY, Rule, "The order is too large to be kept exactly",
                "Price times quantity reaches 10¹⁰.",
                "Send a smaller order."),
            Self::OrderNotCancelable => row(S::UNPROCESSABLE_ENTITY, Rule, "The order has ended",
                "An order that is filled, canceled, expired, rejected or replaced can't be canceled.",
                "Nothing: it moves no more."),
            Self::ReplacePending => row(S::UNPROCESSABLE_ENTITY, Rule, "A replacement is undecided",
                "The order waits for the venue's word on its replacement.",
                "Look again in a moment, and cancel the order that is then alive."),
            Self::OrderNotReplaceable => row(S::UNPROCESSABLE_ENTITY, Rule, "The order can't be replaced as it stands",
                "It has ended, or is about to be canceled or replaced.",
                "Place a new order."),
            Self::OrderNotSentYet => row(S::UNPROCESSABLE_ENTITY, Malformed, "The order is on its way to the venue",
                "An order can be replaced once the venue has it.",
                "Try again in a moment."),
            Self::PartlyFilledReplace => row(S::UNPROCESSABLE_ENTITY, Rule, "A partly filled order can't be replaced yet",
                "Some of it is filled.",
                "Cancel the rest and place a new order."),
            Self::OrderUnchanged => row(S::UNPROCESSABLE_ENTITY, Rule, "Nothing would change",
                "The replacement says what the order says already.",
                "Send at least one other value."),
            Self::NotionalReplace => row(S::UNPROCESSABLE_ENTITY, Rule, "A notional order can't be replaced",
                "Its amount is money.",
                "Cancel it and place a new order."),
            Self::StopPriceThrough => row(S::UNPROCESSABLE_ENTITY, Rule, "The stop would fire at once",
                "`stop_price` is not below the current price (`market_price`).",
                "Choose a lower stop, or sell now."),
            Self::ShortNotProtectable => row(S::UNPROCESSABLE_ENTITY, Rule, "Only long positions can be protected",
                "The position is short.",
                "Close it with an order."),
            Self::TriggerExceedsPosition => row(S::UNPROCESSABLE_ENTITY, Rule, "The trigger would sell more than is owned",
                "Its quantity exceeds the position (`existing_qty`).",
                "Send less, or leave the quantity out: then it sells the whole position."),
            Self::AlreadyProtected => row(S::UNPROCESSABLE_ENTITY, Rule, "The position is protected already",
                "Live triggers cover it. `existing_trigger_id` names one.",
                "Cancel that trigger first."),
            Self::TriggerNotArmed => row(S::UNPROCESSABLE_ENTITY, Rule, "The trigger is not armed any more",
                "It has fired, ended, or was canceled.",
                "Look at its state and its exit order."),
            Self::NothingToClose => row(S::UNPROCESSABLE_ENTITY, Rule, "The part is too small to be sold",
                "The percentage of the position is less than the smallest step.",
                "Ask for more."),
            Self::NoQuote => row(S::FORBIDDEN, Forbidden, "There is no price to judge the order by",
                "Nobody knows what the order would cost, so it may not leave.",
                "Try again when there is market data, or send a limit order."),
            Self::UnusableQuote => row(S::FORBIDDEN, Forbidden, "The price can't be believed",
                "The latest quote is stale or crossed (`distrust`).",
                "Try again in a moment, or send a limit order."),
            Self::ShortSaleNotAllowed => row(S::FORBIDDEN, Forbidden, "Short sales are not allowed",
                "The order would sell what the account does not own.",
                "Sell at most what is owned."),
            Self::InsufficientQuantity => row(S::FORBIDDEN, Forbidden, "Not enough units are available",
                "Open orders hold what the position has: `available`, `existing_qty`, `held_for_orders`.",
                "Cancel the orders that hold it, or send less."),
            Self::OrderNotionalLimit => row(S::FORBIDDEN, Forbidden, "The order exceeds the limit of one order",
                "The limit of the user's role; market orders count at the ask plus a collar.",
                "Send a smaller order, or ask for another role."),
            Self::DayNotionalLimit => row(S::FORBIDDEN, Forbidden, "The order exceeds the limit of the day",
                "Filled today plus still open, of orders that add exposure.",
                "Cancel open orders, or wait for the next trading date (New York)."),
            Self::InsufficientBuyingPower => row(S::FORBIDDEN, Forbidden, "Not enough money is available",
                "The order would reserve `cost_basis`, and `buying_power` is less.",
                "Send a smaller order, or cancel open ones."),
            Self::NotionalOutOfRange => row(S::FORBIDDEN, Forbidden, "The order's worth can't be kept exactly",
                "At the price to assume it reaches 10¹⁰.",
                "Send a smaller order."),
            Self::AccountClosed => row(S::FORBIDDEN, Forbidden, "The account takes no orders",
                "It is unknown, or its user is not active.",
                "Ask the operator."),
            Self::InsufficientScope => row(S::FORBIDDEN, Forbidden, "The credential may not do this",
                "It lacks the scope that `scope` names.",
                "Use a credential with that scope."),
            Self::HttpsRequired => row(S::FORBIDDEN, Forbidden, "HTTPS is required",
                "The request came without TLS, and the server is configured to take none such (`PLAIN_HTTP`). Nothing was done, but whatever it carried went over the wire in clear.",
                "Use the `https://` address, and replace a key or a password that was sent without it."),
            Self::OriginNotAllowed => row(S::FORBIDDEN, Forbidden, "The page's origin may not do this",
                "A page of an origin that the server does not list (`CORS_ORIGINS`) asked for a browser's leave to call it, or asked for a method or headers that no origin may send.",
                "Ask the operator to list the origin."),
            Self::NotAuthorized => row(S::UNAUTHORIZED, Status, "The request is not authorized",
                "The credential is missing, unknown, wrong, expired or revoked.",
                "Send `APCA-API-KEY-ID` and `APCA-API-SECRET-KEY`, or the pair as Basic."),
            Self::WrongPassword => row(S::UNAUTHORIZED, Status, "The password is wrong",
                "The e-mail address or the password is wrong, or the user is deactivated; which of them is not told.",
                "Try again; each wrong attempt is answered later than the one before."),
            Self::WeakPassword => row(S::UNPROCESSABLE_ENTITY, Malformed, "The password is too weak",
                "The password has fewer than 12 or more than 256 characters, is often used, or is the e-mail address.",
                "Take a sentence, or what a password manager makes."),
            Self::EmailTaken => row(S::CONFLICT, Status, "The e-mail address is taken",
                "There is a user with this e-mail address.",
                "Log in, or register another address."),
            Self::RegistrationClosed => row(S::FORBIDDEN, Forbidden, "Registration is closed",
                "`REGISTRATION` is `closed` on this server.",
                "Ask an administrator for a user."),
            Self::CsrfRefused => row(S::FORBIDDEN, Forbidden, "The request may not come from the page",
                "A request with a cookie changes something and lacks the CSRF token of its session, or comes from an origin that is not allowed.",
                "Get the token at GET /auth/csrf and send it as `X-CSRF-Token`; have the operator list the page's origin in `CORS_ORIGINS`."),
            Self::AddressNotAllowed => row(S::FORBIDDEN, Forbidden, "The API key does not work from here",
                "The key is bound to other addresses than the one that the request came from.",
                "Send it from an allowed address, or make another key."),
            Self::RoleNotAllowed => row(S::FORBIDDEN, Forbidden, "The role does not allow it",
                "The user's role is below what the operation needs.",
                "Ask an administrator of a higher role."),
            Self::StaleSession => row(S::FORBIDDEN, Forbidden, "The password has to be given again",
                "Administration needs a session in which the password was given within the last 15 minutes.",
                "Give it with POST /auth/reauthenticate, and repeat the request."),
            Self::LastSuperadmin => row(S::CONFLICT, Status, "It is the last superadmin",
                "Without this user nobody could administer the installation.",
                "Make another superadmin first."),
            Self::AccountNotFound => row(S::NOT_FOUND, NotFound, "The account is not there",
                "`Arbion-Account` names no account of the user, or the user has none.",
                "Look at `accounts` of GET /auth/me."),
            Self::SessionNotFound => row(S::NOT_FOUND, NotFound, "The session is not there",
                "The user has no such session.",
                "Look at GET /auth/sessions."),
            Self::KeyNotFound => row(S::NOT_FOUND, NotFound, "The API key is not there",
                "The account has no such key.",
                "Look at GET /auth/keys."),
            Self::UserNotFound => row(S::NOT_FOUND, NotFound, "The user is not there",
                "There is no such user.",
                "Look at GET /admin/users."),
            Self::OrderNotFound => row(S::NOT_FOUND, NotFound, "The order does not exist",
                "The account has no such order.",
                "Look at GET /v2/orders?status=all."),
            Self::PositionNotFound => row(S::NOT_FOUND, NotFound, "The position does not exist",
                "The account owns none of it, or there is no such instrument.",
                "Look at GET /v2/positions."),
            Self::AssetNotFound => row(S::NOT_FOUND, NotFound, "The instrument does not exist",
                "The path names an instrument that Arbion does not have.",
                "Look at GET /v2/assets."),
            Self::TriggerNotFound => row(S::NOT_FOUND, NotFound, "The trigger does not exist",
                "The account has no such trigger.",
                "Look at GET /v2/triggers."),
            Self::ClientNotFound => row(S::NOT_FOUND, NotFound, "The app does not exist",
                "You have registered no such app, or have taken it back.",
                "Look at GET /oauth/clients."),
            Self::GrantNotFound => row(S::NOT_FOUND, NotFound, "The connected app does not exist",
                "You have let no such app act for you.",
                "Look at GET /oauth/grants."),
            Self::EndpointNotFound => row(S::NOT_FOUND, NotFound, "The endpoint does not exist",
                "No route has this path.",
                "Look at /docs/."),
            Self::MethodNotAllowed => row(S::METHOD_NOT_ALLOWED, Status, "The path does not take this method",
                "The header `Allow` lists those that it takes.",
                "Use one of them."),
            Self::RequestTimeout => row(S::REQUEST_TIMEOUT, Status, "The request came too slowly",
                "Its body was not complete in time. Nothing was done.",
                "Send it again."),
            Self::TooManyKeys => row(S::CONFLICT, Status, "There are too many API keys",
                "The account has as many keys that work as it may have.",
                "Revoke one that is not needed: GET /auth/keys, DELETE /auth/keys/{id}."),
            Self::TooManyClients => row(S::CONFLICT, Status, "You have as many apps as anybody may have",
                "There are 100 already.",
                "Take one back with DELETE /oauth/clients/{client_id}."),
            Self::IdempotencyKeyReused => row(S::CONFLICT, Status, "The idempotency key belongs to another request",
                "It was used with another body or query. `existing_order_id` names the order that it made, if it made one.",
                "Use a new key for a new request."),
            Self::InvalidIdempotencyKey => row(S::UNPROCESSABLE_ENTITY, Malformed, "The idempotency key is invalid",
                "It is empty, longer than 255 characters, or not printable ASCII.",
                "Send a random text such as a UUID."),
            Self::IdempotencyKeyNotTaken => row(S::UNPROCESSABLE_ENTITY, Malformed, "The operation takes no idempotency key",
                "Only placing an order and closing a position keep their answers. The header is refused elsewhere and not ignored, because whoever sends it relies on it.",
                "Send the request without it. Before repeating it, read what the first one did."),
            Self::BodyTooLarge => row(S::PAYLOAD_TOO_LARGE, Status, "The body is too large",
                "It exceeds `MAX_BODY_BYTES` (64 KiB unless configured).",
                "Send less."),
            Self::UnsupportedMediaType => row(S::UNSUPPORTED_MEDIA_TYPE, Status, "The body's type is not supported",
                "Bodies are JSON.",
                "Send `Content-Type: application/json`."),
            Self::RateLimited => row(S::TOO_MANY_REQUESTS, Status, "Too many requests",
                "A limit is used up. The request was refused before anything was done, so it is safe to send it again later.",
                "Wait `Retry-After` seconds. `RateLimit` and `X-RateLimit-*` on every answer tell how much is left."),
            Self::InternalError => row(S::INTERNAL_SERVER_ERROR, Status, "Something went wrong on our side",
                "A fault of the server; the log has it under `request_id`.",
                "Tell the operator the request id. Before repeating an order, look for it by its client order id."),
            Self::ServiceUnavailable => row(S::SERVICE_UNAVAILABLE, Status, "The database is not reachable",
                "Nothing was changed, unless the body names an `order_id` or a `trigger_id`: then that may exist.",
                "Try again after `Retry-After` seconds; look for that order or trigger first."),
            Self::TimedOut => row(S::SERVICE_UNAVAILABLE, Status, "The answer took too long",
                "A read was given up. Nothing was changed.",
                "Try again after `Retry-After` seconds."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_snake_case() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for name in names {
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{name}"
            );
        }
    }

    #[test]
    fn every_number_fits_its_status_as_the_contract_says() {
        for code in Code::ALL {
            let (status, number) = (code.status().as_u16(), code.alpaca_code());
            let allowed: &[u32] = match status {
                400 => &[40_010_001],
                401 => &[40_110_000],
                403 => &[40_310_000],
                404 => &[40_410_000],
                405 => &[40_510_000],
                408 => &[40_810_000],
                409 => &[40_910_000],
                413 => &[41_310_000],
                415 => &[41_510_000],
                429 => &[42_910_000],
                422 => &[40_010_001, 42_210_000],
                500 => &[50_010_000],
                503 => &[50_310_000],
                other => panic!("{other} is no status of ours"),
            };
            assert!(allowed.contains(&number), "{}: {status} {number}", code.as_str());
        }
    }

    /// The rate limit is the one exception: it refuses before anything is done, so a request that is repeated does nothing
    /// twice.
    #[test]
    fn no_code_answers_with_a_status_that_clients_repeat_blindly() {
        for code in Code::ALL.iter().filter(|code| **code != Code::RateLimited) {
            assert!(![429, 504].contains(&code.status().as_u16()), "{}", code.as_str());
        }
    }
}
