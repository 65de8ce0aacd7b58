//! `arbion audit ledger`: whether the ledger says what happened.

use std::error::Error;
use std::process::ExitCode;

use ::audit::Report;
use platform::Config;
use platform::exit;
use store::StoreOptions;

/// The name of this process at the database and in its message.
const SERVICE: &str = "arbion";

/// How it ends where something differs.
const DIFFERENT: u8 = 1;

/// How it ends where the ledger could not be read: nobody may take that for a clean one.
const UNREAD: u8 = 2;

/// Audits the configured database and prints what it found, for people or as JSON.
pub(crate) async fn ledger(json: bool, print: impl Fn(&str)) -> ExitCode {
    match audited(json).await {
        Ok((report, text)) => {
            print(&text);
            ExitCode::from(if report.is_clean() { 0 } else { DIFFERENT })
        }
        Err(error) => {
            exit::failed(SERVICE, error.as_ref());
            ExitCode::from(UNREAD)
        }
    }
}

async fn audited(json: bool) -> Result<(Report, String), Box<dyn Error>> {
    let options = StoreOptions::of_or_local(&Config::from_env()?, SERVICE)?;
    let connection = ::audit::connect(&options.url).await?;
    let report = ::audit::audit_ledger(&connection).await?;
    connection.close().await?;
    let text = if json {
        format!("{}\n", serde_json::to_string_pretty(&report)?)
    } else {
        report.text()
    };
    Ok((report, text))
}
