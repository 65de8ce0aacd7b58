//! How many orders a second are accepted, against `pgbench` in the same run.

use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;

use crate::load::{self, Mix, Outcome, Plan, Until};
use crate::process::{Process, free_address};
use crate::report::{median, millis, percentile, progress, table};
use crate::seed::{self, AGED, MANY};
use crate::servers::{Redis, Yardstick};
use crate::{Bench, cpu};

/// Callers at the same time.
pub(crate) const CALLERS: usize = 64;

/// Accounts that everybody trades on.
pub(crate) const HOT: usize = 10;

/// Before a measurement: connections, prepared statements and caches are made.
const WARM_UP: Duration = Duration::from_secs(1);

/// The database of a run on empty tables.
const RUN: &str = "bench_run";

/// The database of the yardsticks.
const YARD: &str = "bench_yard";

/// The variables of every program under test: limits and hours are out of the way, the checks stay on.
pub(crate) fn environment(
    bench: &Bench,
    database: &str,
    redis: Option<&Redis>,
) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("DATABASE_URL", bench.postgres.url(database)),
        ("MARKET_HOURS", "ignore".to_owned()),
        ("LOG_FORMAT", "json".to_owned()),
        ("RATE_LIMIT_CREDENTIAL_PER_MINUTE", "1000000000".to_owned()),
        ("RATE_LIMIT_BURST_PER_SECOND", "1000000000".to_owned()),
        ("RISK_SUPERADMIN_ORDER_NOTIONAL", "1000000000".to_owned()),
        ("RISK_SUPERADMIN_DAY_NOTIONAL", "9000000000".to_owned()),
    ];
    variables.extend(redis.map(|redis| ("REDIS_URL", redis.url())));
    variables
}

/// A running api.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    _directory: TempDir,
}

impl Api {
    /// Starts one and waits until it answers.
    pub(crate) fn start(bench: &Bench, database: &str, redis: Option<&Redis>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let mut variables = environment(bench, database, redis);
        variables.push(("PORT", address.port().to_string()));
        let program = bench.programs.join("arbion-api");
        let mut process = Process::start(&program, &[], &variables, directory.path());
        process.answers(address);
        Self {
            process,
            address,
            _directory: directory,
        }
    }
}

/// What one measurement of ours has given.
#[derive(Debug)]
struct Measured {
    outcome: Outcome,
    rows_per_commit: f64,
    api: Duration,
    postgres: Duration,
}

impl Measured {
    fn micros_each(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.outcome.waits.len() as f64
    }
}

fn accept(bench: &Bench, database: &str, accounts: usize, connections: usize) -> Measured {
    let redis = Redis::start();
    let api = Api::start(bench, database, Some(&redis));
    let plan = Plan {
        address: api.address,
        connections,
        keys: seed::keys(accounts),
        mix: Mix::Bot,
        until: Until::For(WARM_UP),
        rate: None,
    };
    load::run(&plan);
    let begun = bench.postgres.run(database, "SELECT clock_timestamp()");
    let before = (cpu::ran([api.process.id()]), bench.postgres.ran());
    let outcome = load::run(&Plan {
        until: Until::For(bench.measured_for),
        ..plan
    });
    let after = (cpu::ran([api.process.id()]), bench.postgres.ran());
    drop(api);
    let rows = bench.postgres.run(
        database,
        &format!(
            "SELECT round(count(*) / count(DISTINCT xmin::text)::numeric, 2) FROM order_work \
             WHERE due_at > '{begun}'"
        ),
    );
    Measured {
        outcome,
        rows_per_commit: rows.parse().unwrap_or(f64::NAN),
        api: cpu::since(&before.0, &after.0),
        postgres: cpu::since(&before.1, &after.1),
    }
}

/// One of the four states in which it is measured.
#[derive(Debug, Clone, Copy)]
struct State {
    accounts: usize,
    is_aged: bool,
}

/// One run of one state: the yardsticks, then ours.
#[derive(Debug)]
struct Pair {
    one_row: Yardstick,
    all_tables: Yardstick,
    ours: Measured,
}

fn pair(bench: &Bench, state: State) -> Pair {
    let template = format!("bench_seed_{}", state.accounts);
    let yard = |script: &str| {
        bench.postgres.copy(&template, YARD);
        bench
            .postgres
            .pgbench(YARD, script, CALLERS, bench.measured_for, false)
    };
    let one_row = yard(&seed::one_row(state.accounts));
    let all_tables = yard(&seed::all_tables(state.accounts));
    let ours = if state.is_aged {
        let ours = accept(bench, AGED, state.accounts, CALLERS);
        seed::forget_new(&bench.postgres);
        ours
    } else {
        bench.postgres.copy(&template, RUN);
        accept(bench, RUN, state.accounts, CALLERS)
    };
    progress(&format!(
        "{} accounts, {}: pgbench {:.0} and {:.0}, ours {:.0}",
        state.accounts,
        if state.is_aged { "aged" } else { "empty" },
        one_row.rate,
        all_tables.rate,
        ours.outcome.rate()
    ));
    Pair {
        one_row,
        all_tables,
        ours,
    }
}

