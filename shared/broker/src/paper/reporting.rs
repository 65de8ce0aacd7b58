//! Reports: the journals of many accounts, read at once.

use sea_orm::ConnectionTrait;

use super::book::{self, Place};
use super::error::NAME;
use super::rows::JournalRow;
use crate::{BrokerError, Connection, ReportPage};

/// At most `limit` reports of each connection after its cursor; an unreadable cursor or row is that connection's failure
/// alone.
pub(super) async fn pages(
    reader: &impl ConnectionTrait,
    asks: &[(Connection, String)],
    limit: u64,
) -> Vec<Result<ReportPage, BrokerError>> {
    let places: Vec<Result<Place, BrokerError>> = asks
        .iter()
        .map(|(connection, cursor)| {
            Ok(Place {
                connection_id: connection.id,
                after: after(cursor)?,
            })
        })
        .collect();
    let readable: Vec<Place> = places
        .iter()
        .filter_map(|place| place.as_ref().ok().copied())
        .collect();
    if readable.is_empty() {
        return places
            .into_iter()
            .map(|place| place.map(|place| page(place, Vec::new())))
            .collect();
    }
    let mut read = match book::journal(reader, &readable, limit).await {
        Ok(read) => read.into_iter(),
        Err(error) => {
            let error = BrokerError::from(error);
            return places
                .into_iter()
                .map(|place| place.and(Err(error.clone())))
                .collect();
        }
    };
    places
        .into_iter()
        .map(|place| {
            let place = place?;
            let rows = read.next().unwrap_or_else(|| Ok(Vec::new()));
            Ok(page(place, rows?))
        })
        .collect()
}

fn page(place: Place, rows: Vec<JournalRow>) -> ReportPage {
    let cursor = rows.last().map_or(place.after, |row| row.seq);
    ReportPage {
        reports: rows.into_iter().map(JournalRow::report).collect(),
        cursor: cursor.to_string(),
    }
}

/// The place in the journal that a cursor names; the empty one is the beginning.
fn after(cursor: &str) -> Result<i64, BrokerError> {
    if cursor.is_empty() {
        return Ok(0);
    }
    cursor.parse().map_err(|_| BrokerError::Inconsistent {
        broker: NAME,
        what: format!("cursor {cursor:?} is no place in the journal"),
    })
}
