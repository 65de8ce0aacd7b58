//! `arbion-worker`: a worker in a process of its own. Run as many as are needed.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use arbion_worker::setup::{self, Parts};
use clap::Parser;
use platform::config::{self, Config};
use platform::telemetry::{self, LogWriter};
use platform::{Shutdown, SystemClock};

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
        Err(error) => {
            // Nothing is left to do when even stderr is gone.
            let _ = writeln!(
                std::io::stderr(),
                "arbion-worker: {}",
                in_one_line(error.as_ref())
            );
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<bool, Box<dyn Error>> {
    let config = Config::from_env()?;
    telemetry::init(&config, "arbion-worker", LogWriter::Stderr);
    let shutdown = Shutdown::new();
    shutdown.listen_for_signals()?;
    let clock = SystemClock::shared();
    let store = setup::store(&config, "arbion-worker").await?;
    store.upsert_assets(&market::catalog::assets()).await?;
    let quotes = setup::quotes(&config, &clock)?;
    let parts = Parts {
        store,
        queue: setup::queue(&config),
        quotes,
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

/// An error and its causes in one line.
fn in_one_line(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
