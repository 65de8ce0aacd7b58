//! `arbion-api`: the HTTP API in a process of its own. Run as many as are needed.

use std::error::Error;
use std::process::ExitCode;

use arbion_api::setup;
use clap::Parser;
use platform::config::{self, Config};
use platform::telemetry::{self, LogWriter};
use platform::{Shutdown, SystemClock, exit};

/// Accepts orders over HTTP; workers carry them out.
#[derive(Debug, Parser)]
#[command(name = "arbion-api", version = platform::VERSION, after_help = config::help_text())]
struct Cli {}

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse();
    #[cfg(feature = "fault-points")]
    let _faults = fail::FailScenario::setup();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::failed(setup::SERVICE, error.as_ref()),
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let config = Config::from_env()?;
    telemetry::init(&config, setup::SERVICE, LogWriter::Stderr);
    let shutdown = Shutdown::new();
    shutdown.listen_for_signals()?;
    let app = setup::app(&config, SystemClock::shared()).await?;
    let listening = setup::listen(&config).await?;
    tracing::info!(address = %listening.address(), "the API answers");
    listening.run(app, &shutdown, config.shutdown_grace()).await?;
    Ok(())
}
