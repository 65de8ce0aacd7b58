//! Random histories against a plain model: orders, faulty lines, dying workers, reports in disorder, clocks that step.
//!
//! Each history has a seed that decides everything. A seed that fails is printed with the command that replays it and
//! with the shortest history that still fails; `ARBION_SEED=n` runs that one, `ARBION_SEEDS=n` so many.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests and their support")]

extern crate arbion_store as store;

mod history;
mod random;
mod reference;
mod steps;
mod venue;
mod worker;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::id::OrderId;
use rust_decimal::Decimal;
use sea_orm::ConnectionTrait;
use store::testing::{self, TestStore};
use store::users::Role;

use crate::history::{Fault, History, Tally};
use crate::random::Random;
use crate::reference::{CASH, Reference, Sums};
use crate::venue::Venue;

/// How many histories are run when nobody says otherwise; `./test` asks for 10 000.
const SEEDS: u64 = 1_000;

/// Histories whose books are audited together.
const BATCH: usize = 250;

/// Threads, each with a database of its own.
const THREADS: u64 = 2;

/// A history that fails, and why.
#[derive(Debug)]
struct Failure {
    seed: u64,
    steps: u64,
    fault: Fault,
    log: Vec<String>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the environment names the seed to replay"
)]
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn database() -> TestStore {
    let test = TestStore::sqlite().await;
    // What a crash of the machine would lose is not asked here.
    test.write()
        .execute_unprepared("PRAGMA synchronous = OFF")
        .await
        .unwrap();
    for symbol in ["AAPL", "BTC/USD"] {
        test.asset(symbol).await;
    }
    test
}

/// What a history came to.
#[derive(Debug, PartialEq, Eq)]
struct Lived {
    tally: Tally,
    sums: Sums,
    fills: Vec<(String, OrderId, Decimal)>,
}

/// Lives through the history of `seed`, cut after `steps`.
async fn live(test: &TestStore, seed: u64, steps: u64, is_told: bool) -> Result<Lived, Failure> {
    let trader = test.trader(Role::Standard, Decimal::from(CASH)).await;
    let mut history = History {
        store: test.store(),
        random: Random::new(seed),
        trader,
        assets: [testing::asset("AAPL"), testing::asset("BTC/USD")],
        now: testing::now(),
        venue: Venue::new(seed.is_multiple_of(3)),
        reference: Reference::default(),
        underway: Vec::new(),
        orders: BTreeMap::new(),
        log: is_told.then(Vec::new),
        tally: Tally::new(),
    };
    let result = history.run(steps).await;
    let log = history.log.take().unwrap_or_default();
    result.map_err(|fault| Failure {
        seed,
        steps,
        fault,
        log,
    })?;
    let fills = history.venue.fills.into_iter();
    Ok(Lived {
        tally: history.tally,
        sums: history.reference.sums(None),
        fills: fills.map(|(id, fill)| (id, fill.order, fill.quantity)).collect(),
    })
}

/// How many steps the history of `seed` has.
const fn length(seed: u64) -> u64 {
    5 + Random::new(seed ^ 0x5EED).below(20)
}

/// Lives through a history in a database of its own; a panic is a failure, too.
fn alone(seed: u64, steps: u64) -> Option<Failure> {
    let lived = catch_unwind(|| {
        runtime().block_on(async {
            let test = database().await;
            live(&test, seed, steps, true).await?;
            audited(&test).await.map_err(|fault| Failure {
                seed,
                steps,
                fault,
                log: Vec::new(),
            })
        })
    });
    match lived {
        Ok(result) => result.err(),
        Err(_) => Some(Failure {
            seed,
            steps,
            fault: "it panicked".into(),
            log: Vec::new(),
        }),
    }
}

async fn audited(test: &TestStore) -> Result<(), Fault> {
    let connection = audit::connect(&test.options().url)
        .await
        .map_err(|error| error.to_string())?;
    let report = audit::audit_ledger(&connection)
        .await
        .map_err(|error| error.to_string())?;
    if report.is_clean() {
        Ok(())
    } else {
        Err(report.text())
    }
}

/// Runs the seeds of one thread, and counts into `tally`; answers the first that fails.
fn run(seeds: impl Iterator<Item = u64>, tally: &mut Tally) -> Option<u64> {
    let runtime = runtime();
    let mut batch: Vec<u64> = Vec::new();
    let mut test = runtime.block_on(database());
    for seed in seeds {
        let lived = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(live(&test, seed, length(seed), false))
        }));
        let Ok(Ok(lived)) = lived else { return Some(seed) };
        for (what, times) in lived.tally {
            *tally.entry(what).or_default() += times;
        }
        batch.push(seed);
        if batch.len() == BATCH {
            if runtime.block_on(audited(&test)).is_err() {
                return unclean(&batch);
            }
            batch.clear();
            test = runtime.block_on(database());
        }
    }
    runtime
        .block_on(audited(&test))
        .err()
        .and_then(|_| unclean(&batch))
}

/// The seed after which the audit finds something.
fn unclean(batch: &[u64]) -> Option<u64> {
    batch
        .iter()
        .copied()
        .find(|seed| alone(*seed, length(*seed)).is_some())
}

/// The shortest beginning of a history that fails.
fn shortest(seed: u64) -> Failure {
    let found = (0..=length(seed)).find_map(|steps| alone(seed, steps));
    found.unwrap_or_else(|| panic!("seed {seed} fails only together with others"))
}

/// What ten thousand histories must have tried, or they prove nothing.
const TRIED: [&str; 15] = [
    "a stale worker's answer",
    "a stop fires",
    "blocked",
    "canceled",
    "died after the call",
    "died before the call",
    "died with a claim",
    "expired",
    "filled",
    "rejected",
    "replaced",
    "reports against the book",
    "skipped reports",
    "taken over and looked up",
    "the answer is lost",
];

#[test]
fn every_random_history_keeps_every_promise() {
    let first = variable("ARBION_SEED");
    let range = first.map_or(0..variable("ARBION_SEEDS").unwrap_or(SEEDS), |seed| {
        seed..seed + 1
    });
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let seeds = range.clone().filter(move |seed| seed % THREADS == thread);
            std::thread::spawn(move || {
                let mut tally = Tally::new();
                (run(seeds, &mut tally), tally)
            })
        })
        .collect();
    let mut tally = Tally::new();
    let mut failed = Vec::new();
    for thread in threads {
        let (failure, counted) = thread.join().unwrap();
        failed.extend(failure);
        for (what, times) in counted {
            *tally.entry(what).or_default() += times;
        }
    }
    if let Some(seed) = failed.first() {
        let failure = shortest(*seed);
        eprintln!("{}", failure.log.join("\n"));
        panic!(
            "seed {} fails after {} steps: {}\nARBION_SEED={} cargo test -p arbion-store --features test-support --test model",
            failure.seed, failure.steps, failure.fault, failure.seed
        );
    }
    eprintln!("{tally:#?}");
    if range.end - range.start >= 10_000 {
        for what in TRIED {
            assert!(
                tally.get(what).is_some_and(|times| *times >= 20),
                "{what}: {tally:#?}"
            );
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_history() {
    let lived = |seed| {
        runtime().block_on(async {
            let test = database().await;
            live(&test, seed, 40, false).await.unwrap()
        })
    };
    assert_eq!(lived(7), lived(7));
    assert_ne!(lived(7), lived(8));
}
