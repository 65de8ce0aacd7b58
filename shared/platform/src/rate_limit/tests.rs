//! Against a real server that is flushed, killed, stopped and started again.

use std::sync::Arc;
use std::time::Instant;

use fred::interfaces::{ClientLike as _, KeysInterface as _};
use proptest::prelude::*;
use tokio::runtime;
use tracing::dispatcher::with_default;

use super::*;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::redis::databases::RATE_LIMITS;
use crate::redis::{BREAKER_PAUSE, CALL_TIMEOUT};
use crate::telemetry::{LogBuffer, LogWriter, dispatch};
use crate::test_redis::TestRedis;

/// Long enough for a busy machine; the tests end as soon as the condition holds.
const PATIENCE: Duration = Duration::from_secs(20);

const MINUTE: Duration = Duration::from_mins(1);

fn policy(name: &'static str, limit: u64, window: Duration) -> Policy {
    Policy { name, limit, window }
}

async fn connected(redis: &TestRedis) -> RedisHandle {
    let handle = RedisHandle::connect(redis.url(), RATE_LIMITS).unwrap();
    eventually_up(&handle, true).await;
    handle
}

async fn eventually_up(handle: &RedisHandle, is_up: bool) {
    let deadline = Instant::now() + PATIENCE;
    while handle.is_up() != is_up {
        assert!(Instant::now() < deadline, "Redis is not up: {is_up}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn over(handle: &RedisHandle) -> RateLimiter {
    RateLimiter::new(Some(handle.clone()), SystemClock::shared())
}

async fn limiter(redis: &TestRedis) -> RateLimiter {
    over(&connected(redis).await)
}

/// How many of `tries` requests are allowed.
async fn allowed(limiter: &RateLimiter, checks: &[Check], tries: usize) -> usize {
    let mut count = 0;
    for _ in 0..tries {
        count += usize::from(limiter.check(checks).await.is_allowed);
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_exact_over_two_processes_and_many_callers_at_once() {
    let redis = TestRedis::start().unwrap();
    let limiters = [Arc::new(limiter(&redis).await), Arc::new(limiter(&redis).await)];
    let calls = (0..64).map(|number: usize| {
        let limiter = Arc::clone(&limiters[number % 2]);
        tokio::spawn(async move {
            let check = [Check::new(policy("many", 100, MINUTE), "a")];
            allowed(&limiter, &check, 10).await
        })
    });
    let counts = futures::future::join_all(calls).await;
    let sum: usize = counts.into_iter().map(Result::unwrap).sum();
    assert_eq!(sum, 100, "of 640 requests");
}

#[tokio::test]
async fn a_window_ends_by_the_clock_of_redis_and_its_counter_with_it() {
    let redis = TestRedis::start().unwrap();
    let handle = connected(&redis).await;
    let limiter = over(&handle);
    let check = [Check::new(policy("short", 2, Duration::from_millis(700)), "a")];
    let begun = Instant::now();
    assert_eq!(allowed(&limiter, &check, 2).await, 2);
    let refused = limiter.check(&check).await;
    assert!(!refused.is_allowed, "{refused:?}");
    assert_eq!(refused.retry_after_seconds, Some(1), "never 0");
    while !limiter.check(&check).await.is_allowed {
        assert!(begun.elapsed() < PATIENCE, "the wait was prolonged for ever");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(699),
        "{:?}",
        begun.elapsed()
    );
    let mut keys: Vec<String> = Vec::new();
    loop {
        let found: Vec<String> = handle
            .call(async |client| client.custom(fred::cmd!("KEYS"), vec!["*"]).await)
            .await
            .unwrap();
        if found.is_empty() {
            break;
        }
        keys = found;
        assert!(begun.elapsed() < PATIENCE, "the counter stays");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(keys, [check[0].counter()], "one counter, under the hash");
}

#[tokio::test]
async fn two_policies_are_decided_together_and_the_one_that_allows_is_not_used_up() {
    let redis = TestRedis::start().unwrap();
    let limiter = limiter(&redis).await;
    let hour = policy("hour", 2, Duration::from_hours(1));
    let day = policy("day", 5, Duration::from_hours(24));
    let both = [Check::new(hour, "a"), Check::new(day, "a")];
    assert_eq!(allowed(&limiter, &both, 20).await, 2);
    let refused = limiter.check(&both).await;
    assert_eq!(
        refused,
        Verdict {
            is_allowed: false,
            states: vec![
                PolicyState {
                    name: "hour",
                    limit: 2,
                    window_seconds: 3_600,
                    remaining: 0,
                    reset_seconds: 3_600,
                },
                PolicyState {
                    name: "day",
                    limit: 5,
                    window_seconds: 86_400,
                    remaining: 3,
                    reset_seconds: 86_400,
                },
            ],
            retry_after_seconds: Some(3_600),
        }
    );
    let day_alone = [Check::new(day, "a")];
    assert_eq!(
        allowed(&limiter, &day_alone, 20).await,
        3,
        "what the refused ones left"
    );
}

#[tokio::test]
async fn a_server_that_forgot_the_script_is_told_it_again_and_keeps_the_counts() {
    let redis = TestRedis::start().unwrap();
    let handle = connected(&redis).await;
    let limiter = over(&handle);
    let check = [Check::new(policy("few", 3, MINUTE), "a")];
    assert_eq!(allowed(&limiter, &check, 2).await, 2);
    handle
        .call(async |client| client.custom::<(), _>(fred::cmd!("SCRIPT"), vec!["FLUSH"]).await)
        .await
        .unwrap();
    assert_eq!(allowed(&limiter, &check, 5).await, 1);
    let restarted = over(&handle);
    assert_eq!(
        allowed(&restarted, &check, 5).await,
        0,
        "a new process of ours counts on"
    );
}

#[tokio::test]
async fn a_counter_that_nothing_would_end_does_not_lock_out_for_ever() {
    let redis = TestRedis::start().unwrap();
    let handle = connected(&redis).await;
    let check = [Check::new(policy("few", 3, MINUTE), "a")];
    let counter = check[0].counter();
    handle
        .call(async |client| client.set::<(), _, _>(counter, 1_000, None, None, false).await)
        .await
        .unwrap();
    let verdict = over(&handle).check(&check).await;
    assert!(verdict.is_allowed, "{verdict:?}");
    assert_eq!(
        (verdict.states[0].remaining, verdict.states[0].reset_seconds),
        (2, 60)
    );
}

#[tokio::test]
async fn without_redis_a_process_counts_alone() {
    let limiter = RateLimiter::new(None, SystemClock::shared());
    let check = [Check::new(policy("few", 3, MINUTE), "a")];
    assert_eq!(allowed(&limiter, &check, 10).await, 3);
    let nothing_to_check = limiter.check(&[]).await;
    assert!(nothing_to_check.is_allowed && nothing_to_check.states.is_empty());
}

#[test]
fn a_killed_redis_is_replaced_by_memory_and_taken_again_and_each_change_is_one_line() {
    let buffer = LogBuffer::new();
    let config = Config::from_lookup(|name| (name == "LOG_FORMAT").then(|| "json".to_owned())).unwrap();
    let dispatch = dispatch(&config, "api", LogWriter::Buffer(buffer.clone()));
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    with_default(&dispatch, || {
        runtime.block_on(async {
            let mut redis = TestRedis::start().unwrap();
            let handle = connected(&redis).await;
            let limiter = over(&handle);
            let check = [Check::new(policy("few", 3, MINUTE), "a")];
            assert_eq!(allowed(&limiter, &check, 10).await, 3);
            redis.kill();
            eventually_up(&handle, false).await;
            assert_eq!(
                allowed(&limiter, &check, 10).await,
                3,
                "the same limit, in memory"
            );
            redis.restart().unwrap();
            eventually_up(&handle, true).await;
            assert_eq!(
                allowed(&limiter, &check, 10).await,
                3,
                "Redis counts from nothing"
            );
            redis.kill();
            eventually_up(&handle, false).await;
            assert_eq!(
                allowed(&limiter, &check, 10).await,
                3,
                "no memory of the last time"
            );
        });
    });
    let lines: Vec<String> = buffer
        .json_lines()
        .iter()
        .filter(|line| line["target"] == "arbion_platform::rate_limit")
        .map(|line| format!("{} {}", line["level"], line["message"]).replace('"', ""))
        .collect();
    let (alone, again) = (
        "WARN rate limits are counted by this process alone until Redis is back",
        "INFO rate limits are counted in Redis again",
    );
    assert_eq!(lines, [alone, again, alone], "{}", buffer.text());
}

#[tokio::test]
async fn a_hung_redis_costs_one_time_out_and_then_nothing() {
    let redis = TestRedis::start().unwrap();
    let handle = connected(&redis).await;
    let limiter = over(&handle);
    let check = [Check::new(policy("many", 50, MINUTE), "a")];
    assert!(limiter.check(&check).await.is_allowed);
    redis.hang().unwrap();

    let begun = Instant::now();
    assert!(limiter.check(&check).await.is_allowed);
    let waited = begun.elapsed();
    assert!(waited < CALL_TIMEOUT + Duration::from_millis(200), "{waited:?}");

    let begun = Instant::now();
    assert_eq!(
        allowed(&limiter, &check, 100).await,
        49,
        "the limit holds in memory"
    );
    let waited = begun.elapsed();
    assert!(waited < BREAKER_PAUSE / 4, "{waited:?}");

    redis.resume().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !limiter.check(&check).await.is_allowed {
        assert!(Instant::now() < deadline, "Redis was never asked again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A request: which of the policies it is checked by, and for whom.
fn requests() -> impl Strategy<Value = Vec<(Vec<usize>, usize)>> {
    let policies = proptest::sample::subsequence(vec![0_usize, 1, 2], 1..=3);
    proptest::collection::vec((policies, 0_usize..3), 1..60)
}

#[test]
fn redis_and_memory_decide_alike() {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let redis = TestRedis::start().unwrap();
    let handle = runtime.block_on(connected(&redis));
    let policies = [
        policy("p", 2, Duration::from_hours(1)),
        policy("q", 3, Duration::from_hours(24)),
        policy("r", 5, Duration::from_hours(48)),
    ];
    proptest!(ProptestConfig::with_cases(40), |(requests in requests())| {
        let decided: Vec<(Verdict, Verdict)> = runtime.block_on(async {
            handle
                .call(async |client| client.custom::<(), _>(fred::cmd!("FLUSHDB"), Vec::<String>::new()).await)
                .await
                .unwrap();
            let (shared, alone) = (over(&handle), RateLimiter::new(None, SystemClock::shared()));
            let mut decided = Vec::new();
            for (chosen, key) in &requests {
                let checks: Vec<Check> = chosen
                    .iter()
                    .map(|number| Check::new(policies[*number], key.to_string()))
                    .collect();
                decided.push((shared.check(&checks).await, alone.check(&checks).await));
            }
            assert!(!shared.is_in_memory.load(Ordering::Relaxed), "Redis was there");
            decided
        });
        for (mut shared, mut alone) in decided {
            // The two counted a moment apart.
            for verdict in [&mut shared, &mut alone] {
                verdict.retry_after_seconds = verdict.retry_after_seconds.map(|seconds| seconds.div_ceil(60));
                for state in &mut verdict.states {
                    state.reset_seconds = state.reset_seconds.div_ceil(60);
                }
            }
            prop_assert_eq!(shared, alone);
        }
    });
}
