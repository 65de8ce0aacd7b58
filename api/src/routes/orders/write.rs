//! An order's JSON, written without a tree of values in between.
//!
//! The members come by their names, as `to_json` of poem-openapi sorts them: the two forms are equal to the byte, so
//! that no client can tell by which one an answer was made. A new field does not compile until it is written here, too.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::view::{OrderView, SubmissionObject};

/// Writes `$view` as an object of these members, in this order.
macro_rules! serialize_sorted {
    ($view:ident: $($field:ident $(as $name:literal)?),+ $(,)?) => {
        impl Serialize for $view {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let Self { $($field),+ } = self;
                let mut members = serializer.serialize_map(None)?;
                $(members.serialize_entry(serialize_sorted!(@name $field $($name)?), $field)?;)+
                members.end()
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
}

serialize_sorted! {
    OrderView:
    asset_class,
    asset_id,
    canceled_at,
    cause,
    client_order_id,
    created_at,
    expired_at,
    expires_at,
    extended_hours,
    failed_at,
    filled_at,
    filled_avg_price,
    filled_qty,
    hwm,
    id,
    legs,
    limit_price,
    notional,
    order_class,
    order_type,
    position_intent,
    qty,
    ratio_qty,
    replaced_at,
    replaced_by,
    replaces,
    side,
    source,
    status,
    stop_price,
    submission,
    submitted_at,
    subtag,
    symbol,
    time_in_force,
    trail_percent,
    trail_price,
    trigger_id,
    kind as "type",
    updated_at,
}

serialize_sorted! {
    SubmissionObject:
    attempts,
    next_check,
    reason,
    since,
    state,
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use poem_openapi::types::ToJSON as _;
    use proptest::prelude::*;
    use rust_decimal::Decimal;
    use serde_json::json;

    use super::*;
    use crate::input::Dec;
    use crate::wire::{
        AnyJson, ClassName, IntentName, KindName, SideName, StatusName, SubmissionName, Time, TimeInForceName,
    };

    /// What a view is filled from.
    #[derive(Debug)]
    struct Seed {
        texts: Vec<String>,
        number: Decimal,
        micros: i64,
        attempts: i32,
        /// Which of the optional members are there.
        given: u64,
    }

    prop_compose! {
        fn seeds()(
            texts in proptest::collection::vec(any::<String>(), 6),
            units in any::<i64>(),
            scale in 0_u32..=28,
            micros in 0_i64..4_102_444_800_000_000,
            attempts in any::<i32>(),
            given in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
        ) -> Seed {
            Seed { texts, number: Decimal::new(units, scale), micros, attempts, given }
        }
    }

    impl Seed {
        fn text(&self, index: usize) -> String {
            self.texts[index % self.texts.len()].clone()
        }

        fn time(&self, later: i64) -> Time {
            Time(DateTime::from_timestamp_micros(self.micros + later).unwrap())
        }

        fn number(&self, scaled_by: i64) -> Dec {
            Dec(self.number * Decimal::new(scaled_by, 2))
        }

        fn if_given<T>(&self, bit: u32, value: T) -> Option<T> {
            (self.given >> bit & 1 == 1).then_some(value)
        }

        fn view(&self) -> OrderView {
            let status = StatusName::ALL[self.texts[0].len() % StatusName::ALL.len()];
            OrderView {
                id: self.text(0),
                client_order_id: self.text(1),
                created_at: self.time(0),
                updated_at: self.time(1),
                submitted_at: self.time(2),
                filled_at: self.if_given(0, self.time(3)),
                expired_at: self.if_given(1, self.time(4)),
                expires_at: self.if_given(2, self.time(5)),
                canceled_at: self.if_given(3, self.time(6)),
                failed_at: self.if_given(4, self.time(7)),
                replaced_at: self.if_given(5, self.time(8)),
                replaced_by: self.if_given(6, self.text(2)),
                replaces: self.if_given(7, self.text(3)),
                asset_id: self.text(4),
                symbol: self.text(5),
                asset_class: ClassName("crypto"),
                notional: self.if_given(8, self.number(-7)),
                qty: self.if_given(9, self.number(100)),
                filled_qty: self.number(0),
                filled_avg_price: self.if_given(10, self.number(50)),
                order_class: String::new(),
                order_type: KindName("limit"),
                kind: KindName("market"),
                side: SideName("sell"),
                time_in_force: TimeInForceName("ioc"),
                limit_price: self.if_given(11, self.number(3)),
                stop_price: self.if_given(12, self.number(4)),
                status: StatusName(status),
                extended_hours: self.given & 2 == 0,
                legs: self.if_given(13, AnyJson(json!([{"z": 1, "a": self.text(0)}, null]))),
                trail_percent: self.if_given(14, self.number(5)),
                trail_price: self.if_given(15, self.number(6)),
                hwm: self.if_given(16, self.number(7)),
                position_intent: self.if_given(17, IntentName("buy_to_open")),
                ratio_qty: self.if_given(18, self.number(8)),
                subtag: self.if_given(19, self.text(0)),
                source: self.if_given(20, self.text(1)),
                submission: self.if_given(21, self.submission()),
                cause: self.if_given(22, self.text(2)),
                trigger_id: self.if_given(23, self.text(3)),
            }
        }

        fn submission(&self) -> SubmissionObject {
            SubmissionObject {
                state: SubmissionName("unconfirmed"),
                since: self.if_given(24, self.time(-9)),
                attempts: self.if_given(25, self.attempts),
                next_check: self.if_given(26, self.time(-10)),
                reason: self.if_given(27, self.text(4)),
            }
        }
    }

    proptest! {
        #[test]
        fn the_text_is_the_json_of_the_document_to_the_byte(seed in seeds()) {
            let view = seed.view();
            prop_assert_eq!(view.text(), view.to_json().unwrap().to_string());
        }
    }
}
