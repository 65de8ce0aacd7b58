//! Recorded prices, read from CSV: quotes as they were, or bars that are played as four prices each.
//!
//! | Header | Rows |
//! |---|---|
//! | `symbol,at,bid,bid_size,ask,ask_size,last` | quotes; `at` is an RFC 3339 instant |
//! | `symbol,date,open,high,low,close,volume` | bars of a session (shares) or of a day in UTC (pairs) |
//! | `symbol,date,time,open,high,low,close,volume` | bars within a session; `time` is their begin, in New York for shares and in UTC for pairs |
//!
//! Columns may stand in any order, and others are ignored. A symbol with a slash is a pair, any other a share. Numbers
//! are exact decimals.
//!
//! A bar of length *t* plays its open at its begin, the nearer extreme at *t*/3, the farther one at 2*t*/3 (the low
//! first when both are equally far), and its close in its last second, in which the market is still open.

mod bars;
mod columns;
mod error;
mod quotes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use domain::asset::{Asset, AssetClass, MarketHours};
use domain::id::AssetId;
use domain::money::{Price, Quantity};

use crate::windows::{Spans, Window};
use columns::Columns;
pub use error::{CellProblem, TapeError};

const SHIPPED_CSV: &str = include_str!("../../data/recorded_daily_bars.csv");

/// A recording.
#[derive(Debug, Clone)]
pub struct Tape {
    series: HashMap<AssetId, Series>,
    rows: Vec<DateTime<Utc>>,
    dates: BTreeMap<AssetClass, Vec<NaiveDate>>,
}

/// The prices of one instrument, in order of time.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    points: Vec<Point>,
}

/// What was known of an instrument from one instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    /// Since when.
    pub(crate) at: DateTime<Utc>,
    /// The last trade.
    pub(crate) last: Price,
    /// Bid and ask, where they were recorded.
    pub(crate) sides: Option<Sides>,
}

/// A recorded bid and ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sides {
    pub(crate) bid: Price,
    pub(crate) bid_size: Quantity,
    pub(crate) ask: Price,
    pub(crate) ask_size: Quantity,
}

impl Tape {
    /// Reads a recording from the text of a CSV file.
    pub fn parse(text: &str) -> Result<Tape, TapeError> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let columns = Columns::new(reader.headers()?);
        let series = if columns.has("bid") || columns.has("ask") {
            quotes::read(&mut reader, &columns)?
        } else {
            bars::read(&mut reader, &columns)?
        };
        Tape::new(series)
    }

    /// Reads a recording from a CSV file.
    pub fn open(path: &Path) -> Result<Tape, TapeError> {
        let text = std::fs::read_to_string(path).map_err(|source| TapeError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Tape::parse(&text)
    }

    /// The recording that ships: daily bars of real shares, see `data/README.md`.
    pub fn shipped() -> Result<Tape, TapeError> {
        Tape::parse(SHIPPED_CSV)
    }

    fn new(points: BTreeMap<String, Vec<Point>>) -> Result<Tape, TapeError> {
        let mut series = HashMap::new();
        let mut rows = BTreeSet::new();
        let mut dates: BTreeMap<AssetClass, BTreeSet<NaiveDate>> = BTreeMap::new();
        for (symbol, mut points) in points {
            let class = class_of(&symbol);
            // Stable, so that of several points at one instant the one recorded last counts.
            points.sort_by_key(|point| point.at);
            rows.extend(points.iter().map(|point| point.at));
            let spans = recorded_spans(class);
            let traded = points
                .iter()
                .filter_map(|point| Some(spans.latest(point.at)?.date));
            dates.entry(class).or_default().extend(traded);
            series.insert(Asset::id_of(class, &symbol), Series { points });
        }
        if rows.is_empty() {
            return Err(TapeError::Empty);
        }
        let dates = dates
            .into_iter()
            .map(|(class, dates)| (class, dates.into_iter().collect()))
            .collect();
        Ok(Tape {
            series,
            rows: rows.into_iter().collect(),
            dates,
        })
    }

    /// The recorded instants in ascending order, each once. A row is the place of an instant in here; a bar has four.
    pub fn rows(&self) -> &[DateTime<Utc>] {
        &self.rows
    }

    /// The first row at or after the begin of `date` (UTC); the last row when the recording ends before.
    pub fn row_of(&self, date: NaiveDate) -> usize {
        self.rows
            .partition_point(|at| at.date_naive() < date)
            .min(self.last_row())
    }

    /// The last row.
    pub fn last_row(&self) -> usize {
        self.rows.len().saturating_sub(1)
    }

    /// The instant of `row`, or of the last row when there are not so many.
    pub(crate) fn instant(&self, row: usize) -> Option<DateTime<Utc>> {
        self.rows.get(row.min(self.last_row())).copied()
    }

    /// The dates with a recording for `class`, ascending.
    pub(crate) fn dates(&self, class: AssetClass) -> &[NaiveDate] {
        self.dates.get(&class).map_or(&[], Vec::as_slice)
    }

    /// The recorded prices of an instrument.
    pub(crate) fn series(&self, asset: AssetId) -> Option<&Series> {
        self.series.get(&asset)
    }
}

impl Series {
    /// What was known at `at`.
    pub(crate) fn at(&self, at: DateTime<Utc>) -> Option<&Point> {
        let known = self.points.partition_point(|point| point.at <= at);
        self.points.get(known.checked_sub(1)?)
    }

    /// What became known after `after`, up to and including `until`.
    pub(crate) fn between(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> &[Point] {
        let from = self.points.partition_point(|point| point.at <= after);
        let to = self.points.partition_point(|point| point.at <= until);
        self.points.get(from..to).unwrap_or_default()
    }
}

/// Pairs are written with a slash.
fn class_of(symbol: &str) -> AssetClass {
    if symbol.contains('/') {
        AssetClass::Crypto
    } else {
        AssetClass::UsEquity
    }
}

/// The spans in which `class` was recorded: the past kept its hours, whatever we do today.
pub(crate) fn recorded_spans(class: AssetClass) -> Spans {
    Spans::of(class, MarketHours::Real)
}

/// The span of `class` on a recorded date.
pub(crate) fn recorded_window(class: AssetClass, date: NaiveDate) -> Option<Window> {
    recorded_spans(class).on(date)
}
