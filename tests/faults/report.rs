//! What is said about a series.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::checks::Found;
use crate::series::RECOVERY_MAX;

/// What came of a series.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) lasted: Duration,
    pub(crate) tallies: BTreeMap<&'static str, u64>,
    /// How long each round took to heal.
    pub(crate) recoveries: Vec<Duration>,
    /// The stretches without faults, and how many percent of the first rate the second one must be.
    pub(crate) stretch: Duration,
    pub(crate) rate_min: u64,
    pub(crate) clean: u64,
    pub(crate) recovered: u64,
    pub(crate) drained_in: Option<Duration>,
    pub(crate) found: Found,
}

/// What must have been felt at least once.
const MUST_BITE: [&str; 10] = [
    "claims taken over",
    "outcomes unknown",
    "calls that did not leave",
    "look-ups of unknown outcomes",
    "changes of the leader",
    "stops fired",
    "orders re-driven",
    "keys replayed",
    "connections cut before an answer",
    "answers 503",
];

impl Report {
    /// All faults together.
    pub(crate) fn faults(&self) -> u64 {
        self.tallies.values().sum()
    }

    /// The longest recovery.
    pub(crate) fn longest(&self) -> Duration {
        self.recoveries.iter().max().copied().unwrap_or_default()
    }

    fn mean(&self) -> Duration {
        let rounds = u32::try_from(self.recoveries.len()).unwrap();
        self.recoveries.iter().sum::<Duration>() / rounds.max(1)
    }

    /// The rate after the faults, in percent of the one before.
    pub(crate) fn rate(&self) -> u64 {
        self.recovered * 100 / self.clean.max(1)
    }

    /// Why the series failed; empty when it did not.
    pub(crate) fn failures(&self) -> Vec<String> {
        let found = &self.found;
        let mut failures: Vec<String> = Vec::new();
        for (what, list) in [
            ("lost", &found.lost),
            ("doubled", &found.doubled),
            ("wrong", &found.wrong),
        ] {
            failures.extend(list.iter().map(|one| format!("{what}: {one}")));
        }
        for what in MUST_BITE {
            if found.bites.get(what).copied().unwrap_or_default() == 0 {
                failures.push(format!("no fault was felt as: {what}"));
            }
        }
        if self.drained_in.is_none() {
            failures.push("orders were left after the last fault".to_owned());
        }
        if self.longest() > RECOVERY_MAX {
            failures.push(format!("a recovery took {:?}", self.longest()));
        }
        if self.rate() < self.rate_min {
            failures.push(format!(
                "afterwards the rate was {} % of the one before",
                self.rate()
            ));
        }
        failures
    }

    /// The report in Markdown.
    pub(crate) fn text(&self) -> String {
        let found = &self.found;
        let mut text = String::new();
        let drained = self
            .drained_in
            .map_or_else(|| "not within a minute".to_owned(), seconds);
        writeln!(
            text,
            "| figure | value |\n|---|---|\n\
             | seed | {} |\n| faults for | {} |\n| faults | {} |\n| orders | {} |\n| acknowledged | {} |\n\
             | fills | {} |\n| lost | {} |\n| doubled | {} |\n| otherwise wrong | {} |\n\
             | rounds of faults | {} |\n| mean recovery after a round | {} |\n| longest recovery | {} |\n\
             | longest life of a market order, outages included | {} |\n| last order done after the last fault | {} |\n\
             | orders in {} without faults, before and after | {}, {} ({} %) |",
            self.seed,
            seconds(self.lasted),
            self.faults(),
            found.orders,
            found.acknowledged,
            found.fills,
            found.lost.len(),
            found.doubled.len(),
            found.wrong.len(),
            self.recoveries.len(),
            seconds(self.mean()),
            seconds(self.longest()),
            seconds(Duration::from_millis(found.longest_order_ms)),
            drained,
            seconds(self.stretch),
            self.clean,
            self.recovered,
            self.rate(),
        )
        .unwrap();
        writeln!(text, "\n| fault | times |\n|---|---|").unwrap();
        for (kind, count) in &self.tallies {
            writeln!(text, "| {kind} | {count} |").unwrap();
        }
        writeln!(text, "\n| felt as | times |\n|---|---|").unwrap();
        for (what, count) in &found.bites {
            writeln!(text, "| {what} | {count} |").unwrap();
        }
        text
    }
}

/// `12.3 s`.
fn seconds(time: Duration) -> String {
    let tenths = time.as_millis() / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}
