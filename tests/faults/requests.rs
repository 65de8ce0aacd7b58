//! Faults of callers: the same key many times at once, other bodies, strangers, races at a limit, half-open connections,
//! stops that all fire at once.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::caller::Caller;
use crate::chance::Chance;
use crate::database::Database;
use crate::lane::Faults;
use crate::people::user_of;
use crate::support::client::{limit_order, market_order};
use crate::world::DAY_LIMIT;

/// See the module.
pub(crate) struct Requests {
    pub(crate) callers: Vec<Caller>,
    /// Two accounts of one user with a limit.
    pub(crate) limited: [Caller; 2],
    pub(crate) database: Database,
    /// The person who is that user.
    pub(crate) limited_user: usize,
}

/// How often one request is sent at once.
const AT_ONCE: usize = 64;

impl Faults for Requests {
    const KINDS: &'static [&'static str] = &[
        "one key 64 times at once",
        "a key with another body",
        "a key of another account",
        "64 orders at 99 % of a limit",
        "cancel, fill and replace at once",
        "half-open and slow connections",
        "all stops fire at once",
    ];
    const PAUSE: (u64, u64) = (200, 600);

    async fn make(&mut self, kind: &'static str, chance: &mut Chance) {
        let caller = chance.of(&self.callers).clone();
        match kind {
            "one key 64 times at once" => at_once(&caller).await,
            "a key with another body" => other_body(&caller).await,
            "a key of another account" => self.strangers(chance).await,
            "64 orders at 99 % of a limit" => self.limit(AT_ONCE).await,
            "cancel, fill and replace at once" => race(&caller).await,
            "half-open and slow connections" => half_open(&caller, chance).await,
            "all stops fire at once" => self.fire().await,
            _ => panic!("no fault {kind}"),
        }
    }
}

/// The same request at once over both apis makes one order.
async fn at_once(caller: &Caller) {
    let key = Caller::new_key();
    caller.remember(&key);
    let mut order = market_order("buy", "AAPL", "1");
    order["client_order_id"] = json!(key);
    let sent = (0..AT_ONCE).map(|turn| caller.settled(turn, "POST", "/v2/orders", Some(&key), &order));
    for answer in join_all(sent).await.into_iter().flatten() {
        // A second id is noticed where it is remembered.
        if caller.note(&key, &answer).is_none() {
            caller.shared.wrong(format!(
                "one of many was answered {}: {}",
                answer.status,
                answer.text()
            ));
        }
    }
}

/// A key that is used cannot be used for something else.
async fn other_body(caller: &Caller) {
    let key = Caller::new_key();
    if caller
        .place(&key, &market_order("buy", "MSFT", "1"))
        .await
        .is_none()
    {
        return;
    }
    let other = market_order("buy", "MSFT", "2");
    if let Some(answer) = caller.settled(1, "POST", "/v2/orders", Some(&key), &other).await
        && answer.status != 409
    {
        let (status, text) = (answer.status, answer.text());
        caller
            .shared
            .wrong(format!("a key with another body was answered {status}: {text}"));
    }
}

impl Requests {
    /// The same key by two accounts makes an order for each, and neither sees the other's.
    async fn strangers(&self, chance: &mut Chance) {
        let first = chance.index(self.callers.len());
        let (one, other) = (
            &self.callers[first],
            &self.callers[(first + 1) % self.callers.len()],
        );
        let key = Caller::new_key();
        let mut ids = Vec::new();
        for caller in [one, other] {
            // Remembered under names of their own, as the key is the same.
            let name = format!("{key}-{}", caller.person.number);
            caller.remember(&name);
            let mut order = market_order("buy", "NVDA", "1");
            order["client_order_id"] = json!(name);
            let answer = caller.settled(0, "POST", "/v2/orders", Some(&key), &order).await;
            ids.extend(answer.and_then(|answer| caller.note(&name, &answer)));
        }
        if let [mine, theirs] = ids.as_slice() {
            if mine == theirs {
                one.shared.wrong("two accounts got the same order".to_owned());
            }
            let path = format!("/v2/orders/{mine}");
            if let Some(answer) = other.settled(0, "GET", &path, None, &Value::Null).await
                && answer.status != 404
            {
                one.shared.wrong(format!("{path} was shown to a stranger"));
            }
        }
    }

