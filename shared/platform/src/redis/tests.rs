//! Against a real server that is killed, stopped and started again.

use std::time::Instant;

use fred::interfaces::{ClientLike as _, KeysInterface as _};

use tracing::dispatcher::with_default;

use super::*;
use crate::config::Config;
use crate::telemetry::{LogBuffer, LogWriter, dispatch};
use crate::test_redis::TestRedis;

/// Long enough for a busy machine; the tests end as soon as the condition holds.
const PATIENCE: Duration = Duration::from_secs(20);

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn connected(redis: &TestRedis, database: u8) -> RedisHandle {
    let handle = RedisHandle::connect(redis.url(), database).unwrap();
    eventually("Redis is up", || handle.is_up()).await;
    handle
}

async fn set(handle: &RedisHandle, key: &str, value: &str) -> Result<(), RedisError> {
    handle
        .call(async |client| client.set(key, value, None, None, false).await)
        .await
}

async fn get(handle: &RedisHandle, key: &str) -> Result<Option<String>, RedisError> {
    handle.call(async |client| client.get(key).await).await
}

#[tokio::test]
async fn commands_reach_the_database_of_the_handle_and_no_other() {
    let redis = TestRedis::start().unwrap();
    let (cache, limits) = (
        connected(&redis, databases::CACHE).await,
        connected(&redis, databases::RATE_LIMITS).await,
    );
    set(&cache, "quote", "1").await.unwrap();
    assert_eq!(get(&cache, "quote").await.unwrap().as_deref(), Some("1"));
    assert_eq!(get(&limits, "quote").await.unwrap(), None);
    assert!(cache.url().expose().ends_with("/1") && limits.url().expose().ends_with("/2"));
}

#[tokio::test]
async fn a_start_without_redis_does_not_wait_and_connects_when_redis_comes() {
    let mut redis = TestRedis::reserve().unwrap();
    let before = Instant::now();
    let handle = RedisHandle::connect(redis.url(), 0).unwrap();
    let answer = set(&handle, "a", "1").await;
    assert!(matches!(answer, Err(RedisError::Down)), "{answer:?}");
    assert!(
        before.elapsed() < Duration::from_millis(200),
        "{:?}",
        before.elapsed()
    );
    assert!(!handle.is_up());

    redis.restart().unwrap();
    eventually("Redis is up", || handle.is_up()).await;
    set(&handle, "a", "1").await.unwrap();
}

#[tokio::test]
async fn a_killed_redis_is_noticed_and_found_again() {
    let mut redis = TestRedis::start().unwrap();
    let handle = connected(&redis, 0).await;
    redis.kill();
    eventually("Redis is down", || !handle.is_up()).await;
    let before = Instant::now();
    assert!(matches!(set(&handle, "a", "1").await, Err(RedisError::Down)));
    assert!(
        before.elapsed() < Duration::from_millis(100),
        "{:?}",
        before.elapsed()
    );

    redis.restart().unwrap();
    eventually("Redis is up", || handle.is_up()).await;
    set(&handle, "a", "1").await.unwrap();
}

