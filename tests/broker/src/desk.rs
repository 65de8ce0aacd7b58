//! One request: what it asks for, and what the rules make of it.
//!
//! | request | does |
//! |---|---|
//! | `POST /accounts/{a}/orders` | takes an order: 201, or 200 where the caller's id was there already |
//! | `GET /accounts/{a}/orders/{name}` | an order; `{name}` is the broker's id, or `client:` and the caller's |
//! | `GET /accounts/{a}/orders?from_ms=&until_ms=` | every order entered between the two times |
//! | `DELETE /accounts/{a}/orders/{name}` | asks for its end: 202 |
//! | `POST /accounts/{a}/orders/{name}/replace` | asks for another in its place: 202 |
//! | `GET /accounts/{a}/reports?after=&limit=` | what happened, behind a number |
//! | `GET /accounts/{a}/positions`, `/money` | what the account owns; what its fills moved |
//! | `POST /control/rules`, `DELETE /control/rules` | adds a [rule](crate::rules::Rule); removes all |
//! | `POST /control/prices` | `{"symbol": "price"}` |
//! | `GET /journal`, `GET /health` | the [journal](crate::journal); 200 |

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use platform::clock::{Clock as _, SystemClock};
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http::{Reply, Request};
use crate::journal::Journal;
use crate::rules::{Answer, Asked, Behaviour, Operation, Rule, Rules};
use crate::venue::{Deed, Denied, Fact, NewOrder, Report, Venue};

/// The broker behind its counter.
#[derive(Debug)]
pub struct Desk {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    venue: Venue,
    rules: Rules,
    journal: Journal,
}

/// A request of the broker's own, taken apart.
#[derive(Debug)]
struct Call {
    operation: Operation,
    account: String,
    name: Option<String>,
    query: String,
    terms: Option<NewOrder>,
}

impl Desk {
    /// A desk that goes on from the facts of an earlier life.
    pub fn open(journal: Journal, past: &[Fact], seed: u64) -> Arc<Self> {
        let mut venue = Venue::default();
        for fact in past {
            venue.restore(fact.clone());
        }
        venue.resume();
        let rules = Rules::new(seed);
        let state = Mutex::new(State {
            venue,
            rules,
            journal,
        });
        Arc::new(Self { state })
    }

    /// Begins with what an earlier life left to be done.
    pub fn begin(self: &Arc<Self>) {
        let deeds = self.state().venue.take_deeds();
        self.do_later(deeds);
    }

    /// The reply to `request`.
    pub async fn answer(self: &Arc<Self>, request: Request) -> Reply {
        if let Some(reply) = self.control(&request) {
            return reply;
        }
        let Some(call) = Call::read(&request) else {
            return told(404, &json!({"code": "no_such_page"}));
        };
        let (number, behaviour) = self.receive(&request, &call);
        pause(behaviour.before_ms).await;
        let reply = if behaviour.act {
            let (reply, deeds) = self.state().act(number, &call, &behaviour);
            self.do_later(deeds);
            reply
        } else {
            told(503, &json!({"code": "not_done"}))
        };
        pause(behaviour.after_ms).await;
        let reply = shown(reply, &behaviour.answer);
        self.state().note_reply(number, &reply);
        reply
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, request: &Request, call: &Call) -> (u64, Behaviour) {
        let mut state = self.state();
        let State {
            venue,
            rules,
            journal,
        } = &mut *state;
        let named = call.name.as_deref();
        let named = named.and_then(|name| venue.order(&call.account, name));
        let terms = call.terms.as_ref().or(named.map(|order| &order.terms));
        let client = terms.and_then(|terms| terms.client_order_id.as_deref());
        let client = client.or_else(|| call.name.as_deref()?.strip_prefix("client:"));
        let asked = Asked {
            operation: call.operation,
            client_order_id: client,
            symbol: terms.map(|terms| terms.symbol.as_str()),
        };
        let behaviour = rules.decide(asked);
        let number = journal.next_request();
        // Reading changes nothing, and happens all the time.
        if is_noted(call.operation) || behaviour.is_some() {
            journal.note(
                "received",
                json!({"n": number, "op": call.operation, "account": call.account, "name": call.name,
                    "client_order_id": client, "at_ms": now_ms(),
                    "body": String::from_utf8_lossy(&request.body)}),
            );
        }
        if let Some(behaviour) = &behaviour {
            journal.note("decided", json!({"n": number, "do": behaviour}));
        }
        (number, behaviour.unwrap_or_default())
    }

