//! What the log says of one order, replayed event by event.
//!
//! A send is no event (its record is the attempt), so what the log tells of the submission is whether the venue has
//! the order.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::rows::EventRow;

/// The state of an order that follows from its events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Life {
    /// When it was accepted.
    pub accepted_at: Option<DateTime<Utc>>,
    /// The trigger that made it, where one did.
    pub exit_of: Option<Uuid>,
    pub held_by: Option<Uuid>,
    pub is_acknowledged: bool,
    pub is_working: bool,
    pub cancel_requested_at: Option<DateTime<Utc>>,
    pub replaced_by: Option<Uuid>,
    pub closed: Option<(&'static str, DateTime<Utc>)>,
    pub reject_reason: Option<String>,
    /// The quantity that an exit was given when it was released.
    pub restated: Option<Decimal>,
    /// Units filled, by the events.
    pub filled: Decimal,
}

/// What an event was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Something that moves the order's state only.
    State,
    /// A fill.
    Fill,
    /// Something that cannot follow what came before; why.
    Nonsense(&'static str),
}

impl Life {
    /// Whether the order waits for other sells to end.
    pub(crate) const fn is_held(&self) -> bool {
        self.held_by.is_some() && self.closed.is_none()
    }

    /// Lets `event` happen.
    pub(crate) fn follow(&mut self, event: &EventRow) -> Told {
        if self.accepted_at.is_none() {
            return self.begin(event);
        }
        match event.kind.as_str() {
            "partial_fill" | "fill" => self.fill(event),
            // The order that was to take its place ends with it; who was to replace it stays on record.
            "order_replace_rejected" if self.closed.is_some() && self.replaced_by.is_some() => Told::State,
            _ if self.closed.is_some() => Told::Nonsense("nothing after the end"),
            _ => self.step(event),
        }
    }

    fn begin(&mut self, event: &EventRow) -> Told {
        match event.kind.as_str() {
            "accepted" => {}
            "held" => {
                self.held_by = id_in(&event.cause, "trigger_id");
                self.exit_of = self.held_by;
                if self.held_by.is_none() {
                    return Told::Nonsense("a trigger as the cause");
                }
            }
            _ => return Told::Nonsense("an acceptance first"),
        }
        self.accepted_at = Some(event.at);
        Told::State
    }

    fn fill(&mut self, event: &EventRow) -> Told {
        self.is_acknowledged = true;
        self.is_working = true;
        self.held_by = None;
        if let Some(sum) = decimal_in(&event.data, "qty").and_then(|units| self.filled.checked_add(units)) {
            self.filled = sum;
        }
        if event.kind == "fill" {
            self.close("filled", event.at);
        }
        Told::Fill
    }

    /// An event of an open order that is no fill.
    fn step(&mut self, event: &EventRow) -> Told {
        let is_pending = self.cancel_requested_at.is_some() || self.replaced_by.is_some();
        match event.kind.as_str() {
            "accepted" => self.is_acknowledged = true,
            "new" => {
                self.is_acknowledged = true;
                self.is_working = true;
            }
            "released" if self.is_held() => self.held_by = None,
            "restated" if self.is_held() => self.restated = decimal_in(&event.data, "qty"),
            "released" | "restated" => return Told::Nonsense("only while it is held"),
            "rejected" => {
                self.reject_reason = text_in(&event.data, "reason");
                self.close("rejected", event.at);
            }
            "pending_cancel" if !is_pending => self.cancel_requested_at = Some(event.at),
            "pending_replace" if !is_pending => self.replaced_by = id_in(&event.data, "replaced_by"),
            "pending_cancel" | "pending_replace" => return Told::Nonsense("one request at a time"),
            "order_cancel_rejected" if self.cancel_requested_at.is_some() => {
                self.cancel_requested_at = None;
                self.is_acknowledged = true;
            }
            "order_replace_rejected" if self.replaced_by.is_some() => self.replaced_by = None,
            "canceled" => {
                // What never left ends as soon as its end is asked for; the venue's word is no request.
                if event.cause["by"] != "venue" && self.cancel_requested_at.is_none() {
                    self.cancel_requested_at = Some(event.at);
                }
                self.close("canceled", event.at);
            }
            "expired" => self.close("expired", event.at),
            "replaced" if self.replaced_by.is_some() => self.close("replaced", event.at),
            "order_cancel_rejected" | "order_replace_rejected" | "replaced" => {
                return Told::Nonsense("a request first");
            }
            _ => return Told::Nonsense("a kind that is known"),
        }
        Told::State
    }

