//! What a verification says.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use uuid::Uuid;

/// So many findings are named; beyond them they are only counted.
const NAMED_MAX: usize = 10_000;

/// What is wrong with a row, or with what seals it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// The row is not the one that was sealed, or its hash is another one.
    Changed,
    /// The row is not there.
    Missing,
    /// The row has a number that was never given out.
    Inserted,
    /// A head or an anchor says that the row was sealed, or a later one is; its hash is not there.
    SealMissing,
    /// Hashes that are not one for each row, or come twice.
    SealBroken,
    /// The hashes were made with a key that `ENCRYPTION_KEY` does not list.
    UnknownKey,
    /// The head is not the last seal.
    HeadDiffers,
    /// The hash is not the one that was anchored.
    AnchorDiffers,
    /// The counter of the chain stands before rows that were sealed.
    CounterDiffers,
}

impl Wrong {
    /// In words.
    const fn words(self) -> &'static str {
        match self {
            Wrong::Changed => "changed since it was sealed",
            Wrong::Missing => "missing",
            Wrong::Inserted => "inserted: this number was never given out",
            Wrong::SealMissing => "its seal is missing",
            Wrong::SealBroken => "its seal is broken",
            Wrong::UnknownKey => "sealed with a key that ENCRYPTION_KEY does not list",
            Wrong::HeadDiffers => "the head is not the last seal",
            Wrong::AnchorDiffers => "not the hash that was anchored",
            Wrong::CounterDiffers => "the counter stands before it",
        }
    }
}

/// Rows of a chain that are not as they were sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `orders` for `order_events`, `audit` for `audit_events`.
    pub source: &'static str,
    /// The chain: an account, a user, or the installation (nil).
    pub chain: Uuid,
    /// The first row.
    pub seq: i64,
    /// The last row; the first again where it is one.
    pub seq_to: i64,
    /// What is wrong.
    pub wrong: Wrong,
}

/// How much of a log was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ChainCounts {
    /// The log.
    pub source: &'static str,
    /// Its chains.
    pub chains: u64,
    /// Its rows.
    pub rows: u64,
    /// Rows that are as they were sealed.
    pub verified: u64,
    /// Rows that are not sealed yet.
    pub tail: u64,
    /// The oldest of them.
    pub tail_oldest_at: Option<DateTime<Utc>>,
    /// How old that is.
    pub tail_age_seconds: Option<i64>,
}

/// The result of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// How much of each log was read.
    pub read: Vec<ChainCounts>,
    /// How many findings there are.
    pub finding_count: u64,
    /// The findings; where there are very many, the first of them.
    pub findings: Vec<Finding>,
}

impl ChainReport {
    /// Whether the logs are as they were sealed.
    pub const fn is_clean(&self) -> bool {
        self.finding_count == 0
    }

    /// For people: one line per finding, one per log, and a sum.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for found in &self.findings {
            let last = match found.seq_to {
                last if last == found.seq => String::new(),
                last => format!("-{last}"),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{} {} {}{last}: {}",
                found.source,
                found.chain,
                found.seq,
                found.wrong.words()
            );
        }
        for read in &self.read {
            let _ = write!(
                text,
                "read {}: {} chains, {} rows, {} verified, {} not sealed yet",
                read.source, read.chains, read.rows, read.verified, read.tail
            );
            if let (Some(at), Some(age)) = (read.tail_oldest_at, read.tail_age_seconds) {
                let at = at.to_rfc3339_opts(SecondsFormat::Micros, true);
                let _ = write!(text, " (the oldest of {at}, {age} s ago)");
            }
            text.push('\n');
        }
        let _ = match self.finding_count {
            0 => writeln!(text, "nothing was changed"),
            1 => writeln!(text, "1 finding"),
            count => writeln!(text, "{count} findings"),
        };
        text
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    total: u64,
    named: Vec<Finding>,
}

impl Findings {
    /// Adds a finding; one that goes on where the last one ended makes that longer.
    pub(super) fn add(&mut self, found: Finding) {
        if let Some(last) = self.named.last_mut()
            && (last.source, last.chain, last.wrong) == (found.source, found.chain, found.wrong)
            && last.wrong != Wrong::Changed
            && last.seq_to.checked_add(1) == Some(found.seq)
        {
            last.seq_to = found.seq_to;
            return;
        }
        self.total += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(found);
        }
    }

    pub(super) fn into_report(self, read: Vec<ChainCounts>) -> ChainReport {
        ChainReport {
            read,
            finding_count: self.total,
            findings: self.named,
        }
    }
}
