//! One process, without Redis.

use std::future::Future;

use futures::future::{join, join_all};

use super::*;
use crate::{Counted, Sim};

/// Lets everything that is polled with it run as far as it can, then does `then`.
async fn afterwards(then: impl FnOnce()) {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    then();
}

/// Runs `reads` together and lets the provider answer once all of them wait.
async fn together<T>(setup: &Setup, reads: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    join(
        join_all(reads),
        afterwards(|| setup.provider.gate.add_permits(1_000)),
    )
    .await
    .0
}

#[tokio::test]
async fn the_purpose_decides_how_old_a_cached_quote_may_be() {
    for (purpose, oldest) in [
        (Purpose::Display, 60),
        (Purpose::Risk, 10),
        // Those look every second, and must see each second's price.
        (Purpose::Trigger, 0),
        (Purpose::Fill, 0),
    ] {
        let setup = Setup::new(None);
        assert_eq!(setup.call_seen("AAPL", purpose).await, "1");
        setup.advance(oldest);
        assert_eq!(
            setup.call_seen("AAPL", purpose).await,
            "1",
            "{purpose:?} at its limit"
        );
        setup.advance(1);
        assert_eq!(
            setup.call_seen("AAPL", purpose).await,
            "2",
            "{purpose:?} beyond it"
        );
    }
}

#[tokio::test]
async fn the_age_counts_from_the_providers_time_and_not_from_the_fetch() {
    let setup = Setup::new(None);
    *setup.provider.offset.lock().unwrap() = TimeDelta::seconds(-9);
    assert_eq!(setup.call_seen("AAPL", Purpose::Risk).await, "1");
    setup.advance(1);
    assert_eq!(setup.call_seen("AAPL", Purpose::Risk).await, "1");
    setup.advance(1);
    assert_eq!(
        setup.call_seen("AAPL", Purpose::Risk).await,
        "2",
        "eleven seconds old by its own time"
    );
}

#[tokio::test]
async fn a_provider_that_stands_still_is_asked_for_every_trigger() {
    let setup = Setup::new(None);
    *setup.provider.offset.lock().unwrap() = TimeDelta::seconds(-30);
    for call in 1..=3 {
        assert_eq!(setup.call_seen("AAPL", Purpose::Trigger).await, call.to_string());
    }
    assert_eq!(
        setup.call_seen("AAPL", Purpose::Display).await,
        "3",
        "good enough to be shown"
    );
}

#[tokio::test]
async fn a_hundred_callers_at_once_make_one_call() {
    let setup = Setup::gated();
    let aapl = asset("AAPL");
    let reads = (0..100).map(|_| setup.cache.quote(&aapl, Purpose::Trigger));
    let quotes = together(&setup, reads).await;
    assert!(quotes.iter().all(|quote| quote.as_ref().unwrap().is_some()));
    assert_eq!(setup.provider.calls(), ["AAPL"]);
    let metrics = setup.cache.metrics();
    assert_eq!(
        (metrics.provider_calls, metrics.misses, metrics.joined),
        (1, 1, 99)
    );
}

#[tokio::test]
async fn all_that_is_missing_is_fetched_in_one_call() {
    let setup = Setup::new(None);
    let all = catalog::assets();
    setup.cache.quote(&all[3], Purpose::Risk).await.unwrap();
    let twice = [all.clone(), all.clone()].concat();
    let quotes = setup.cache.quotes(&twice, Purpose::Risk).await.unwrap();
    assert_eq!(quotes.len(), all.len() - 1, "all but DOGE");
    let calls = setup.provider.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        calls[1].split(' ').count(),
        all.len() - 1,
        "all but the one that was known: {}",
        calls[1]
    );
}

#[tokio::test]
async fn callers_with_common_assets_fetch_each_once() {
    let setup = Setup::gated();
    let (one, other) = (assets(&["AAPL", "MSFT"]), assets(&["MSFT", "IBM"]));
    let reads = [&one, &other].map(|assets| setup.cache.quotes(assets, Purpose::Risk));
    let answers = together(&setup, reads).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().len() == 2));
    assert_eq!(setup.provider.calls(), ["AAPL MSFT", "IBM"]);
}

#[tokio::test]
async fn who_waited_for_a_cancelled_caller_fetches_for_itself() {
    let setup = Setup::gated();
    let aapl = asset("AAPL");
    let mut leader = Box::pin(setup.cache.quote(&aapl, Purpose::Risk));
    assert!(futures::poll!(&mut leader).is_pending());
    let mut follower = Box::pin(setup.cache.quote(&aapl, Purpose::Risk));
    assert!(futures::poll!(&mut follower).is_pending());
    assert_eq!(setup.provider.calls().len(), 1);
    drop(leader);
    let answers = together(&setup, [follower]).await;
    assert!(answers[0].as_ref().unwrap().is_some());
    assert_eq!(setup.provider.calls(), ["AAPL", "AAPL"]);
}

