//! The venue of a test: it takes what the API has accepted, and says what became of it.

use std::time::Duration;

use domain::asset::MarketHours;
use domain::fill::Fill;
use domain::id::{BrokerOrderId, OrderId};
use domain::money::{Price, Quantity};
use domain::reconcile::{Report, Reported};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use store::{AttemptOutcome, Begin};

use super::site::Site;

fn id_of(path: &str) -> OrderId {
    path.rsplit('/').next().unwrap().parse().unwrap()
}

impl Site {
    /// The venue has the order at `path` at work.
    pub(super) async fn send_out(&self, path: &str) {
        let lease = Duration::from_secs(30);
        let claims = self
            .store
            .claim_order("worker", id_of(path), lease)
            .await
            .unwrap();
        let claim = claims.first().unwrap();
        let begun = self
            .store
            .begin_attempt(claim, "correlation", self.later(1), MarketHours::Ignore)
            .await;
        let Begin::Go(dispatch) = begun.unwrap() else {
            panic!("{path} may not be sent");
        };
        let outcome = AttemptOutcome::Acknowledged {
            broker_order_id: Some(BrokerOrderId(path.to_owned())),
            is_working: true,
        };
        self.store
            .finish_attempt(&dispatch, outcome, self.later(2))
            .await
            .unwrap();
    }

    /// The venue reports a fill of the order at `path`; it may be more than was asked for.
    pub(super) async fn fill(&self, path: &str, quantity: &str, price: &str) {
        let connection = self.store.connection_of(self.account).await.unwrap().id;
        let cursor = self.store.report_cursor(connection).await.unwrap();
        let next = (cursor.parse::<u32>().unwrap_or(0) + 1).to_string();
        let number = |text: &str| text.parse::<Decimal>().unwrap();
        let fill = Fill {
            broker_fill_id: next.clone(),
            quantity: Quantity::new(number(quantity)).unwrap(),
            price: Price::new(number(price)).unwrap(),
            fee: Decimal::ZERO,
            at: self.later(3),
            venue_done: None,
        };
        let report = Report {
            order_id: id_of(path),
            broker_order_id: Some(BrokerOrderId(path.to_owned())),
            at: self.later(3),
            what: Reported::Filled(fill),
        };
        self.store
            .record_reports(connection, "paper", &cursor, &[report], &next, self.later(4))
            .await
            .unwrap();
    }

    /// Buys `quantity` of `symbol` at `price`, filled at once.
    pub(super) async fn own(&self, symbol: &str, quantity: &str, price: &str) {
        let time_in_force = if symbol.contains('/') { "gtc" } else { "day" };
        let order: Value = json!({
            "symbol": symbol, "qty": quantity, "side": "buy", "type": "limit", "limit_price": price,
            "time_in_force": time_in_force,
        });
        let path = self.place(&order).await;
        self.send_out(&path).await;
        self.fill(&path, quantity, price).await;
    }
}
