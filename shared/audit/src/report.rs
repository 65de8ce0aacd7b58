//! What an audit says.

use std::fmt::{Display, Write as _};

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use uuid::Uuid;

/// So many differences are named; beyond them they are only counted.
const NAMED_MAX: usize = 10_000;

/// A row that says something else than what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// The row's key, its parts joined by `/`.
    pub key: String,
    /// The column.
    pub column: &'static str,
    /// What stands there.
    pub stored: String,
    /// What follows from the log and the fills.
    pub computed: String,
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Accounts.
    pub accounts: u64,
    /// Orders.
    pub orders: u64,
    /// Events of orders.
    pub events: u64,
    /// Fills.
    pub fills: u64,
    /// Calls to brokers.
    pub attempts: u64,
    /// Exits of triggers.
    pub exits: u64,
}

/// The result of an audit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How much was read.
    pub read: Counts,
    /// How many differences there are.
    pub difference_count: u64,
    /// The differences; where there are very many, the first of them.
    pub differences: Vec<Difference>,
}

impl Report {
    /// Whether the ledger says what happened.
    pub const fn is_clean(&self) -> bool {
        self.difference_count == 0
    }

    /// For people: one line per difference, and a sum.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for found in &self.differences {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{} {} {}: stored {}, computed {}",
                found.table, found.key, found.column, found.stored, found.computed
            );
        }
        let read = self.read;
        let _ = writeln!(
            text,
            "read {} accounts, {} orders, {} events, {} fills, {} attempts, {} exits",
            read.accounts, read.orders, read.events, read.fills, read.attempts, read.exits
        );
        let _ = match self.difference_count {
            0 => writeln!(text, "no difference"),
            1 => writeln!(text, "1 difference"),
            count => writeln!(text, "{count} differences"),
        };
        text
    }
}

/// What an audit has found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub counts: Counts,
    total: u64,
    named: Vec<Difference>,
}

impl Findings {
    /// Reports where `stored` is not what was `computed`.
    pub(crate) fn compare<T: PartialEq + Show>(
        &mut self,
        row: &Row,
        column: &'static str,
        stored: &T,
        computed: &T,
    ) {
        if stored != computed {
            self.report(row, column, stored.show(), computed.show());
        }
    }

    /// Reports a difference.
    pub(crate) fn report(
        &mut self,
        row: &Row,
        column: &'static str,
        stored: impl Into<String>,
        computed: impl Into<String>,
    ) {
        self.total += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(Difference {
                table: row.table,
                key: row.key.clone(),
                column,
                stored: stored.into(),
                computed: computed.into(),
            });
        }
    }

    pub(crate) fn into_report(self) -> Report {
        Report {
            read: self.counts,
            difference_count: self.total,
            differences: self.named,
        }
    }
}

/// Names a row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    table: &'static str,
    key: String,
}

impl Row {
    pub(crate) fn new(table: &'static str, key: impl Display + Copy) -> Self {
        Self {
            table,
            key: key.to_string(),
        }
    }

    pub(crate) fn pair(table: &'static str, first: impl Display + Copy, second: impl Display + Copy) -> Self {
        Self::new(table, &format!("{first}/{second}"))
    }
}

/// A value as a report shows it.
pub(crate) trait Show {
    fn show(&self) -> String;
}

impl Show for Decimal {
    fn show(&self) -> String {
        self.normalize().to_string()
    }
}

impl Show for DateTime<Utc> {
    fn show(&self) -> String {
        self.to_rfc3339_opts(SecondsFormat::Micros, true)
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "nothing".to_owned(), Show::show)
    }
}

macro_rules! show_as_it_displays {
    ($($kind:ty),+) => {$(
        impl Show for $kind {
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

show_as_it_displays!(&str, String, bool, i64, Uuid, NaiveDate);
