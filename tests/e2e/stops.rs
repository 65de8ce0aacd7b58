//! A protected position is sold when the price falls through its stop: on real recorded prices.

use serde_json::{Value, json};

use crate::support::books::Book;
use crate::support::client::{market_order, text};
use crate::support::{Client, SetUp, Site, audit, eventually, on_both};

/// An installation whose tape stands still where [`move_tape`] puts it.
async fn recorded(set_up: SetUp) -> Site {
    let site = Site::plan(set_up)
        .set("MARKET_DATA", "replay")
        .set("REPLAY_SPEED", "0")
        .start()
        .await;
    move_tape(&site, "2008-09-26");
    site
}

/// Moves the tape to a row, or to the opening of a date.
fn move_tape(site: &Site, row: &str) {
    let file = site.place.data_dir().join("replay.row");
    let draft = file.with_extension("draft");
    std::fs::write(&draft, row).unwrap();
    std::fs::rename(&draft, &file).unwrap();
}

async fn protect(client: &Client, body: &Value) -> Value {
    client.post("/v2/triggers", body).await.expect(201)
}

async fn trigger_in(client: &Client, id: &str, state: &str) -> Value {
    eventually(&format!("the trigger is {state}"), async || {
        let trigger = client.get(&format!("/v2/triggers/{id}")).await.expect(200);
        (trigger["state"] == state).then_some(trigger)
    })
    .await
}

/// Waits for two sweeps more than there were.
async fn two_more_sweeps(site: &Site) {
    let book = Book::open(&site.place).await;
    let done = async || book.count("sweeps", "state = 'done'").await;
    let before = done().await;
    eventually("two more sweeps", async || {
        (done().await >= before + 2).then_some(())
    })
    .await;
}

