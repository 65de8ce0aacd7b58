//! `arbion audit`: whether the ledger says what happened, and whether the logs are as they were sealed.

use std::error::Error;
use std::process::ExitCode;

use platform::chain::ChainKey;
use platform::secrets::LocalSecrets;
use platform::{Clock as _, Config, SystemClock, exit};
use store::StoreOptions;

/// The name of this process at the database and in its message.
const SERVICE: &str = "arbion";

/// How it ends where something differs.
const DIFFERENT: u8 = 1;

/// How it ends where something could not be read: nobody may take that for a clean one.
const UNREAD: u8 = 2;

/// Audits the configured database and prints what it found, for people or as JSON.
pub(crate) async fn ledger(json: bool, print: impl Fn(&str)) -> ExitCode {
    ended(audited(json).await, print)
}

/// Verifies the logs of the configured database and prints what it found, for people or as JSON.
pub(crate) async fn verify(json: bool, print: impl Fn(&str)) -> ExitCode {
    ended(verified(json).await, print)
}

/// Prints what was found. The flag says whether all is well.
fn ended(found: Result<(bool, String), Box<dyn Error>>, print: impl Fn(&str)) -> ExitCode {
    match found {
        Ok((is_clean, text)) => {
            print(&text);
            ExitCode::from(if is_clean { 0 } else { DIFFERENT })
        }
        Err(error) => {
            exit::failed(SERVICE, error.as_ref());
            ExitCode::from(UNREAD)
        }
    }
}

async fn audited(json: bool) -> Result<(bool, String), Box<dyn Error>> {
    let options = StoreOptions::of_or_local(&Config::from_env()?, SERVICE)?;
    let connection = ::audit::connect(&options.url).await?;
    let report = ::audit::audit_ledger(&connection).await?;
    connection.close().await?;
    let text = if json {
        format!("{}\n", serde_json::to_string_pretty(&report)?)
    } else {
        report.text()
    };
    Ok((report.is_clean(), text))
}

async fn verified(json: bool) -> Result<(bool, String), Box<dyn Error>> {
    let config = Config::from_env()?;
    let options = StoreOptions::of_or_local(&config, SERVICE)?;
    let connection = ::audit::connect(&options.url).await?;
    let keys = ChainKey::all_of(&LocalSecrets::of(&config)?);
    let report = ::audit::verify_chains(&connection, &keys, SystemClock.now()).await?;
    connection.close().await?;
    let text = if json {
        format!("{}\n", serde_json::to_string_pretty(&report)?)
    } else {
        report.text()
    };
    Ok((report.is_clean(), text))
}
