//! What each answer of the broker proves, as a table and against the real server; and orders without ids of ours.

use std::net::TcpListener;
use std::sync::Mutex;

use domain::asset::{Asset, AssetClass};
use domain::id::{BrokerOrderId, ConnectionId, OrderId};
use domain::money::Quantity;
use domain::order::{Amount, OrderKind, OrderTerms, Side, TimeInForce};
use domain::reconcile::Reported;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use Is::{Acknowledged, NotSent, Refused, Unknown};

/// An outcome without its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Acknowledged,
    Refused,
    NotSent(Option<u64>),
    Unknown,
}

fn kind(outcome: &Outcome) -> Is {
    match outcome {
        Outcome::Acknowledged { .. } => Acknowledged,
        Outcome::Refused { .. } => Refused,
        Outcome::NotSent { retry_after, .. } => NotSent(retry_after.map(|wait| wait.as_secs())),
        Outcome::Unknown { .. } => Unknown,
    }
}

const ORDER: &str = r#"{"id": "b-1", "symbol": "AAPL", "side": "buy", "type": "market", "qty": "1",
    "notional": null, "limit_price": null, "time_in_force": "day", "status": "open", "reason": null}"#;

fn came(status: u16, body: &str) -> Reply {
    Reply::Answer {
        status,
        retry_after: None,
        body: body.as_bytes().to_vec(),
    }
}

