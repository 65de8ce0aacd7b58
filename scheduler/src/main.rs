//! `arbion-scheduler`: a scheduler in a process of its own. Run two, and one takes over when the other ends.

use std::error::Error;
use std::process::ExitCode;

use arbion_scheduler::{SchedulerApp, SchedulerOptions};
use clap::Parser;
use migrations::{Migrator, migrate_at_start};
use platform::chain::ChainKey;
use platform::config::{self, Config};
use platform::secrets::LocalSecrets;
use platform::telemetry::{self, LogWriter};
use platform::{SecretUrl, Shutdown, SystemClock, exit};
use queue::Queue;
use store::Store;

/// The name of this program in logs and at the database.
const SERVICE: &str = "arbion-scheduler";

/// What happens by the clock: opens sweeps of the stops, sends lost signals again, and tidies up.
#[derive(Debug, Parser)]
#[command(name = "arbion-scheduler", version = platform::VERSION, after_help = config::help_text())]
struct Cli {}

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse();
    #[cfg(feature = "fault-points")]
    let _faults = fail::FailScenario::setup();
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => exit::failed(SERVICE, error.as_ref()),
    }
}

async fn run() -> Result<bool, Box<dyn Error>> {
    let config = Config::from_env()?;
    telemetry::init(&config, SERVICE, LogWriter::Stderr);
    let shutdown = Shutdown::new();
    shutdown.listen_for_signals()?;
    let store = Store::open(&config, SERVICE).await?;
    migrate_at_start::<Migrator>(store.write()).await?;
    let app = SchedulerApp {
        store,
        queue: Queue::of(config.redis_url.as_ref().map(SecretUrl::expose)),
        clock: SystemClock::shared(),
        chain_key: ChainKey::newest_of(&LocalSecrets::of(&config)?),
        hours: market::setup::hours(&config),
        options: SchedulerOptions::of(&config),
    };
    let (until, end) = (shutdown.clone(), shutdown.request_on_drop());
    shutdown.spawn("scheduler", async move {
        // Whatever ends it, ends the process.
        let _end = end;
        arbion_scheduler::run(app, until).await;
    });
    shutdown.requested().await;
    let is_drained = shutdown.drain(config.shutdown_grace()).await;
    tracing::info!(is_drained, "stopped");
    Ok(is_drained)
}
