//! Recordings of quotes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use csv::StringRecord;

use super::columns::{Column, Columns};
use super::error::{CellProblem, TapeError};
use super::{Point, Sides, class_of, recorded_spans};

struct QuoteColumns {
    symbol: Column,
    at: Column,
    bid: Column,
    bid_size: Column,
    ask: Column,
    ask_size: Column,
    last: Column,
}

/// Reads all quotes, by symbol.
pub(super) fn read(
    reader: &mut csv::Reader<&[u8]>,
    columns: &Columns,
) -> Result<BTreeMap<String, Vec<Point>>, TapeError> {
    let columns = QuoteColumns {
        symbol: columns.find("symbol")?,
        at: columns.find("at")?,
        bid: columns.find("bid")?,
        bid_size: columns.find("bid_size")?,
        ask: columns.find("ask")?,
        ask_size: columns.find("ask_size")?,
        last: columns.find("last")?,
    };
    let mut series: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for record in reader.records() {
        let record = record?;
        let symbol = columns.symbol.text(&record)?.to_uppercase();
        let point = columns.point(&record, &symbol)?;
        series.entry(symbol).or_default().push(point);
    }
    Ok(series)
}

impl QuoteColumns {
    fn point(&self, record: &StringRecord, symbol: &str) -> Result<Point, TapeError> {
        let sides = Sides {
            bid: self.bid.price(record)?,
            bid_size: self.bid_size.quantity(record)?,
            ask: self.ask.price(record)?,
            ask_size: self.ask_size.quantity(record)?,
        };
        Ok(Point {
            at: self.instant(record, symbol)?,
            last: self.last.price(record)?,
            sides: Some(sides),
        })
    }

    /// The instant of a quote, which must lie in a session; the closing instant counts.
    fn instant(&self, record: &StringRecord, symbol: &str) -> Result<DateTime<Utc>, TapeError> {
        let refused = |problem| self.at.error(record, problem);
        let at: DateTime<Utc> = self
            .at
            .text(record)?
            .parse()
            .map_err(|_| refused(CellProblem::NotAnInstant))?;
        let window = recorded_spans(class_of(symbol)).latest(at);
        if window.is_some_and(|window| at <= window.close) {
            Ok(at)
        } else {
            Err(refused(CellProblem::OutOfSession))
        }
    }
}