    /// Does each deed when its time has come.
    fn do_later(self: &Arc<Self>, deeds: Vec<(Duration, Deed)>) {
        for (after, deed) in deeds {
            let desk = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                let mut state = desk.state();
                state.venue.act(&deed, now_ms());
                state.note_facts();
            });
        }
    }

    fn control(&self, request: &Request) -> Option<Reply> {
        let mut state = self.state();
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/health") => Some(told(200, &json!({}))),
            ("GET", "/journal") => Some(Reply::Whole {
                status: 200,
                retry_after: None,
                body: state.journal.whole().into_bytes(),
            }),
            ("POST", "/control/rules") => Some(match parsed::<Rule>(&request.body) {
                Ok(rule) => {
                    state.rules.add(rule);
                    told(204, &Value::Null)
                }
                Err(error) => told(400, &json!({"code": "unreadable", "message": error})),
            }),
            ("DELETE", "/control/rules") => {
                state.rules.clear();
                Some(told(204, &Value::Null))
            }
            ("POST", "/control/prices") => {
                let prices = parsed::<std::collections::BTreeMap<String, Decimal>>(&request.body);
                Some(match prices {
                    Ok(prices) => {
                        for (symbol, price) in prices {
                            state.venue.set_price(&symbol, price, now_ms());
                        }
                        state.note_facts();
                        told(204, &Value::Null)
                    }
                    Err(error) => told(400, &json!({"code": "unreadable", "message": error})),
                })
            }
            _ => None,
        }
    }
}

impl State {
    fn note_facts(&mut self) {
        let facts = self.venue.take_facts();
        self.journal.note_facts(facts);
    }

    fn note_reply(&mut self, number: u64, reply: &Reply) {
        let (what, members) = match reply {
            // The usual answer to a mere question was not received, either.
            Reply::Whole { status: 200, .. } => return,
            Reply::Whole { status, .. } => ("answered", json!({"n": number, "status": status})),
            Reply::Drop => ("silent", json!({"n": number, "how": "drop"})),
            Reply::Cut => ("silent", json!({"n": number, "how": "cut"})),
            Reply::Half => ("silent", json!({"n": number, "how": "half"})),
            Reply::Hang => ("silent", json!({"n": number, "how": "hang"})),
        };
        self.journal.note(what, members);
    }

    fn act(&mut self, number: u64, call: &Call, behaviour: &Behaviour) -> (Reply, Vec<(Duration, Deed)>) {
        let now = now_ms();
        let (venue, account) = (&mut self.venue, call.account.as_str());
        let name = call.name.as_deref().unwrap_or_default();
        let course = &behaviour.course;
        let done = match (call.operation, call.terms.clone()) {
            (Operation::Submit, Some(terms)) => venue.submit(account, terms, course, now).map(Some),
            (Operation::Replace, Some(terms)) => venue.replace(account, name, terms, course, now).map(Some),
            (Operation::Cancel, _) => venue.cancel(account, name, &behaviour.cancel, now).map(|()| None),
            (Operation::Submit | Operation::Replace, None) => Err(Denied::Malformed),
            (Operation::Find | Operation::Reports | Operation::Positions | Operation::Cash, _) => {
                return (self.read(call, behaviour), Vec::new());
            }
        };
        self.note_facts();
        let reply = match done {
            Ok(Some((order, is_new))) => {
                if !is_new {
                    self.journal
                        .note("repeated", json!({"n": number, "id": order.id}));
                }
                let is_submit = call.operation == Operation::Submit;
                told(
                    match (is_submit, is_new) {
                        (true, true) => 201,
                        (true, false) => 200,
                        (false, _) => 202,
                    },
                    &json!(order),
                )
            }
            Ok(None) => told(202, &json!({})),
            Err(denied) => {
                self.journal
                    .note("denied", json!({"n": number, "code": code_of(denied)}));
                told_denied(denied)
            }
        };
        (reply, self.venue.take_deeds())
    }

