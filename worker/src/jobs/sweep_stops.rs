//! Sweeps the armed stops of one shard: the net that never depends on a stream of prices.
//!
//! One row stands for each (slot, shard). Whoever claims it fetches each instrument's quote once, fires what is through,
//! and writes down what was done and what could not be judged. A sweep that its worker did not finish is claimed again;
//! what fired before is no longer armed.

use std::time::Instant;

use queue::Outcome;
use store::{SweepClaim, SweepCounts};
use tracing::Instrument as _;

use super::{millis, span};
use crate::firing::{self, Round, RoundError, Watched};
use crate::judge::Skipped;
use crate::worker::Worker;

/// Sweeps `shard` of `slot`, unless another worker has it or it is done.
pub(crate) async fn by_signal(worker: &Worker, slot: i64, shard: i32) -> Outcome {
    let options = &worker.app.options;
    match worker
        .app
        .store
        .claim_sweep(&options.name, slot, shard, options.lease)
        .await
    {
        Ok(Some(claim)) => sweep(worker, &claim).await,
        Ok(None) => Outcome::Done,
        Err(error) => worker.failed("claim a sweep", &error),
    }
}

/// Sweeps whatever is due, one after the other.
pub(crate) async fn due(worker: &Worker) {
    loop {
        let options = &worker.app.options;
        match worker
            .app
            .store
            .claim_due_sweep(&options.name, options.lease)
            .await
        {
            Ok(Some(claim)) => {
                sweep(worker, &claim).instrument(span("sweep_stops")).await;
            }
            Ok(None) => return,
            Err(error) => {
                worker.failed("claim a due sweep", &error);
                return;
            }
        }
    }
}

async fn sweep(worker: &Worker, claim: &SweepClaim) -> Outcome {
    let started = Instant::now();
    let (slot, shard) = (claim.slot, claim.shard);
    let (symbols, round) = match round(worker, claim).await {
        Ok(done) => done,
        Err(error) => {
            tracing::warn!(%error, sweep.slot = slot, sweep.shard = shard, "the sweep is not finished");
            return worker.again_in(worker.app.options.lease);
        }
    };
    warn_of_unprotected(worker, &round.skipped);
    tracing::info!(
        job.name = "sweep_stops",
        sweep.slot = slot,
        sweep.shard = shard,
        symbols,
        fired = round.fired,
        skipped = round.skipped.values().map(Vec::len).sum::<usize>(),
        duration_ms = millis(started),
        "swept the stops"
    );
    let counts = counts(worker, symbols, &round);
    match worker.app.store.finish_sweep(claim, &counts).await {
        Ok(()) => Outcome::Done,
        Err(error) => worker.failed("finish a sweep", &error),
    }
}

async fn round(worker: &Worker, claim: &SweepClaim) -> Result<(usize, Round), RoundError> {
    let watched = Watched::read(worker, claim.shard, claim.shards).await?;
    if watched.assets.is_empty() {
        return Ok((0, Round::default()));
    }
    let round = firing::patient_round(worker, &watched).await?;
    // After the firing, which must not wait for it.
    worker
        .app
        .store
        .write_price_marks(&worker.marks.of_last_trades(&round.believed))
        .await?;
    Ok((watched.assets.len(), round))
}

/// Says which instruments nobody could judge: their stops protect nothing for now.
fn warn_of_unprotected(worker: &Worker, skipped: &Skipped) {
    for (skip, assets) in skipped.iter().filter(|(skip, _)| skip.is_alarming()) {
        let symbols: Vec<String> = assets
            .iter()
            .map(|asset| worker.app.assets.symbol(*asset))
            .collect();
        tracing::warn!(
            reason = skip.as_str(),
            symbols = symbols.join(","),
            "stops could not be judged or fired: these instruments are unprotected"
        );
    }
}

fn counts(worker: &Worker, symbols: usize, round: &Round) -> SweepCounts {
    let named = |assets: &Vec<_>| {
        assets
            .iter()
            .map(|asset| worker.app.assets.symbol(*asset))
            .collect()
    };
    SweepCounts {
        symbols: i32::try_from(symbols).unwrap_or(i32::MAX),
        fired: i32::try_from(round.fired).unwrap_or(i32::MAX),
        skipped: round
            .skipped
            .iter()
            .map(|(skip, assets)| (skip.as_str().to_owned(), named(assets)))
            .collect(),
    }
}
