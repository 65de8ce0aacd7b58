//! The journal: one JSON object a line, appended and never changed.
//!
//! | `what` | says |
//! |---|---|
//! | `received` | a request arrived, with its number, its operation, and what it said |
//! | `decided` | a rule is used for it |
//! | `taken` | it made an order |
//! | `repeated` | it asked for an order that was there already |
//! | `denied` | it was not granted |
//! | `reported` | something happened to an order |
//! | `answered`, `silent` | what the caller got to see |
//!
//! A line is written before its effect can be seen from outside.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::venue::Fact;

/// See the module.
#[derive(Debug)]
pub struct Journal {
    file: Option<File>,
    lines: Vec<String>,
    received: u64,
}

impl Journal {
    /// A journal in `path`, or in memory alone; and the facts that the file holds already.
    pub fn open(path: Option<PathBuf>) -> io::Result<(Self, Vec<Fact>)> {
        let mut journal = Self {
            file: None,
            lines: Vec::new(),
            received: 0,
        };
        let mut facts = Vec::new();
        let Some(path) = path else {
            return Ok((journal, facts));
        };
        if path.exists() {
            for line in BufReader::new(File::open(&path)?).lines() {
                let line = line?;
                // The last line of a process that was killed may be cut.
                let Ok(value) = serde_json::from_str::<Value>(&line) else {
                    continue;
                };
                journal.received += u64::from(value["what"] == "received");
                facts.extend(fact_of(&value));
                journal.lines.push(line);
            }
        }
        let mut file = File::options().create(true).append(true).open(path)?;
        file.write_all(b"\n")?;
        journal.file = Some(file);
        Ok((journal, facts))
    }

    /// The number of the next request.
    pub fn next_request(&mut self) -> u64 {
        self.received += 1;
        self.received
    }

    /// Appends `what` with its members.
    pub fn note(&mut self, what: &str, mut members: Value) {
        members["what"] = json!(what);
        let line = members.to_string();
        if let Some(file) = &mut self.file {
            // A broker that cannot keep its journal proves nothing: it ends.
            if let Err(error) = file.write_all(format!("{line}\n").as_bytes()) {
                let _ = writeln!(io::stderr(), "cannot write the journal: {error}");
                std::process::exit(1);
            }
        }
        self.lines.push(line);
    }

    /// Appends facts.
    pub fn note_facts(&mut self, facts: Vec<Fact>) {
        for fact in facts {
            match fact {
                Fact::Taken(order) => self.note("taken", json!(order)),
                Fact::Reported(report) => self.note("reported", json!(report)),
            }
        }
    }

    /// Everything, as a JSON array.
    pub fn whole(&self) -> String {
        format!("[{}]", self.lines.join(",\n"))
    }
}

fn fact_of(line: &Value) -> Option<Fact> {
    let members = line.clone();
    match line["what"].as_str()? {
        "taken" => serde_json::from_value(members)
            .ok()
            .map(|order| Fact::Taken(Box::new(order))),
        "reported" => serde_json::from_value(members).ok().map(Fact::Reported),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Course;
    use crate::venue::{NewOrder, Venue};
    use rust_decimal::Decimal;

    #[test]
    fn a_journal_is_read_back_as_it_was_written_but_for_a_line_that_was_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let mut venue = Venue::default();
        let order = NewOrder {
            client_order_id: Some("a".to_owned()),
            asset_id: "asset".to_owned(),
            symbol: "AAPL".to_owned(),
            side: "buy".to_owned(),
            kind: "market".to_owned(),
            qty: Some("1.5".parse().unwrap()),
            notional: None,
            limit_price: None,
            time_in_force: "day".to_owned(),
        };
        venue.submit("me", order, &Course::Honest, 7).unwrap();
        let facts = venue.take_facts();
        {
            let (mut journal, past) = Journal::open(Some(path.clone())).unwrap();
            assert!(past.is_empty());
            assert_eq!(journal.next_request(), 1);
            journal.note("received", json!({"n": 1}));
            journal.note_facts(facts.clone());
        }
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"{\"what\":\"rece").unwrap();
        let (mut journal, past) = Journal::open(Some(path)).unwrap();
        assert_eq!(past, facts);
        assert_eq!(journal.next_request(), 2);
        let whole: Value = serde_json::from_str(&journal.whole()).unwrap();
        assert_eq!(whole.as_array().unwrap().len(), 4);
        assert_eq!(whole[1]["qty"], json!(Decimal::new(15, 1)));
    }
}
