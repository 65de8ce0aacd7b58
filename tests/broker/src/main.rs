//! `arbion-test-broker`: the [scripted broker](arbion_test_broker) in a process of its own.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use arbion_test_broker::Server;
use clap::Parser;
use platform::exit;

/// A broker for tests that does what it is told, and keeps a journal of all that reached it.
#[derive(Debug, Parser)]
#[command(name = "arbion-test-broker", version = platform::VERSION)]
struct Cli {
    /// Where to listen on loopback; 0 takes a free port.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The file of the journal; what it holds already is taken up again.
    #[arg(long)]
    journal: Option<PathBuf>,
    /// What the chances of rules are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::failed("arbion-test-broker", error.as_ref()),
    }
}

async fn run(cli: Cli) -> Result<(), Box<dyn Error>> {
    let server = Server::bind(cli.port, cli.journal, cli.seed).await?;
    writeln!(std::io::stdout(), "listening on http://{}", server.address)?;
    server.run().await;
    Ok(())
}
