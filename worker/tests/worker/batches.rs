//! Orders that are under way together share their transactions and what they hand over.

use domain::lifecycle::OrderStatus;
use domain::order::Side;
use futures::future::join_all;
use queue::Outcome;
use store::testing::TestStore;

use crate::broker_script::{Call, ScriptedBroker};
use crate::given::Given;

/// How many transactions of this name were committed.
fn committed(test: &TestStore, name: &str) -> u64 {
    test.transaction_stats()
        .get(name)
        .map_or(0, |stats| stats.committed)
}

store::testing::on_both! {
    async fn an_answer_and_the_fill_that_is_at_hand_are_recorded_in_one_transaction(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::fed()).await;
        let order = given.accept(Side::Buy, "1").await;
        given.broker.fill(order.id, "1", "100");
        assert_eq!(given.execute(order.id).await, Outcome::Done);
        assert_eq!(given.status(order.id).await, OrderStatus::Filled);
        assert_eq!(committed(test, "record"), 1);
    }

    async fn orders_whose_signals_come_together_share_their_transactions(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::fed()).await;
        let mut orders = Vec::new();
        for _ in 0..24 {
            orders.push(given.accept(Side::Buy, "1").await.id);
        }
        let outcomes = join_all(orders.iter().map(|order| given.execute(*order))).await;
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Done), "{outcomes:?}");
        for order in &orders {
            assert_eq!(given.status(*order).await, OrderStatus::New);
        }
        assert_eq!(given.broker.journal().len(), orders.len(), "each was sent once");
        // Four slots: six batches of four at best.
        for name in ["claim_work", "begin_attempts", "record"] {
            assert!(committed(test, name) < 24, "{name}: {}", committed(test, name));
        }
    }

    async fn a_quote_is_handed_over_once_however_many_orders_ask_for_it(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::fed()).await;
        given.price("100");
        let orders = [given.accept(Side::Buy, "1").await.id, given.accept(Side::Buy, "1").await.id];
        join_all(orders.iter().map(|order| given.execute(*order))).await;
        assert_eq!(given.broker.count(Call::Feed), 1);
        given.price("101");
        let order = given.accept(Side::Buy, "1").await;
        given.execute(order.id).await;
        assert_eq!(given.broker.count(Call::Feed), 2, "a newer one");
    }

    async fn a_venue_whose_reports_do_not_come_keeps_no_answer_from_being_recorded(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::fed()).await;
        given.broker.fall_silent(Call::Reports);
        let order = given.accept(Side::Buy, "1").await;
        assert_eq!(given.execute(order.id).await, Outcome::Done);
        assert_eq!(given.status(order.id).await, OrderStatus::New);
        assert_eq!(given.work().await, Vec::<String>::new());
    }
}
