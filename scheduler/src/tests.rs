//! A scheduler on real databases, without any worker.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::asset::MarketHours;
use platform::chain::ChainKey;
use platform::telemetry::LogBuffer;
use platform::{ManualClock, SystemClock};
use queue::{ConsumerOptions, Job, Outcome, Queue};
use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait};
use store::Store;
use store::audit_log::{AuditEvent, AuditKind};
use store::entity::{self, audit_heads, order_work, sweeps};
use store::oauth::{CODE_LIFETIME, NewClient, NewGrant, Registration};
use store::testing::{TestStore, json_log, now};
use store::users::Role;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber as _;
use uuid::Uuid;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

fn app(store: &Store) -> SchedulerApp {
    SchedulerApp {
        store: store.clone(),
        queue: Queue::memory(),
        clock: ManualClock::new(now()).shared(),
        chain_key: ChainKey::of(&[7; 32]),
        hours: MarketHours::Real,
        options: SchedulerOptions {
            name: "scheduler".to_owned(),
            sweep_interval: Duration::from_mins(1),
            sweep_shards: 2,
        },
    }
}

/// Work of an order that has been due for a long time.
async fn overdue_order(test: &TestStore) -> Uuid {
    let order_id = Uuid::now_v7();
    let row = order_work::Model {
        order_id,
        kind: "submit".to_owned(),
        account_id: Uuid::now_v7(),
        due_at: DateTime::<Utc>::UNIX_EPOCH,
        claimed_by: None,
        claimed_until: None,
        fence: 0,
        attempts: 0,
        last_error: None,
    };
    order_work::Entity::insert(row.into_active_model())
        .exec_without_returning(test.write())
        .await
        .unwrap();
    order_id
}

/// A sweep that was opened a long time ago and that no worker took.
async fn overdue_sweep(test: &TestStore, slot: i64) {
    test.open_sweep(slot, 1, 1).await.unwrap();
    sweeps::Entity::update_many()
        .col_expr(
            sweeps::Column::CreatedAt,
            Expr::value(DateTime::<Utc>::UNIX_EPOCH),
        )
        .exec(test.write())
        .await
        .unwrap();
}

