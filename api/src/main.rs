//! `arbion-api`: the HTTP API in a process of its own. Run as many as are needed.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use arbion_api::{Listening, setup};
use clap::Parser;
use platform::config::{self, Config};
use platform::telemetry::{self, LogWriter};
use platform::{Shutdown, SystemClock};

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
        Err(error) => {
            // Nothing is left to do when even stderr is gone.
            let _ = writeln!(std::io::stderr(), "arbion-api: {}", in_one_line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let config = Config::from_env()?;
    telemetry::init(&config, "arbion-api", LogWriter::Stderr);
    let shutdown = Shutdown::new();
    shutdown.listen_for_signals()?;
    let app = setup::app(&config, SystemClock::shared()).await?;
    let listening = Listening::bind(config.listen_address()).await?;
    tracing::info!(address = %listening.address(), "the API answers");
    listening.run(app, &shutdown, config.shutdown_grace()).await?;
    Ok(())
}

/// An error and its causes in one line.
fn in_one_line(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
