//! From the commit of acceptance to the call of the broker and to the commit of the fill; one api, one worker, Redis.
//!
//! Commits are timed by the server (`track_commit_timestamp`), the broker's call by the paper venue, when it enters the
//! order: that is a little after the call has begun, so no figure here is too small. All clocks are this machine's.

use std::time::Duration;

use crate::Bench;
use crate::acceptance::{Api, CALLERS, HOT};
use crate::drain::{wait_until_filled, worker};
use crate::load::{self, Mix, Plan, Until};
use crate::process::Process;
use crate::report::{median, progress, table};
use crate::seed;
use crate::servers::Redis;

/// The database of a run.
const RUN: &str = "bench_latency";

/// Orders a second that leave everything idle.
const IDLE_RATE: f64 = 20.0;

/// Callers at that rate.
const IDLE_CALLERS: usize = 4;

/// How long the api and the worker have to notice that Redis is gone.
const NOTICE: Duration = Duration::from_secs(3);

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Times {
    called: [f64; 2],
    filled: [f64; 2],
    rate: f64,
}

/// A running installation.
struct Site<'a> {
    bench: &'a Bench,
    api: Api,
    worker: Process,
    sent: u64,
}

impl Site<'_> {
    /// Sends market orders, and answers how long they took until the last was filled.
    fn send(&mut self, connections: usize, until: Until, rate: Option<f64>) -> Times {
        let postgres = &self.bench.postgres;
        let begun = postgres.run(RUN, "SELECT clock_timestamp()");
        let outcome = load::run(&Plan {
            address: self.api.address,
            connections,
            keys: seed::keys(HOT),
            mix: Mix::Market,
            until,
            rate,
        });
        self.sent += u64::try_from(outcome.waits.len()).unwrap_or(0);
        wait_until_filled(self.bench, RUN, self.sent, &mut self.worker);
        let text = postgres.run(RUN, &times_since(&begun));
        let values: Vec<f64> = text.split('|').map(|value| value.parse().unwrap()).collect();
        let [called50, called99, filled50, filled99, seconds] = values[..] else {
            panic!("unreadable: {text}")
        };
        Times {
            called: [called50, called99],
            filled: [filled50, filled99],
            rate: outcome.waits.len() as f64 / seconds,
        }
    }
}

/// One line: percentiles of both ways for orders submitted after `begun`, and the seconds until the last fill.
fn times_since(begun: &str) -> String {
    format!(
        "WITH accepted AS (SELECT order_id, pg_xact_commit_timestamp(xmin) AS at FROM order_events \
             WHERE kind = 'accepted' AND at > '{begun}'),
         filled AS (SELECT order_id, max(pg_xact_commit_timestamp(xmin)) AS at FROM fills GROUP BY order_id),
         ways AS (SELECT extract(epoch FROM p.entered_at - a.at) * 1000 AS called, \
                         extract(epoch FROM f.at - a.at) * 1000 AS filled, f.at \
             FROM accepted a JOIN paper.paper_orders p ON p.id = a.order_id JOIN filled f USING (order_id))
         SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY called), \
                percentile_cont(0.99) WITHIN GROUP (ORDER BY called), \
                percentile_cont(0.5) WITHIN GROUP (ORDER BY filled), \
                percentile_cont(0.99) WITHIN GROUP (ORDER BY filled), \
                extract(epoch FROM max(at) - '{begun}'::timestamptz) FROM ways"
    )
}

/// Idle, at half of what the installation carries, and with Redis dead.
pub(crate) fn measure(bench: &Bench) {
    let template = seed::database(bench, HOT);
    let runs: Vec<[Times; 3]> = (0..bench.runs).map(|_| run(bench, &template)).collect();
    let names = ["idle", "half of the maximum", "Redis dead"];
    let goals = [
        "called < 1.5 and filled < 2.5 at p50, < 10 at p99",
        "filled < 5 at p50, < 25 at p99",
        "< 1 000 at p99",
    ];
    let rows: Vec<Vec<String>> = names
        .into_iter()
        .zip(goals)
        .enumerate()
        .map(|(index, (name, goal))| {
            let of = |value: fn(&Times) -> f64| {
                format!("{:.2}", median(runs.iter().map(|run| value(&run[index]))))
            };
            vec![
                name.to_owned(),
                of(|times| times.rate),
                of(|times| times.called[0]),
                of(|times| times.called[1]),
                of(|times| times.filled[0]),
                of(|times| times.filled[1]),
                goal.to_owned(),
            ]
        })
        .collect();
    table(
        &format!(
            "From acceptance to the broker and to the fill, ms, medians of {} runs",
            bench.runs
        ),
        &[
            "state",
            "orders/s",
            "called p50",
            "called p99",
            "filled p50",
            "filled p99",
            "goal",
        ],
        &rows,
    );
    bench.postgres.remove(RUN);
}

fn run(bench: &Bench, template: &str) -> [Times; 3] {
    bench.postgres.copy(template, RUN);
    let directory = tempfile::tempdir().unwrap();
    let redis = Redis::start();
    let mut site = Site {
        bench,
        api: Api::start(bench, RUN, Some(&redis)),
        worker: worker(bench, RUN, Some(&redis), directory.path()),
        sent: 0,
    };
    let time = Until::For(bench.measured_for * 2);
    let warm_up = Until::For(Duration::from_secs(2));
    site.send(IDLE_CALLERS, warm_up, Some(IDLE_RATE));
    let idle = site.send(IDLE_CALLERS, time, Some(IDLE_RATE));
    let most = site.send(CALLERS, Until::For(bench.measured_for), None).rate;
    let half = site.send(CALLERS, time, Some(most / 2.0));
    drop(redis);
    std::thread::sleep(NOTICE);
    let dead = site.send(IDLE_CALLERS, time, Some(IDLE_RATE));
    progress(&format!(
        "idle {:.1} ms to the fill, at {:.0}/s of {most:.0}/s {:.1} ms, without Redis {:.1} ms",
        idle.filled[0], half.rate, half.filled[0], dead.filled[0]
    ));
    [idle, half, dead]
}
