//! Cells by the name of their column, with errors that say where.

use csv::StringRecord;
use domain::money::{AmountError, Price, Quantity};
use rust_decimal::Decimal;

use super::error::{CellProblem, TapeError};

/// The header.
pub(super) struct Columns {
    names: Vec<String>,
}

/// A column that the header has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    name: &'static str,
    index: usize,
}

impl Columns {
    /// Names are compared without regard to case.
    pub(super) fn new(header: &StringRecord) -> Columns {
        Columns {
            names: header.iter().map(str::to_lowercase).collect(),
        }
    }

    /// Whether the header has a column.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|found| found == name)
    }

    /// The place of a column that must be there.
    pub(super) fn find(&self, name: &'static str) -> Result<Column, TapeError> {
        self.find_optional(name)
            .ok_or(TapeError::Header { missing: name })
    }

    /// The place of a column that may be there.
    pub(super) fn find_optional(&self, name: &'static str) -> Option<Column> {
        let index = self.names.iter().position(|found| found == name)?;
        Some(Column { name, index })
    }
}

impl Column {
    /// The error that says where `problem` is.
    pub(super) fn error(self, record: &StringRecord, problem: CellProblem) -> TapeError {
        TapeError::Cell {
            line: line(record),
            column_number: self.index + 1,
            column: self.name,
            value: self.raw(record).to_owned(),
            problem,
        }
    }

    /// The text of the cell, which must not be empty.
    pub(super) fn text(self, record: &StringRecord) -> Result<&str, TapeError> {
        match self.raw(record) {
            "" => Err(self.error(record, CellProblem::Blank)),
            text => Ok(text),
        }
    }

    /// The number in the cell, exactly.
    pub(super) fn decimal(self, record: &StringRecord) -> Result<Decimal, TapeError> {
        let text = self.text(record)?;
        let is_plain = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
        let number = if is_plain {
            Decimal::from_str_exact(text).ok()
        } else {
            None
        };
        number.ok_or_else(|| self.error(record, CellProblem::NotANumber))
    }

    /// The price in the cell.
    pub(super) fn price(self, record: &StringRecord) -> Result<Price, TapeError> {
        self.amount(record, Price::new)
    }

    /// The size in the cell.
    pub(super) fn quantity(self, record: &StringRecord) -> Result<Quantity, TapeError> {
        self.amount(record, Quantity::new)
    }

    fn amount<T>(
        self,
        record: &StringRecord,
        check: impl Fn(Decimal) -> Result<T, AmountError>,
    ) -> Result<T, TapeError> {
        check(self.decimal(record)?).map_err(|problem| self.error(record, problem.into()))
    }

    fn raw(self, record: &StringRecord) -> &str {
        record.get(self.index).unwrap_or_default()
    }
}

fn line(record: &StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}
