//! `arbion`: the api, the worker and the scheduler in one process, and the operator's subcommands.
//!
//! Without a subcommand it serves: everything it needs it makes in the data directory at the first start. This file
//! reads the command line and is the only place that writes to stdout; each subcommand is a module.

// A job's future holds all that it may await; optimised, the compiler looks deeper into it than it does by default.
#![recursion_limit = "256"]

mod audit;
mod key;
mod openapi;
mod rotate;
mod serve;
mod welcome;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use platform::config::{self, Config};
use platform::exit;

/// A self-hosted order gateway: one HTTP API, enforced risk limits, stops that fire by themselves.
#[derive(Debug, Parser)]
#[command(name = "arbion", version = platform::VERSION, after_help = config::help_text())]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve: api, worker and scheduler in one process (what happens without a subcommand, too)
    Serve,
    /// Apply what is pending to the database and to the paper venue's book, and say what
    Migrate,
    /// Make an API key of the first superadmin, and write its headers to a file for `curl -H @FILE`
    ApiKey,
    /// Encrypt with the newest key of `ENCRYPTION_KEY` what older ones have encrypted. Ends with 1 where something could not
    /// be, and names it. May run beside the servers, and again after it was interrupted
    RotateKeys,
    /// Recompute what the database says from what happened, or what seals it, and report every difference
    Audit {
        #[command(subcommand)]
        what: Audit,
    },
    /// Print the table of environment variables
    Config {
        /// Print a `.env` file with every default instead
        #[arg(long)]
        sample: bool,
    },
    /// Print the OpenAPI document
    Openapi {
        /// Write it to `openapi.json` in the working directory instead
        #[arg(long)]
        write: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Money, positions, reservations and orders, from events and fills. Ends with 0 where all agree, with 1 where
    /// something differs, with 2 where the ledger could not be read. Changes nothing, and may run beside the servers
    Ledger {
        /// Print one JSON document instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Whether rows of the audit log and of the orders' log were changed, removed or inserted since they were sealed, and
    /// how much is not sealed yet. Needs `ENCRYPTION_KEY`, with the keys before it where it was changed. Ends with 0 where
    /// all is as it was, with 1 where a row is not, with 2 where the logs could not be read. Changes nothing
    Verify {
        /// Print one JSON document instead of lines
        #[arg(long)]
        json: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(feature = "fault-points")]
    let _faults = fail::FailScenario::setup();
    match run(cli.command.unwrap_or(Command::Serve)).await {
        Ok(code) => code,
        Err(error) => exit::failed("arbion", error.as_ref()),
    }
}

async fn run(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Serve => serve::serve(&Config::from_env()?, print).await?,
        Command::Migrate => print(&serve::migrate(&Config::from_env()?).await?),
        Command::ApiKey => print(&serve::api_key(&Config::from_env()?).await?),
        Command::RotateKeys => return rotate::rotate(&Config::from_env()?, print).await,
        Command::Audit {
            what: Audit::Ledger { json },
        } => return Ok(audit::ledger(json, print).await),
        Command::Audit {
            what: Audit::Verify { json },
        } => return Ok(audit::verify(json, print).await),
        Command::Config { sample: true } => print(&config::env_sample()),
        Command::Config { sample: false } => print(&config::markdown_table()),
        Command::Openapi { write: false } => print(&openapi::document()),
        Command::Openapi { write: true } => print(&openapi::write()?),
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints `text` as it is. A reader that went away (`arbion config | head -1`) is no error.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_names_every_variable_and_every_subcommand() {
        let help = Cli::command().render_long_help().to_string();
        for variable in config::table::variables() {
            assert!(
                help.contains(variable.name),
                "{} is not in the help",
                variable.name
            );
        }
        for subcommand in [
            "serve",
            "migrate",
            "api-key",
            "rotate-keys",
            "audit",
            "config",
            "openapi",
        ] {
            assert!(help.contains(subcommand), "{subcommand} is not in the help");
        }
    }
}
