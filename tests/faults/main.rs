//! The fault trials: real processes under load, faults in random order, and afterwards nothing lost and nothing doubled.
//!
//! `./test` runs the short form, `./test faults --minutes N` a long one. The seed is printed; `FAULTS_SEED` sets it.
//!
//! | module | holds |
//! |---|---|
//! | [`world`] | an installation, its people, the broker, and how a series goes |
//! | [`fleet`] | the processes, each of which may die by itself |
//! | [`people`] | users, accounts and keys |
//! | [`caller`] | a client that repeats what was not answered, and remembers what was |
//! | [`load`] | what clients do all the time |
//! | [`processes`], [`stores`], [`venue`], [`requests`] | the faults, in lanes that run at the same time |
//! | [`checks`] | what must hold afterwards |
//! | [`report`] | what is said about it |
//! | [`planted`] | that the checks notice what they are for |

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "test support: what a test cannot go on without fails it"
)]

mod caller;
mod chance;
mod checks;
mod database;
mod fleet;
mod lane;
mod load;
mod people;
mod planted;
mod processes;
mod report;
mod requests;
mod series;
mod stores;
mod venue;
mod world;

#[path = "../e2e/support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "shared with the end-to-end tests, which use all of it"
)]
mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the short form makes faults, in seconds.
const SHORT: u64 = 40;

/// A number from the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "the script that starts the trials tells them how long"
)]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "only to have another seed each time")]
fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_doubled_whatever_dies() {
    let seed = number("FAULTS_SEED").unwrap_or_else(any_seed);
    let time = number("FAULTS_MINUTES").map_or(SHORT, |minutes| minutes * 60);
    println!("seed {seed}: FAULTS_SEED={seed} has it again");
    let report = Box::pin(series::run(seed, Duration::from_secs(time))).await;
    println!("{}", report.text());
    println!("the slowest orders:\n{}", report.found.slowest.join("\n"));
    let failures = report.failures();
    assert!(
        failures.is_empty(),
        "seed {seed}: {} failures\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_five_planted_faults_is_noticed() {
    planted::all_are_caught().await;
}
