//! What a sweep over many armed stops costs: 500 instruments, 2 000 accounts, on PostgreSQL.
//!
//! `cargo bench --bench sweep` measures on the server that `TEST_DATABASE_URL` names (`eval "$(./test --env)"`, or
//! `./bench sweep`), in a database of its own. Each figure is the median of five. The stops of an instrument stand a
//! tenth of a cent apart, so a price decides how many of them fire.
//!
//! 1. *found*: what armed stops watch, and the stops that are through, read and decided;
//! 2. *moved*: the same stops moved from `armed` to `firing` by the statement that the store has for it, rolled back;
//! 3. *exits*: the whole sweep, as a worker does it: claimed, quotes fetched, exits accepted and committed, recorded.
//!
//! Between two runs all exits end, and the tables are vacuumed: so each run finds the same book.
#![recursion_limit = "256"]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for the terminal of a developer"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::asset::{Asset, MarketHours};
use domain::money::{Price, Quantity};
use domain::quote::Quote;
use market::{CachedQuotes, MarketData, MarketError};
use platform::{Clock as _, ManualClock};
use queue::{Job, Queue};
use rust_decimal::Decimal;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, TransactionTrait as _};
use store::Search;
use store::testing::{TestStore, asset};
use worker::{Assets, Brokers, Worker, WorkerApp, WorkerOptions};

const INSTRUMENTS: u32 = 500;

const ACCOUNTS: u32 = 2_000;

/// Figures are the medians of so many runs.
const RUNS: usize = 5;

/// The price above all stops, in cents.
const TOP: i64 = 10_000;

#[tokio::main]
async fn main() {
    println!("| armed | fired | found ms | moved ms | exits ms |\n|---|---|---|---|---|");
    for (stops, falls) in [(20, vec![0, 2]), (2_000, vec![0, 2, 200])] {
        let mut bench = Bench::new(stops).await;
        // Plans, caches, connections.
        bench.fall(2).await;
        for fall in falls {
            let mut runs = Vec::new();
            for _ in 0..RUNS {
                runs.push(bench.fall(fall).await);
            }
            let median = |of: fn(&Times) -> Duration| {
                let mut times: Vec<_> = runs.iter().map(of).collect();
                times.sort_unstable();
                Decimal::new(i64::try_from(times[RUNS / 2].as_micros()).unwrap(), 3).round_dp(1)
            };
            println!(
                "| {} | {} | {} | {} | {} |",
                INSTRUMENTS * stops,
                INSTRUMENTS * fall,
                median(|times| times.found),
                median(|times| times.moved),
                median(|times| times.exits)
            );
        }
        bench.check().await;
    }
}

struct Times {
    found: Duration,
    moved: Duration,
    exits: Duration,
}

struct Bench {
    test: TestStore,
    /// Without the store's limits of time.
    sql: DatabaseConnection,
    worker: Worker,
    clock: ManualClock,
    board: Board,
    assets: Vec<Asset>,
    slot: i64,
    fired: u32,
}

impl Bench {
    /// A database with so many stops on each instrument.
    async fn new(stops: u32) -> Bench {
        let test = TestStore::postgres().await;
        let mut options = ConnectOptions::new(test.options().url.clone());
        options.max_connections(1).sqlx_logging(false);
        let sql = Database::connect(options).await.unwrap();
        let assets: Vec<Asset> = (0..INSTRUMENTS).map(|n| asset(&format!("S{n:03}"))).collect();
        test.upsert_assets(&assets).await.unwrap();
        sql.execute_unprepared("SET jit = off").await.unwrap();
        sql.execute_unprepared(&rows(stops)).await.unwrap();
        sql.execute_unprepared("VACUUM ANALYZE").await.unwrap();
        let (clock, board) = (ManualClock::new(store::testing::now()), Board::default());
        let provider: Arc<dyn MarketData> = Arc::new(board.clone());
        let hours = MarketHours::Ignore;
        let worker = Worker::new(WorkerApp {
            store: test.store().clone(),
            queue: Queue::memory(),
            brokers: Brokers::new([]),
            quotes: CachedQuotes::new(provider, clock.shared(), hours, None),
            clock: clock.shared(),
            hours,
            assets: Assets::new(assets.clone()),
            options: WorkerOptions {
                name: "worker".to_owned(),
                concurrency: 4,
                lease: Duration::from_secs(30),
                broker_timeout: Duration::from_secs(5),
            },
        });
        Bench {
            test,
            sql,
            worker,
            clock,
            board,
            assets,
            slot: 0,
            fired: 0,
        }
    }

    /// Lets the prices fall so far that `stops` stops of each instrument fire.
    async fn fall(&mut self, stops: u32) -> Times {
        self.fired += stops;
        self.clock.advance(TimeDelta::seconds(61));
        let price = Decimal::new(TOP * 10 - i64::from(self.fired), 3);
        self.board.set(price, self.clock.now());
        let (found, ids) = self.find().await;
        assert_eq!(ids.len(), usize::try_from(INSTRUMENTS * stops).unwrap());
        let moved = self.move_and_roll_back(&ids).await;
        self.slot += 1;
        self.test.open_sweep(self.slot, 1, 1).await.unwrap();
        let begun = Instant::now();
        let job = Job::SweepStops {
            slot: self.slot,
            shard: 0,
        };
        self.worker.handle(job).await;
        let exits = begun.elapsed();
        let record = self.test.recent_sweeps(1).await.unwrap().remove(0);
        assert_eq!(
            record.fired,
            i32::try_from(INSTRUMENTS * stops).unwrap(),
            "{record:?}"
        );
        self.settle(INSTRUMENTS * stops).await;
        Times { found, moved, exits }
    }

