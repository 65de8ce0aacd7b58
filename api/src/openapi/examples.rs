//! Examples of requests and answers; a test reads the requests by the code that reads real ones.

use serde_json::{Value, json};

/// The request of the example order.
pub(super) fn place_order() -> Value {
    json!({
        "symbol": "BTC/USD",
        "notional": "50",
        "side": "buy",
        "type": "market",
        "time_in_force": "gtc",
        "client_order_id": "my-first-order",
    })
}

/// A limit order.
pub(super) fn place_limit_order() -> Value {
    json!({
        "symbol": "AAPL",
        "qty": "2",
        "side": "buy",
        "type": "limit",
        "limit_price": "180.50",
        "time_in_force": "day",
    })
}

/// The request of the example replacement.
pub(super) fn replace_order() -> Value {
    json!({"limit_price": "181.00"})
}

/// The request of the example trigger.
pub(super) fn create_trigger() -> Value {
    json!({"symbol": "BTC/USD", "stop_price": "60000"})
}

fn order() -> Value {
    json!({
        "id": "01930e4c-5b5a-7000-8000-000000000001",
        "client_order_id": "my-first-order",
        "created_at": "2026-11-24T14:30:00.000000Z",
        "updated_at": "2026-11-24T14:30:00.000000Z",
        "submitted_at": "2026-11-24T14:30:00.000000Z",
        "filled_at": null, "expired_at": null, "expires_at": null, "canceled_at": null, "failed_at": null,
        "replaced_at": null, "replaced_by": null, "replaces": null,
        "asset_id": "2e1c9f4b-7a43-5d8e-9f37-3e0a1c5b6d72",
        "symbol": "BTC/USD", "asset_class": "crypto",
        "notional": "50", "qty": null, "filled_qty": "0", "filled_avg_price": null,
        "order_class": "", "order_type": "market", "type": "market", "side": "buy", "time_in_force": "gtc",
        "limit_price": null, "stop_price": null, "status": "accepted", "extended_hours": false, "legs": null,
        "trail_percent": null, "trail_price": null, "hwm": null, "position_intent": null, "ratio_qty": null,
        "subtag": null, "source": null, "submission": null, "cause": null, "trigger_id": null,
    })
}

fn trigger() -> Value {
    json!({
        "id": "01930e4c-5b5a-7000-8000-000000000002",
        "asset_id": "2e1c9f4b-7a43-5d8e-9f37-3e0a1c5b6d72",
        "symbol": "BTC/USD", "asset_class": "crypto", "direction": "falling", "reference": "last",
        "stop_price": "60000", "qty": null, "state": "armed", "generation": 1, "exit_order_id": null,
        "fired_price": null, "fired_at": null, "created_at": "2026-11-24T14:30:00.000000Z",
        "updated_at": "2026-11-24T14:30:00.000000Z", "ended_because": null,
    })
}

fn clock() -> Value {
    json!({
        "timestamp": "2026-11-24T15:00:00.000000Z", "is_open": true,
        "next_open": "2026-11-25T14:30:00.000000Z", "next_close": "2026-11-24T21:00:00.000000Z",
    })
}

fn trading_day() -> Value {
    json!({
        "date": "2026-11-27", "open": "09:30", "close": "13:00", "session_open": "0400", "session_close": "1700",
        "settlement_date": "2026-11-30",
    })
}

fn position() -> Value {
    json!({
        "asset_id": "2e1c9f4b-7a43-5d8e-9f37-3e0a1c5b6d72", "symbol": "BTC/USD", "exchange": "CRYPTO",
        "asset_class": "crypto", "asset_marginable": false, "qty": "0.5", "qty_available": "0.5",
        "avg_entry_price": "60000", "side": "long", "market_value": "31000", "cost_basis": "30000",
        "unrealized_pl": "1000", "unrealized_plpc": "0.033333333", "unrealized_intraday_pl": null,
        "unrealized_intraday_plpc": null, "current_price": "62000", "lastday_price": null, "change_today": null,
    })
}

/// Adds the examples of an operation.
pub(super) fn add(id: &str, operation: &mut Value) {
    let body = "/requestBody/content/application~1json";
    if let Some(media) = operation.pointer_mut(body) {
        match id {
            "place_order" => {
                media["examples"] = json!({
                    "market": {"summary": "Buy coins for 50 dollars", "value": place_order()},
                    "limit": {"summary": "Buy two shares at 180.50 or less", "value": place_limit_order()},
                });
            }
            "replace_order" => media["example"] = replace_order(),
            "create_trigger" => media["example"] = create_trigger(),
            _ => {}
        }
    }
    let (status, answer) = match id {
        "place_order" | "replace_order" | "get_order" | "get_order_by_client_id" | "close_position" => {
            ("200", order())
        }
        "list_orders" => ("200", json!([order()])),
        "create_trigger" => ("201", trigger()),
        "get_trigger" => ("200", trigger()),
        "list_triggers" => ("200", json!([trigger()])),
        "get_clock" => ("200", clock()),
        "list_trading_days" => ("200", json!([trading_day()])),
        "get_position" => ("200", position()),
        "list_positions" => ("200", json!([position()])),
        "cancel_all_orders" => (
            "207",
            json!([{"id": "01930e4c-5b5a-7000-8000-000000000001", "status": 200, "body": null}]),
        ),
        "close_all_positions" => (
            "207",
            json!([{"symbol": "BTC/USD", "status": 200, "body": order()}]),
        ),
        _ => return,
    };
    let content = operation
        .pointer_mut(&format!("/responses/{status}/content"))
        .and_then(Value::as_object_mut);
    for (_, media) in content.into_iter().flatten() {
        media["example"] = answer.clone();
    }
}
