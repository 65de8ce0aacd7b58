//! Feeds brokers that fill by our quotes: fresh prices for what rests there, and the passing of time.

use std::time::{Duration, Instant};

use broker::Broker;
use domain::quote::{Purpose, Quote};

use super::read_reports;
use crate::worker::Worker;

/// Without a quote a broker is still called this often, so that its day orders expire.
const TIME_PASSES_EVERY: Duration = Duration::from_secs(1);

/// Feeds every such broker once.
pub(crate) async fn feed(worker: &Worker) {
    for broker in worker.app.brokers.fed_by_quotes() {
        feed_one(worker, broker.as_ref()).await;
    }
}

async fn feed_one(worker: &Worker, broker: &dyn Broker) {
    let quotes = quotes(worker, broker).await;
    if quotes.is_empty() && !worker.feeding.is_due(TIME_PASSES_EVERY) {
        return;
    }
    worker.feeding.done();
    let limit = worker.call_limit(broker);
    match tokio::time::timeout(limit, broker.feed(&quotes)).await {
        // Not read here: a feed is due again in a moment, however many connections there are.
        Ok(Ok(connections)) => read_reports::hand_over(worker, connections).await,
        Ok(Err(error)) => tracing::warn!(%error, broker.name = broker.name(), "the venue was not fed"),
        Err(error) => tracing::warn!(%error, broker.name = broker.name(), "the venue was not fed"),
    }
}

async fn quotes(worker: &Worker, broker: &dyn Broker) -> Vec<Quote> {
    let resting = match broker.resting_assets().await {
        Ok(resting) => worker.app.assets.of(&resting),
        Err(error) => {
            tracing::warn!(%error, broker.name = broker.name(), "the venue does not say what rests there");
            return Vec::new();
        }
    };
    if resting.is_empty() {
        return Vec::new();
    }
    match worker.app.quotes.quotes(&resting, Purpose::Fill).await {
        Ok(quotes) => quotes.into_values().collect(),
        // The cache has logged it.
        Err(_) => Vec::new(),
    }
}

/// When a broker was fed last by this process.
#[derive(Debug, Default)]
pub(crate) struct Feeding {
    last: std::sync::Mutex<Option<Instant>>,
}

impl Feeding {
    fn is_due(&self, every: Duration) -> bool {
        self.lock().is_none_or(|last| last.elapsed() >= every)
    }

    fn done(&self) {
        *self.lock() = Some(Instant::now());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.last
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_for_a_venue_at_once_and_then_at_its_pace() {
        let feeding = Feeding::default();
        assert!(feeding.is_due(Duration::from_hours(1)), "nothing was fed yet");
        feeding.done();
        assert!(!feeding.is_due(Duration::from_hours(1)));
        assert!(feeding.is_due(Duration::ZERO));
    }
}
