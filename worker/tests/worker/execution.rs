//! Orders on their way to the broker, with everything that may go wrong there.

use std::collections::BTreeSet;

use domain::asset::MarketHours;
use domain::lifecycle::OrderStatus;
use domain::order::Side;
use platform::telemetry::LogBuffer;
use queue::Outcome;
use sea_orm::ConnectionTrait as _;
use store::CancelAnswer;
use store::testing::{TestStore, json_log};
use tracing::instrument::WithSubscriber as _;
use uuid::Uuid;

use crate::broker_script::{ScriptedBroker, Step};
use crate::given::{Given, cause};

fn calls(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(kind, outcome)| ((*kind).to_owned(), (*outcome).to_owned()))
        .collect()
}

store::testing::on_both! {
    async fn an_order_is_sent_once_and_its_fill_is_recorded(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        let order = given.accept(Side::Buy, "2").await;
        given.broker.fill(order.id, "2", "99");
        assert_eq!(given.execute(order.id).await, Outcome::Done);
        assert_eq!(given.execute(order.id).await, Outcome::Done, "a signal delivered twice");
        assert_eq!(given.status(order.id).await, OrderStatus::Filled);
        assert_eq!(given.broker.journal(), [order.id]);
        assert_eq!(given.work().await, Vec::<String>::new());
        assert_eq!(given.worker.metrics().accept_to_call.count, 1);
    }

    async fn an_order_whose_answer_was_lost_is_found_and_never_sent_again(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([Step::TakeAndHang])).await;
        let order = given.accept(Side::Buy, "1").await;
        assert!(matches!(given.execute(order.id).await, Outcome::RetryAt(_)));
        assert_eq!(given.status(order.id).await, OrderStatus::PendingNew);
        assert_eq!(given.work().await, ["reconcile"]);
        given.pass_pause(order.id).await;
        assert_eq!(given.execute(order.id).await, Outcome::Done);
        assert_eq!(given.status(order.id).await, OrderStatus::New);
        assert_eq!(given.broker.journal(), [order.id]);
        assert_eq!(given.attempts().await, calls(&[("submit", "unknown"), ("reconcile", "acknowledged")]));
    }

    async fn an_order_that_never_arrived_is_sent_again_only_when_it_was_missed_twice(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([Step::Hang])).await;
        let order = given.accept(Side::Buy, "1").await;
        given.execute(order.id).await;
        given.pass_pause(order.id).await;
        assert_eq!(given.execute(order.id).await, given.retry_in_ms(3_000), "missed once");
        assert_eq!(given.work().await, ["reconcile"]);
        given.pass_pause(order.id).await;
        assert_eq!(given.waiting().await, 0);
        given.execute(order.id).await;
        assert_eq!(given.work().await, ["submit"], "missed twice");
        assert_eq!(given.waiting().await, 1, "it is due at once");
        assert_eq!(given.execute(order.id).await, Outcome::Done);
        assert_eq!(given.status(order.id).await, OrderStatus::New);
        assert_eq!(given.broker.journal(), [order.id]);
    }

    async fn an_order_that_certainly_did_not_leave_is_sent_again_after_a_pause(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([Step::NotSent, Step::NotSent])).await;
        let order = given.accept(Side::Buy, "1").await;
        for _ in 0..2 {
            assert!(matches!(given.execute(order.id).await, Outcome::RetryAt(_)));
            assert_eq!(given.execute(order.id).await, Outcome::Done, "nothing is due yet");
            assert_eq!(given.status(order.id).await, OrderStatus::Accepted);
            given.pass_pause(order.id).await;
        }
        assert_eq!(given.execute(order.id).await, Outcome::Done);
        assert_eq!(given.status(order.id).await, OrderStatus::New);
        assert_eq!(given.broker.journal(), [order.id]);
    }

    async fn an_order_whose_attempt_could_not_begin_waits_a_moment_and_not_a_lease(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        let order = given.accept(Side::Buy, "1").await;
        test.write().execute_unprepared("ALTER TABLE broker_attempts RENAME TO away").await.unwrap();
        assert_eq!(given.execute(order.id).await, given.retry_in_ms(250));
        assert_eq!(given.broker.journal(), [], "nothing has left");
        test.write().execute_unprepared("ALTER TABLE away RENAME TO broker_attempts").await.unwrap();
        given.pass_pause(order.id).await;
        assert_eq!(given.execute(order.id).await, Outcome::Done);
        assert_eq!(given.broker.journal(), [order.id]);
    }

    async fn the_outcome_of_one_piece_of_work_does_not_hide_that_of_another(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([Step::Take, Step::NotSent])).await;
        let order = given.accept(Side::Buy, "2").await;
        given.execute(order.id).await;
        given.replace(order.id, "1").await;
        given.add_work(order.id, "submit").await;
        assert_eq!(given.execute(order.id).await, given.retry_in_ms(250), "the replace; the other has nothing to do");
    }

    async fn a_line_of_the_log_tells_the_job_the_order_and_the_account(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        let orders = [given.accept(Side::Buy, "1").await, given.accept(Side::Buy, "1").await];
        let log = LogBuffer::new();
        let mut jobs = BTreeSet::new();
        for order in &orders {
            given.execute(order.id).with_subscriber(json_log(&log)).await;
            let id = order.id.to_string();
            let lines = log.json_lines();
            let line = lines.iter().find(|line| line["message"] == "the broker has it" && line["order.id"] == *id).unwrap();
            assert_eq!(line["account.id"], given.trader.account.to_string());
            jobs.insert(line["job.id"].as_str().unwrap().parse::<Uuid>().unwrap());
        }
        assert_eq!(jobs.len(), 2, "each job has an id of its own");
    }

    async fn the_brokers_no_is_final(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([Step::Refuse])).await;
        let order = given.accept(Side::Buy, "1").await;
        assert_eq!(given.execute(order.id).await, Outcome::Dead("refused_by_broker"));
        assert_eq!(given.status(order.id).await, OrderStatus::Rejected);
        assert_eq!(given.work().await, Vec::<String>::new());
    }

    async fn a_panic_of_an_adapter_is_an_unknown_outcome(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([Step::Panic])).await;
        let order = given.accept(Side::Buy, "1").await;
        assert!(matches!(given.execute(order.id).await, Outcome::RetryAt(_)));
        assert_eq!(given.work().await, ["reconcile"]);
        assert_eq!(given.attempts().await, calls(&[("submit", "unknown")]));
    }

    async fn what_a_dead_worker_had_begun_is_looked_up_before_anything_is_sent(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        let order = given.accept(Side::Buy, "1").await;
        let lease = std::time::Duration::from_secs(30);
        let claims = test.claim_order("dead", order.id, lease).await.unwrap();
        test.begin_attempt(&claims[0], "of the dead worker", given.clock_now(), MarketHours::Ignore).await.unwrap();
        assert_eq!(given.execute(order.id).await, Outcome::Done, "the claim is another's");
        assert_eq!(given.broker.journal(), []);
        given.end_lease(order.id).await;
        assert_eq!(given.execute(order.id).await, Outcome::Done);
        assert_eq!(given.work().await, ["reconcile"]);
        assert_eq!(given.waiting().await, 1, "the look-up is due at once");
        assert_eq!(given.broker.journal(), [], "nothing was sent");
    }

    async fn work_that_is_gone_wakes_nobody(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        let order = given.accept(Side::Buy, "1").await;
        let lease = std::time::Duration::from_secs(30);
        test.claim_order("dead", order.id, lease).await.unwrap();
        given.end_lease(order.id).await;
        let asked = test.request_cancel(given.trader.account, order.id, cause(), given.clock_now()).await.unwrap();
        assert!(matches!(asked, CancelAnswer::Canceled(_)), "{asked:?}");
        given.execute(order.id).await;
        assert_eq!((given.work().await, given.waiting().await), (vec![], 0));
    }

    async fn a_replacement_whose_answer_was_lost_is_found_and_never_sent_again(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([Step::Take, Step::TakeAndHang])).await;
        let old = given.accept(Side::Buy, "2").await;
        given.execute(old.id).await;
        let new = given.replace(old.id, "1").await;
        assert_eq!(given.execute(old.id).await, given.retry_in_ms(1_000));
        given.pass_pause(old.id).await;
        assert_eq!(given.execute(old.id).await, Outcome::Done);
        assert_eq!(given.broker.journal(), [old.id, new.id]);
        assert_eq!(given.attempts_of("replace").await, ["unknown", "acknowledged"]);
    }

    async fn a_replacement_that_never_arrived_is_sent_again_only_when_it_was_missed_twice(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([Step::Take, Step::Hang])).await;
        let old = given.accept(Side::Buy, "2").await;
        given.execute(old.id).await;
        let new = given.replace(old.id, "1").await;
        assert_eq!(given.execute(old.id).await, given.retry_in_ms(1_000));
        given.pass_pause(old.id).await;
        assert_eq!(given.execute(old.id).await, given.retry_in_ms(3_000), "missed once");
        assert_eq!(given.broker.journal(), [old.id]);
        given.pass_pause(old.id).await;
        assert_eq!(given.execute(old.id).await, Outcome::Done, "missed twice");
        assert_eq!(given.broker.journal(), [old.id, new.id]);
        assert_eq!(given.attempts_of("replace").await, ["unknown", "not_sent", "acknowledged"]);
    }

    async fn a_cancel_reaches_the_broker_and_its_report_ends_the_order(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        let order = given.accept(Side::Buy, "1").await;
        given.execute(order.id).await;
        let asked = test.request_cancel(given.trader.account, order.id, cause(), given.clock_now()).await.unwrap();
        assert!(matches!(asked, CancelAnswer::Requested(_)));
        assert_eq!(given.execute(order.id).await, Outcome::Done);
        assert_eq!(given.status(order.id).await, OrderStatus::Canceled);
        assert_eq!(given.broker.cancels(), [order.id]);
        assert_eq!(given.work().await, Vec::<String>::new());
    }
}
