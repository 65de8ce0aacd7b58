//! `Idempotency-Key`: honoured by what makes one order, refused by what changes anything else.

use poem::Body;
use poem::http::Method;
use serde_json::{Value, json};
use store::testing::TestStore;

use super::site::{Answer, Site};
use crate::openapi;

const KEY: [(&str, &str); 1] = [("idempotency-key", "one")];

async fn close(site: &Site, path: &str) -> Answer {
    site.send(Method::DELETE, path, &KEY, Body::empty()).await
}

store::testing::on_both! {
    async fn a_position_is_closed_once_whatever_becomes_of_it_meanwhile(test: TestStore) {
        let site = Site::over(test).await;
        site.own("AAPL", "10", "1").await;
        let path = "/v2/positions/AAPL?qty=4";
        let first = close(&site, path).await;
        assert_eq!((first.status.as_u16(), &first.json()["qty"]), (200, &json!("4")), "{}", first.text);
        assert_eq!(first.response.header("idempotency-replayed"), None);
        let order = format!("/v2/orders/{}", first.json()["id"].as_str().unwrap());
        site.send_out(&order).await;
        // More than was asked for: nothing is left to close, and the answer is still the first one.
        site.fill(&order, "10", "1").await;
        assert_eq!(site.get("/v2/positions/AAPL").await.error().1, "position_not_found");
        let again = close(&site, path).await;
        assert_eq!((again.status.as_u16(), &again.text), (200, &first.text));
        assert_eq!(again.response.header("idempotency-replayed"), Some("true"));
        assert_eq!(site.order_count().await, 2);
    }

    async fn a_key_belongs_to_the_part_that_was_closed_with_it(test: TestStore) {
        let site = Site::over(test).await;
        site.own("AAPL", "10", "1").await;
        let refused = close(&site, "/v2/positions/AAPL?qty=11").await;
        assert_eq!(refused.error(), (403, "insufficient_quantity".into()), "a 4xx uses no key up");
        let first = close(&site, "/v2/positions/AAPL?percentage=50").await;
        assert_eq!(first.status.as_u16(), 200, "{}", first.text);
        let other = close(&site, "/v2/positions/AAPL").await;
        assert_eq!(other.error(), (409, "idempotency_key_reused".into()));
        assert_eq!(other.json()["existing_order_id"], first.json()["id"]);
        let long = [("idempotency-key", "x".repeat(256))];
        let long = long.each_ref().map(|(name, value)| (*name, value.as_str()));
        let invalid = site.send(Method::DELETE, "/v2/positions/AAPL", &long, Body::empty()).await;
        assert_eq!(invalid.error(), (422, "invalid_idempotency_key".into()));
        let without = site.delete("/v2/positions/AAPL?qty=1").await;
        assert_eq!(without.status.as_u16(), 200, "{}", without.text);
        assert_ne!(without.json()["id"], first.json()["id"]);
    }

    async fn what_changes_something_takes_the_key_as_documented_or_refuses_it(test: TestStore) {
        let site = Site::over(test).await;
        site.own("AAPL", "1", "1").await;
        let mut person = site.superadmin().await;
        person.headers = vec![("idempotency-key", "7".to_owned())];
        let (mut takes, mut refuses) = (Vec::new(), Vec::new());
        for (pattern, operations) in openapi::document()["paths"].as_object().unwrap() {
            let path = pattern.replace("{id}", "01930e4c-5b5a-7000-8000-000000000001").replace("{key}", "MSFT").replace("{client_id}", "app_nobody");
            for (method, operation) in operations.as_object().unwrap() {
                if method == "get" {
                    continue;
                }
                let is_key = |parameter: &Value| parameter["name"] == "Idempotency-Key" && parameter["in"] == "header";
                let is_documented = operation["parameters"].as_array().into_iter().flatten().any(is_key);
                let method: Method = method.to_ascii_uppercase().parse().unwrap();
                let answer = if path.starts_with("/v2") {
                    site.send(method, &path, &KEY, "{}").await
                } else {
                    person.send(method, &path, Some(&json!({}))).await
                };
                let name = operation["operationId"].as_str().unwrap().to_owned();
                if is_documented {
                    assert_ne!(answer.error().1, "idempotency_key_not_taken", "{name}");
                    takes.push(name);
                } else {
                    assert_eq!(answer.error(), (422, "idempotency_key_not_taken".into()), "{name}");
                    assert_eq!(answer.json()["errors"][0]["header"], "Idempotency-Key");
                    refuses.push(name);
                }
            }
        }
        takes.sort_unstable();
        assert_eq!(takes, ["close_position", "place_order"]);
        assert_eq!(refuses.len(), 20, "{refuses:?}");
        assert_eq!(site.order_count().await, 1, "what is refused changes nothing");
    }
}
