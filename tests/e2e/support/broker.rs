//! The test broker as a process of its own: told by rules how to behave, and asked afterwards what really reached it.

use std::collections::BTreeMap;
use std::path::Path;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::books::Book;
use super::client::text;
use super::environment::program;
use super::process::Process;
use super::redis::free_port;
use super::site::{Plan, Site};
use super::wait::eventually;

/// The broker to which our ids travel.
pub(crate) const WITH_IDS: &str = "scripted";

/// The same one, to which they do not.
pub(crate) const WITHOUT_IDS: &str = "scripted_blind";

/// See the module.
#[derive(Debug)]
pub(crate) struct TestBroker {
    process: Process,
    port: u16,
    directory: tempfile::TempDir,
    http: reqwest::Client,
}

impl TestBroker {
    /// A broker that listens, with an empty journal.
    pub(crate) async fn start() -> Self {
        let (port, directory) = (free_port(), tempfile::tempdir().unwrap());
        let broker = Self {
            process: process(port, directory.path()),
            port,
            directory,
            http: reqwest::Client::new(),
        };
        broker.answers().await;
        broker
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again where it was, with what its journal says.
    pub(crate) async fn revive(&mut self) {
        self.process = process(self.port, self.directory.path());
        self.answers().await;
    }

    /// An installation that knows it, and whose account is at it from now on.
    pub(crate) async fn site(&self, plan: Plan, kind: &str) -> Site {
        let site = plan.set("SCRIPTED_BROKER_URL", &self.url()).start().await;
        let book = Book::open(&site.place).await;
        book.change(&format!("UPDATE broker_connections SET broker = '{kind}'"))
            .await;
        site
    }

    /// Treats requests as `rule` says, behind the rules that there are already.
    pub(crate) async fn rule(&self, rule: Value) {
        let request = self.http.post(format!("{}/control/rules", self.url()));
        let answer = request.json(&rule).send().await.unwrap();
        assert_eq!(answer.status(), 204, "{rule}");
    }

    /// Is honest again.
    pub(crate) async fn no_rules(&self) {
        let request = self.http.delete(format!("{}/control/rules", self.url()));
        assert_eq!(request.send().await.unwrap().status(), 204);
    }

    /// Tells no reports until the rules are removed.
    pub(crate) async fn no_reports(&self) {
        let broken = json!({"act": false, "answer": {"kind": "status", "status": 503}});
        self.rule(json!({"on": "reports", "do": broken})).await;
    }

    /// Everything that happened, as the broker wrote it down.
    pub(crate) async fn journal(&self) -> Vec<Value> {
        let answer = self
            .http
            .get(format!("{}/journal", self.url()))
            .send()
            .await
            .unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Everything that happened, as it stands in the file, also of a broker that is dead. A line that a kill has cut is none.
    pub(crate) fn written(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.directory.path().join("journal.jsonl")).unwrap();
        let lines = text.lines();
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The lines of the journal of this kind that have these members.
    pub(crate) async fn lines(&self, what: &str, members: Value) -> Vec<Value> {
        let members = members.as_object().unwrap().clone();
        let mut lines = self.journal().await;
        lines.retain(|line| line["what"] == what && members.iter().all(|(name, value)| line[name] == *value));
        lines
    }

    /// How often it was asked to take an order with our id, and how often it took one.
    pub(crate) async fn sends(&self, order: &str) -> (usize, usize) {
        let asked = self.lines("received", json!({"op": "submit", "client_order_id": order}));
        let taken = self.lines("taken", json!({"client_order_id": order}));
        (asked.await.len(), taken.await.len())
    }

    /// How often it was asked to take any order, and how often it took one.
    pub(crate) async fn all_sends(&self) -> (usize, usize) {
        let asked = self.lines("received", json!({"op": "submit"}));
        (asked.await.len(), self.lines("taken", json!({})).await.len())
    }

    /// What it filled is what our orders say, one by one, and nothing beside.
    pub(crate) async fn agrees(&self, site: &Site) {
        let client = site.client();
        eventually("our orders say what the broker filled", async || {
            let mut theirs: BTreeMap<String, Decimal> = BTreeMap::new();
            for fill in self.lines("reported", json!({"kind": "filled"})).await {
                let quantity: Decimal = text(&fill["quantity"]).parse().unwrap();
                let order = text(&fill["client_order_id"]).to_owned();
                *theirs.entry(order).or_default() += quantity;
            }
            let all = client.get("/v2/orders?status=all&limit=500").await.expect(200);
            let mut ours: BTreeMap<String, Decimal> = BTreeMap::new();
            for order in all.as_array().unwrap() {
                let filled: Decimal = text(&order["filled_qty"]).parse().unwrap();
                ours.insert(text(&order["id"]).to_owned(), filled);
            }
            ours.retain(|_, filled| !filled.is_zero());
            (ours == theirs).then_some(())
        })
        .await;
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn answers(&self) {
        let url = format!("{}/health", self.url());
        eventually("the test broker answers", async || {
            let answer = self.http.get(&url).send().await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
    }
}

fn process(port: u16, directory: &Path) -> Process {
    let (port, journal) = (port.to_string(), directory.join("journal.jsonl"));
    let arguments = ["--port", &port, "--journal", &journal.display().to_string()];
    let log = directory.join("broker.log");
    Process::start(
        &program("arbion-test-broker"),
        &arguments,
        &BTreeMap::new(),
        directory,
        log,
    )
}
