//! Recordings of bars: open, high, low and close of a span, played as four prices.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use csv::StringRecord;
use domain::asset::AssetClass;
use domain::money::Price;
use rust_decimal::Decimal;

use super::columns::{Column, Columns};
use super::error::{CellProblem, TapeError};
use super::{Point, class_of, recorded_window};
use crate::windows::Window;

struct BarColumns {
    symbol: Column,
    date: Column,
    time: Option<Column>,
    open: Column,
    high: Column,
    low: Column,
    close: Column,
    volume: Column,
}

/// One bar. Prices satisfy low ≤ open, close ≤ high.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) open: Price,
    pub(super) high: Price,
    pub(super) low: Price,
    pub(super) close: Price,
}

/// The bars of one symbol by their begin, with the span each lies in.
type Bars = BTreeMap<DateTime<Utc>, (Window, Bar)>;

/// Reads all bars as what they play, by symbol.
pub(super) fn read(
    reader: &mut csv::Reader<&[u8]>,
    columns: &Columns,
) -> Result<BTreeMap<String, Vec<Point>>, TapeError> {
    let columns = BarColumns {
        symbol: columns.find("symbol")?,
        date: columns.find("date")?,
        time: columns.find_optional("time"),
        open: columns.find("open")?,
        high: columns.find("high")?,
        low: columns.find("low")?,
        close: columns.find("close")?,
        volume: columns.find("volume")?,
    };
    let mut symbols: BTreeMap<String, Bars> = BTreeMap::new();
    for record in reader.records() {
        let record = record?;
        let symbol = columns.symbol.text(&record)?.to_uppercase();
        let (window, begin) = columns.begin(&record, class_of(&symbol))?;
        let bar = columns.bar(&record)?;
        if symbols
            .entry(symbol)
            .or_default()
            .insert(begin, (window, bar))
            .is_some()
        {
            let column = columns.time.unwrap_or(columns.date);
            return Err(column.error(&record, CellProblem::Duplicate));
        }
    }
    Ok(symbols
        .into_iter()
        .map(|(symbol, bars)| (symbol, play(&bars)))
        .collect())
}

impl BarColumns {
    fn bar(&self, record: &StringRecord) -> Result<Bar, TapeError> {
        let bar = Bar {
            open: self.open.price(record)?,
            high: self.high.price(record)?,
            low: self.low.price(record)?,
            close: self.close.price(record)?,
        };
        if bar.high < bar.open.max(bar.close).max(bar.low) {
            return Err(self.high.error(record, CellProblem::HighTooLow));
        }
        if bar.low > bar.open.min(bar.close) {
            return Err(self.low.error(record, CellProblem::LowTooHigh));
        }
        if self.volume.decimal(record)? < Decimal::ZERO {
            return Err(self.volume.error(record, CellProblem::Negative));
        }
        Ok(bar)
    }

    /// The span a bar lies in, and the instant of its begin.
    fn begin(&self, record: &StringRecord, class: AssetClass) -> Result<(Window, DateTime<Utc>), TapeError> {
        let date: NaiveDate = self
            .date
            .text(record)?
            .parse()
            .map_err(|_| self.date.error(record, CellProblem::NotADate))?;
        let window =
            recorded_window(class, date).ok_or_else(|| self.date.error(record, CellProblem::NoTradingDay))?;
        let Some(column) = self.time else {
            return Ok((window, window.open));
        };
        let time =
            time_of_day(column.text(record)?).ok_or_else(|| column.error(record, CellProblem::NotATime))?;
        let begin = window.open.checked_add_signed(time - opening_time(class));
        match begin {
            Some(begin) if window.open <= begin && begin < window.close => Ok((window, begin)),
            _ => Err(column.error(record, CellProblem::OutOfSession)),
        }
    }
}

/// The time of day at which the spans of a class begin, on the clock that its recordings use. The clock in New York
/// changes at night only, so a distance from the opening is the same on both clocks.
fn opening_time(class: AssetClass) -> NaiveTime {
    match class {
        AssetClass::UsEquity => NaiveTime::from_hms_opt(9, 30, 0).unwrap_or(NaiveTime::MIN),
        AssetClass::Crypto => NaiveTime::MIN,
    }
}

fn time_of_day(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M:%S")
        .or_else(|_| NaiveTime::parse_from_str(text, "%H:%M"))
        .ok()
}

/// What all bars of a symbol play.
///
/// A bar ends where the next one of its span begins. The last one of a span is as long as the one before it, and the
/// only one fills the span.
fn play(bars: &Bars) -> Vec<Point> {
    let mut points = Vec::with_capacity(bars.len() * 4);
    let mut before: Option<(DateTime<Utc>, Window)> = None;
    let mut following = bars.iter().skip(1);
    for (begin, (window, bar)) in bars {
        let next = following
            .next()
            .filter(|(_, (other, _))| other == window)
            .map(|(next, _)| *next);
        let usual = before
            .filter(|(_, other)| other == window)
            .and_then(|(earlier, _)| begin.checked_add_signed(*begin - earlier));
        let end = next.or(usual).unwrap_or(window.close).min(window.close);
        points.extend(path(*bar, *begin, end));
        before = Some((*begin, *window));
    }
    points
}

/// The four prices of a bar that lasts from `begin` to `end`.
pub(super) fn path(bar: Bar, begin: DateTime<Utc>, end: DateTime<Utc>) -> [Point; 4] {
    let length = end - begin;
    let low_is_nearer = bar.open.get() - bar.low.get() <= bar.high.get() - bar.open.get();
    let (nearer, farther) = if low_is_nearer {
        (bar.low, bar.high)
    } else {
        (bar.high, bar.low)
    };
    let last_second = (length - TimeDelta::seconds(1)).max(TimeDelta::zero());
    [
        (TimeDelta::zero(), bar.open),
        ((length / 3).min(last_second), nearer),
        ((length * 2 / 3).min(last_second), farther),
        (last_second, bar.close),
    ]
    .map(|(offset, last)| Point {
        at: begin + offset,
        last,
        sides: None,
    })
}
