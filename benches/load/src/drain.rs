//! How fast one worker carries out a backlog.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::acceptance::{Api, CALLERS, HOT, environment};
use crate::load::{self, Mix, Plan, Until};
use crate::process::Process;
use crate::report::{median, progress, table};
use crate::seed::{self, MANY};
use crate::servers::Redis;
use crate::{Bench, cpu};

/// The database of a run.
const RUN: &str = "bench_drain";

/// No backlog may take longer.
const PATIENCE: Duration = Duration::from_mins(5);

#[derive(Debug)]
struct Drained {
    rate: f64,
    worker: Duration,
    postgres: Duration,
    orders: u64,
}

impl Drained {
    fn micros_each(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.orders as f64
    }
}

/// 20 000 orders that were accepted while no worker ran.
pub(crate) fn measure(bench: &Bench) {
    let orders = if bench.is_quick { 5_000 } else { 20_000 };
    let rows: Vec<Vec<String>> = [HOT, MANY]
        .into_iter()
        .map(|accounts| {
            let template = seed::database(bench, accounts);
            let runs: Vec<Drained> = (0..bench.runs)
                .map(|_| drain(bench, &template, accounts, orders))
                .collect();
            let of = |value: fn(&Drained) -> f64| median(runs.iter().map(value));
            vec![
                accounts.to_string(),
                format!("{:.0}", of(|run| run.rate)),
                format!("{:.0}", of(|run| run.micros_each(run.worker))),
                format!("{:.0}", of(|run| run.micros_each(run.postgres))),
            ]
        })
        .collect();
    table(
        &format!(
            "Drain: {orders} waiting orders, one worker, medians of {} runs (goal: 5 000 orders/s)",
            bench.runs
        ),
        &["accounts", "orders/s", "worker µs/order", "PostgreSQL µs/order"],
        &rows,
    );
    bench.postgres.remove(RUN);
}

/// A worker in `directory`, as soon as it says that it is ready.
pub(crate) fn worker(bench: &Bench, database: &str, redis: Option<&Redis>, directory: &Path) -> Process {
    let program = bench.programs.join("arbion-worker");
    let variables = environment(bench, database, redis);
    let mut process = Process::start(&program, &[], &variables, directory);
    process.says("the worker is ready");
    process
}

fn drain(bench: &Bench, template: &str, accounts: usize, orders: u64) -> Drained {
    let postgres = &bench.postgres;
    postgres.copy(template, RUN);
    let redis = Redis::start();
    let api = Api::start(bench, RUN, Some(&redis));
    load::run(&Plan {
        address: api.address,
        connections: CALLERS,
        keys: seed::keys(accounts),
        mix: Mix::Market,
        until: Until::Orders(orders),
        rate: None,
    });
    drop(api);
    postgres.run(RUN, "VACUUM ANALYZE");
    let directory = tempfile::tempdir().unwrap();
    let before = postgres.ran();
    let mut worker = worker(bench, RUN, Some(&redis), directory.path());
    let ready = postgres.run(RUN, "SELECT clock_timestamp()");
    wait_until_filled(bench, RUN, orders, &mut worker);
    let seconds = postgres.run(
        RUN,
        &format!(
            "SELECT extract(epoch FROM max(pg_xact_commit_timestamp(xmin)) - '{ready}'::timestamptz) FROM fills"
        ),
    );
    let seconds: f64 = seconds.parse().unwrap();
    let drained = Drained {
        rate: orders as f64 / seconds,
        worker: cpu::since(&cpu::Ran::new(), &cpu::ran([worker.id()])),
        postgres: cpu::since(&before, &postgres.ran()),
        orders,
    };
    progress(&format!("{accounts} accounts: {:.0} orders/s", drained.rate));
    drained
}

/// Waits until as many orders as `orders` are filled and nothing remains to be done.
pub(crate) fn wait_until_filled(bench: &Bench, database: &str, orders: u64, worker: &mut Process) {
    let begun = Instant::now();
    loop {
        // Cheap while there is a backlog: orders are only counted when no work is left.
        let work = bench.postgres.run(
            database,
            "SELECT count(*) FROM (SELECT FROM order_work LIMIT 1) AS w",
        );
        let filled = "SELECT count(*) FROM orders WHERE closed_how = 'filled'";
        if work == "0" && bench.postgres.run(database, filled) == orders.to_string() {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "the worker {} has not filled all of {orders} orders",
            worker.id()
        );
        std::thread::sleep(Duration::from_millis(250));
    }
}
