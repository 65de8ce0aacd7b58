//! A client that repeats what was not answered, under the same key and over either api, and remembers what was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::people::Person;
use crate::support::client::text;
use crate::support::{Answer, Client};

/// How long one request may take before its client gives it up and sends it again.
const ANSWER_PATIENCE: Duration = Duration::from_secs(8);

/// How long a request may go on without an answer that settles it.
const SETTLED_WITHIN: Duration = Duration::from_mins(1);

/// An order that a client has asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) person: usize,
    /// The id that it was acknowledged with.
    pub(crate) acknowledged: Option<String>,
    /// The refusal that it got.
    pub(crate) refused: Option<String>,
    /// Whether nobody knows: the client gave it up without an answer.
    pub(crate) is_open: bool,
}

/// What all clients remember together.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// What was asked for, by the client order id.
    pub(crate) asked: BTreeMap<String, Asked>,
    /// How often each thing happened.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// What must not happen.
    pub(crate) wrong: Vec<String>,
    /// When each order was acknowledged, since the beginning.
    pub(crate) acknowledged_at: Vec<Duration>,
}

/// [`Memory`], shared.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    memory: Arc<Mutex<Memory>>,
    begun: Instant,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            memory: Arc::default(),
            begun: Instant::now(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    /// One more of these.
    pub(crate) fn count(&self, what: &'static str) {
        *self.lock().counts.entry(what).or_default() += 1;
    }

    /// Something that must not happen.
    pub(crate) fn wrong(&self, what: String) {
        eprintln!("WRONG: {what}");
        self.lock().wrong.push(what);
    }

    /// The time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// A person who calls.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) person: Person,
    pub(crate) shared: Shared,
}

impl Caller {
    fn client(&self, turn: usize) -> &Client {
        &self.person.clients[turn % self.person.clients.len()]
    }

    /// One request, once; `None` where no answer came in time.
    pub(crate) async fn once(
        &self,
        turn: usize,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Option<Answer> {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let call = self.client(turn).try_send(method, path, &headers, body);
        let answer = tokio::time::timeout(ANSWER_PATIENCE, call).await;
        let Ok(Ok(answer)) = answer else {
            self.shared.count(if answer.is_err() {
                "requests without an answer in time"
            } else {
                "connections cut before an answer"
            });
            return None;
        };
        if answer.status >= 500 {
            self.judge_failure(method, path, &answer);
        }
        Some(answer)
    }

    /// A fault may make an api say 503 and when to come again, and nothing else.
    fn judge_failure(&self, method: &str, path: &str, answer: &Answer) {
        self.shared.count("answers 503");
        if answer.status != 503 || answer.header("retry-after").is_none() {
            self.shared.wrong(format!(
                "{method} {path} was answered {}: {}",
                answer.status,
                answer.text()
            ));
        }
    }

    /// The same request again and again until it is settled; `None` where the time was over before.
    pub(crate) async fn settled(
        &self,
        first: usize,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Option<Answer> {
        let begun = Instant::now();
        for turn in first.. {
            match self.once(turn, method, path, key, body).await {
                Some(answer) if answer.status < 500 => {
                    if turn > first {
                        self.shared.count("requests settled by a repetition");
                    }
                    if answer.header("idempotency-replayed").is_some() {
                        self.shared.count("keys replayed");
                    }
                    return Some(answer);
                }
                _ if begun.elapsed() > SETTLED_WITHIN => break,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        self.shared.wrong(format!(
            "{method} {path} was not settled within {SETTLED_WITHIN:?}"
        ));
        None
    }

    /// A client order id that nobody has used, which is also the idempotency key.
    pub(crate) fn new_key() -> String {
        format!("ask-{}", uuid::Uuid::new_v4().simple())
    }

    /// Places an order under `key`, and answers its id if it was accepted.
    pub(crate) async fn place(&self, key: &str, order: &Value) -> Option<String> {
        let turn = usize::from(key.as_bytes()[4]) % 2;
        self.place_at(turn, key, order).await
    }

    /// Places an order under `key`, at this api first.
    pub(crate) async fn place_at(&self, turn: usize, key: &str, order: &Value) -> Option<String> {
        let mut order = order.clone();
        order["client_order_id"] = json!(key);
        self.remember(key);
        let answer = self
            .settled(turn, "POST", "/v2/orders", Some(key), &order)
            .await?;
        self.note(key, &answer)
    }

    /// Remembers that an order is asked for.
    pub(crate) fn remember(&self, key: &str) {
        let asked = Asked {
            person: self.person.number,
            acknowledged: None,
            refused: None,
            is_open: true,
        };
        self.shared.lock().asked.insert(key.to_owned(), asked);
    }

    /// Remembers how the order asked for under `key` was answered.
    pub(crate) fn note(&self, key: &str, answer: &Answer) -> Option<String> {
        let body = answer.json();
        let at = self.shared.elapsed();
        let mut memory = self.shared.lock();
        let asked = memory.asked.get_mut(key).unwrap();
        asked.is_open = false;
        if answer.status != 200 {
            asked.refused = Some(format!("{} {}", answer.status, answer.text()));
            return None;
        }
        let id = text(&body["id"]).to_owned();
        let before = asked.acknowledged.replace(id.clone());
        if before.is_none() {
            memory.acknowledged_at.push(at);
        }
        drop(memory);
        if before.is_some_and(|before| before != id) {
            self.shared.wrong(format!("{key} was acknowledged with two ids"));
        }
        Some(id)
    }

    /// The order `id`, once it can be read.
    pub(crate) async fn order(&self, turn: usize, id: &str) -> Option<Value> {
        let path = format!("/v2/orders/{id}");
        let answer = self.settled(turn, "GET", &path, None, &Value::Null).await?;
        if answer.status != 200 {
            let status = answer.status;
            self.shared.wrong(format!(
                "{id} was acknowledged, and reading it is answered {status}"
            ));
            return None;
        }
        Some(answer.json())
    }

    /// Waits until the order `id` is at its end, and answers its status; `None` after `patience`.
    pub(crate) async fn ended(&self, id: &str, patience: Duration) -> Option<String> {
        let begun = Instant::now();
        for turn in 0.. {
            let order = self.order(turn, id).await?;
            let status = text(&order["status"]);
            if ["filled", "canceled", "rejected", "expired", "replaced"].contains(&status) {
                return Some(status.to_owned());
            }
            if begun.elapsed() > patience {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    }
}