/// 64 connections of one order each.
pub(crate) fn measure(bench: &Bench) {
    for accounts in [HOT, MANY] {
        seed::database(bench, accounts);
    }
    let has_aged = seed::aged(bench, &format!("bench_seed_{MANY}"));
    let states: Vec<State> = [false, true]
        .into_iter()
        .filter(|is_aged| has_aged || !is_aged)
        .flat_map(|is_aged| [HOT, MANY].map(|accounts| State { accounts, is_aged }))
        .collect();
    let mut pairs: Vec<Vec<Pair>> = states.iter().map(|_| Vec::new()).collect();
    for _ in 0..bench.runs {
        for (state, pairs) in states.iter().zip(&mut pairs) {
            pairs.push(pair(bench, *state));
        }
    }
    show(bench, &states, &pairs);
    bench.postgres.remove(RUN);
    bench.postgres.remove(YARD);
}

fn show(bench: &Bench, states: &[State], pairs: &[Vec<Pair>]) {
    let mut rows = Vec::new();
    for (state, runs) in states.iter().zip(pairs) {
        let empty = states
            .iter()
            .position(|other| other.accounts == state.accounts && !other.is_aged);
        let empty = empty.map(|index| pairs[index].as_slice()).unwrap_or_default();
        rows.push(row(*state, runs, empty));
    }
    table(
        &format!(
            "Acceptance, {CALLERS} connections, medians of {} runs",
            bench.runs
        ),
        &[
            "tables",
            "accounts",
            "× one row",
            "× all tables",
            "× empty",
            "p99 / p50",
            "orders/s",
            "p50 ms",
            "p99 ms",
            "rows per commit",
            "generator, cores",
            "api µs/order",
            "PostgreSQL µs/order",
            "pgbench one row /s",
            "pgbench all tables /s",
        ],
        &rows,
    );
}

fn row(state: State, runs: &[Pair], empty: &[Pair]) -> Vec<String> {
    let of = |value: fn(&Pair) -> f64| median(runs.iter().map(value));
    let p50 = |pair: &Pair| millis(percentile(&pair.ours.outcome.waits, 50));
    let p99 = |pair: &Pair| millis(percentile(&pair.ours.outcome.waits, 99));
    let of_empty = runs
        .iter()
        .zip(empty)
        .map(|(aged, empty)| aged.ours.outcome.rate() / empty.ours.outcome.rate());
    vec![
        if state.is_aged { "aged" } else { "empty" }.to_owned(),
        state.accounts.to_string(),
        format!("{:.2}", of(|pair| pair.ours.outcome.rate() / pair.one_row.rate)),
        format!(
            "{:.2}",
            of(|pair| pair.ours.outcome.rate() / pair.all_tables.rate)
        ),
        format!("{:.2}", median(of_empty)),
        format!("{:.1}", median(runs.iter().map(|pair| p99(pair) / p50(pair)))),
        format!("{:.0}", of(|pair| pair.ours.outcome.rate())),
        format!("{:.2}", median(runs.iter().map(p50))),
        format!("{:.2}", median(runs.iter().map(p99))),
        format!("{:.1}", of(|pair| pair.ours.rows_per_commit)),
        format!(
            "{:.2}",
            of(|pair| pair.ours.outcome.generator.as_secs_f64() / pair.ours.outcome.elapsed.as_secs_f64())
        ),
        format!("{:.1}", of(|pair| pair.ours.micros_each(pair.ours.api))),
        format!("{:.1}", of(|pair| pair.ours.micros_each(pair.ours.postgres))),
        format!("{:.0}", of(|pair| pair.one_row.rate)),
        format!("{:.0}", of(|pair| pair.all_tables.rate)),
    ]
}

/// One connection: how long a caller waits, against one transaction of `pgbench` (goal: at most twice).
pub(crate) fn measure_one(bench: &Bench) {
    let template = seed::database(bench, HOT);
    let runs: Vec<(Yardstick, Measured)> = (0..bench.runs)
        .map(|_| {
            bench.postgres.copy(&template, YARD);
            let yard = bench
                .postgres
                .pgbench(YARD, &seed::one_row(HOT), 1, bench.measured_for, true);
            bench.postgres.copy(&template, RUN);
            let ours = accept(bench, RUN, HOT, 1);
            (yard, ours)
        })
        .collect();
    let p50 = |ours: &Measured| percentile(&ours.outcome.waits, 50);
    let row = vec![
        format!(
            "{:.2}",
            median(runs.iter().map(|(yard, ours)| p50(ours) as f64 / yard.p50 as f64))
        ),
        format!("{:.3}", median(runs.iter().map(|(_, ours)| millis(p50(ours))))),
        format!(
            "{:.3}",
            median(
                runs.iter()
                    .map(|(_, ours)| millis(percentile(&ours.outcome.waits, 99)))
            )
        ),
        format!("{:.3}", median(runs.iter().map(|(yard, _)| millis(yard.p50)))),
        format!("{:.3}", median(runs.iter().map(|(yard, _)| millis(yard.p99)))),
    ];
    table(
        &format!("Acceptance, one connection, medians of {} runs", bench.runs),
        &[
            "p50 × pgbench",
            "p50 ms",
            "p99 ms",
            "pgbench p50 ms",
            "pgbench p99 ms",
        ],
        &[row],
    );
    bench.postgres.remove(RUN);
    bench.postgres.remove(YARD);
}
