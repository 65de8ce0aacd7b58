//! Examples of requests and answers; a test reads the requests by the code that reads real ones.

use serde_json::{Value, json};

use super::access_examples;

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

/// The request of the example app.
pub(super) fn register_client() -> Value {
    json!({
        "name": "Rebalancer",
        "client_type": "confidential",
        "redirect_uris": ["https://rebalancer.example.com/callback"],
        "scopes": ["trading", "data"],
    })
}

fn client() -> Value {
    json!({
        "client_id": "app_7K2M9QX4V0ZB3NTH5RWD", "name": "Rebalancer", "client_type": "confidential",
        "redirect_uris": ["https://rebalancer.example.com/callback"], "grant_types": ["authorization_code"],
        "scopes": ["data", "trading"], "account_id": "01930e4c-5b5a-7000-8000-000000000003",
        "created_at": "2026-11-24T14:30:00.000000Z",
    })
}

fn registered_client() -> Value {
    json!({"client": client(), "client_secret": "shown this once"})
}

fn grant() -> Value {
    json!({
        "id": "01930e4c-5b5a-7000-8000-000000000006", "client_id": "app_7K2M9QX4V0ZB3NTH5RWD", "name": "Rebalancer",
        "account_id": "01930e4c-5b5a-7000-8000-000000000003", "account_number": "PA01930E4C5B",
        "scopes": ["data", "trading"], "created_at": "2026-11-24T14:30:00.000000Z", "last_used_at": null,
    })
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

fn account() -> Value {
    json!({
        "id": "01930e4c-5b5a-7000-8000-000000000003", "account_number": "PA01930E4C5B5A", "status": "ACTIVE",
        "crypto_status": "ACTIVE", "currency": "USD", "cash": "70000", "portfolio_value": "101000",
        "equity": "101000", "last_equity": "101000", "position_market_value": "31000", "buying_power": "69950",
        "effective_buying_power": "69950", "regt_buying_power": "69950", "daytrading_buying_power": "69950",
        "non_marginable_buying_power": "69950", "long_market_value": "31000", "short_market_value": "0",
        "initial_margin": "31000", "maintenance_margin": "31000", "last_maintenance_margin": "31000", "sma": "0",
        "multiplier": "1", "daytrade_count": 0, "pattern_day_trader": false, "crypto_tier": 1,
        "trading_blocked": false, "transfers_blocked": false, "account_blocked": false,
        "trade_suspended_by_user": false, "shorting_enabled": false, "accrued_fees": "0",
        "pending_transfer_in": "0", "pending_transfer_out": "0",
        "created_at": "2026-11-01T12:00:00.000000Z", "balance_asof": "2026-11-24",
    })
}

fn asset() -> Value {
    json!({
        "id": "2e1c9f4b-7a43-5d8e-9f37-3e0a1c5b6d72", "class": "crypto", "exchange": "CRYPTO", "symbol": "BTC/USD",
        "name": "Bitcoin / US Dollar", "status": "active", "tradable": true, "marginable": false,
        "shortable": false, "easy_to_borrow": false, "fractionable": true, "maintenance_margin_requirement": 100,
        "min_order_size": "0.00001", "min_trade_increment": "0.000000001", "price_increment": "0.01",
        "attributes": [],
    })
}

fn events() -> Value {
    let cause = json!({
        "by": "request", "request_id": "01930e4c-5b5a-7000-8000-000000000004",
        "credential_id": "01930e4c-5b5a-7000-8000-000000000005",
    });
    json!({
        "events": [{
            "seq": 1, "order_id": "01930e4c-5b5a-7000-8000-000000000001", "event": "accepted",
            "at": "2026-11-24T14:30:00.000000Z", "cause": cause, "data": {},
        }],
        "next_after": 1,
    })
}

fn health() -> Value {
    json!({
        "status": "ok", "version": platform::VERSION, "started_at": "2026-11-24T14:00:00.000000Z",
        "uptime_seconds": 3600,
    })
}

fn readiness(status: &str, database: &Value) -> Value {
    json!({
        "status": status,
        "checks": {
            "database": database,
            "migrations": {"status": "ok", "detail": null},
            "queue": {"status": "ok", "detail": null},
        },
    })
}

fn ready() -> Value {
    readiness("ok", &json!({"status": "ok", "detail": null}))
}

fn not_ready() -> Value {
    readiness(
        "unavailable",
        &json!({"status": "unavailable", "detail": "the database does not answer"}),
    )
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
            "register_client" => media["example"] = register_client(),
            other => {
                if let Some(example) = access_examples::request(other) {
                    media["example"] = example;
                }
            }
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
        "register_client" => ("201", registered_client()),
        "list_clients" => ("200", json!([client()])),
        "list_grants" => ("200", json!([grant()])),
        "get_account" => ("200", account()),
        "list_assets" => ("200", json!([asset()])),
        "get_asset" => ("200", asset()),
        "list_events" => ("200", events()),
        "get_health" => ("200", health()),
        "get_liveness" => ("200", json!({"status": "ok"})),
        "get_readiness" => ("200", ready()),
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
        other => match access_examples::answer(other) {
            Some(example) => example,
            None => return,
        },
    };
    add_answer(operation, status, &answer);
    if id == "get_readiness" {
        add_answer(operation, "503", &not_ready());
    }
}

fn add_answer(operation: &mut Value, status: &str, answer: &Value) {
    let content = operation
        .pointer_mut(&format!("/responses/{status}/content"))
        .and_then(Value::as_object_mut);
    for (_, media) in content.into_iter().flatten() {
        media["example"] = answer.clone();
    }
}
