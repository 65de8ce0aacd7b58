//! Identifiers: one type per entity, so that an account's id can never be passed for an order's.
//!
//! New ids are UUID version 7 (RFC 9562), made by the callers: this crate never draws randomness.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

macro_rules! entity_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )+};
}

entity_id! {
    /// A person or program that logs in.
    UserId,
    /// A trading account; orders, positions and money belong to exactly one.
    AccountId,
    /// An API key (later also a token or a session): how a request proved who is asking.
    CredentialId,
    /// A login at a broker; the paper venue counts as one.
    ConnectionId,
    /// A tradable instrument: UUID version 5 of `class:symbol`, so it is equal in every process.
    AssetId,
    /// An order.
    OrderId,
    /// Orders that share one reservation (an order and its replacement; legs).
    GroupId,
    /// A price trigger that protects a position.
    TriggerId,
}

/// Why a text is not a valid order identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OrderIdentifierError {
    /// No characters at all.
    #[error("must not be empty")]
    Empty,
    /// More than [`ClientOrderId::MAX_CHARACTERS`] characters.
    #[error("must be no more than 128 characters")]
    TooLong,
    /// A control character, NUL included: databases and logs would choke on it.
    #[error("must not contain control characters")]
    ControlCharacter,
}

/// The caller's own name for an order: unique per account for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientOrderId(String);

impl ClientOrderId {
    /// Alpaca's published limit.
    pub const MAX_CHARACTERS: usize = 128;

    /// Checks and wraps `text`.
    pub fn new(text: impl Into<String>) -> Result<Self, OrderIdentifierError> {
        let text = text.into();
        if text.is_empty() {
            return Err(OrderIdentifierError::Empty);
        }
        if text.chars().count() > Self::MAX_CHARACTERS {
            return Err(OrderIdentifierError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(OrderIdentifierError::ControlCharacter);
        }
        Ok(Self(text))
    }

    /// The text as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<OrderId> for ClientOrderId {
    /// The name an order gets when its caller chose none.
    fn from(id: OrderId) -> Self {
        Self(id.to_string())
    }
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The broker's name for an order. Brokers use UUIDs, numbers and other texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrokerOrderId(pub String);

impl fmt::Display for BrokerOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_order_id_is_limited_and_printable() {
        assert_eq!(ClientOrderId::new(""), Err(OrderIdentifierError::Empty));
        assert_eq!(
            ClientOrderId::new("é".repeat(129)),
            Err(OrderIdentifierError::TooLong)
        );
        assert!(ClientOrderId::new("é".repeat(128)).is_ok());
        assert_eq!(
            ClientOrderId::new("a\0b"),
            Err(OrderIdentifierError::ControlCharacter)
        );
    }

    #[test]
    fn ids_are_read_with_and_without_dashes() {
        let dashed: OrderId = "01930e4c-5b5a-7000-8000-000000000001".parse().unwrap();
        let plain: OrderId = "01930e4c5b5a70008000000000000001".parse().unwrap();
        assert_eq!(dashed, plain);
        assert_eq!(plain.to_string(), "01930e4c-5b5a-7000-8000-000000000001");
    }
}