    /// Of so many orders at once, over both apis and both accounts, one fits below the limit.
    pub(crate) async fn limit(&self, orders: usize) {
        let [first, _] = &self.limited;
        let user = user_of(self.limited_user);
        for caller in &self.limited {
            caller
                .settled(0, "DELETE", "/v2/orders", None, &Value::Null)
                .await;
        }
        let open = format!("SELECT notional_open::text FROM users WHERE id = '{user}'");
        for _ in 0..200 {
            if self.database.rows::<1>(&open).await[0][0]
                .parse::<rust_decimal::Decimal>()
                .unwrap()
                .is_zero()
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Almost all of it, by way of one api and then the other, so that both know the user as they saw it last.
        let mut filled = Some(String::new());
        for (turn, percents) in [(0, 98), (1, 0), (0, 0)] {
            let units = (DAY_LIMIT / 10 * percents / 100)
                .max(DAY_LIMIT / 10 / 200)
                .to_string();
            let order = limit_order("buy", "AAPL", &units, "10");
            let placed = first.place_at(turn, &Caller::new_key(), &order).await;
            filled = filled.and(placed);
        }
        let part = (DAY_LIMIT / 10 / 100).to_string();
        let order = limit_order("buy", "AAPL", &part, "10");
        let keys: Vec<String> = (0..orders).map(|_| Caller::new_key()).collect();
        let sent = keys
            .iter()
            .enumerate()
            .map(|(place, key)| self.limited[place / 2 % 2].place_at(place % 2, key, &order));
        let passed = join_all(sent).await.into_iter().flatten().count();
        if filled.is_some() && passed != 1 {
            first
                .shared
                .wrong(format!("{passed} orders passed where one fits below the limit"));
        }
    }

    /// Every armed stop is brought above the market, while two sweeps and the watch look at them.
    async fn fire(&self) {
        let sql = "UPDATE triggers SET stop_price = 9000, price_key = 9000000000000 WHERE state = 'armed'";
        // The server may be away: then they fire another time.
        let _ = self.database.change(sql).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// An order that fills, and its cancel and its replace at the same time.
async fn race(caller: &Caller) {
    let Some(id) = caller
        .place(&Caller::new_key(), &market_order("buy", "META", "1"))
        .await
    else {
        return;
    };
    let key = Caller::new_key();
    caller.remember(&key);
    let body = json!({"qty": "2", "client_order_id": key});
    let path = format!("/v2/orders/{id}");
    let replace = caller.once(0, "PATCH", &path, None, &body);
    let cancels = (0..4).map(|turn| caller.once(turn, "DELETE", &path, None, &Value::Null));
    let (replaced, canceled) = tokio::join!(replace, join_all(cancels));
    if let Some(answer) = replaced.filter(|answer| answer.status < 500) {
        caller.note(&key, &answer);
    }
    let statuses: BTreeSet<u16> = canceled
        .into_iter()
        .flatten()
        .map(|answer| answer.status)
        .collect();
    if statuses
        .iter()
        .any(|status| ![204, 422].contains(status) && *status < 500)
    {
        caller
            .shared
            .wrong(format!("cancels of {id} were answered {statuses:?}"));
    }
}

/// Connections that say half of a request, byte by byte, and then nothing.
async fn half_open(caller: &Caller, chance: &mut Chance) {
    let mut held = Vec::new();
    for turn in 0..AT_ONCE {
        let client = &caller.person.clients[turn % caller.person.clients.len()];
        let address = client.base().trim_start_matches("http://");
        // An api that is dead takes none.
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let _ = stream
                .write_all(b"POST /v2/orders HTTP/1.1\r\nHost: arbion\r\nContent-Le")
                .await;
            held.push(stream);
        }
    }
    for _ in 0..5 {
        for stream in &mut held {
            let _ = stream.write_all(b"x").await;
        }
        tokio::time::sleep(chance.millis(50, 200)).await;
    }
}
