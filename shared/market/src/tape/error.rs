//! What can be wrong with a recording, named by line and column.

use std::path::PathBuf;

use domain::money::AmountError;
use thiserror::Error;

/// Why a recording cannot be played.
#[derive(Debug, Error)]
pub enum TapeError {
    /// The file cannot be read.
    #[error("the recording {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The text is no CSV: a line with too few or too many cells, or bytes that are no UTF-8.
    #[error("the recording is not valid CSV")]
    Csv(#[from] csv::Error),
    /// The header is neither that of quotes nor that of bars.
    #[error(
        "line 1: the column {missing} is missing; a recording of quotes has the columns \
         symbol,at,bid,bid_size,ask,ask_size,last and one of bars symbol,date[,time],open,high,low,close,volume"
    )]
    Header {
        /// The first column that was looked for in vain.
        missing: &'static str,
    },
    /// One cell is wrong.
    #[error("line {line}, column {column_number} ({column}): {value:?} {problem}")]
    Cell {
        /// The line, counted from one, header included.
        line: u64,
        /// The column, counted from one.
        column_number: usize,
        /// The column's name in the header.
        column: &'static str,
        /// What stands there.
        value: String,
        /// What is wrong with it.
        problem: CellProblem,
    },
    /// There is a header, and nothing below it.
    #[error("the recording has no rows")]
    Empty,
}

/// What is wrong with a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CellProblem {
    /// Nothing stands there.
    #[error("is empty")]
    Blank,
    /// No decimal number of at most 28 digits; exponents are not accepted.
    #[error("is no plain decimal number")]
    NotANumber,
    /// No price or size: see the reason.
    #[error("{0}")]
    Amount(#[from] AmountError),
    /// Less than zero.
    #[error("must not be negative")]
    Negative,
    /// No date.
    #[error("is no date like 2008-09-29")]
    NotADate,
    /// No time of day.
    #[error("is no time like 09:30 or 09:30:00")]
    NotATime,
    /// No instant.
    #[error("is no instant like 2008-09-29T14:30:00Z")]
    NotAnInstant,
    /// The exchange was closed on that date.
    #[error("is no trading day")]
    NoTradingDay,
    /// The exchange was closed at that time.
    #[error("is outside the regular session")]
    OutOfSession,
    /// A high below the open, the close or the low.
    #[error("is below another price of its bar")]
    HighTooLow,
    /// A low above the open or the close.
    #[error("is above another price of its bar")]
    LowTooHigh,
    /// Two bars of one symbol begin at one instant.
    #[error("begins a second bar of the same symbol at the same time")]
    Duplicate,
}