fn says(status: u16, code: &str) -> Reply {
    came(status, &format!(r#"{{"code": "{code}", "message": "words"}}"#))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table: one answer a line")]
fn what_each_answer_proves_about_a_submission_and_about_a_request() {
    let rejected = ORDER.replace("open", "rejected");
    let busy = |seconds: Option<u64>| Reply::Answer {
        status: 429,
        retry_after: seconds.map(Duration::from_secs),
        body: Vec::new(),
    };
    let table = [
        (
            "no connection",
            Reply::Unreachable("refused".into()),
            NotSent(None),
            NotSent(None),
        ),
        ("no answer in time", Reply::Lost("late".into()), Unknown, Unknown),
        ("too many requests", busy(None), NotSent(None), NotSent(None)),
        (
            "too many requests, with a pause",
            busy(Some(7)),
            NotSent(Some(7)),
            NotSent(Some(7)),
        ),
        ("a new order", came(201, ORDER), Acknowledged, Unknown),
        ("an order that was there", came(200, ORDER), Acknowledged, Unknown),
        ("an order that is refused", came(201, &rejected), Refused, Unknown),
        ("asked", came(202, "{}"), Unknown, Acknowledged),
        ("success without an order", came(201, "{}"), Unknown, Unknown),
        (
            "success with a page for people",
            came(200, "<html>"),
            Unknown,
            Unknown,
        ),
        (
            "success with half an order",
            came(201, &ORDER[..40]),
            Unknown,
            Unknown,
        ),
        ("success without a body", came(204, ""), Unknown, Unknown),
        ("elsewhere", came(302, ""), Unknown, Unknown),
        ("a bare 400", came(400, "<html>"), Unknown, Unknown),
        ("a bare 404", came(404, ""), Unknown, Unknown),
        (
            "a 403 with a word of somebody else",
            says(403, "blocked_by_proxy"),
            Unknown,
            Unknown,
        ),
        ("refused", says(422, "refused"), Refused, Refused),
        ("no money", says(403, "insufficient_funds"), Refused, Unknown),
        ("malformed", says(422, "malformed"), Refused, Unknown),
        ("ended already", says(422, "not_open"), Unknown, Refused),
        ("no such order", says(404, "unknown_order"), Unknown, Refused),
        ("an error", came(500, ""), Unknown, Unknown),
        (
            "an error that sounds like a refusal",
            says(500, "refused"),
            Unknown,
            Unknown,
        ),
        ("a bad gateway", came(502, ""), Unknown, Unknown),
        ("unavailable", came(503, ""), Unknown, Unknown),
        ("a gateway that waited", came(504, ""), Unknown, Unknown),
    ];
    for (name, reply, submission, request) in table {
        let seen = (
            kind(&outcome::of_submission(&reply)),
            kind(&outcome::of_request(&reply)),
        );
        assert_eq!(seen, (submission, request), "{name}");
    }
}

#[test]
fn only_the_broker_s_own_word_says_that_an_order_is_absent() {
    assert!(outcome::is_unknown_order(&says(404, "unknown_order")));
    for reply in [
        says(404, "no_such_page"),
        says(500, "unknown_order"),
        came(404, "<html>"),
        Reply::Lost("late".into()),
    ] {
        assert!(!outcome::is_unknown_order(&reply), "{reply:?}");
    }
}

/// A server in this process, and a broker that talks to it.
struct Set {
    url: String,
    connection: Connection,
}

impl Set {
    async fn up() -> Self {
        let server = test_broker::Server::bind(0, None, 1).await.unwrap();
        let url = format!("http://{}", server.address);
        tokio::spawn(server.run());
        Self {
            url,
            connection: Connection {
                id: ConnectionId(Uuid::now_v7()),
                starting_cash: Decimal::from(100_000),
            },
        }
    }

    fn broker(&self, names: Option<Arc<dyn OrderNames>>) -> Scripted {
        open(&self.url, names)
    }

    async fn rule(&self, rule: Value) {
        let request = reqwest::Client::new().post(format!("{}/control/rules", self.url));
        let answer = request.json(&rule).send().await.unwrap();
        assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap());
    }

    /// How often the broker took an order.
    async fn taken(&self) -> usize {
        let journal = reqwest::get(format!("{}/journal", self.url)).await.unwrap();
        let journal: Value = journal.json().await.unwrap();
        let lines = journal.as_array().unwrap().iter();
        lines.filter(|line| line["what"] == "taken").count()
    }
}

fn open(url: &str, names: Option<Arc<dyn OrderNames>>) -> Scripted {
    let options = ScriptedOptions {
        url: url.to_owned(),
        connect_timeout: Duration::from_millis(300),
        call_timeout: Duration::from_millis(500),
        names,
    };
    Scripted::open(options).unwrap()
}

fn order(quantity: &str) -> OutgoingOrder {
    OutgoingOrder {
        id: OrderId(Uuid::now_v7()),
        asset_id: Asset::id_of(AssetClass::UsEquity, "AAPL"),
        symbol: "AAPL".to_owned(),
        asset_class: AssetClass::UsEquity,
        terms: OrderTerms {
            side: Side::Buy,
            amount: Amount::Quantity(Quantity::new(quantity.parse().unwrap()).unwrap()),
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            position_intent: None,
        },
    }
}

#[tokio::test]
async fn every_way_of_not_answering_is_seen_for_what_it_is() {
    let set = Set::up().await;
    let broker = set.broker(None);
    let status = |status: u16| json!({"answer": {"kind": "status", "status": status}});
    let cases = [
        (
            "dropped after acting",
            json!({"answer": {"kind": "drop"}}),
            Unknown,
            true,
        ),
        (
            "dropped before acting",
            json!({"act": false, "answer": {"kind": "drop"}}),
            Unknown,
            false,
        ),
        ("cut", json!({"answer": {"kind": "cut"}}), Unknown, true),
        ("half", json!({"answer": {"kind": "half"}}), Unknown, true),
        ("hangs", json!({"answer": {"kind": "hang"}}), Unknown, true),
        ("late", json!({"after_ms": 2000}), Unknown, true),
        ("garbage", json!({"answer": {"kind": "garbage"}}), Unknown, true),
        ("a bare 400 after acting", status(400), Unknown, true),
        ("504 after acting", status(504), Unknown, true),
        (
            "429",
            json!({"act": false, "answer": {"kind": "status", "status": 429, "retry_after": 3}}),
            NotSent(Some(3)),
            false,
        ),
        (
            "refused",
            json!({"act": false, "answer": {"kind": "status", "status": 422, "code": "refused"}}),
            Refused,
            false,
        ),
        ("honest", json!({}), Acknowledged, true),
    ];
    for (name, behaviour, expected, is_taken) in cases {
        let before = set.taken().await;
        set.rule(json!({"on": "submit", "times": 1, "do": behaviour}))
            .await;
        let this = order("1");
        let outcome = broker.submit(&set.connection, &this).await;
        assert_eq!(kind(&outcome), expected, "{name}: {outcome:?}");
        assert_eq!(set.taken().await - before, usize::from(is_taken), "{name}");
        let found = broker.find(&set.connection, &this, now()).await.unwrap();
        assert_eq!(matches!(found, Found::Present(_)), is_taken, "{name}: {found:?}");
    }
}

#[tokio::test]
async fn nobody_who_listens_means_that_nothing_was_sent() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let broker = open(&format!("http://{free}"), None);
    let connection = Set::up().await.connection;
    let outcome = broker.submit(&connection, &order("1")).await;
    assert_eq!(kind(&outcome), NotSent(None), "{outcome:?}");
    let error = broker.reports(&connection, "", 1).await.unwrap_err();
    assert!(matches!(error, BrokerError::Unavailable { .. }), "{error}");
}

/// A book of ours that a test fills.
#[derive(Default)]
struct Names(Mutex<Known>);

#[async_trait]
impl OrderNames for Names {
    async fn known(&self, _connection: ConnectionId, _ids: &[BrokerOrderId]) -> Result<Known, BrokerError> {
        Ok(self.0.lock().unwrap().clone())
    }
}

impl Names {
    fn name(&self, order: &OutgoingOrder, name: &str) {
        let mut known = self.0.lock().unwrap();
        known.unsettled.retain(|unsettled| unsettled.id != order.id);
        known.named.insert(BrokerOrderId(name.to_owned()), order.id);
    }

    fn send(&self, order: &OutgoingOrder) {
        self.0.lock().unwrap().unsettled.push(Unsettled {
            id: order.id,
            symbol: order.symbol.clone(),
            terms: order.terms.clone(),
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "the broker goes by the time of day")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

#[tokio::test]
async fn without_ids_an_order_is_found_only_where_nothing_else_could_be_it() {
    let set = Set::up().await;
    let names = Arc::new(Names::default());
    let broker = set.broker(Some(Arc::clone(&names) as Arc<dyn OrderNames>));
    assert!(!broker.capabilities().client_ids);
    let find = async |order: &OutgoingOrder| broker.find(&set.connection, order, now()).await.unwrap();
    let id_in = |found: &Found| match found {
        Found::Present(order) => order.broker_order_id.0.clone(),
        other => panic!("{other:?}"),
    };
    let (first, twin, other) = (order("1"), order("1"), order("2"));
    names.send(&first);
    assert_eq!(find(&first).await, Found::Absent);
    broker.submit(&set.connection, &first).await;
    assert_eq!(id_in(&find(&first).await), "b-1");
    // Whether it is the twin's, nobody knows while both are unsettled.
    names.send(&twin);
    assert_eq!(find(&first).await, Found::Ambiguous);
    assert_eq!(find(&twin).await, Found::Ambiguous);
    names.name(&first, "b-1");
    assert_eq!(
        find(&twin).await,
        Found::Absent,
        "the one there is belongs to the first"
    );
    broker.submit(&set.connection, &twin).await;
    assert_eq!(id_in(&find(&twin).await), "b-2");
    assert_eq!(
        id_in(&find(&first).await),
        "b-1",
        "found again as what it is known as"
    );
    broker.submit(&set.connection, &twin).await;
    assert_eq!(
        find(&twin).await,
        Found::Ambiguous,
        "the same facts make another order each time"
    );
    assert_eq!(find(&other).await, Found::Absent);
    let old = broker
        .find(&set.connection, &twin, now() - chrono::TimeDelta::hours(1))
        .await;
    assert_eq!(old.unwrap(), Found::Absent, "not of that time");
}

#[tokio::test]
async fn without_ids_reports_wait_until_it_is_known_whose_they_are() {
    let set = Set::up().await;
    let names = Arc::new(Names::default());
    let broker = set.broker(Some(Arc::clone(&names) as Arc<dyn OrderNames>));
    let page = async |cursor: &str| broker.reports(&set.connection, cursor, 100).await.unwrap();
    let (first, second) = (order("1"), order("2"));
    for sent in [&first, &second] {
        names.send(sent);
        broker.submit(&set.connection, sent).await;
    }
    names.name(&second, "b-2");
    let told = page("").await;
    let orders: Vec<_> = told.reports.iter().map(|report| report.order_id).collect();
    assert_eq!(orders, [second.id, second.id], "acknowledged, filled");
    assert_eq!(told.cursor, "4;1,2");
    assert_eq!(
        page(&told.cursor).await,
        ReportPage {
            reports: vec![],
            ..told.clone()
        }
    );
    names.name(&first, "b-1");
    let late = page(&told.cursor).await;
    assert_eq!(late.cursor, "4");
    assert_eq!(late.reports.len(), 2);
    assert!(late.reports.iter().all(|report| report.order_id == first.id));
    assert!(matches!(late.reports[1].what, Reported::Filled(_)));
    // Somebody else's, since nothing of ours is open.
    broker.submit(&set.connection, &order("3")).await;
    let foreign = page(&late.cursor).await;
    assert_eq!(
        (foreign.reports.as_slice(), foreign.cursor.as_str()),
        (&[][..], "6")
    );
}