    fn close(&mut self, how: &'static str, at: DateTime<Utc>) {
        if self.closed.is_none() {
            self.closed = Some((how, at));
        }
    }
}

fn text_in(data: &Json, name: &str) -> Option<String> {
    data[name].as_str().map(str::to_owned)
}

fn id_in(data: &Json, name: &str) -> Option<Uuid> {
    data[name].as_str()?.parse().ok()
}

/// A decimal, written as a text or as a number.
pub(crate) fn decimal_in(data: &Json, name: &str) -> Option<Decimal> {
    match &data[name] {
        Json::String(text) => text.parse().ok(),
        Json::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TRIGGER: Uuid = Uuid::from_u128(7);
    const OTHER: Uuid = Uuid::from_u128(8);

    fn event(seq: i64, kind: &str) -> EventRow {
        EventRow {
            account_id: Uuid::nil(),
            seq,
            order_id: Uuid::nil(),
            kind: kind.to_owned(),
            at: DateTime::from_timestamp(seq, 0).unwrap(),
            cause: json!({ "by": "venue", "trigger_id": TRIGGER }),
            data: json!({ "qty": "2", "reason": "no", "replaced_by": OTHER }),
        }
    }

    fn life(kinds: &[&str]) -> (Life, Told) {
        let mut life = Life::default();
        let mut told = Told::State;
        for (seq, kind) in (1..).zip(kinds) {
            told = life.follow(&event(seq, kind));
        }
        (life, told)
    }

    #[test]
    fn each_kind_leaves_its_mark() {
        let (fresh, _) = life(&["accepted"]);
        assert!(!fresh.is_acknowledged && fresh.closed.is_none() && fresh.accepted_at.is_some());
        let (working, _) = life(&["accepted", "accepted", "new", "partial_fill"]);
        assert!(working.is_acknowledged && working.is_working && working.filled == Decimal::TWO);
        let (held, _) = life(&["held", "restated"]);
        assert!(held.is_held() && held.restated == Some(Decimal::TWO) && held.exit_of == Some(TRIGGER));
        let (released, _) = life(&["held", "released"]);
        assert!(!released.is_held() && released.exit_of == Some(TRIGGER));
        let (asked, _) = life(&["accepted", "new", "pending_cancel"]);
        assert_eq!(asked.cancel_requested_at, Some(event(3, "").at));
        let (refused, _) = life(&["accepted", "pending_cancel", "order_cancel_rejected"]);
        assert!(refused.is_acknowledged && refused.cancel_requested_at.is_none());
        let (replacing, _) = life(&["accepted", "new", "pending_replace"]);
        assert_eq!(replacing.replaced_by, Some(OTHER));
        let (kept, _) = life(&["accepted", "new", "pending_replace", "order_replace_rejected"]);
        assert_eq!(kept.replaced_by, None);
        let (overtaken, told) = life(&[
            "accepted",
            "new",
            "pending_replace",
            "fill",
            "order_replace_rejected",
        ]);
        assert_eq!((overtaken.replaced_by, told), (Some(OTHER), Told::State));
    }

    #[test]
    fn the_first_end_stands() {
        let ends = [
            ("fill", "filled"),
            ("canceled", "canceled"),
            ("expired", "expired"),
            ("rejected", "rejected"),
        ];
        for (kind, how) in ends {
            let (life, told) = life(&["accepted", kind, "partial_fill", "fill"]);
            assert_eq!(life.closed, Some((how, event(2, "").at)), "{kind}");
            assert_eq!(told, Told::Fill);
        }
        let (replaced, _) = life(&["accepted", "new", "pending_replace", "replaced"]);
        assert_eq!(replaced.closed.unwrap().0, "replaced");
    }

    #[test]
    fn what_cannot_follow_is_told() {
        let cases: [&[&str]; 10] = [
            &["new"],
            &["accepted", "fill", "new"],
            &["accepted", "canceled", "canceled"],
            &["accepted", "released"],
            &["held", "released", "restated"],
            &["accepted", "order_cancel_rejected"],
            &["accepted", "order_replace_rejected"],
            &["accepted", "replaced"],
            &["accepted", "pending_cancel", "pending_replace"],
            &["accepted", "sold"],
        ];
        for kinds in cases {
            assert!(matches!(life(kinds).1, Told::Nonsense(_)), "{kinds:?}");
        }
    }

    #[test]
    fn an_end_that_was_asked_for_says_when() {
        let mut asked = event(2, "canceled");
        asked.cause = json!({ "by": "request" });
        let (mut life, _) = life(&["accepted"]);
        life.follow(&asked);
        assert_eq!(life.cancel_requested_at, Some(asked.at));
    }
}
