//! What clients do all the time: they buy and sell, leave orders resting, change and cancel them, and arm stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::chance::Chance;
use crate::support::client::{limit_order, market_order};

/// What is traded.
pub(crate) const SYMBOLS: [&str; 6] = ["AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "META"];

/// The pause of a client between two requests, in milliseconds.
const PAUSE: (u64, u64) = (100, 250);

/// One client at work until it is told to stop.
pub(crate) async fn work(caller: Caller, mut chance: Chance, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        one(&caller, &mut chance).await;
        tokio::time::sleep(chance.millis(PAUSE.0, PAUSE.1)).await;
    }
}

async fn one(caller: &Caller, chance: &mut Chance) {
    let symbol = *chance.of(&SYMBOLS);
    match chance.below(100) {
        0..60 => {
            let side = if chance.below(5) < 3 { "buy" } else { "sell" };
            let placed = caller
                .place(&Caller::new_key(), &market_order(side, symbol, "1"))
                .await;
            if let (Some(id), 0) = (placed, chance.below(5)) {
                // Readable at once, by every process.
                caller.order(chance.index(2), &id).await;
            }
        }
        60..75 => rest(caller, chance, symbol).await,
        75..85 => race(caller, chance, symbol).await,
        85..92 => replace(caller, chance, symbol).await,
        92..95 => protect(caller, chance, symbol).await,
        _ => drop(
            caller
                .place(&Caller::new_key(), &limit_order("buy", symbol, "2", "10"))
                .await,
        ),
    }
}

/// An order far from the market, and its cancel a moment later.
async fn rest(caller: &Caller, chance: &mut Chance, symbol: &str) {
    let order = limit_order("buy", symbol, "1", "10");
    if let Some(id) = caller.place(&Caller::new_key(), &order).await {
        tokio::time::sleep(chance.millis(0, 400)).await;
        cancel(caller, chance.index(2), &id).await;
    }
}

/// Asks for the end of an order; it may have ended by itself.
pub(crate) async fn cancel(caller: &Caller, turn: usize, id: &str) {
    let path = format!("/v2/orders/{id}");
    if let Some(answer) = caller.settled(turn, "DELETE", &path, None, &Value::Null).await
        && ![204, 422].contains(&answer.status)
    {
        let (status, text) = (answer.status, answer.text());
        caller
            .shared
            .wrong(format!("cancel of {id} was answered {status}: {text}"));
    }
}

/// An order that fills at once, and its cancel at the same time.
async fn race(caller: &Caller, chance: &mut Chance, symbol: &str) {
    if let Some(id) = caller
        .place(&Caller::new_key(), &market_order("buy", symbol, "1"))
        .await
    {
        tokio::time::sleep(chance.millis(0, 30)).await;
        cancel(caller, chance.index(2), &id).await;
    }
}

/// An order that rests, another in its place, and a cancel of whichever is there.
async fn replace(caller: &Caller, chance: &mut Chance, symbol: &str) {
    let order = limit_order("buy", symbol, "1", "10");
    let Some(id) = caller.place(&Caller::new_key(), &order).await else {
        return;
    };
    tokio::time::sleep(chance.millis(0, 300)).await;
    let key = Caller::new_key();
    caller.remember(&key);
    let body = json!({"qty": "2", "limit_price": "11", "client_order_id": key});
    let turn = chance.index(2);
    // Not repeated: it has no key, so a second one would be another wish.
    let answer = caller
        .once(turn, "PATCH", &format!("/v2/orders/{id}"), None, &body)
        .await;
    if let Some(answer) = answer.filter(|answer| answer.status < 500)
        && let Some(new) = caller.note(&key, &answer)
        && chance.below(2) == 0
    {
        cancel(caller, turn, &new).await;
    }
    cancel(caller, turn, &id).await;
}

/// A position with a stop far below the market; a fault will bring it above.
async fn protect(caller: &Caller, chance: &mut Chance, symbol: &str) {
    let bought = caller
        .place(&Caller::new_key(), &market_order("buy", symbol, "1"))
        .await;
    let Some(id) = bought else { return };
    caller.ended(&id, Duration::from_secs(5)).await;
    let body = json!({"symbol": symbol, "stop_price": "1", "qty": "1"});
    if let Some(answer) = caller
        .once(chance.index(2), "POST", "/v2/triggers", None, &body)
        .await
        && answer.status == 201
    {
        caller.shared.count("stops armed");
    }
}
