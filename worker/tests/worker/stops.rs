//! Sweeps over armed stops: what fires, what does not, and what is said about it.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::id::TriggerId;
use domain::order::Side;
use domain::trigger::{Direction, Reference, Trigger, TriggerState};
use queue::{Job, Outcome};
use sea_orm::{EntityTrait as _, PaginatorTrait as _};
use store::NewTrigger;
use store::entity::trigger_exits;
use store::testing::TestStore;
use uuid::Uuid;

use crate::broker_script::{ScriptedBroker, Step};
use crate::given::{Given, price, units};

impl Given<'_> {
    /// A stop at 90 dollars.
    async fn protect(&self, quantity: Option<&str>) -> TriggerId {
        let new = NewTrigger {
            id: TriggerId(Uuid::now_v7()),
            user_id: self.trader.user,
            account_id: self.trader.account,
            asset: self.asset.clone(),
            direction: Direction::Falling,
            reference: Reference::Last,
            stop_price: price("90"),
            quantity: quantity.map(units),
        };
        let made = self
            .test
            .create_trigger(new, None, self.clock_now())
            .await
            .unwrap();
        made.unwrap().id
    }

    async fn trigger(&self, id: TriggerId) -> Trigger {
        self.test.trigger(self.trader.account, id).await.unwrap().unwrap()
    }

    async fn sweep(&self, slot: i64) -> Outcome {
        assert!(self.test.open_sweep(slot, 1, 1).await.unwrap());
        self.worker.handle(Job::SweepStops { slot, shard: 0 }).await
    }

    /// What the record of the latest sweep says: fired, and symbols skipped by reason.
    async fn record(&self) -> (i32, BTreeMap<String, Vec<String>>) {
        let sweep = self.test.recent_sweeps(1).await.unwrap().remove(0);
        assert_eq!(sweep.state, "done");
        (sweep.fired, serde_json::from_value(sweep.skipped).unwrap())
    }
}

fn skipped(reason: &str) -> BTreeMap<String, Vec<String>> {
    BTreeMap::from([(reason.to_owned(), vec!["BTC/USD".to_owned()])])
}

store::testing::on_both! {
    async fn a_stop_that_is_through_sells_once(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        given.own("3").await;
        let stop = given.protect(None).await;
        given.price("95");
        assert_eq!(given.sweep(1).await, Outcome::Done);
        assert_eq!(given.record().await, (0, BTreeMap::new()));
        given.price("90");
        assert_eq!(given.sweep(2).await, Outcome::Done);
        assert_eq!(given.record().await, (1, BTreeMap::new()));
        let exit = given.trigger(stop).await.exit_order_id.unwrap();
        let again = given.worker.handle(Job::SweepStops { slot: 2, shard: 0 }).await;
        assert_eq!(again, Outcome::Done, "a signal delivered twice");
        given.price("89");
        given.sweep(3).await;
        assert_eq!(given.record().await, (0, BTreeMap::new()), "it is not armed any more");

        given.broker.fill(exit, "3", "89.5");
        assert_eq!(given.execute(exit).await, Outcome::Done);
        assert_eq!(given.trigger(stop).await.state, TriggerState::Done);
        assert_eq!(given.test.positions(given.trader.account).await.unwrap(), []);
        assert_eq!(given.broker.journal().iter().filter(|order| **order == exit).count(), 1);
    }

    async fn many_stops_fire_in_one_sweep_over_several_transactions(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        given.own("12").await;
        for _ in 0..12 {
            given.protect(Some("1")).await;
        }
        given.price("90");
        given.sweep(1).await;
        assert_eq!(given.record().await, (12, BTreeMap::new()));
    }

    async fn a_price_that_flaps_through_a_stop_makes_one_exit(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        given.own("3").await;
        let stop = given.protect(None).await;
        let mut fired = 0;
        for (slot, last) in (1..).zip(["91", "89", "91", "90", "95", "88"]) {
            given.price(last);
            given.sweep(slot).await;
            fired += given.record().await.0;
        }
        assert_eq!(fired, 1);
        assert_eq!(given.trigger(stop).await.fired_price, Some("89".parse().unwrap()));
    }

    async fn two_sweeps_that_overlap_fire_each_stop_once(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        given.own("40").await;
        for _ in 0..40 {
            given.protect(Some("1")).await;
        }
        given.price("90");
        tokio::join!(given.sweep(1), given.sweep(2));
        let sweeps = test.recent_sweeps(2).await.unwrap();
        assert_eq!(sweeps.iter().map(|sweep| sweep.fired).sum::<i32>(), 40);
        assert_eq!(trigger_exits::Entity::find().count(test.read()).await.unwrap(), 40);
    }

    async fn sells_that_hold_the_quantity_are_canceled_before_the_exit_leaves(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        given.own("3").await;
        let sell = given.accept(Side::Sell, "3").await;
        given.execute(sell.id).await;
        let stop = given.protect(None).await;
        given.price("90");
        given.sweep(1).await;
        let exit = given.trigger(stop).await.exit_order_id.unwrap();
        assert!(matches!(given.execute(exit).await, Outcome::RetryAt(_)), "the sell still holds the quantity");
        given.execute(sell.id).await;
        assert_eq!(given.broker.cancels(), [sell.id]);
        given.pass_pause(exit).await;
        given.broker.fill(exit, "3", "89");
        assert_eq!(given.execute(exit).await, Outcome::Done);
        assert_eq!(given.trigger(stop).await.state, TriggerState::Done);
    }

    async fn an_exit_that_waited_long_for_sells_is_not_punished_for_it(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([Step::Take, Step::Take, Step::NotSent])).await;
        given.own("3").await;
        let sell = given.accept(Side::Sell, "3").await;
        given.execute(sell.id).await;
        let stop = given.protect(None).await;
        given.price("90");
        given.sweep(1).await;
        let exit = given.trigger(stop).await.exit_order_id.unwrap();
        for _ in 0..9 {
            assert!(matches!(given.execute(exit).await, Outcome::RetryAt(_)), "the sell still holds the quantity");
            given.pass_pause(exit).await;
        }
        given.execute(sell.id).await;
        given.pass_pause(exit).await;
        assert_eq!(given.execute(exit).await, given.retry_in_ms(250), "its first call failed");
    }

    async fn a_stale_quote_fires_nothing_and_the_sweep_says_so(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        given.own("3").await;
        let stop = given.protect(None).await;
        given.price("95");
        given.price_at("80", given.clock_now() - TimeDelta::seconds(6));
        given.sweep(1).await;
        assert_eq!(given.record().await, (0, skipped("stale")));
        assert_eq!(given.trigger(stop).await.state, TriggerState::Armed);
    }

    async fn a_stop_on_an_instrument_without_a_quote_is_called_unprotected(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        given.own("3").await;
        given.protect(None).await;
        given.sweep(1).await;
        assert_eq!(given.record().await, (0, skipped("no_quote")));
    }

    async fn a_jump_fires_when_a_second_quote_confirms_it_within_the_sweep(test: TestStore) {
        let given = Given::new(test, ScriptedBroker::new([])).await;
        given.own("3").await;
        let stop = given.protect(None).await;
        given.price("95");
        given.sweep(1).await;
        given.price("50");
        let before = given.reads();
        let second_quote = async {
            given.next_read(before).await;
            given.price("51");
        };
        tokio::join!(given.sweep(2), second_quote);
        assert_eq!(given.record().await, (1, BTreeMap::new()));
        assert_eq!(given.trigger(stop).await.fired_price, Some("51".parse().unwrap()));
    }
}