#[tokio::test]
async fn a_hung_redis_costs_one_time_out_and_then_nothing_until_it_goes_on() {
    let redis = TestRedis::start().unwrap();
    let handle = connected(&redis, 0).await;
    redis.hang().unwrap();

    let before = Instant::now();
    assert!(matches!(set(&handle, "a", "1").await, Err(RedisError::TimedOut)));
    let waited = before.elapsed();
    assert!(
        waited >= COMMAND_TIMEOUT && waited < CALL_TIMEOUT + Duration::from_millis(100),
        "{waited:?}"
    );

    assert!(!handle.is_up());
    let before = Instant::now();
    for _ in 0..100 {
        assert!(matches!(set(&handle, "a", "1").await, Err(RedisError::Down)));
    }
    assert!(
        before.elapsed() < Duration::from_millis(100),
        "{:?}",
        before.elapsed()
    );

    redis.resume().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while set(&handle, "a", "2").await.is_err() {
        assert!(Instant::now() < deadline, "Redis never answered again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(handle.is_up());
    assert_eq!(get(&handle, "a").await.unwrap().as_deref(), Some("2"));
}

#[tokio::test]
async fn an_error_of_the_server_is_an_answer_and_opens_no_breaker() {
    let redis = TestRedis::start().unwrap();
    let handle = connected(&redis, 0).await;
    let answer = handle
        .call(async |client| client.custom::<(), _>(fred::cmd!("NONSENSE"), vec![""]).await)
        .await;
    assert!(matches!(answer, Err(RedisError::Command(_))), "{answer:?}");
    assert!(handle.is_up());
}

#[tokio::test]
async fn several_commands_together_may_not_outlast_the_call() {
    let redis = TestRedis::start().unwrap();
    let handle = connected(&redis, 0).await;
    let before = Instant::now();
    let answer: Result<(), _> = handle
        .call(async |_client| {
            std::future::pending::<()>().await;
            Ok(())
        })
        .await;
    assert!(matches!(answer, Err(RedisError::TimedOut)), "{answer:?}");
    assert!(before.elapsed() >= CALL_TIMEOUT);
    assert!(!handle.is_up());
}

#[tokio::test]
async fn a_refused_password_is_tried_again_until_it_is_right() {
    let redis = TestRedis::start().unwrap();
    let admin = connected(&redis, 0).await;
    let require = async |password: &str| {
        let arguments = vec!["SET".to_owned(), "requirepass".to_owned(), password.to_owned()];
        admin
            .call(async |client| client.custom::<(), _>(fred::cmd!("CONFIG"), arguments).await)
            .await
    };
    require("right").await.unwrap();
    let url = redis
        .url()
        .expose()
        .replace("redis://", "redis://:wrong@")
        .parse()
        .unwrap();
    let handle = RedisHandle::connect(&url, 0).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!handle.is_up());
    require("wrong").await.unwrap();
    eventually("the password is right", || handle.is_up()).await;
}

#[test]
fn a_loss_and_a_return_are_logged_once_and_without_the_password() {
    let buffer = LogBuffer::new();
    let config = Config::from_lookup(|name| (name == "LOG_FORMAT").then(|| "json".to_owned())).unwrap();
    let dispatch = dispatch(&config, "api", LogWriter::Buffer(buffer.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    with_default(&dispatch, || {
        runtime.block_on(async {
            let mut redis = TestRedis::start().unwrap();
            let url = redis
                .url()
                .expose()
                .replace("redis://", "redis://default:hunter2@")
                .parse()
                .unwrap();
            let handle = RedisHandle::connect(&url, 0).unwrap();
            eventually("Redis is up", || handle.is_up()).await;
            redis.kill();
            eventually("Redis is down", || !handle.is_up()).await;
            eventually("the loss is logged", || buffer.text().contains("Redis is away")).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            redis.restart().unwrap();
            eventually("Redis is up", || handle.is_up()).await;
            eventually("it is logged", || {
                buffer.text().matches("Redis is connected").count() == 2
            })
            .await;
        });
    });
    let lines = buffer.json_lines();
    let own: Vec<&str> = lines
        .iter()
        .filter(|line| line["target"] == "arbion_platform::redis")
        .filter_map(|line| line["message"].as_str())
        .collect();
    let away = "Redis is away; this process goes on without it";
    assert_eq!(
        own,
        ["Redis is connected", away, "Redis is connected"],
        "{}",
        buffer.text()
    );
    assert!(!buffer.text().contains("hunter2"), "{}", buffer.text());
}

#[tokio::test]
async fn the_last_handle_closes_the_connection() {
    let redis = TestRedis::start().unwrap();
    let (handle, watcher) = (connected(&redis, 0).await, connected(&redis, 1).await);
    let clients = async || {
        let list: String = watcher
            .call(async |client| {
                client
                    .custom(fred::cmd!("CLIENT"), vec!["LIST", "TYPE", "normal"])
                    .await
            })
            .await
            .unwrap();
        list.lines().count()
    };
    assert_eq!(clients().await, 2);
    let clone = handle.clone();
    drop(handle);
    set(&clone, "a", "1").await.unwrap();
    drop(clone);
    let deadline = Instant::now() + PATIENCE;
    while clients().await != 1 {
        assert!(Instant::now() < deadline, "the connection stays open");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn the_database_number_replaces_whatever_path_the_url_had() {
    let cases = [
        ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379/2"),
        ("redis://127.0.0.1:6379/", "redis://127.0.0.1:6379/2"),
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/2"),
        (
            "rediss://user:p%40ss@cache.example.com:6380/15",
            "rediss://user:p%40ss@cache.example.com:6380/2",
        ),
        (
            "rediss://:secret@cache/1?protocol=resp3",
            "rediss://:secret@cache/2?protocol=resp3",
        ),
        ("redis://[::1]:6379/1", "redis://[::1]:6379/2"),
    ];
    for (given, expected) in cases {
        assert_eq!(database_url(&given.parse().unwrap(), 2).expose(), expected);
    }
}

#[tokio::test]
async fn a_url_that_no_server_can_have_is_refused_without_showing_the_password() {
    for text in [
        "redis://:hunter2@",
        "http://:hunter2@h:1",
        "redis://:hunter2@host:99999",
    ] {
        let error = RedisHandle::connect(&text.parse().unwrap(), 0).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn a_tls_url_is_understood_and_the_provider_of_cryptography_can_be_installed_twice() {
    install_crypto_provider();
    install_crypto_provider();
    let handle = RedisHandle::connect(&"rediss://127.0.0.1:1".parse().unwrap(), 1).unwrap();
    assert_eq!(handle.url().scheme(), "rediss");
    assert!(!handle.is_up());
}
