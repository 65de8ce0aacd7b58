//! `arbion-worker`: a worker in a process of its own. Run as many as are needed.

// A job's future holds all that it may await; optimised, the compiler looks deeper into it than it does by default.
#![recursion_limit = "256"]

use std::error::Error;
use std::process::ExitCode;

use arbion_worker::setup::{self, Parts};
use clap::Parser;
use migrations::{Migrator, migrate_at_start};
use platform::config::{self, Config};
use platform::telemetry::{self, LogWriter};
use platform::{SecretUrl, Shutdown, SystemClock, exit};
use queue::Queue;
use store::Store;

/// The name of this program in logs and at the database.
const SERVICE: &str = "arbion-worker";

/// Sends orders to brokers, records what became of them, and fires stops.
#[derive(Debug, Parser)]
#[command(name = "arbion-worker", version = platform::VERSION, after_help = config::help_text())]
struct Cli {}

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse();
    #[cfg(feature = "fault-points")]
    let _faults = fail::FailScenario::setup();
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        // What did not end in time is in the log; its work is taken over by others.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => exit::failed(SERVICE, error.as_ref()),
    }
}

async fn run() -> Result<bool, Box<dyn Error>> {
    let config = Config::from_env()?;
    telemetry::init(&config, SERVICE, LogWriter::Stderr);
    let shutdown = Shutdown::new();
    shutdown.listen_for_signals()?;
    let clock = SystemClock::shared();
    let store = Store::open(&config, SERVICE).await?;
    migrate_at_start::<Migrator>(store.write()).await?;
    store.upsert_assets(&market::catalog::assets()).await?;
    let parts = Parts {
        store,
        queue: Queue::of(config.redis_url.as_ref().map(SecretUrl::expose)),
        quotes: market::setup::quotes(&config, &clock)?,
        clock,
    };
    let app = setup::app(&config, parts).await?;
    let until = shutdown.clone();
    shutdown.spawn("worker", async move { arbion_worker::run(app, until).await });
    shutdown.requested().await;
    let is_drained = shutdown.drain(config.shutdown_grace()).await;
    tracing::info!(is_drained, "stopped");
    Ok(is_drained)
}