on_both! {
    async fn a_position_that_falls_through_its_stop_is_sold_once_with_the_loss_reckoned_by_hand(set_up: SetUp) {
        let site = recorded(set_up).await;
        let client = site.client();
        // Friday, 26 September 2008: Apple opens at 124.91. Half of a spread of 2 basis points is 124.91 × 0.0001 =
        // 0.012491, so the ask is 124.922491, rounded up to the cent: 124.93. Ten shares cost 1249.30.
        let bought = client.buy("AAPL", "10").await;
        assert_eq!(bought["filled_avg_price"], "124.93");
        assert_eq!(client.get("/v2/account").await.expect(200)["cash"], "98750.7");

        let trigger = protect(&client, &json!({"symbol": "AAPL", "stop_price": "120"})).await;
        assert_eq!((&trigger["state"], &trigger["qty"]), (&json!("armed"), &Value::Null));
        two_more_sweeps(&site).await;
        assert_eq!(trigger_in(&client, text(&trigger["id"]), "armed").await["exit_order_id"], Value::Null);

        // Monday, 29 September 2008, the day the House voted no: Apple opens at 119.62, below the stop. Half a spread is
        // 0.011962, so the bid is 119.608038, rounded down to the cent: 119.60. Ten shares bring 1196.00.
        move_tape(&site, "2008-09-29");
        let done = trigger_in(&client, text(&trigger["id"]), "done").await;
        assert_eq!(done["fired_price"], "119.62");
        let exit = client.order_in(text(&done["exit_order_id"]), &["filled"]).await;
        assert_eq!((&exit["side"], &exit["filled_qty"], &exit["filled_avg_price"]), (&json!("sell"), &json!("10"), &json!("119.6")));
        assert_eq!((&exit["cause"], &exit["trigger_id"]), (&json!("trigger"), &trigger["id"]));

        // 1196.00 − 1249.30 = −53.30
        assert_eq!(client.get("/v2/account").await.expect(200)["cash"], "99946.7");
        assert_eq!(client.get("/v2/positions").await.expect(200), json!([]));
        two_more_sweeps(&site).await;
        let sells = client.get("/v2/orders?status=all&side=sell").await.expect(200);
        assert_eq!(sells, json!([exit]), "sold exactly once");
        audit(&site.place).await;
    }

    async fn a_gap_of_a_fifth_waits_for_a_second_quote_and_then_sells(set_up: SetUp) {
        let site = recorded(set_up).await;
        let client = site.client();
        client.buy("AAPL", "10").await;
        let trigger = protect(&client, &json!({"symbol": "AAPL", "stop_price": "100", "qty": "4"})).await;
        two_more_sweeps(&site).await;
        // 6 October 2008 opens at 91.96, 26 % below the last price that was believed.
        move_tape(&site, "2008-10-06");
        let done = trigger_in(&client, text(&trigger["id"]), "done").await;
        assert_eq!(done["fired_price"], "91.96");
        client.order_in(text(&done["exit_order_id"]), &["filled"]).await;
        assert_eq!(client.get("/v2/positions/AAPL").await.expect(200)["qty"], "6");
        audit(&site.place).await;
    }

    async fn a_resting_sell_that_holds_the_shares_is_canceled_first(set_up: SetUp) {
        let site = recorded(set_up).await;
        let client = site.client();
        client.buy("AAPL", "10").await;
        let mut sell = market_order("sell", "AAPL", "10");
        sell["type"] = json!("limit");
        sell["limit_price"] = json!("200");
        let resting = client.place(&sell).await;
        client.order_in(&resting, &["new"]).await;
        let trigger = protect(&client, &json!({"symbol": "AAPL", "stop_price": "120"})).await;
        move_tape(&site, "2008-09-29");
        let done = trigger_in(&client, text(&trigger["id"]), "done").await;
        assert_eq!(client.order_in(&resting, &["canceled"]).await["filled_qty"], "0");
        assert_eq!(client.order_in(text(&done["exit_order_id"]), &["filled"]).await["filled_qty"], "10");
        audit(&site.place).await;
    }

    async fn a_trigger_is_listed_taken_back_and_never_fires_afterwards(set_up: SetUp) {
        let site = recorded(set_up).await;
        let client = site.client();
        let refused = client.post("/v2/triggers", &json!({"symbol": "AAPL", "stop_price": "120"})).await;
        assert_eq!(refused.problem(404), "position_not_found");
        client.buy("AAPL", "10").await;
        let refused = client.post("/v2/triggers", &json!({"symbol": "AAPL", "stop_price": "130"})).await;
        assert_eq!(refused.problem(422), "stop_price_through");
        let trigger = protect(&client, &json!({"symbol": "AAPL", "stop_price": 120})).await;
        assert_eq!(client.get("/v2/triggers?state=armed").await.expect(200), json!([trigger]));
        let path = format!("/v2/triggers/{}", text(&trigger["id"]));
        assert_eq!(client.delete(&path).await.status, 204);
        assert_eq!(client.delete(&path).await.problem(422), "trigger_not_armed");
        move_tape(&site, "2008-09-29");
        two_more_sweeps(&site).await;
        assert_eq!(client.get(&path).await.expect(200)["state"], "canceled");
        assert_eq!(client.get("/v2/positions/AAPL").await.expect(200)["qty"], "10");
        audit(&site.place).await;
    }

    async fn a_position_that_is_closed_by_hand_ends_its_trigger(set_up: SetUp) {
        let site = recorded(set_up).await;
        let client = site.client();
        client.buy("AAPL", "10").await;
        let trigger = protect(&client, &json!({"symbol": "AAPL", "stop_price": "120"})).await;
        client.delete("/v2/positions/AAPL").await.expect(200);
        let ended = eventually("the trigger ends", async || {
            let trigger = client.get(&format!("/v2/triggers/{}", text(&trigger["id"]))).await.expect(200);
            (trigger["state"] != "armed").then_some(trigger)
        })
        .await;
        assert_eq!((&ended["ended_because"], &ended["exit_order_id"]), (&json!("position_closed"), &Value::Null));
        move_tape(&site, "2008-09-29");
        two_more_sweeps(&site).await;
        assert_eq!(client.get("/v2/orders?status=all&side=sell").await.expect(200).as_array().unwrap().len(), 1);
        audit(&site.place).await;
    }
}
