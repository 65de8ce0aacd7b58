//! From prices to fired stops: what the sweep and the watch between sweeps share.
//!
//! The index of the armed triggers finds who may be through at these prices, [`decide`] has the last word on the exact
//! decimal, and the store fires each generation once, together with its exit order. So two of these at once, or a
//! process that dies in the middle, sell nothing twice.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::asset::Asset;
use domain::id::{AssetId, OrderId};
use domain::quote::{Purpose, Quote};
use domain::trigger::{Decision, Trigger, decide};
use market::MarketError;
use store::{Fired, Firing, StoreError};
use thiserror::Error;
use uuid::Uuid;

use crate::faults;
use crate::judge::{Judged, Skip, Skipped};
use crate::worker::Worker;

/// Candidates of one instrument that are looked at in one turn.
const CANDIDATES_PER_ASSET: u64 = 1_000;

/// Triggers of the first transaction: the first exit leaves without waiting for the many behind it.
const FIRST_CHUNK: usize = 1;

/// Triggers of one transaction, at most; chunks grow fourfold up to it.
const CHUNK_MAX: usize = 64;

/// The pause before a jump is looked at again.
const CONFIRM_AFTER: Duration = Duration::from_millis(1_100);

/// How often a jump is looked at again: until a quote that is new enough for triggers has surely replaced the first one.
const CONFIRM_TRIES: usize = 6;

/// What a round over some instruments came to.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// How many triggers fired.
    pub(crate) fired: usize,
    /// The instruments that could not be judged.
    pub(crate) skipped: Skipped,
    /// The quotes that were believed.
    pub(crate) believed: Vec<Quote>,
}

/// Why a round was not finished. What fired before stays fired.
#[derive(Debug, Error)]
pub(crate) enum RoundError {
    /// The database did not do its part.
    #[error("the database: {0}")]
    Store(#[from] StoreError),
    /// There were no prices at all.
    #[error(transparent)]
    Market(#[from] MarketError),
}

/// Fetches the quotes of `assets` once and fires what is through.
pub(crate) async fn round(worker: &Worker, assets: &[Asset]) -> Result<Round, RoundError> {
    let Judged { believed, skipped } = look(worker, assets).await?;
    let fired = fire_through(worker, &believed).await?;
    Ok(Round {
        fired,
        skipped,
        believed,
    })
}

/// As [`round`], and looks at prices that jumped again until a second quote has confirmed them or not.
pub(crate) async fn patient_round(worker: &Worker, assets: &[Asset]) -> Result<Round, RoundError> {
    let mut whole = round(worker, assets).await?;
    for _ in 0..CONFIRM_TRIES {
        let Some(jumped) = whole.skipped.remove(&Skip::Jump) else {
            break;
        };
        tokio::time::sleep(CONFIRM_AFTER).await;
        let again = round(worker, &worker.app.assets.of(&jumped)).await?;
        whole.fired += again.fired;
        whole.believed.extend(again.believed);
        for (skip, assets) in again.skipped {
            whole.skipped.entry(skip).or_default().extend(assets);
        }
    }
    Ok(whole)
}

async fn look(worker: &Worker, assets: &[Asset]) -> Result<Judged, RoundError> {
    let app = &worker.app;
    let unmarked = worker.marks.unmarked(assets);
    if !unmarked.is_empty() {
        worker.marks.recall(app.store.price_marks(&unmarked).await?);
    }
    let quotes = app.quotes.quotes(assets, Purpose::Trigger).await?;
    Ok(worker.marks.judge(assets, &quotes, app.clock.now(), app.hours))
}

/// Fires every armed trigger that is through at one of `quotes`. Answers how many fired.
pub(crate) async fn fire_through(worker: &Worker, quotes: &[Quote]) -> Result<usize, StoreError> {
    let by_asset: HashMap<AssetId, &Quote> = quotes.iter().map(|quote| (quote.asset_id, quote)).collect();
    let mut fired = 0;
    loop {
        let now = worker.app.clock.now();
        let candidates = worker
            .app
            .store
            .candidates(quotes, CANDIDATES_PER_ASSET, now)
            .await?;
        let firings = through(worker, candidates, &by_asset);
        let fired_now = fire_in_chunks(worker, firings).await?;
        // Those that fired are no candidates any more, so the next turn sees those behind them.
        if fired_now == 0 {
            return Ok(fired);
        }
        fired += fired_now;
    }
}

fn through(worker: &Worker, candidates: Vec<Trigger>, quotes: &HashMap<AssetId, &Quote>) -> Vec<Firing> {
    let app = &worker.app;
    let now = app.clock.now();
    let firing = |trigger: Trigger| {
        let quote = quotes.get(&trigger.asset_id)?;
        let in_session = trigger.asset_class.is_in_session(now, app.hours);
        match decide(&trigger, quote, now, in_session) {
            Decision::Fire { price } => Some(new_firing(trigger, price, quote.at)),
            Decision::Hold | Decision::Distrusted(_) => None,
        }
    };
    candidates.into_iter().filter_map(firing).collect()
}

fn new_firing(trigger: Trigger, price: rust_decimal::Decimal, quote_at: DateTime<Utc>) -> Firing {
    let exit_order_id = OrderId(Uuid::now_v7());
    Firing {
        trigger,
        price,
        quote_at,
        exit_order_id,
    }
}

async fn fire_in_chunks(worker: &Worker, mut firings: Vec<Firing>) -> Result<usize, StoreError> {
    let (app, mut count, mut size) = (&worker.app, 0, FIRST_CHUNK);
    while !firings.is_empty() {
        let rest = firings.split_off(size.min(firings.len()));
        let fired = app.store.fire(&firings, app.clock.now()).await?;
        count += fired.len();
        signal(worker, &fired).await;
        if !rest.is_empty() {
            faults::pass(faults::BETWEEN_FIRED_TRIGGERS);
        }
        firings = rest;
        size = next_size(size);
    }
    Ok(count)
}

/// The size of the chunk after one of `size`.
const fn next_size(size: usize) -> usize {
    let next = size.saturating_mul(4);
    if next < CHUNK_MAX { next } else { CHUNK_MAX }
}

/// Wakes workers for the exits, and for the cancels of the sells that hold their quantity.
async fn signal(worker: &Worker, fired: &[Fired]) {
    let mut orders = Vec::new();
    for Fired {
        trigger_id,
        exit,
        canceled_sells,
    } in fired
    {
        tracing::info!(
            trigger.id = %trigger_id,
            order.id = %exit.id,
            account.id = %exit.account_id,
            symbol = exit.symbol,
            canceled_sells = canceled_sells.len(),
            "a stop fired"
        );
        orders.extend(canceled_sells.iter().chain([&exit.id]));
    }
    worker.signal(orders).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_exit_leaves_alone_and_chunks_grow_up_to_their_limit() {
        let mut sizes = vec![FIRST_CHUNK];
        while sizes.len() < 6 {
            sizes.extend(sizes.last().map(|size| next_size(*size)));
        }
        assert_eq!(sizes, [1, 4, 16, 64, 64, 64]);
    }
}
