//! The scripted broker, and the faults that it makes: it drops, delays, lies, changes its mind and dies.

use std::time::Duration;

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::chance::Chance;
use crate::lane::Faults;
use crate::load::cancel;
use crate::support::broker::TestBroker;
use crate::support::client::limit_order;

/// The faults of the broker.
pub(crate) struct Venue {
    pub(crate) broker: TestBroker,
    /// Clients whose accounts are there.
    pub(crate) callers: Vec<Caller>,
}

/// How long a rule stands, in milliseconds.
const STANDS: (u64, u64) = (300, 900);

impl Faults for Venue {
    const KINDS: &'static [&'static str] = &[
        "broker: answer dropped after acting",
        "broker: answer cut",
        "broker: half an answer",
        "broker: time-out after acting",
        "broker: garbage",
        "broker: 504 after acting",
        "broker: 400 although it fills later",
        "broker: request lost",
        "broker: 429",
        "broker: 503, nothing done",
        "broker: slow",
        "broker: fills in part",
        "broker: fills late",
        "broker: refuses after accepting",
        "broker: fills instead of ending",
        "broker: fills after a cancel",
        "broker: reports doubled and reversed",
        "broker: no reports",
        "broker: look-ups fail",
        "broker: killed",
    ];
    const PAUSE: (u64, u64) = (100, 300);

    async fn make(&mut self, kind: &'static str, chance: &mut Chance) {
        if kind == "broker: killed" {
            self.broker.kill();
            tokio::time::sleep(chance.millis(100, 1500)).await;
            self.broker.revive().await;
            return;
        }
        for rule in rules(kind) {
            self.broker.rule(rule).await;
        }
        if kind.contains("cancel") || kind.contains("instead") {
            self.cancel_one(chance).await;
        }
        tokio::time::sleep(chance.millis(STANDS.0, STANDS.1)).await;
        self.broker.no_rules().await;
    }
}

impl Venue {
    /// An order that rests at the broker, and its cancel.
    async fn cancel_one(&self, chance: &mut Chance) {
        let caller = chance.of(&self.callers);
        let order = limit_order("buy", "AAPL", "4", "10");
        if let Some(id) = caller.place(&Caller::new_key(), &order).await {
            tokio::time::sleep(Duration::from_millis(300)).await;
            cancel(caller, 0, &id).await;
        }
    }
}

/// The rules that make the fault `kind`.
fn rules(kind: &str) -> Vec<Value> {
    let submit =
        |share: u64, behaviour: Value| vec![json!({"on": "submit", "per_mille": share, "do": behaviour})];
    let answer = |kind: &str| json!({"answer": {"kind": kind}});
    let status = |status: u16| json!({"answer": {"kind": "status", "status": status}});
    match kind {
        "broker: answer dropped after acting" => submit(700, answer("drop")),
        "broker: answer cut" => submit(700, answer("cut")),
        "broker: half an answer" => submit(500, answer("half")),
        "broker: time-out after acting" => submit(500, answer("hang")),
        "broker: garbage" => submit(700, answer("garbage")),
        "broker: 504 after acting" => submit(700, status(504)),
        "broker: 400 although it fills later" => {
            let mut late = status(400);
            late["course"] = json!({"kind": "fills_late", "after_ms": 700});
            submit(700, late)
        }
        "broker: request lost" => submit(500, json!({"act": false, "answer": {"kind": "drop"}})),
        "broker: 429" => {
            let busy = json!({"kind": "status", "status": 429, "retry_after": 1});
            submit(700, json!({"act": false, "answer": busy}))
        }
        "broker: 503, nothing done" => {
            vec![json!({"per_mille": 700, "do": {"act": false, "answer": {"kind": "status", "status": 503}}})]
        }
        "broker: slow" => vec![json!({"per_mille": 700, "do": {"before_ms": 300, "after_ms": 300}})],
        "broker: fills in part" => {
            let part = json!({"kind": "fills_in_part", "quantity": "0.5", "rest_after_ms": 700});
            submit(1000, json!({"course": part}))
        }
        "broker: fills late" => submit(1000, json!({"course": {"kind": "fills_late", "after_ms": 900}})),
        "broker: refuses after accepting" => {
            let late = json!({"kind": "refused_late", "after_ms": 200, "reason": "not today"});
            submit(500, json!({"course": late}))
        }
        "broker: fills instead of ending" => {
            vec![json!({"on": "cancel", "do": {"cancel": {"kind": "fills_instead", "after_ms": 200}}})]
        }
        "broker: fills after a cancel" => {
            let after = json!({"kind": "fills_afterwards", "after_ms": 300, "quantity": "0.5"});
            vec![json!({"on": "cancel", "do": {"cancel": after}})]
        }
        "broker: reports doubled and reversed" => {
            vec![json!({"on": "reports", "do": {"duplicate": true, "reverse": true}})]
        }
        "broker: no reports" => {
            vec![json!({"on": "reports", "do": {"act": false, "answer": {"kind": "status", "status": 503}}})]
        }
        "broker: look-ups fail" => {
            let mut rules = submit(700, answer("drop"));
            rules.push(json!({"on": "find", "do": {"answer": {"kind": "status", "status": 503}}}));
            rules
        }
        _ => panic!("no rules for {kind}"),
    }
}
