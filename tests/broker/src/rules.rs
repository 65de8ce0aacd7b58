//! Which request is treated how.
//!
//! The first rule that fits a request is used; a request that none fits is treated honestly. Chances are drawn from a
//! seed, so that a run can be had again.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Take an order.
    Submit,
    /// End an order.
    Cancel,
    /// Put an order in the place of another.
    Replace,
    /// Look an order up, by our id or by the time of its entry.
    Find,
    /// Tell what happened.
    Reports,
    /// Tell what an account owns.
    Positions,
    /// Tell what money an account has.
    Cash,
}

/// How an order that is taken goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Course {
    /// It fills as soon as the price allows.
    #[default]
    Honest,
    /// It rests, whatever the price.
    Rests,
    /// It fills whole, at the price of that time.
    FillsLate {
        /// After so many milliseconds.
        after_ms: u64,
    },
    /// It fills by so much at once; the rest follows, or never does.
    FillsInPart {
        /// Units of the first fill.
        quantity: Decimal,
        /// When the rest follows, in milliseconds; without it, never.
        rest_after_ms: Option<u64>,
    },
    /// It is refused by a report after it was taken.
    RefusedLate {
        /// After so many milliseconds.
        after_ms: u64,
        /// The broker's words.
        reason: String,
    },
}

/// How a cancel that is taken goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum CancelCourse {
    /// The order ends at once.
    #[default]
    Honest,
    /// The order fills instead, after the cancel was acknowledged.
    FillsInstead {
        /// After so many milliseconds.
        after_ms: u64,
    },
    /// The order is reported as canceled, and fills all the same.
    FillsAfterwards {
        /// After so many milliseconds.
        after_ms: u64,
        /// Units that it fills by.
        quantity: Decimal,
    },
}

/// What the caller gets to see.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Answer {
    /// What happened.
    #[default]
    Honest,
    /// Nothing: the connection is closed.
    Drop,
    /// A part of an answer, and the connection is closed.
    Cut,
    /// A part of an answer; the rest never comes.
    Half,
    /// Nothing, for ever.
    Hang,
    /// Bytes that mean nothing, with the status of success.
    Garbage,
    /// This status, whatever happened.
    Status {
        /// The status.
        status: u16,
        /// Seconds of a `Retry-After`.
        retry_after: Option<u64>,
        /// The broker's word in the body; without it the body is a page for people.
        code: Option<String>,
    },
}

/// How a request is treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// A pause before anything is done, in milliseconds.
    pub before_ms: u64,
    /// Whether anything is done.
    pub act: bool,
    /// A pause before the answer, in milliseconds.
    pub after_ms: u64,
    /// What the caller gets to see.
    pub answer: Answer,
    /// How an order goes on.
    pub course: Course,
    /// How a cancel goes on.
    pub cancel: CancelCourse,
    /// Reports are told twice in one answer.
    pub duplicate: bool,
    /// Reports of one answer are told in the reverse order.
    pub reverse: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            before_ms: 0,
            act: true,
            after_ms: 0,
            answer: Answer::Honest,
            course: Course::Honest,
            cancel: CancelCourse::Honest,
            duplicate: false,
            reverse: false,
        }
    }
}

/// Which requests are treated how. What is left out fits everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What is asked for.
    pub on: Option<Operation>,
    /// Of orders with this id of the caller's.
    pub client_order_id: Option<String>,
    /// Of orders of this instrument.
    pub symbol: Option<String>,
    /// So many requests that fit pass by first.
    #[serde(default)]
    pub skip: u64,
    /// How many requests it is used for; without it, for all.
    pub times: Option<u64>,
    /// How many of 1000 requests that fit it is used for; without it, for all.
    pub per_mille: Option<u64>,
    /// How they are treated.
    #[serde(rename = "do")]
    pub behaviour: Behaviour,
}

/// What rules look at.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What is asked for.
    pub operation: Operation,
    /// The caller's id of the order, where it is known.
    pub client_order_id: Option<&'a str>,
    /// The instrument, where it is known.
    pub symbol: Option<&'a str>,
}

/// The rules in force.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<InForce>,
    chance: u64,
}

#[derive(Debug)]
struct InForce {
    rule: Rule,
    seen: u64,
    used: u64,
}

impl Rules {
    /// No rules; chances are drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            rules: Vec::new(),
            chance: seed,
        }
    }

    /// Adds a rule behind the others.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(InForce {
            rule,
            seen: 0,
            used: 0,
        });
    }

    /// Removes all rules.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// How the request is treated; `None`: honestly.
    pub fn decide(&mut self, asked: Asked<'_>) -> Option<Behaviour> {
        let Self { rules, chance } = self;
        let mut rules = rules.iter_mut();
        rules.find_map(|rule| rule.takes(asked, chance).then(|| rule.rule.behaviour.clone()))
    }
}

impl InForce {
    fn takes(&mut self, asked: Asked<'_>, chance: &mut u64) -> bool {
        let rule = &self.rule;
        let fits = rule.on.is_none_or(|on| on == asked.operation)
            && (rule.client_order_id.is_none() || rule.client_order_id.as_deref() == asked.client_order_id)
            && (rule.symbol.is_none() || rule.symbol.as_deref() == asked.symbol);
        if !fits || rule.times.is_some_and(|times| self.used >= times) {
            return false;
        }
        self.seen += 1;
        let is_drawn = rule.per_mille.is_none_or(|share| draw(chance) % 1000 < share);
        let is_used = self.seen > rule.skip && is_drawn;
        self.used += u64::from(is_used);
        is_used
    }
}

/// The next number after `state` (splitmix64, public domain).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        serde_json::from_str(text).unwrap()
    }

    fn asked(operation: Operation) -> Asked<'static> {
        Asked {
            operation,
            client_order_id: Some("a"),
            symbol: Some("AAPL"),
        }
    }

    #[test]
    fn the_first_rule_that_fits_is_used_as_often_as_it_says() {
        let mut rules = Rules::new(1);
        rules.add(rule(
            r#"{"on": "submit", "symbol": "MSFT", "do": {"act": false}}"#,
        ));
        rules.add(rule(
            r#"{"on": "submit", "client_order_id": "a", "skip": 1, "times": 2, "do": {"answer": {"kind": "drop"}}}"#,
        ));
        let drops = Some(Behaviour {
            answer: Answer::Drop,
            ..Behaviour::default()
        });
        assert_eq!(rules.decide(asked(Operation::Find)), None, "another operation");
        let seen: Vec<_> = (0..4).map(|_| rules.decide(asked(Operation::Submit))).collect();
        assert_eq!(seen, [None, drops.clone(), drops, None]);
        rules.clear();
        assert_eq!(rules.decide(asked(Operation::Submit)), None);
    }

    #[test]
    fn chances_come_about_as_often_as_they_say_and_are_equal_for_equal_seeds() {
        let drawn = |seed| {
            let mut rules = Rules::new(seed);
            rules.add(rule(r#"{"per_mille": 250, "do": {"act": false}}"#));
            (0..1000)
                .map(|_| rules.decide(asked(Operation::Cash)).is_some())
                .collect::<Vec<_>>()
        };
        let count = drawn(7).iter().filter(|is_drawn| **is_drawn).count();
        assert!((200..300).contains(&count), "{count}");
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }
}
