//! The text file that moves a tape from outside.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use crate::MarketError;

/// How much of a malformed file an error repeats, in characters.
const SHOWN_CHARACTERS: usize = 80;

/// What a row file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowFile {
    /// Where the tape stands.
    pub(super) place: Place,
    /// The time that its quotes carry; without it, the present second.
    pub(super) at: Option<DateTime<Utc>>,
}

/// A place on a tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A row by its number.
    Row(usize),
    /// The first row of a date.
    Date(NaiveDate),
}

/// Reads the file; `None` when there is none, or it is empty.
pub(super) async fn read(path: &Path) -> Result<Option<RowFile>, MarketError> {
    let text = match tokio::fs::read_to_string(path).await {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(MarketError::RowFileUnreadable {
                path: path.to_owned(),
                source: Arc::new(error),
            });
        }
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    parse(&text)
        .map(Some)
        .ok_or_else(|| MarketError::RowFileMalformed {
            path: path.to_owned(),
            content: text.trim().chars().take(SHOWN_CHARACTERS).collect(),
        })
}

fn parse(text: &str) -> Option<RowFile> {
    let mut words = text.split_whitespace();
    let place = words.next()?;
    let place = place
        .parse()
        .map(Place::Row)
        .or_else(|_| place.parse().map(Place::Date))
        .ok()?;
    let at = match words.next() {
        Some(at) => Some(at.parse().ok()?),
        None => None,
    };
    if words.next().is_some() {
        return None;
    }
    Some(RowFile { place, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_file_names_a_row_or_a_date_and_perhaps_a_time() {
        let row = |row| Place::Row(row);
        let date = Place::Date("2008-09-29".parse().unwrap());
        let time = "2026-11-24T15:00:00Z".parse().ok();
        for (text, expected) in [
            ("42", Some((row(42), None))),
            (" 42\n", Some((row(42), None))),
            ("2008-09-29", Some((date, None))),
            ("42 2026-11-24T15:00:00Z", Some((row(42), time))),
            ("2008-09-29 2026-11-24T15:00:00Z\n", Some((date, time))),
            ("-1", None),
            ("four", None),
            ("42 now", None),
            ("42 2026-11-24T15:00:00Z 7", None),
            ("", None),
        ] {
            assert_eq!(
                parse(text),
                expected.map(|(place, at)| RowFile { place, at }),
                "{text:?}"
            );
        }
    }
}
