//! Two `Wakeups` over one Redis stand for two processes.

use std::time::{Duration, Instant};

use futures::{FutureExt as _, StreamExt as _};

use super::*;
use crate::test_redis::TestRedis;

const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for a message to arrive if one was sent.
const QUIET: Duration = Duration::from_millis(300);

async fn woken(subscription: &mut Subscription) {
    let next = tokio::time::timeout(PATIENCE, subscription.next()).await;
    assert_eq!(next.expect("nobody woke the subscriber"), Some(()));
}

async fn stays_quiet(subscription: &mut Subscription) {
    assert!(
        tokio::time::timeout(QUIET, subscription.next()).await.is_err(),
        "woken for no reason"
    );
}

/// Another process of the same Redis.
async fn process(redis: &TestRedis) -> (Wakeups, RedisHandle) {
    let handle = RedisHandle::connect(redis.url(), 0).unwrap();
    wait_until_up(&handle).await;
    (Wakeups::with_redis(&handle), handle)
}

async fn wait_until_up(handle: &RedisHandle) {
    let deadline = Instant::now() + PATIENCE;
    while !handle.is_up() {
        assert!(Instant::now() < deadline, "Redis is not up");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_notification_wakes_every_subscriber_of_its_topic_and_no_other() {
    let wakeups = Wakeups::local();
    let (mut first, mut second) = (wakeups.subscribe("orders"), wakeups.clone().subscribe("orders"));
    let mut other = wakeups.subscribe("events");
    assert_eq!(first.next().now_or_never(), None, "nothing was notified yet");
    wakeups.notify("orders");
    assert_eq!(first.next().now_or_never(), Some(Some(())));
    assert_eq!(second.next().now_or_never(), Some(Some(())));
    assert_eq!(other.next().now_or_never(), None);
}

#[tokio::test]
async fn several_notifications_before_a_look_are_one() {
    let wakeups = Wakeups::local();
    let mut subscription = wakeups.subscribe("orders");
    (0..1000).for_each(|_| wakeups.notify("orders"));
    assert_eq!(subscription.next().now_or_never(), Some(Some(())));
    assert_eq!(subscription.next().now_or_never(), None);
    wakeups.notify("orders");
    assert_eq!(subscription.next().now_or_never(), Some(Some(())));
}

#[tokio::test]
async fn a_waiting_subscriber_is_woken_from_another_task() {
    let wakeups = Wakeups::local();
    let mut subscription = wakeups.subscribe("orders");
    let waiter = tokio::spawn(async move { subscription.next().await });
    tokio::task::yield_now().await;
    wakeups.notify("orders");
    assert_eq!(
        tokio::time::timeout(PATIENCE, waiter).await.unwrap().unwrap(),
        Some(())
    );
}

#[test]
fn a_dropped_subscription_leaves_nothing_behind() {
    let wakeups = Wakeups::local();
    let (first, second) = (wakeups.subscribe("orders"), wakeups.subscribe("orders"));
    drop(first);
    assert_eq!(wakeups.topics.names().len(), 1);
    drop(second);
    assert!(wakeups.topics.names().is_empty());
    wakeups.notify("orders");
}

#[test]
fn no_notification_is_lost_between_two_threads() {
    let wakeups = Wakeups::local();
    let (to, back) = (wakeups.subscribe("to"), wakeups.subscribe("back"));
    let notifier = wakeups.clone();
    let echo = std::thread::spawn(move || {
        futures::executor::block_on(to.take(2_000).for_each(|()| {
            notifier.notify("back");
            std::future::ready(())
        }));
    });
    let mut back = back;
    for _ in 0..2_000 {
        wakeups.notify("to");
        assert_eq!(futures::executor::block_on(back.next()), Some(()));
    }
    echo.join().unwrap();
}

#[tokio::test]
async fn a_notification_reaches_another_process_and_only_on_its_topic() {
    let redis = TestRedis::start().unwrap();
    let ((api, _), (worker, _)) = (process(&redis).await, process(&redis).await);
    let (mut orders, mut events) = (worker.subscribe("orders"), worker.subscribe("events"));
    // The first wake-up says that the subscription stands.
    woken(&mut orders).await;
    woken(&mut events).await;
    for _ in 0..10 {
        api.notify("orders");
        woken(&mut orders).await;
    }
    stays_quiet(&mut events).await;
}

#[tokio::test]
async fn a_process_does_not_hear_its_own_notification_twice() {
    let redis = TestRedis::start().unwrap();
    let ((api, _), (worker, _)) = (process(&redis).await, process(&redis).await);
    let (mut own, mut other) = (api.subscribe("orders"), worker.subscribe("orders"));
    woken(&mut own).await;
    woken(&mut other).await;
    api.notify("orders");
    assert_eq!(own.next().now_or_never(), Some(Some(())), "woken directly");
    woken(&mut other).await;
    stays_quiet(&mut own).await;
}

#[tokio::test]
async fn without_redis_a_process_still_wakes_itself_and_notifying_costs_nothing() {
    let mut redis = TestRedis::start().unwrap();
    let (api, _) = process(&redis).await;
    let mut own = api.subscribe("orders");
    woken(&mut own).await;
    redis.kill();
    let before = Instant::now();
    for _ in 0..10_000 {
        api.notify("orders");
    }
    assert!(
        before.elapsed() < Duration::from_millis(500),
        "{:?}",
        before.elapsed()
    );
    woken(&mut own).await;
}

#[tokio::test]
async fn after_redis_was_away_subscribers_are_woken_once_and_hear_other_processes_again() {
    let mut redis = TestRedis::start().unwrap();
    let ((api, connection), (worker, _)) = (process(&redis).await, process(&redis).await);
    let mut orders = worker.subscribe("orders");
    woken(&mut orders).await;

    redis.kill();
    api.notify("orders");
    stays_quiet(&mut orders).await;
    redis.restart().unwrap();

    // What was notified meanwhile is lost; this makes the worker look.
    woken(&mut orders).await;
    wait_until_up(&connection).await;
    api.notify("orders");
    woken(&mut orders).await;
    stays_quiet(&mut orders).await;
}

#[tokio::test]
async fn a_process_that_starts_before_redis_joins_when_it_comes() {
    let mut redis = TestRedis::reserve().unwrap();
    let handle = RedisHandle::connect(redis.url(), 0).unwrap();
    let worker = Wakeups::with_redis(&handle);
    let mut orders = worker.subscribe("orders");
    worker.notify("orders");
    woken(&mut orders).await;
    redis.restart().unwrap();
    woken(&mut orders).await;
    let (api, _) = process(&redis).await;
    api.notify("orders");
    woken(&mut orders).await;
}

#[tokio::test]
async fn a_hung_redis_is_noticed_by_a_process_that_only_listens() {
    let redis = TestRedis::start().unwrap();
    let ((worker, _), (api, connection)) = (process(&redis).await, process(&redis).await);
    let mut orders = worker.subscribe("orders");
    woken(&mut orders).await;
    redis.hang().unwrap();
    stays_quiet(&mut orders).await;
    redis.resume().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(
            Instant::now() < deadline,
            "the other process is never heard again"
        );
        wait_until_up(&connection).await;
        api.notify("orders");
        if tokio::time::timeout(QUIET, orders.next()).await.is_ok() {
            break;
        }
    }
}

#[tokio::test]
async fn the_subscriptions_at_redis_follow_those_of_the_process() {
    let redis = TestRedis::start().unwrap();
    let (worker, handle) = process(&redis).await;
    let channels = async || {
        let names: Vec<String> = handle
            .call(async |client| {
                use fred::interfaces::PubsubInterface as _;
                client.pubsub_channels("arbion:wake:*").await
            })
            .await
            .unwrap();
        names
    };
    let mut orders = worker.subscribe("orders");
    woken(&mut orders).await;
    assert_eq!(channels().await, ["arbion:wake:orders"]);
    drop(orders);
    let deadline = Instant::now() + PATIENCE;
    while !channels().await.is_empty() {
        assert!(Instant::now() < deadline, "the subscription stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
