//! A venue that fills by our quotes is fed on time, whatever else is slow.

use std::sync::Arc;
use std::time::Duration;

use platform::Shutdown;
use store::testing::TestStore;

use crate::broker_script::{Call, ScriptedBroker};
use crate::given::Given;

/// Much longer than two feeds take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the worker until so many calls of this kind were made.
async fn run_until(given: &Given<'_>, calls: usize, call: Call) {
    let shutdown = Shutdown::new();
    let made = async {
        while given.broker.count(call) < calls {
            tokio::task::yield_now().await;
        }
    };
    let running = Arc::clone(&given.worker).run(&shutdown);
    tokio::select! {
        () = running => panic!("the worker ended"),
        made = tokio::time::timeout(PATIENCE, made) => made.unwrap(),
    }
}

store::testing::on_both! {
    async fn a_venue_is_fed_while_the_reports_of_a_connection_do_not_come(test: TestStore) {
        let given = Given::with_limit(test, ScriptedBroker::fed(), Duration::from_hours(1)).await;
        given.broker.fill_of(given.trader.connection);
        given.broker.fall_silent(Call::Reports);
        run_until(&given, 3, Call::Feed).await;
    }

    async fn a_feed_without_an_answer_ends_by_the_configured_limit(test: TestStore) {
        let given = Given::with_limit(test, ScriptedBroker::fed(), Duration::from_millis(20)).await;
        given.broker.fall_silent(Call::Feed);
        run_until(&given, 3, Call::Feed).await;
    }

    async fn the_reports_that_a_feed_brings_about_are_read(test: TestStore) {
        // Without an open order nothing else asks for the reports of a connection.
        let given = Given::with_limit(test, ScriptedBroker::fed(), Duration::from_secs(5)).await;
        given.broker.fill_of(given.trader.connection);
        run_until(&given, 1, Call::Reports).await;
    }
}
