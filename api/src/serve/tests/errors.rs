//! The errors that need a certain state of an order, an account, an instrument or the market.

use poem::Body;
use poem::http::Method;
use serde_json::{Value, json};
use store::testing::TestStore;

use super::site::{Answer, IN_NO_TIME, Site, endless, rest};

fn market(side: &str, symbol: &str, quantity: &str) -> Value {
    let time_in_force = if symbol.contains('/') { "gtc" } else { "day" };
    json!({"symbol": symbol, "qty": quantity, "side": side, "type": "market", "time_in_force": time_in_force})
}

fn stop(symbol: &str, price: &str) -> Value {
    json!({"symbol": symbol, "stop_price": price})
}

#[track_caller]
fn assert_error(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.error(), (status, error.to_owned()), "{}", answer.text);
}

store::testing::on_both! {
    async fn an_instrument_sets_its_own_rules(test: TestStore) {
        let site = Site::over(test).await;
        for (order, error) in [
            (market("buy", "HALTED", "1"), "asset_not_tradable"),
            (market("buy", "WHOLE", "1.5"), "not_fractionable"),
            (market("buy", "HALF/USD", "1.2"), "quantity_increment"),
            (market("buy", "BTC/USD", "0.000000001"), "below_minimum_size"),
            (
                json!({"symbol": "AAPL", "notional": "50", "side": "buy", "type": "limit", "limit_price": "1", "time_in_force": "day"}),
                "notional_not_market",
            ),
        ] {
            assert_error(&site.post("/v2/orders", &order).await, 422, error);
        }
        assert_eq!(site.order_count().await, 0);
    }

    async fn without_a_price_to_believe_nothing_leaves(test: TestStore) {
        let site = Site::over(test).await;
        let unquoted = site.post("/v2/orders", &market("buy", "UNQUOTED", "1")).await;
        assert_error(&unquoted, 403, "no_quote");
        assert_eq!(unquoted.json()["symbol"], "UNQUOTED");
        let crossed = site.post("/v2/orders", &market("buy", "NFLX", "1")).await;
        assert_error(&crossed, 403, "unusable_quote");
        assert_eq!(crossed.json()["distrust"], "crossed");
        let huge = site.post("/v2/orders", &market("buy", "AAPL", "1000000000")).await;
        assert_error(&huge, 403, "notional_out_of_range");
        assert_eq!(site.order_count().await, 0);
    }

    async fn an_order_is_replaced_only_while_it_rests_untouched_at_the_venue(test: TestStore) {
        let site = Site::over(test).await;
        let order = site.place(&rest()).await;
        let other = json!({"limit_price": "2"});
        assert_error(&site.patch(&order, &other).await, 422, "order_not_sent_yet");
        site.send_out(&order).await;
        assert_error(&site.patch(&order, &json!({"limit_price": "1"})).await, 422, "order_unchanged");
        let replaced = site.patch(&order, &other).await;
        assert_eq!(replaced.status, 200, "{}", replaced.text);
        assert_eq!(replaced.json()["replaces"], order.rsplit('/').next().unwrap());
        assert_error(&site.delete(&order).await, 422, "replace_pending");
        assert_error(&site.patch(&order, &json!({"limit_price": "3"})).await, 422, "order_not_replaceable");
    }

    async fn a_filled_part_and_an_amount_of_money_stand_in_the_way_of_a_replacement(test: TestStore) {
        let site = Site::over(test).await;
        let mut order = rest();
        order["qty"] = json!("2");
        let partly = site.place(&order).await;
        site.send_out(&partly).await;
        site.fill(&partly, "1", "1").await;
        assert_error(&site.patch(&partly, &json!({"limit_price": "2"})).await, 422, "partly_filled_replace");
        let money = json!({"symbol": "AAPL", "notional": "50", "side": "buy", "type": "market", "time_in_force": "day"});
        let money = site.place(&money).await;
        site.send_out(&money).await;
        assert_error(&site.patch(&money, &json!({"qty": "1"})).await, 422, "notional_replace");
    }

    async fn a_position_is_protected_once_and_only_while_it_is_long(test: TestStore) {
        let site = Site::over(test).await;
        site.own("AAPL", "10", "1").await;
        let first = site.post("/v2/triggers", &stop("AAPL", "0.5")).await;
        assert_eq!(first.status, 201, "{}", first.text);
        let second = site.post("/v2/triggers", &stop("AAPL", "0.4")).await;
        assert_error(&second, 422, "already_protected");
        assert_eq!(second.json()["existing_trigger_id"], first.json()["id"]);
        let mut larger = stop("AAPL", "0.5");
        larger["qty"] = json!("11");
        let larger = site.post("/v2/triggers", &larger).await;
        assert_error(&larger, 422, "trigger_exceeds_position");
        assert_eq!(larger.json()["errors"][0]["pointer"], "/qty");
        site.own("MSFT", "1", "1").await;
        let sold = site.place(&market("sell", "MSFT", "1")).await;
        site.send_out(&sold).await;
        // A fill is a fact, also where the venue has sold more than it was asked to.
        site.fill(&sold, "2", "1").await;
        assert_eq!(site.get("/v2/positions/MSFT").await.json()["side"], "short");
        assert_error(&site.post("/v2/triggers", &stop("MSFT", "0.5")).await, 422, "short_not_protectable");
    }

    async fn a_part_below_the_smallest_step_closes_nothing(test: TestStore) {
        let site = Site::over(test).await;
        site.own("HALF/USD", "1", "1").await;
        let closed = site.delete("/v2/positions/HALF/USD?percentage=10").await;
        assert_error(&closed, 422, "nothing_to_close");
    }

    async fn a_key_that_may_only_read_changes_nothing(test: TestStore) {
        let site = Site::over(test).await.read_only().await;
        assert_eq!(site.get("/v2/account").await.status, 200);
        for (method, path) in [
            (Method::POST, "/v2/orders"),
            (Method::DELETE, "/v2/orders"),
            (Method::PATCH, "/v2/orders/01930e4c-5b5a-7000-8000-000000000001"),
            (Method::DELETE, "/v2/orders/01930e4c-5b5a-7000-8000-000000000001"),
            (Method::DELETE, "/v2/positions"),
            (Method::DELETE, "/v2/positions/AAPL"),
            (Method::POST, "/v2/triggers"),
            (Method::DELETE, "/v2/triggers/01930e4c-5b5a-7000-8000-000000000001"),
        ] {
            let answer = site.send(method.clone(), path, &[], "{}").await;
            assert_error(&answer, 403, "insufficient_scope");
            let scope = if path.contains("triggers") { "arbion:triggers" } else { "trading" };
            assert_eq!(answer.json()["scope"], scope, "{method} {path}");
        }
    }

    async fn a_body_that_does_not_come_and_an_answer_that_takes_too_long_are_given_up(test: TestStore) {
        let site = Site::with(test, IN_NO_TIME).await;
        let slow = site.send(Method::POST, "/v2/orders", &[], endless()).await;
        assert_error(&slow, 408, "request_timeout");
        let mut read = site.get("/v2/account").await;
        // The database may answer within the shortest tick of a timer, though not each time.
        for _ in 0..1_000 {
            if read.status != 200 {
                break;
            }
            read = site.get("/v2/account").await;
        }
        assert_error(&read, 503, "timed_out");
        assert_eq!(read.response.header("retry-after"), Some("1"));
        let write = site.send(Method::DELETE, "/v2/orders", &[], Body::empty()).await;
        assert_eq!(write.status, 207, "what changes something is always answered by its outcome");
    }
}