/// The number of provider calls with and without the cache, for the same reads: this fails without the cache.
#[tokio::test]
async fn the_cache_saves_most_calls_under_repeated_load() {
    let clock = ManualClock::new(OPEN.parse().unwrap());
    let counted = Counted::new(Arc::new(Sim::new(1, clock.shared())));
    let cache = CachedQuotes::new(Arc::new(counted.clone()), clock.shared(), MarketHours::Real, None);
    let portfolio = assets(&["AAPL", "MSFT", "SPY", "BTC/USD"]);
    let mut reads: u64 = 0;
    // A minute in which four pages are shown and two orders are checked every second.
    for _ in 0..60 {
        for purpose in [
            Purpose::Display,
            Purpose::Display,
            Purpose::Display,
            Purpose::Display,
        ] {
            reads += 1;
            assert_eq!(cache.quotes(&portfolio, purpose).await.unwrap().len(), 4);
        }
        for asset in &portfolio[..2] {
            reads += 1;
            let quote = cache.quote(asset, Purpose::Risk).await.unwrap().unwrap();
            assert_eq!(quote.trust(Purpose::Risk, clock.now(), true), Ok(()));
        }
        clock.advance(TimeDelta::seconds(1));
    }
    assert_eq!(reads, 360);
    assert!(
        counted.calls() * 5 <= reads,
        "{} calls for {reads} reads",
        counted.calls()
    );
    assert_eq!(cache.metrics().provider_calls, counted.calls());
}

#[tokio::test]
async fn a_closing_quote_serves_until_the_next_opening_and_is_fetched_every_few_seconds() {
    let setup = Setup::at("2026-11-25T14:29:50Z", "scripted", Semaphore::MAX_PERMITS, None);
    *setup.provider.offset.lock().unwrap() = TimeDelta::hours(-17);
    for purpose in [Purpose::Risk, Purpose::Display, Purpose::Trigger] {
        assert_eq!(setup.call_seen("AAPL", purpose).await, "1", "{purpose:?}");
    }
    setup.advance(5);
    assert_eq!(setup.call_seen("AAPL", Purpose::Risk).await, "1");
    setup.advance(4);
    assert_eq!(setup.call_seen("AAPL", Purpose::Risk).await, "2");
    setup.advance(1);
    assert_eq!(
        setup.call_seen("AAPL", Purpose::Risk).await,
        "3",
        "the market has opened"
    );
    assert_eq!(setup.call_seen("BTC/USD", Purpose::Risk).await, "4");
    assert_eq!(
        setup.call_seen("BTC/USD", Purpose::Risk).await,
        "5",
        "pairs have no closing quote"
    );
}

#[tokio::test]
async fn an_asset_without_a_price_is_not_asked_for_all_the_time() {
    let setup = Setup::new(None);
    assert_eq!(setup.call_seen("DOGE/USD", Purpose::Display).await, "nothing");
    setup.advance(5);
    assert_eq!(setup.call_seen("DOGE/USD", Purpose::Display).await, "nothing");
    assert_eq!(setup.provider.calls().len(), 1);
    setup.advance(1);
    assert_eq!(setup.call_seen("DOGE/USD", Purpose::Display).await, "nothing");
    assert_eq!(setup.provider.calls().len(), 2);
}

#[tokio::test]
async fn a_failed_provider_is_an_error_for_all_who_waited_and_for_nobody_later() {
    let setup = Setup::gated();
    setup.provider.fails.store(true, Ordering::SeqCst);
    let aapl = asset("AAPL");
    let answers = together(&setup, (0..3).map(|_| setup.cache.quote(&aapl, Purpose::Risk))).await;
    for answer in answers {
        assert_eq!(
            answer.unwrap_err().to_string(),
            "market data from scripted is unavailable"
        );
    }
    assert_eq!(setup.provider.calls().len(), 1);
    setup.provider.fails.store(false, Ordering::SeqCst);
    assert_eq!(setup.call_seen("AAPL", Purpose::Risk).await, "2");
    assert_eq!(setup.cache.metrics().provider_errors, 1);
}

#[tokio::test]
async fn what_is_known_is_handed_out_while_the_provider_fails() {
    let setup = Setup::new(None);
    assert_eq!(setup.call_seen("AAPL", Purpose::Risk).await, "1");
    setup.provider.fails.store(true, Ordering::SeqCst);
    let quotes = setup
        .cache
        .quotes(&assets(&["AAPL", "MSFT"]), Purpose::Risk)
        .await
        .unwrap();
    assert_eq!(quotes.keys().copied().collect::<Vec<_>>(), [asset("AAPL").id]);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_given_up() {
    let setup = Setup::gated();
    let error = setup
        .cache
        .quote(&asset("AAPL"), Purpose::Risk)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "market data from scripted did not come within 2000 ms"
    );
}

#[tokio::test]
async fn a_quote_from_the_future_is_fetched_anew() {
    let setup = Setup::new(None);
    assert_eq!(setup.call_seen("AAPL", Purpose::Risk).await, "1");
    setup.advance(-60);
    assert_eq!(
        setup.call_seen("AAPL", Purpose::Risk).await,
        "2",
        "the clock went back"
    );
}