    fn read(&self, call: &Call, behaviour: &Behaviour) -> Reply {
        let (venue, account) = (&self.venue, call.account.as_str());
        let number = |name: &str| asked_for(&call.query, name).and_then(|text| text.parse::<i64>().ok());
        match (call.operation, &call.name) {
            (Operation::Find, Some(name)) => match venue.order(account, name) {
                Some(order) => told(200, &json!(order)),
                None => told_denied(Denied::UnknownOrder),
            },
            (Operation::Find, None) => {
                let (from, until) = (
                    number("from_ms").unwrap_or(0),
                    number("until_ms").unwrap_or(i64::MAX),
                );
                told(200, &json!({"orders": venue.entered(account, from, until)}))
            }
            (Operation::Reports, _) => {
                let after = number("after")
                    .and_then(|after| u64::try_from(after).ok())
                    .unwrap_or(0);
                let limit = number("limit").and_then(|limit| usize::try_from(limit).ok());
                let page = venue.reports(account, after, limit.unwrap_or(500));
                let cursor = page.last().map_or(after, |report| report.seq);
                let mut reports: Vec<&Report> = page.iter().collect();
                if behaviour.duplicate {
                    reports.extend(page);
                }
                if behaviour.reverse {
                    reports.reverse();
                }
                told(200, &json!({"reports": reports, "cursor": cursor}))
            }
            (Operation::Positions, _) => told(200, &json!(venue.owned(account).0)),
            (Operation::Cash | Operation::Submit | Operation::Cancel | Operation::Replace, _) => {
                told(200, &json!({"moved": venue.owned(account).1}))
            }
        }
    }
}

impl Call {
    fn read(request: &Request) -> Option<Self> {
        let mut parts = request.path.strip_prefix("/accounts/")?.split('/');
        let account = parts.next()?.to_owned();
        let (page, name, verb) = (parts.next()?, parts.next(), parts.next());
        let operation = match (request.method.as_str(), page, name, verb) {
            ("POST", "orders", None, None) => Operation::Submit,
            ("GET", "orders", _, None) => Operation::Find,
            ("DELETE", "orders", Some(_), None) => Operation::Cancel,
            ("POST", "orders", Some(_), Some("replace")) => Operation::Replace,
            ("GET", "reports", None, None) => Operation::Reports,
            ("GET", "positions", None, None) => Operation::Positions,
            ("GET", "money", None, None) => Operation::Cash,
            _ => return None,
        };
        Some(Self {
            operation,
            account,
            name: name.map(str::to_owned),
            query: request.query.clone(),
            terms: parsed(&request.body).ok(),
        })
    }
}

const fn is_noted(operation: Operation) -> bool {
    match operation {
        Operation::Submit | Operation::Cancel | Operation::Replace => true,
        Operation::Find | Operation::Reports | Operation::Positions | Operation::Cash => false,
    }
}

/// What the caller sees of `reply`.
fn shown(reply: Reply, answer: &Answer) -> Reply {
    match answer {
        Answer::Honest => reply,
        Answer::Drop => Reply::Drop,
        Answer::Cut => Reply::Cut,
        Answer::Half => Reply::Half,
        Answer::Hang => Reply::Hang,
        Answer::Garbage => Reply::Whole {
            status: 200,
            retry_after: None,
            body: b"<html>We will be back soon".to_vec(),
        },
        Answer::Status {
            status,
            retry_after,
            code,
        } => Reply::Whole {
            status: *status,
            retry_after: *retry_after,
            body: match code {
                Some(code) => json!({"code": code, "message": "as a rule says"})
                    .to_string()
                    .into_bytes(),
                None => b"<html>Something went wrong</html>".to_vec(),
            },
        },
    }
}

const fn code_of(denied: Denied) -> &'static str {
    match denied {
        Denied::UnknownOrder => "unknown_order",
        Denied::NotOpen => "not_open",
        Denied::Malformed => "malformed",
    }
}

fn told_denied(denied: Denied) -> Reply {
    let status = if denied == Denied::UnknownOrder { 404 } else { 422 };
    let code = code_of(denied);
    told(
        status,
        &json!({"code": code, "message": format!("the order is {code}")}),
    )
}

fn told(status: u16, body: &Value) -> Reply {
    let body = if status == 204 {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    Reply::Whole {
        status,
        retry_after: None,
        body,
    }
}

/// By way of a [`Value`], since tagged types cannot read exact numbers from a text.
fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn asked_for<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

async fn pause(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

fn now_ms() -> i64 {
    SystemClock.now().timestamp_millis()
}
