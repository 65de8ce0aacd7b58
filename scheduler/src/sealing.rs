//! Seals the logs while this process leads, twice a second, in a loop of its own: neither protection nor tidying waits for
//! it, and it waits for neither. With the pause between two looks at the clock, a row waits for less than a second.
//!
//! A pass seals [`ROWS_MAX`] rows at most, which bounds what it takes from a core and from the database in each half second:
//! where more rows than that are written, the unsealed tail grows and is caught up afterwards, and accepting orders does
//! not become slower. A pass that finds nothing is two short reads of each log's counters.

use std::collections::BTreeSet;
use std::time::Duration;

use platform::Shutdown;
use platform::chain::hex;
use store::audit_log::{Anchor, Gap};
use store::{Sealed, Sealer};
use tokio::sync::watch;

use crate::app::SchedulerApp;
use crate::slot::due;
use crate::{guarded, pause};

/// How often.
const EVERY: Duration = Duration::from_millis(500);

/// Rows of one pass.
pub const ROWS_MAX: u64 = 2_500;

/// Chains that stand still are told once; so many are remembered.
const TOLD_MAX: usize = 1_000;

/// What seals, and what it has told.
#[derive(Debug)]
pub(crate) struct Sealing {
    sealer: Sealer,
    last: Option<i64>,
    told: BTreeSet<Gap>,
}

/// Seals while this process leads.
pub(crate) async fn seal(app: &SchedulerApp, shutdown: &Shutdown, led: &watch::Receiver<Option<i64>>) {
    let mut sealing = Sealing::new(app);
    while !shutdown.is_requested() {
        let leads = led.borrow().is_some();
        if leads {
            guarded(sealing.pass(app)).await;
        }
        pause(shutdown).await;
    }
}

impl Sealing {
    pub(crate) fn new(app: &SchedulerApp) -> Self {
        Self {
            sealer: Sealer::new(app.store.clone(), app.chain_key.clone()),
            last: None,
            told: BTreeSet::new(),
        }
    }

    /// Seals twice a second, and says what was anchored and what stands still.
    pub(crate) async fn pass(&mut self, app: &SchedulerApp) {
        let now = app.clock.now();
        let Some(due) = due(EVERY, self.last, now) else {
            return;
        };
        // Also where it fails: the next time comes soon enough.
        self.last = Some(due.slot);
        match self.sealer.pass(now, ROWS_MAX).await {
            Ok(sealed) => self.tell(&sealed),
            Err(error) => tracing::warn!(%error, "the logs were not sealed; it is tried again"),
        }
    }

    fn tell(&mut self, sealed: &Sealed) {
        for Anchor {
            source,
            chain_id,
            seq,
            hash,
        } in &sealed.anchors
        {
            let (source, hash) = (source.name(), hex(*hash));
            tracing::info!(
                chain.source = source,
                chain.id = %chain_id,
                chain.seq = seq,
                chain.hash = hash,
                "audit chain anchored"
            );
        }
        for gap in &sealed.gaps {
            if self.told.len() < TOLD_MAX && self.told.insert(*gap) {
                tracing::error!(
                    chain.source = gap.source.name(),
                    chain.id = %gap.chain_id,
                    chain.seq = gap.seq,
                    "an audit chain cannot be sealed on: its next row or its head is not there; see arbion audit verify"
                );
            }
        }
        if sealed.is_behind {
            tracing::debug!(rows = sealed.rows, "more rows wait for their seal");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LOOK_EVERY;

    #[test]
    fn no_row_waits_for_a_second() {
        let waits_at_most = EVERY + LOOK_EVERY;
        assert!(waits_at_most < Duration::from_secs(1), "{waits_at_most:?}");
    }
}