    /// Ends the exits, of which each has its work.
    async fn settle(&self, exits: u32) {
        assert_eq!(self.count("order_work").await, i64::from(exits));
        for sql in [
            "UPDATE orders SET closed_at = now(), closed_how = 'filled' WHERE closed_at IS NULL",
            "UPDATE triggers SET state = 'done', ended_because = 'exit_filled' WHERE state = 'firing'",
            "DELETE FROM order_work",
            "VACUUM ANALYZE",
        ] {
            self.sql.execute_unprepared(sql).await.unwrap();
        }
    }

    async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) AS rows FROM {table}");
        let statement = sea_orm::Statement::from_string(self.test.backend(), sql);
        let row = self.sql.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get("", "rows").unwrap()
    }

    async fn find(&self) -> (Duration, Vec<String>) {
        let quotes = self.board.quotes(&self.assets).await.unwrap();
        let begun = Instant::now();
        let watches = self.test.armed_watches(0, 1).await.unwrap();
        let (mut search, mut ids) = (Search::new(&quotes, 16_384).among(&watches), Vec::new());
        while !search.is_over() {
            let found = self.test.candidates(&mut search, self.clock.now()).await.unwrap();
            ids.extend(found.triggers.into_iter().map(|trigger| trigger.id.to_string()));
        }
        (begun.elapsed(), ids)
    }

    async fn move_and_roll_back(&self, ids: &[String]) -> Duration {
        if ids.is_empty() {
            return Duration::ZERO;
        }
        let sql = format!(
            "UPDATE triggers AS t SET state = 'firing', exit_order_id = v.id, fired_price = 1, fired_at = now(), \
             updated_at = now() FROM unnest('{{{}}}'::text::uuid[]) AS v(id) \
             WHERE t.id = v.id AND t.generation = 1 AND t.state = 'armed' RETURNING exit_order_id",
            ids.join(",")
        );
        let transaction = self.sql.begin().await.unwrap();
        let begun = Instant::now();
        let moved = transaction.execute_unprepared(&sql).await.unwrap();
        let elapsed = begun.elapsed();
        assert_eq!(moved.rows_affected(), u64::try_from(ids.len()).unwrap());
        transaction.rollback().await.unwrap();
        elapsed
    }

    /// Each stop that fell through has one exit.
    async fn check(&self) {
        for table in ["trigger_exits", "orders", "order_events"] {
            assert_eq!(
                self.count(table).await,
                i64::from(INSTRUMENTS * self.fired),
                "{table}"
            );
        }
    }
}

/// One price for all instruments.
#[derive(Clone, Default)]
struct Board(Arc<Mutex<Option<Said>>>);

/// A price, and when it was made.
type Said = (Price, DateTime<Utc>);

impl Board {
    fn set(&self, price: Decimal, at: DateTime<Utc>) {
        *self.0.lock().unwrap() = Some((Price::new(price).unwrap(), at));
    }
}

#[async_trait]
impl MarketData for Board {
    fn name(&self) -> &'static str {
        "board"
    }

    async fn quotes(&self, assets: &[Asset]) -> Result<Vec<Quote>, MarketError> {
        let (price, at) = self.0.lock().unwrap().unwrap();
        let size = Quantity::new(Decimal::ONE_HUNDRED).unwrap();
        let quote = |asset: &Asset| Quote {
            asset_id: asset.id,
            bid: price,
            bid_size: size,
            ask: price,
            ask_size: size,
            last: price,
            low: price,
            high: price,
            at,
        };
        Ok(assets.iter().map(quote).collect())
    }
}

/// Users with an account each, and on each instrument a stop of `stops` of them, with its position.
fn rows(stops: u32) -> String {
    let id =
        |kind: u32, n: &str| format!("('00000000-000{kind}-7000-8000-' || lpad(to_hex({n}), 12, '0'))::uuid");
    let (user, connection, account) = (id(1, "n"), id(2, "n"), id(3, "n"));
    let holder = format!("(r * 7 + a.n * 13) % {ACCOUNTS} + 1");
    let (holding_user, holding_account) = (id(1, &holder), id(3, &holder));
    let trigger = id(4, "r * 1000 + a.n");
    let listed = "(SELECT id, symbol, class, row_number() OVER (ORDER BY symbol)::int AS n FROM assets) a";
    format!(
        "SET session_replication_role = replica;
        INSERT INTO users SELECT {user}, 'u' || n || '@example.com', NULL, 'standard', true, 0, now()
            FROM generate_series(1, {ACCOUNTS}) n;
        INSERT INTO broker_connections SELECT {connection}, {user}, 'paper', 'paper', 0, now()
            FROM generate_series(1, {ACCOUNTS}) n;
        INSERT INTO accounts SELECT {account}, 'A' || n, {user}, {connection}, 'paper', 0, 0, now()
            FROM generate_series(1, {ACCOUNTS}) n;
        INSERT INTO balances SELECT {account}, 'USD', 0, 0 FROM generate_series(1, {ACCOUNTS}) n;
        INSERT INTO positions SELECT {holding_account}, a.id, 10, 0, 1000, 0, now()
            FROM generate_series(1, {stops}) r CROSS JOIN {listed};
        INSERT INTO triggers SELECT {trigger}, {holding_user}, {holding_account}, a.id, a.symbol, a.class, 'falling',
            'last', p.stop, (p.stop * 1000000000)::bigint, 1, 'armed', 1, NULL, NULL, p.made, p.made, NULL, NULL
            FROM generate_series(1, {stops}) r CROSS JOIN {listed}
            CROSS JOIN LATERAL (SELECT {TOP}::numeric / 100 - r * 0.001 AS stop, timestamptz '2026-11-01' AS made) p;
        SET session_replication_role = DEFAULT;"
    )
}
