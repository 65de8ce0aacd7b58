//! Several processes around one Redis, and what happens without it.

use std::time::Instant;

use fred::interfaces::KeysInterface as _;
use platform::redis::databases::CACHE;
use platform::test_redis::TestRedis;

use super::*;

/// Long enough for a busy machine; the tests end as soon as the condition holds.
const PATIENCE: Duration = Duration::from_secs(20);

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn connect(redis: &TestRedis) -> RedisHandle {
    let handle = RedisHandle::connect(redis.url(), CACHE).unwrap();
    eventually("Redis is up", || handle.is_up()).await;
    handle
}

/// What a process does that starts now.
async fn process(redis: &TestRedis) -> Setup {
    Setup::new(Some(connect(redis).await))
}

fn key(symbol: &str) -> String {
    format!("quote:scripted:{}", asset(symbol).id)
}

#[tokio::test]
async fn processes_share_quotes_and_a_restart_keeps_them() {
    let redis = TestRedis::start().unwrap();
    let first = process(&redis).await;
    assert_eq!(first.call_seen("AAPL", Purpose::Risk).await, "1");
    let second = process(&redis).await;
    second.advance(10);
    let quotes = second
        .cache
        .quotes(&assets(&["AAPL", "MSFT"]), Purpose::Risk)
        .await
        .unwrap();
    assert_eq!(quotes.len(), 2);
    assert_eq!(
        second.provider.calls(),
        ["MSFT"],
        "AAPL came from the other process"
    );
    assert_eq!(second.cache.metrics().redis_hits, 1);
    let again = second
        .cache
        .quote(&asset("AAPL"), Purpose::Risk)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again, quotes[&asset("AAPL").id]);
    assert_eq!(second.cache.metrics().memory_hits, 1, "a copy is remembered");
}

#[tokio::test]
async fn a_shared_quote_that_is_too_old_for_its_purpose_is_fetched_anew() {
    let redis = TestRedis::start().unwrap();
    let first = process(&redis).await;
    assert_eq!(first.call_seen("AAPL", Purpose::Display).await, "1");
    let second = process(&redis).await;
    second.advance(6);
    assert_eq!(second.call_seen("AAPL", Purpose::Display).await, "1");
    assert_eq!(second.provider.calls().len(), 0, "young enough to be shown");
    second.call_seen("AAPL", Purpose::Trigger).await;
    assert_eq!(second.provider.calls().len(), 1, "too old to fire a stop");
}

/// The leader finds a copy that serves its own purpose; one who joined it needs a younger one.
#[tokio::test]
async fn who_joins_a_lesser_purpose_does_not_take_its_old_copy() {
    let redis = TestRedis::start().unwrap();
    process(&redis).await.call_seen("AAPL", Purpose::Display).await;
    let second = process(&redis).await;
    second.advance(30);
    let aapl = asset("AAPL");
    let display = second.cache.quote(&aapl, Purpose::Display);
    let trigger = second.cache.quote(&aapl, Purpose::Trigger);
    let (display, trigger) = tokio::join!(display, trigger);
    let now = second.clock.now();
    assert_eq!(display.unwrap().unwrap().age(now), TimeDelta::seconds(30));
    assert_eq!(trigger.unwrap().unwrap().age(now), TimeDelta::zero());
    assert_eq!(second.provider.calls(), ["AAPL"]);
}

#[tokio::test]
async fn copies_expire_and_lie_in_the_database_of_the_cache() {
    let redis = TestRedis::start().unwrap();
    let handle = connect(&redis).await;
    let setup = Setup::new(Some(handle.clone()));
    setup
        .cache
        .quotes(&assets(&["AAPL", "DOGE/USD"]), Purpose::Risk)
        .await
        .unwrap();
    let lifetime: i64 = handle
        .call(async |client| client.ttl(key("AAPL")).await)
        .await
        .unwrap();
    assert!((50..=60).contains(&lifetime), "{lifetime}");
    let absent: i64 = handle
        .call(async |client| client.exists(key("DOGE/USD")).await)
        .await
        .unwrap();
    assert_eq!(absent, 0, "there is no copy of no price");
}

#[tokio::test]
async fn providers_do_not_mix_their_copies() {
    let redis = TestRedis::start().unwrap();
    process(&redis).await.call_seen("AAPL", Purpose::Risk).await;
    let other = Setup::at(OPEN, "other", Semaphore::MAX_PERMITS, Some(connect(&redis).await));
    other.call_seen("AAPL", Purpose::Risk).await;
    assert_eq!(other.provider.calls().len(), 1);
}

#[tokio::test]
async fn a_copy_that_cannot_be_read_is_a_miss_and_is_replaced() {
    let redis = TestRedis::start().unwrap();
    let handle = connect(&redis).await;
    let write = async |client: fred::clients::Client| client.set(key("AAPL"), "{", None, None, false).await;
    let () = handle.call(write).await.unwrap();
    let setup = Setup::new(Some(handle.clone()));
    assert_eq!(setup.call_seen("AAPL", Purpose::Risk).await, "1");
    assert_eq!(setup.cache.metrics().redis_errors, 1);
    let copy: String = handle
        .call(async |client| client.get(key("AAPL")).await)
        .await
        .unwrap();
    assert!(copy.contains("\"fetched_at\":\"2026-11-24T15:00:00Z\""), "{copy}");
}

#[tokio::test]
async fn without_redis_each_process_remembers_for_itself_until_it_is_back() {
    let mut redis = TestRedis::start().unwrap();
    let setup = process(&redis).await;
    assert_eq!(setup.call_seen("AAPL", Purpose::Risk).await, "1");
    redis.kill();
    let before = Instant::now();
    assert_eq!(setup.call_seen("AAPL", Purpose::Risk).await, "1", "from memory");
    assert_eq!(
        setup.call_seen("MSFT", Purpose::Risk).await,
        "2",
        "from the provider"
    );
    assert_eq!(setup.call_seen("MSFT", Purpose::Risk).await, "2", "from memory");
    assert!(
        before.elapsed() < Duration::from_secs(1),
        "{:?}",
        before.elapsed()
    );

    redis.restart().unwrap();
    let observer = connect(&redis).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        setup.advance(61);
        setup.call_seen("AAPL", Purpose::Risk).await;
        let exists: i64 = observer
            .call(async |client| client.exists(key("AAPL")).await)
            .await
            .unwrap();
        if exists == 1 {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "quotes are shared again once Redis is back"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_hung_redis_delays_one_read_shortly_and_the_next_not_at_all() {
    let redis = TestRedis::start().unwrap();
    let setup = process(&redis).await;
    redis.hang().unwrap();
    let before = Instant::now();
    assert_eq!(setup.call_seen("AAPL", Purpose::Trigger).await, "1");
    assert!(
        before.elapsed() < Duration::from_secs(1),
        "{:?}",
        before.elapsed()
    );
    let errors = setup.cache.metrics().redis_errors;
    assert_eq!(errors, 1, "the write does not try again at once");
    assert_eq!(setup.call_seen("MSFT", Purpose::Trigger).await, "2");
    assert_eq!(
        setup.cache.metrics().redis_errors,
        errors,
        "Redis is left out while it is known to hang"
    );
    redis.resume().unwrap();
}

#[tokio::test]
async fn a_start_without_redis_works() {
    let redis = TestRedis::reserve().unwrap();
    let setup = Setup::new(Some(RedisHandle::connect(redis.url(), CACHE).unwrap()));
    assert_eq!(setup.call_seen("AAPL", Purpose::Risk).await, "1");
    assert_eq!(setup.call_seen("AAPL", Purpose::Risk).await, "1");
}
