//! Compares the armed triggers with live prices every second, between the sweeps.
//!
//! It fires by the same code as the sweep. What it cannot judge it leaves to the sweep, which says so.

use crate::firing::{self, RoundError, Watched};
use crate::worker::Worker;

/// One look at all instruments with armed triggers.
pub(crate) async fn watch(worker: &Worker) {
    if let Err(error) = look(worker).await {
        tracing::warn!(%error, "the stops were not watched; the sweep is the net");
    }
}

async fn look(worker: &Worker) -> Result<(), RoundError> {
    let watched = Watched::read(worker, 0, 1).await?;
    if watched.assets.is_empty() {
        return Ok(());
    }
    firing::round(worker, &watched).await.map(|_| ())
}
