//! A lane of faults, made one after the other, in rounds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::chance::Chance;

/// How often each kind of fault was made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tallies(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Tallies {
    fn add(&self, kind: &'static str) {
        *self.0.lock().unwrap().entry(kind).or_default() += 1;
    }

    pub(crate) fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap().clone()
    }
}

/// Faults of one family.
pub(crate) trait Faults {
    /// Their names; what stands there twice is made twice as often.
    const KINDS: &'static [&'static str];

    /// The pause between two of them, in milliseconds.
    const PAUSE: (u64, u64);

    /// Makes the fault `kind`, and ends it.
    async fn make(&mut self, kind: &'static str, chance: &mut Chance);
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Lane<F> {
    pub(crate) faults: F,
    chance: Chance,
    tallies: Tallies,
    /// What is still to come before every kind was made once more.
    bag: Vec<&'static str>,
}

impl<F: Faults> Lane<F> {
    pub(crate) fn new(faults: F, chance: Chance, tallies: &Tallies) -> Self {
        Self {
            faults,
            chance,
            tallies: tallies.clone(),
            bag: Vec::new(),
        }
    }

    /// Makes faults in a random order, all kinds equally often, until the time is over.
    pub(crate) async fn round(&mut self, until: Instant) {
        while Instant::now() < until {
            if self.bag.is_empty() {
                self.bag = F::KINDS.to_vec();
                self.chance.shuffle(&mut self.bag);
            }
            if let Some(kind) = self.bag.pop() {
                self.faults.make(kind, &mut self.chance).await;
                self.tallies.add(kind);
            }
            tokio::time::sleep(self.chance.millis(F::PAUSE.0, F::PAUSE.1)).await;
        }
    }
}
