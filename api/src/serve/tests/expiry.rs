//! When an order for the day ends: the API says what the venue does.

use domain::asset::MarketHours;
use serde_json::{Value, json};
use store::testing::TestStore;

use super::site::{Differences, Site, buy, rest};

/// Each order with the end that is shown of it, when it is placed, when it is read, and in a list.
async fn ends(site: &Site, orders: &[Value]) -> Vec<Value> {
    let mut ends = Vec::new();
    for order in orders {
        let placed = site.post("/v2/orders", order).await.json();
        let path = format!("/v2/orders/{}", placed["id"].as_str().unwrap());
        assert_eq!(site.get(&path).await.json(), placed);
        assert_eq!(site.get("/v2/orders?limit=1").await.json(), json!([placed]));
        ends.push(placed["expires_at"].clone());
    }
    ends
}

fn extended() -> Value {
    let mut order = rest();
    order["extended_hours"] = json!(true);
    order
}

store::testing::on_both! {
    async fn a_day_ends_at_midnight_in_new_york_where_hours_are_ignored(test: TestStore) {
        let site = Site::over(test).await;
        let midnight = "2026-11-25T05:00:00.000000Z";
        let ends = ends(&site, &[rest(), extended(), buy()]).await;
        assert_eq!(ends, [json!(midnight), json!(midnight), Value::Null]);
    }

    async fn a_day_ends_with_its_session_where_hours_are_real(test: TestStore) {
        let real = Differences { hours: MarketHours::Real, ..Differences::default() };
        let site = Site::with(test, real).await;
        let ends = ends(&site, &[rest(), extended(), buy()]).await;
        assert_eq!(ends, [json!("2026-11-24T21:00:00.000000Z"), json!("2026-11-25T01:00:00.000000Z"), Value::Null]);
    }
}
