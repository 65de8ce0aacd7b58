//! `arbion-scheduler`: a scheduler in a process of its own. Run two, and one takes over when the other ends.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use arbion_scheduler::{SchedulerApp, SchedulerOptions, setup};
use clap::Parser;
use platform::config::{self, Config};
use platform::telemetry::{self, LogWriter};
use platform::{Shutdown, SystemClock};

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
        Err(error) => {
            // Nothing is left to do when even stderr is gone.
            let _ = writeln!(
                std::io::stderr(),
                "arbion-scheduler: {}",
                in_one_line(error.as_ref())
            );
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<bool, Box<dyn Error>> {
    let config = Config::from_env()?;
    telemetry::init(&config, "arbion-scheduler", LogWriter::Stderr);
    let shutdown = Shutdown::new();
    shutdown.listen_for_signals()?;
    let app = SchedulerApp {
        store: setup::store(&config).await?,
        queue: setup::queue(&config),
        clock: SystemClock::shared(),
        hours: setup::hours(&config),
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

/// An error and its causes in one line.
fn in_one_line(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
