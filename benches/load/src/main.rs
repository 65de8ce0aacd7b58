//! Measures the built programs under load, each figure beside a yardstick of the same minute. Started by `./bench`.
//!
//! 1. [`servers`]: the private PostgreSQL that `./bench` has started, its databases, `pgbench`; and a Redis of a figure;
//! 2. [`seed`]: users, accounts and keys, and ten million orders of the past;
//! 3. [`process`]: the programs under test; [`cpu`]: what they and the servers took of the cores;
//! 4. [`load`]: the generator: prepared requests over kept connections, one order each;
//! 5. one module a figure, and [`report`]: tables of medians.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "a program for a developer's terminal that computes statistics of times: no money, and a fault ends the run"
)]

mod acceptance;
mod access;
mod cpu;
mod drain;
mod embedded;
mod latency;
mod load;
mod process;
mod report;
mod seed;
mod servers;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use servers::Postgres;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Figure {
    /// Accepting orders over HTTP, 64 connections.
    Acceptance,
    /// Accepting orders over HTTP, one connection.
    One,
    /// Everything in one process, on SQLite.
    Embedded,
    /// From acceptance to the broker and to the fill.
    Latency,
    /// A backlog, one worker.
    Drain,
    /// What authentication and the policy limit cost.
    Access,
}

/// What `./bench` hands over.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure; nothing named: everything.
    figures: Vec<Figure>,
    /// How many paired runs.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// One short run.
    #[arg(long)]
    quick: bool,
    /// Orders of the past in the aged database.
    #[arg(long, default_value_t = 10_000_000)]
    aged: u64,
    /// The directory of the built programs.
    #[arg(long)]
    programs: PathBuf,
    /// The directory of PostgreSQL's programs.
    #[arg(long)]
    postgres_programs: PathBuf,
    /// The directory of the server's Unix socket.
    #[arg(long)]
    socket: PathBuf,
    /// The directory of the server's data.
    #[arg(long)]
    cluster: PathBuf,
    /// The server's port.
    #[arg(long)]
    port: u16,
}

/// Everything that a figure needs to know.
#[derive(Debug)]
struct Bench {
    postgres: Postgres,
    programs: PathBuf,
    runs: usize,
    /// How long one measurement takes.
    measured_for: Duration,
    /// How many orders the aged database has; none: it is left out.
    aged: u64,
    is_quick: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let figures = if arguments.figures.is_empty() {
        Figure::value_variants().to_vec()
    } else {
        arguments.figures
    };
    let bench = Bench {
        postgres: Postgres::new(
            arguments.postgres_programs,
            arguments.socket,
            arguments.cluster,
            arguments.port,
        ),
        programs: arguments.programs,
        runs: if arguments.quick { 1 } else { arguments.runs.max(1) },
        measured_for: Duration::from_secs(if arguments.quick { 2 } else { 5 }),
        aged: arguments.aged,
        is_quick: arguments.quick,
    };
    report::machine(&bench.postgres);
    for figure in figures {
        match figure {
            Figure::Acceptance => acceptance::measure(&bench),
            Figure::One => acceptance::measure_one(&bench),
            Figure::Embedded => embedded::measure(&bench),
            Figure::Latency => latency::measure(&bench),
            Figure::Drain => drain::measure(&bench),
            Figure::Access => access::measure(&bench),
        }
    }
}
