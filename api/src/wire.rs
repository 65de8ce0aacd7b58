//! Values on the wire that several resources share. Money and quantities are [`crate::input::Dec`].

use chrono::{DateTime, SecondsFormat, Utc};
use poem_openapi::registry::MetaSchema;
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// An instant: RFC 3339 in UTC with `Z` and microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub DateTime<Utc>);

impl Time {
    /// The text on the wire.
    pub fn text(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Micros, true)
    }
}

/// A type that the document describes where it is used, and not under a name of its own.
macro_rules! inline_type {
    ($type:ident, $name:literal, $schema:expr) => {
        impl poem_openapi::types::Type for $type {
            const IS_REQUIRED: bool = true;

            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                poem_openapi::registry::MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self::RawValueType> {
                Some(self)
            }

            fn raw_element_iter<'a>(
                &'a self,
            ) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
                Box::new(self.as_raw_value().into_iter())
            }
        }
    };
}

pub(crate) use inline_type;

macro_rules! output_type {
    ($type:ident, $name:literal, $schema:expr, $to_json:expr) => {
        inline_type!($type, $name, $schema);

        impl ToJSON for $type {
            fn to_json(&self) -> Option<Value> {
                let to_json: fn(&Self) -> Value = $to_json;
                Some(to_json(self))
            }
        }
    };
}

output_type!(
    Time,
    "string(date-time)",
    MetaSchema::new_with_format("string", "date-time"),
    |time| Value::String(time.text())
);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

macro_rules! name_types {
    ($($(#[$doc:meta])* $type:ident = $name:literal: [$($value:literal),+ $(,)?];)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $type(pub &'static str);

        output_type!(
            $type,
            $name,
            {
                let mut schema = MetaSchema::new("string");
                schema.enum_items = vec![$($value.into()),+];
                schema
            },
            |name| Value::from(name.0)
        );

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0)
            }
        }

        impl ParseFromJSON for $type {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                let value = value.unwrap_or_default();
                let text = value.as_str().unwrap_or_default();
                let known = Self::ALL.iter().find(|name| **name == text);
                known.map(|name| Self(name)).ok_or_else(|| ParseError::expected_type(value))
            }
        }

        impl $type {
            /// Every name, as documented.
            pub const ALL: &'static [&'static str] = &[$($value),+];
        }
    )+};
}

name_types! {
    /// The status of an order, by Alpaca's names. SDKs refuse any other.
    StatusName = "order_status": [
        "new", "partially_filled", "filled", "done_for_day", "canceled", "expired", "replaced", "pending_cancel",
        "pending_replace", "pending_review", "accepted", "pending_new", "accepted_for_bidding", "stopped", "rejected",
        "suspended", "calculated", "held",
    ];
    /// A side of the market.
    SideName = "side": ["buy", "sell"];
    /// A type of order.
    KindName = "order_type": ["market", "limit"];
    /// A time in force.
    TimeInForceName = "time_in_force": ["day", "gtc", "ioc", "fok"];
    /// What an order is meant to do to the position.
    IntentName = "position_intent": ["buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"];
    /// A class of instruments.
    ClassName = "asset_class": ["us_equity", "crypto"];
    /// Which side a position is on.
    PositionSideName = "position_side": ["long", "short"];
    /// How far the sending of an order got.
    SubmissionName = "submission_state": ["unsent", "sending", "unconfirmed", "acknowledged"];
    /// Where a trigger stands.
    TriggerStateName = "trigger_state": ["armed", "firing", "done", "canceled"];
    /// Which way the price has to go.
    DirectionName = "trigger_direction": ["falling", "rising"];
    /// What a user may do.
    RoleName = "role": ["standard", "admin", "superadmin"];
    /// Which price of a quote is compared.
    ReferenceName = "trigger_reference": ["last", "bid", "ask", "mid"];
    /// Whether an app can keep a secret.
    ClientTypeName = "client_type": ["confidential", "public"];
    /// How an app may get tokens.
    GrantTypeName = "grant_type": ["authorization_code", "client_credentials"];
}

/// Any JSON value, handed on as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyJson(pub Value);

output_type!(AnyJson, "object", MetaSchema::new("object"), |json| json
    .0
    .clone());

impl Serialize for AnyJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl ParseFromJSON for Time {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let value = value.unwrap_or_default();
        let at = value.as_str().and_then(crate::input::query::parse_instant);
        at.map(Self).ok_or_else(|| ParseError::expected_type(value))
    }
}

impl ParseFromJSON for AnyJson {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Ok(Self(value.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::lifecycle::Phase;

    #[test]
    fn times_are_utc_with_z_and_microseconds() {
        let at: DateTime<Utc> = "2026-11-24T09:30:00-05:00".parse().unwrap();
        assert_eq!(Time(at).text(), "2026-11-24T14:30:00.000000Z");
    }

    #[test]
    fn every_status_that_an_order_can_show_is_one_that_clients_know() {
        for phase in Phase::ALL {
            for is_partly_filled in [false, true] {
                let status = phase.status(is_partly_filled).as_str();
                assert!(StatusName::ALL.contains(&status), "{status}");
            }
        }
    }

    #[test]
    fn every_name_of_the_domain_is_documented() {
        use domain::order::{PositionIntent, Side, TimeInForce};
        use domain::trigger::Reference;
        assert!(
            Side::ALL
                .iter()
                .all(|side| SideName::ALL.contains(&side.as_str()))
        );
        assert!(
            TimeInForce::ALL
                .iter()
                .all(|time| TimeInForceName::ALL.contains(&time.as_str()))
        );
        assert!(
            PositionIntent::ALL
                .iter()
                .all(|intent| IntentName::ALL.contains(&intent.as_str()))
        );
        assert!(
            Reference::ALL
                .iter()
                .all(|reference| ReferenceName::ALL.contains(&reference.as_str()))
        );
    }
}