/// Sessions of a new user that ended at `end`.
async fn old_sessions(test: &TestStore, count: usize, end: DateTime<Utc>) {
    let user = test.trader(Role::Standard, 1.into()).await.user;
    let rows = (0..count).map(|_| entity::sessions::Model {
        id: Uuid::now_v7(),
        user_id: user.0,
        hash: [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat(),
        ip: "192.0.2.1".to_owned(),
        user_agent: "test".to_owned(),
        created_at: end,
        authenticated_at: end,
        last_seen_at: end,
        expires_at: end,
        ended_at: None,
    });
    entity::sessions::Entity::insert_many(rows.map(IntoActiveModel::into_active_model))
        .exec_without_returning(test.write())
        .await
        .unwrap();
}

/// Codes of a new app that ended at `end`.
async fn old_codes(test: &TestStore, count: usize, end: DateTime<Utc>) {
    let person = test.trader(Role::Standard, 1.into()).await;
    let client = NewClient {
        user: person.user,
        account: person.account,
        name: "Bot".to_owned(),
        is_confidential: false,
        grant_types: Vec::new(),
        redirect_uris: Vec::new(),
        scopes: Vec::new(),
    };
    let registration = test.register_oauth_client(&client, now()).await.unwrap();
    let Registration::Registered { client, .. } = registration else {
        panic!("too many")
    };
    let grant = NewGrant {
        client: client.id,
        user: person.user,
        account: person.account,
        scopes: Vec::new(),
        redirect_uri: None,
        code_challenge: "c".repeat(43),
    };
    let first = test
        .create_oauth_grant(&grant, end - CODE_LIFETIME)
        .await
        .unwrap();
    let rows = (1..count).map(|_| entity::oauth_codes::Model {
        hash: [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat(),
        grant_id: first.grant,
        redirect_uri: None,
        code_challenge: "c".repeat(43),
        created_at: end,
        expires_at: end,
        used_at: None,
    });
    let rows: Vec<_> = rows.map(IntoActiveModel::into_active_model).collect();
    if !rows.is_empty() {
        entity::oauth_codes::Entity::insert_many(rows)
            .exec_without_returning(test.write())
            .await
            .unwrap();
    }
}

/// The signals that wait, in words.
async fn signals(queue: &Queue) -> BTreeSet<String> {
    let (send, mut receive) = mpsc::unbounded_channel();
    let handler = move |job: Job| {
        let send = send.clone();
        async move {
            send.send(format!("{job:?}")).unwrap();
            Outcome::Done
        }
    };
    let waiting = queue.waiting().await.unwrap();
    let collecting = async {
        let mut signals = BTreeSet::new();
        for _ in 0..waiting {
            signals.extend(receive.recv().await);
        }
        signals
    };
    let options = ConsumerOptions::new("test", 1);
    tokio::select! {
        () = queue.consume(options, handler, CancellationToken::new()) => unreachable!("nobody asked for the end"),
        signals = tokio::time::timeout(PATIENCE, collecting) => signals.unwrap(),
    }
}

fn words(jobs: &[Job]) -> BTreeSet<String> {
    jobs.iter().map(|job| format!("{job:?}")).collect()
}

/// The messages of the log at a level, in order.
fn told(log: &LogBuffer, level: &str) -> Vec<String> {
    let lines = log.json_lines();
    let at_level = lines.iter().filter(|line| line["level"] == level);
    at_level
        .map(|line| line["message"].as_str().unwrap().to_owned())
        .collect()
}

/// One pass of a new leader.
async fn pass_once(app: &SchedulerApp) -> LogBuffer {
    let log = LogBuffer::new();
    pass(app, &mut None, 1).with_subscriber(json_log(&log)).await;
    log
}

/// A scheduler whose clock the test moves.
struct Moved<'a> {
    app: &'a SchedulerApp,
    clock: ManualClock,
    schedule: Option<Schedule>,
    log: LogBuffer,
}

impl<'a> Moved<'a> {
    fn new(app: &'a mut SchedulerApp) -> Self {
        let clock = ManualClock::new(now());
        app.clock = clock.shared();
        Self {
            app,
            clock,
            schedule: None,
            log: LogBuffer::new(),
        }
    }

    /// How many sweeps it has opened, and so signaled. Those that no worker takes are signaled again; they do not count.
    fn signaled(&self) -> usize {
        let told = told(&self.log, "INFO");
        told.iter().filter(|words| *words == "opened a sweep").count()
    }

    /// Moves the clock, and looks at the table some times, as often as it would within a slot.
    async fn pass_after(&mut self, minutes: i64, fence: i64) {
        self.clock.advance(TimeDelta::minutes(minutes));
        for _ in 0..3 {
            pass(self.app, &mut self.schedule, fence)
                .with_subscriber(json_log(&self.log))
                .await;
        }
    }
}

/// The slots that were opened, counted from the present one, in order.
async fn opened(test: &TestStore) -> Vec<i64> {
    let first = slot::slot_at(now(), Duration::from_mins(1));
    let sweeps = test.recent_sweeps(1_000).await.unwrap();
    let slots: BTreeSet<i64> = sweeps.iter().map(|sweep| sweep.slot - first).collect();
    slots.into_iter().collect()
}

store::testing::on_both! {
    async fn a_pause_of_an_hour_is_made_up_for_by_one_sweep(test: TestStore) {
        let mut app = app(test);
        let mut scheduler = Moved::new(&mut app);
        scheduler.pass_after(0, 1).await;
        scheduler.pass_after(60, 1).await;
        assert_eq!(opened(test).await, [0, 60]);
        assert_eq!(scheduler.signaled(), 2);
        assert_eq!(told(&scheduler.log, "WARN"), ["missed 59 slots; one sweep makes up for all"]);
    }

    async fn a_clock_that_jumps_an_hour_ahead_and_back_skips_no_slot_and_repeats_none(test: TestStore) {
        let mut app = app(test);
        let mut scheduler = Moved::new(&mut app);
        scheduler.pass_after(0, 1).await;
        scheduler.pass_after(60, 1).await;
        scheduler.pass_after(-60, 1).await;
        assert_eq!(opened(test).await, [0, 60]);
        let back = "the clock went back; slots that were swept are not swept again";
        assert_eq!(told(&scheduler.log, "WARN").last().map(String::as_str), Some(back));
        for _ in 0..61 {
            scheduler.pass_after(1, 1).await;
        }
        let every: Vec<i64> = (0..=61).collect();
        assert_eq!(opened(test).await, every);
        assert_eq!(scheduler.signaled(), 62, "each was signaled once");
    }

    async fn a_clock_that_jumps_an_hour_back_repeats_no_slot_and_goes_on_with_the_next_new_one(test: TestStore) {
        let mut app = app(test);
        let mut scheduler = Moved::new(&mut app);
        for minutes in [0, 1, 1] {
            scheduler.pass_after(minutes, 1).await;
        }
        // Never swept, although they are in the past: what they look at is the present.
        scheduler.pass_after(-60, 1).await;
        scheduler.pass_after(1, 1).await;
        assert_eq!(opened(test).await, [-58, -57, 0, 1, 2]);
        for _ in 0..60 {
            scheduler.pass_after(1, 1).await;
        }
        let every: Vec<i64> = (-58..=3).collect();
        assert_eq!(opened(test).await, every);
        assert_eq!(scheduler.signaled(), 62, "each was signaled once");
    }

    async fn two_that_both_lead_with_clocks_half_a_minute_apart_open_each_slot_once(test: TestStore) {
        let (mut app, mut other) = (app(test), app(test));
        other.queue = app.queue.clone();
        let mut first = Moved::new(&mut app);
        let mut second = Moved::new(&mut other);
        second.clock.advance(TimeDelta::seconds(30));
        for _ in 0..10 {
            first.pass_after(0, 1).await;
            second.pass_after(0, 2).await;
            for clock in [&first.clock, &second.clock] {
                clock.advance(TimeDelta::seconds(30));
            }
        }
        let every: Vec<i64> = (0..=5).collect();
        assert_eq!(opened(test).await, every);
        assert_eq!(first.signaled() + second.signaled(), 6, "each was signaled once");
    }

    async fn a_sweep_is_opened_signaled_and_told_once_a_slot(test: TestStore) {
        let app = app(test);
        let log = pass_once(&app).await;
        let slot = slot::slot_at(now(), Duration::from_mins(1));
        let parts = [Job::SweepStops { slot, shard: 0 }, Job::SweepStops { slot, shard: 1 }];
        assert_eq!(signals(&app.queue).await, words(&parts));
        assert_eq!(told(&log, "INFO"), ["opened a sweep"]);
        let line = log.json_lines().remove(0);
        assert_eq!((line["sweep.slot"].as_i64(), line["sweep.shards"].as_i64()), (Some(slot), Some(2)));
        let again = pass_once(&app).await;
        assert_eq!((signals(&app.queue).await, told(&again, "INFO")), (BTreeSet::new(), vec![]));
    }

    async fn an_order_whose_signal_was_lost_is_driven_again(test: TestStore) {
        let (app, order_id) = (app(test), overdue_order(test).await);
        let log = pass_once(&app).await;
        let signals = signals(&app.queue).await;
        assert!(signals.is_superset(&words(&[Job::ExecuteOrder { order_id }])), "{signals:?}");
        assert_eq!(told(&log, "INFO"), ["opened a sweep", "re-drove 1 order"]);
    }

    async fn a_sweep_whose_signal_was_lost_is_driven_again(test: TestStore) {
        overdue_sweep(test, 5).await;
        let app = app(test);
        let log = pass_once(&app).await;
        let signals = signals(&app.queue).await;
        assert!(signals.is_superset(&words(&[Job::SweepStops { slot: 5, shard: 0 }])), "{signals:?}");
        assert_eq!(told(&log, "INFO"), ["opened a sweep", "re-drove 1 sweep"]);
    }

    async fn what_somebody_got_in_by_is_forgotten_long_after_its_end_and_not_before(test: TestStore) {
        let app = app(test);
        let long_ago = |days| now() - TimeDelta::days(days);
        // More of each than one statement removes.
        old_sessions(test, 450, long_ago(31)).await;
        old_sessions(test, 1, long_ago(29)).await;
        old_codes(test, 1_100, long_ago(2)).await;
        old_codes(test, 1, now()).await;
        let log = LogBuffer::new();
        Schedule::of_housekeeping().pass(&app, 1).with_subscriber(json_log(&log)).await;
        let sessions = entity::sessions::Entity::find().count(test.read()).await.unwrap();
        let codes = entity::oauth_codes::Entity::find().count(test.read()).await.unwrap();
        assert_eq!((sessions, codes), (1, 1));
        assert_eq!(told(&log, "INFO"), ["forgot sessions, codes and tokens that ended long ago"]);
        let line = log.json_lines().remove(0);
        assert_eq!((line["sessions"].as_u64(), line["tokens"].as_u64()), (Some(450), Some(1_100)));
    }

    async fn the_logs_are_sealed_twice_a_second_and_the_head_is_told_once_a_minute(test: TestStore) {
        let mut app = app(test);
        let clock = ManualClock::new(now());
        app.clock = clock.shared();
        let (mut sealing, log) = (sealing::Sealing::new(&app), LogBuffer::new());
        let (mut event, mut sealed) = (AuditEvent::new(AuditKind::LoginFailed, now()), Vec::new());
        for _ in 0..4 {
            event.at = app.clock.now();
            test.audit(&event).await.unwrap();
            sealing.pass(&app).with_subscriber(json_log(&log)).await;
            let head = audit_heads::Entity::find().one(test.read()).await.unwrap().unwrap();
            sealed.push((head.seq, head.anchored_seq));
            clock.advance(TimeDelta::milliseconds(250));
        }
        assert_eq!(sealed, [(1, 1), (1, 1), (3, 1), (3, 1)]);
        clock.advance(TimeDelta::minutes(1));
        sealing.pass(&app).with_subscriber(json_log(&log)).await;
        assert_eq!(told(&log, "INFO"), ["audit chain anchored"; 2]);
        let line = log.json_lines().remove(1);
        let head = audit_heads::Entity::find().one(test.read()).await.unwrap().unwrap();
        assert_eq!((line["chain.source"].as_str(), line["chain.seq"].as_i64()), (Some("audit"), Some(4)));
        assert_eq!(line["chain.id"], head.chain_id.to_string());
        assert_eq!(line["chain.hash"], platform::chain::hex(head.hash));
    }

    async fn a_chain_that_cannot_be_sealed_on_is_told_once(test: TestStore) {
        let mut app = app(test);
        let clock = ManualClock::new(now());
        app.clock = clock.shared();
        let (mut sealing, log) = (sealing::Sealing::new(&app), LogBuffer::new());
        test.audit(&AuditEvent::new(AuditKind::LoginFailed, now())).await.unwrap();
        test.write().execute_unprepared("DELETE FROM audit_events").await.unwrap();
        for _ in 0..3 {
            sealing.pass(&app).with_subscriber(json_log(&log)).await;
            clock.advance(TimeDelta::seconds(1));
        }
        assert_eq!(told(&log, "ERROR").len(), 1);
    }

    async fn a_leader_whose_database_is_away_says_when_it_leads_no_more(test: TestStore) {
        let (app, log, shutdown) = (app(test), LogBuffer::new(), Shutdown::new());
        let lost = async {
            while !told(&log, "INFO").contains(&"opened a sweep".to_owned()) {
                tokio::task::yield_now().await;
            }
            test.write().execute_unprepared("ALTER TABLE leases RENAME TO away").await.unwrap();
            while !told(&log, "WARN").contains(&"the lease has lapsed: it was not renewed in time".to_owned()) {
                tokio::task::yield_now().await;
            }
        };
        let running = run(app, shutdown.clone()).with_subscriber(json_log(&log));
        tokio::select! {
            () = running => unreachable!("nobody asked for the end"),
            lost = tokio::time::timeout(PATIENCE, lost) => lost.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sweeps_are_opened_while_a_table_that_is_tidied_is_locked() {
    let test = TestStore::postgres().await;
    let mut options = test.options().clone();
    // The tidying waits for as long as the test lasts.
    (options.lock_timeout, options.statement_timeout) = (PATIENCE * 2, PATIENCE * 2);
    let mut app = app(&Store::connect(&options).await.unwrap());
    app.clock = SystemClock::shared();
    app.options.sweep_interval = Duration::from_millis(100);
    let shutdown = Shutdown::new();
    let locked = test.transaction("lock", async |tx| {
        tx.execute_unprepared("LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE")
            .await?;
        let sweeps = async {
            while test.recent_sweeps(100).await.unwrap().len() < 6 {
                tokio::task::yield_now().await;
            }
        };
        let running = run(app.clone(), shutdown.clone());
        tokio::select! {
            () = running => unreachable!("nobody asked for the end"),
            sweeps = tokio::time::timeout(PATIENCE / 2, sweeps) => sweeps.unwrap(),
        }
        Ok(())
    });
    locked.await.unwrap();
}
