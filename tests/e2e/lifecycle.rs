//! The way of an order through the real path, as a client sees it.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::client::{limit_order, market_order, text};
use crate::support::site::Plan;
use crate::support::{Client, SetUp, Site, audit, eventually, on_both};

/// Room for orders that are larger than what a quote offers.
fn rich(set_up: SetUp) -> Plan {
    Site::plan(set_up)
        .set("PAPER_STARTING_CASH", "10000000")
        .set("RISK_SUPERADMIN_ORDER_NOTIONAL", "5000000")
        .set("RISK_SUPERADMIN_DAY_NOTIONAL", "50000000")
}

fn decimal(value: &Value) -> Decimal {
    text(value).parse().unwrap()
}

fn ids(orders: &Value) -> Vec<&str> {
    orders
        .as_array()
        .unwrap()
        .iter()
        .map(|order| text(&order["id"]))
        .collect()
}

/// A buy that rests far below the market.
async fn rest(client: &Client, symbol: &str) -> String {
    let price = if symbol == "BTC/USD" { "1000" } else { "10" };
    let id = client.place(&limit_order("buy", symbol, "1", price)).await;
    client.order_in(&id, &["new"]).await;
    id
}

on_both! {
    async fn a_market_order_fills_at_the_simulated_ask_and_is_found_by_every_name(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let mut order = market_order("buy", "AAPL", "3");
        order["client_order_id"] = json!("my first");
        let placed = client.post("/v2/orders", &order).await.expect(200);
        assert_eq!(placed["client_order_id"], "my first");
        let id = text(&placed["id"]);
        let filled = client.order_in(id, &["filled"]).await;
        let price = decimal(&filled["filled_avg_price"]);
        // The simulation starts at 272.40; the ask is a few hundredths above a price of that size.
        assert!(price > Decimal::from(100) && price < Decimal::from(1000), "{price}");
        assert_eq!((&filled["filled_qty"], &filled["qty"], &filled["notional"]), (&json!("3"), &json!("3"), &Value::Null));
        assert!(filled["filled_at"].is_string() && filled["canceled_at"].is_null(), "{filled}");

        let by_client_id = client.get("/v2/orders:by_client_order_id?client_order_id=my%20first").await.expect(200);
        assert_eq!(by_client_id, filled);
        let undashed = client.order(&id.replace('-', "")).await;
        assert_eq!(undashed, filled);
        assert_eq!(client.get("/v2/orders?status=closed").await.expect(200), json!([filled]));
        assert_eq!(client.get("/v2/orders").await.expect(200), json!([]));

        let position = client.get("/v2/positions/AAPL").await.expect(200);
        assert_eq!((&position["qty"], &position["avg_entry_price"]), (&json!("3"), &filled["filled_avg_price"]));
        let account = client.get("/v2/account").await.expect(200);
        assert_eq!(decimal(&account["cash"]), Decimal::from(100_000) - price * Decimal::from(3));
        audit(&site.place).await;
    }

    async fn a_notional_buys_as_much_as_it_pays_for(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let order = json!({"symbol": "AAPL", "notional": 500, "side": "buy", "type": "market", "time_in_force": "day"});
        let filled = client.order_in(&client.place(&order).await, &["filled"]).await;
        let spent = decimal(&filled["filled_qty"]) * decimal(&filled["filled_avg_price"]);
        assert!(spent <= Decimal::from(500) && spent > Decimal::from(499), "{spent}");
        assert_eq!((&filled["notional"], &filled["qty"]), (&json!("500"), &Value::Null));
        audit(&site.place).await;
    }

    async fn a_limit_order_rests_and_its_cancel_frees_what_it_held(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let before = client.get("/v2/account").await.expect(200);
        let id = rest(&client, "AAPL").await;
        let held = client.get("/v2/account").await.expect(200);
        assert_eq!(held["cash"], before["cash"]);
        assert_eq!(decimal(&before["buying_power"]) - decimal(&held["buying_power"]), Decimal::from(10));
        assert_eq!(client.delete(&format!("/v2/orders/{id}")).await.status, 204);
        let canceled = client.order_in(&id, &["canceled"]).await;
        assert!(canceled["canceled_at"].is_string());
        let after = client.get("/v2/account").await.expect(200);
        assert_eq!(after["buying_power"], before["buying_power"]);
        assert_eq!(client.delete(&format!("/v2/orders/{id}")).await.problem(422), "order_not_cancelable");
        audit(&site.place).await;
    }

    async fn a_limit_order_that_crosses_fills_at_the_quote_and_never_worse(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let filled = client.order_in(&client.place(&limit_order("buy", "AAPL", "1", "900")).await, &["filled"]).await;
        assert!(decimal(&filled["filled_avg_price"]) < Decimal::from(900), "{filled}");
        audit(&site.place).await;
    }

    async fn a_large_order_fills_in_parts_from_quote_to_quote(set_up: SetUp) {
        // A recorded quote offers 1000 units, and each second is a new quote.
        let site = rich(set_up).set("MARKET_DATA", "replay").set("REPLAY_SPEED", "0").start().await;
        let client = site.client();
        let id = client.place(&market_order("buy", "AAPL", "1500")).await;
        assert_eq!(client.order_in(&id, &["partially_filled"]).await["filled_qty"], "1000");
        assert_eq!(client.order_in(&id, &["filled"]).await["filled_qty"], "1500");
        let events = client.get("/v2/events").await.expect(200);
        let fills: Vec<_> = events["events"].as_array().unwrap().iter()
            .filter(|event| text(&event["event"]).contains("fill"))
            .collect();
        assert_eq!(fills.len(), 2, "{events}");
        audit(&site.place).await;
    }

    async fn ioc_takes_what_is_there_and_fok_all_or_nothing(set_up: SetUp) {
        let site = rich(set_up).start().await;
        let client = site.client();
        let order = |symbol, quantity, time_in_force| json!({
            "symbol": symbol, "qty": quantity, "side": "buy", "type": "market", "time_in_force": time_in_force
        });
        let ioc = client.order_in(&client.place(&order("DIA", "5000", "ioc")).await, &["canceled"]).await;
        let taken = decimal(&ioc["filled_qty"]);
        assert!(taken > Decimal::ZERO && taken < Decimal::from(5000), "{ioc}");
        let fok = client.order_in(&client.place(&order("QQQ", "5000", "fok")).await, &["canceled"]).await;
        assert_eq!(fok["filled_qty"], "0");
        client.order_in(&client.place(&order("SPY", "1", "fok")).await, &["filled"]).await;
        audit(&site.place).await;
    }

    async fn a_replacement_is_a_new_order_and_the_old_one_points_at_it(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let old = rest(&client, "AAPL").await;
        let change = json!({"qty": "2", "limit_price": "11", "client_order_id": "second"});
        let new = client.patch(&format!("/v2/orders/{old}"), &change).await.expect(200);
        assert_eq!((&new["replaces"], &new["client_order_id"]), (&json!(old), &json!("second")));
        let new = client.order_in(text(&new["id"]), &["new"]).await;
        assert_eq!((&new["qty"], &new["limit_price"]), (&json!("2"), &json!("11")));
        let replaced = client.order_in(&old, &["replaced"]).await;
        assert_eq!(replaced["replaced_by"], new["id"]);
        let same = client.patch(&format!("/v2/orders/{}", text(&new["id"])), &json!({"qty": "2"})).await;
        assert_eq!(same.problem(422), "order_unchanged");
        audit(&site.place).await;
    }

    async fn lists_filter_order_and_page(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let mut placed = Vec::new();
        for symbol in ["AAPL", "MSFT", "BTC/USD", "AAPL"] {
            placed.push(rest(&client, symbol).await);
        }
        let list = async |query: &str| client.get(&format!("/v2/orders?{query}")).await.expect(200);
        let newest_first: Vec<&str> = placed.iter().rev().map(String::as_str).collect();
        assert_eq!(ids(&list("").await), newest_first);
        assert_eq!(ids(&list("direction=asc").await), placed);
        assert_eq!(ids(&list("limit=2").await), newest_first[..2]);
        assert_eq!(ids(&list("symbols=AAPL,BTCUSD&direction=asc&nested=True").await), [&placed[0], &placed[2], &placed[3]]);
        assert_eq!(ids(&list("side=sell").await), Vec::<&str>::new());
        assert_eq!(ids(&list("asset_class=crypto").await), [&placed[2]]);
        assert_eq!(ids(&list(&format!("after_order_id={}&direction=asc", placed[1])).await), placed[2..]);
        let second = client.order(&placed[1]).await;
        let at = text(&second["submitted_at"]).replace(':', "%3A");
        assert_eq!(ids(&list(&format!("after={at}&direction=asc")).await), placed[2..]);
        assert_eq!(ids(&list(&format!("until={at}&direction=asc")).await), placed[..1]);
    }

    async fn cancel_all_answers_for_each_order(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let (first, second) = (rest(&client, "AAPL").await, rest(&client, "BTC/USD").await);
        let answer = client.delete("/v2/orders").await.expect(207);
        let mut answered = ids(&answer);
        answered.sort_unstable();
        assert_eq!(answered, [first.as_str(), second.as_str()]);
        for entry in answer.as_array().unwrap() {
            assert_eq!(entry["status"], 200, "{entry}");
        }
        for id in [&first, &second] {
            client.order_in(id, &["canceled"]).await;
        }
        assert_eq!(client.delete("/v2/orders").await.expect(207), json!([]));
        audit(&site.place).await;
    }

    async fn positions_are_closed_in_part_whole_and_all_at_once(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        for (symbol, quantity) in [("AAPL", "10"), ("BTC/USD", "0.01"), ("MSFT", "2")] {
            client.buy(symbol, quantity).await;
        }
        assert_eq!(client.get("/v2/positions").await.expect(200).as_array().unwrap().len(), 3);
        for (path, left) in [("AAPL?qty=4", "6"), ("AAPL?percentage=50", "3")] {
            let closing = client.delete(&format!("/v2/positions/{path}")).await.expect(200);
            client.order_in(text(&closing["id"]), &["filled"]).await;
            assert_eq!(client.get("/v2/positions/AAPL").await.expect(200)["qty"], left);
        }
        for path in ["BTC/USD", "BTC%2FUSD", "BTCUSD"] {
            assert_eq!(client.get(&format!("/v2/positions/{path}")).await.expect(200)["qty"], "0.01");
        }
        let closing = client.delete("/v2/positions/BTC/USD").await.expect(200);
        client.order_in(text(&closing["id"]), &["filled"]).await;
        assert_eq!(client.get("/v2/positions/BTCUSD").await.problem(404), "position_not_found");
        let all = client.delete("/v2/positions?cancel_orders=true").await.expect(207);
        let mut closed: Vec<_> = all.as_array().unwrap().iter().map(|entry| text(&entry["symbol"])).collect();
        closed.sort_unstable();
        assert_eq!(closed, ["AAPL", "MSFT"]);
        eventually("all positions are closed", async || {
            (client.get("/v2/positions").await.expect(200) == json!([])).then_some(())
        })
        .await;
        assert_eq!(client.delete("/v2/positions").await.expect(207), json!([]));
        audit(&site.place).await;
    }

    async fn the_log_of_an_account_is_read_by_cursor_without_gaps(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        client.buy("AAPL", "1").await;
        let id = rest(&client, "MSFT").await;
        client.delete(&format!("/v2/orders/{id}")).await;
        client.order_in(&id, &["canceled"]).await;
        let whole = client.get("/v2/events").await.expect(200);
        let (mut after, mut paged) = (0, Vec::new());
        loop {
            let page = client.get(&format!("/v2/events?after={after}&limit=1")).await.expect(200);
            after = page["next_after"].as_i64().unwrap();
            match page["events"].as_array().unwrap().as_slice() {
                [] => break,
                [event] => paged.push(event.clone()),
                more => panic!("{more:?}"),
            }
        }
        assert_eq!(whole["events"].as_array().unwrap(), &paged);
        let seqs: Vec<_> = paged.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
        assert_eq!(seqs, (1..=i64::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
        assert_eq!(paged[0]["event"], "accepted");
    }

    async fn account_assets_clock_and_calendar_are_told(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let client = site.client();
        let account = client.get("/v2/account").await.expect(200);
        for (member, expected) in [("status", "ACTIVE"), ("currency", "USD"), ("cash", "100000"), ("equity", "100000")] {
            assert_eq!(account[member], expected, "{member}");
        }
        let assets = client.get("/v2/assets").await.expect(200);
        assert!(assets.as_array().unwrap().len() >= 35, "30 symbols and 5 pairs");
        let pairs = client.get("/v2/assets?asset_class=crypto").await.expect(200);
        assert!(pairs.as_array().unwrap().iter().all(|asset| asset["class"] == "crypto"));
        let apple = client.get("/v2/assets/AAPL").await.expect(200);
        assert_eq!((&apple["class"], &apple["exchange"]), (&json!("us_equity"), &json!("NASDAQ")));
        assert_eq!(client.get(&format!("/v2/assets/{}", text(&apple["id"]))).await.expect(200), apple);
        assert_eq!(client.get("/v2/assets/BTC/USD").await.expect(200), client.get("/v2/assets/BTCUSD").await.expect(200));
        assert_eq!(client.get("/v2/assets/NOPE").await.problem(404), "asset_not_found");
        // MARKET_HOURS=ignore
        assert_eq!(client.get("/v2/clock").await.expect(200)["is_open"], true);
        let calendar = client.get("/v2/calendar?start=2026-11-25&end=2026-11-30").await.expect(200);
        let days: Vec<_> = calendar.as_array().unwrap().iter().map(|day| (text(&day["date"]), text(&day["close"]))).collect();
        // Thanksgiving is on the 26th, the Friday ends early, then comes a weekend.
        assert_eq!(days, [("2026-11-25", "16:00"), ("2026-11-27", "13:00"), ("2026-11-30", "16:00")]);
    }
}
