//! `arbion rotate-keys`: the newest encryption key seals what older ones have sealed.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use platform::secrets::LocalSecrets;
use platform::{Config, SystemClock, Vault};
use store::{BrokerSecrets, Rotation};

use crate::serve;

/// Rotates, and prints what was done. It ends well only where every secret is sealed by the newest key.
pub(crate) async fn rotate(config: &Config, print: impl Fn(&str)) -> Result<ExitCode, Box<dyn Error>> {
    let vault = Vault::of(&LocalSecrets::of(config)?)?;
    let (store, _) = serve::migrated_store(config).await?;
    let rotation = BrokerSecrets::new(store.clone(), vault)
        .rotate(&SystemClock)
        .await?;
    store.close().await?;
    print(&text(&rotation));
    Ok(if rotation.is_complete() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn text(rotation: &Rotation) -> String {
    let Rotation {
        already_current,
        resealed,
        unopened,
        is_outpaced,
    } = rotation;
    let mut text = format!("re-encrypted {resealed}, already current {already_current}\n");
    for (connection, error) in unopened {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "broker connection {connection}: {error}");
    }
    if !unopened.is_empty() {
        let _ = writeln!(
            text,
            "{} left as they were: add the key that is missing to ENCRYPTION_KEY, or connect the broker again",
            unopened.len()
        );
    }
    if *is_outpaced {
        text.push_str("a process still encrypts with an older key: put the newest one first everywhere, and run this again\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use platform::vault::VaultError;

    use super::*;

    #[test]
    fn what_was_done_is_told_in_one_line_and_what_was_not_by_name() {
        let done = Rotation {
            already_current: 3,
            resealed: 250,
            ..Rotation::default()
        };
        assert_eq!(text(&done), "re-encrypted 250, already current 3\n");
        let lost = Rotation {
            unopened: vec![(uuid::Uuid::nil().into(), VaultError::Unopened)],
            is_outpaced: true,
            ..done
        };
        let lines = text(&lost);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(
            lines[1],
            "broker connection 00000000-0000-0000-0000-000000000000: no encryption key opens it"
        );
        assert!(
            lines[2].starts_with("1 left as they were") && lines[3].contains("older key"),
            "{lines:?}"
        );
    }
}
