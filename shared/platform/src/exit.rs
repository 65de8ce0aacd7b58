//! How a program ends that can't go on: one line on stderr, and the status of failure.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

/// Tells on stderr why `program` ends, and answers the status to end with.
pub fn failed(program: &str, error: &dyn Error) -> ExitCode {
    // Nothing is left to do when even stderr is gone.
    let _ = writeln!(std::io::stderr(), "{program}: {}", in_one_line(error));
    ExitCode::FAILURE
}

/// An error and its causes in one line. A cause that the text before it ends with is not said again.
pub fn in_one_line(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.ends_with(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::secrets::SecretsError;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("cannot start")]
        Plain(#[source] SecretsError),
        #[error("cannot start: {0}")]
        Repeating(#[source] SecretsError),
    }

    fn inner() -> SecretsError {
        SecretsError::Io {
            action: "read",
            path: "secrets.env".into(),
            source: io::Error::new(io::ErrorKind::PermissionDenied, "no"),
        }
    }

    #[test]
    fn an_error_is_told_in_one_line_with_its_causes() {
        assert_eq!(
            in_one_line(&Outer::Plain(inner())),
            "cannot start: cannot read secrets.env: no"
        );
    }

    #[test]
    fn a_cause_that_was_told_already_is_not_told_again() {
        assert_eq!(
            in_one_line(&Outer::Repeating(inner())),
            "cannot start: cannot read secrets.env: no"
        );
    }
}
