//! From prices to fired stops: what the sweep and the watch between sweeps share.
//!
//! The index of the armed triggers finds who may be through at these prices, [`decide`] has the last word on the exact
//! decimal, and the store fires each generation once, together with its exit order. So two of these at once, or a
//! process that dies in the middle, sell nothing twice.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::asset::Asset;
use domain::id::{AssetId, OrderId};
use domain::quote::{Purpose, Quote};
use domain::trigger::{Decision, Trigger, decide};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use market::MarketError;
use store::{Fired, Firing, Salvo, Search, StoreError, Stuck, Watch};
use thiserror::Error;
use uuid::Uuid;

use crate::faults;
use crate::judge::{Judged, Skip, Skipped};
use crate::worker::Worker;

/// Triggers that are in memory at once, about.
const PAGE: usize = 16_384;

/// Triggers of one transaction, at most: many share the cost of a commit, and nobody waits long for their locks.
const BATCH_MAX: usize = 500;

/// Transactions at once.
const BATCHES_AT_ONCE: usize = 2;

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

/// What armed triggers watch, and the instruments that we know of it.
#[derive(Debug)]
pub(crate) struct Watched {
    watches: BTreeSet<Watch>,
    /// The instruments, each once.
    pub(crate) assets: Vec<Asset>,
}

impl Watched {
    /// Of one shard.
    pub(crate) async fn read(worker: &Worker, shard: i32, shards: i32) -> Result<Self, StoreError> {
        let watches = worker.app.store.armed_watches(shard, shards).await?;
        let mut ids: Vec<AssetId> = watches.iter().map(|watch| watch.asset_id).collect();
        ids.dedup();
        let assets = worker.app.assets.of(&ids);
        Ok(Self { watches, assets })
    }
}

/// Fetches the quote of each instrument once and fires what is through.
pub(crate) async fn round(worker: &Worker, watched: &Watched) -> Result<Round, RoundError> {
    round_of(worker, &watched.assets, &watched.watches).await
}

async fn round_of(worker: &Worker, assets: &[Asset], watches: &BTreeSet<Watch>) -> Result<Round, RoundError> {
    let Judged {
        believed,
        mut skipped,
    } = look(worker, assets).await?;
    let Shots { fired, stuck } = fire_through(worker, &believed, watches).await?;
    if !stuck.is_empty() {
        skipped.insert(Skip::Stuck, stuck.into_iter().collect());
    }
    Ok(Round {
        fired,
        skipped,
        believed,
    })
}

/// As [`round`], and looks at prices that jumped again until a second quote has confirmed them or not.
pub(crate) async fn patient_round(worker: &Worker, watched: &Watched) -> Result<Round, RoundError> {
    let mut whole = round(worker, watched).await?;
    for _ in 0..CONFIRM_TRIES {
        let Some(jumped) = whole.skipped.remove(&Skip::Jump) else {
            break;
        };
        tokio::time::sleep(CONFIRM_AFTER).await;
        let again = round_of(worker, &worker.app.assets.of(&jumped), &watched.watches).await?;
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

/// What firing came to.
#[derive(Debug, Default)]
struct Shots {
    /// How many triggers fired.
    fired: usize,
    /// The instruments with triggers that cannot fire.
    stuck: BTreeSet<AssetId>,
}

impl Shots {
    fn add(&mut self, salvo: &Salvo) {
        self.fired += salvo.fired.len();
        self.stuck.extend(salvo.stuck.iter().map(|stuck| stuck.asset_id));
    }
}

/// Fires every trigger of `watches` that is through at one of `quotes`.
async fn fire_through(
    worker: &Worker,
    quotes: &[Quote],
    watches: &BTreeSet<Watch>,
) -> Result<Shots, StoreError> {
    let app = &worker.app;
    let by_asset: HashMap<AssetId, &Quote> = quotes.iter().map(|quote| (quote.asset_id, quote)).collect();
    let (mut shots, mut search) = (Shots::default(), Search::new(quotes, PAGE).among(watches));
    while !search.is_over() {
        let found = app.store.candidates(&mut search, app.clock.now()).await?;
        for (trigger, asset) in found.unreadable {
            tracing::error!(trigger.id = %trigger, "a stop cannot be read: it does not protect");
            shots.stuck.insert(asset);
        }
        let firings = through(worker, found.triggers, &by_asset);
        fire_in_batches(worker, firings, &mut shots).await?;
    }
    Ok(shots)
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

/// Fires batch by batch, a few at once: what one of them waits for, a lock or the disk, holds up no other.
async fn fire_in_batches(worker: &Worker, firings: Vec<Firing>, shots: &mut Shots) -> Result<(), StoreError> {
    let mut batches = batches(firings);
    // The first exit leaves without waiting for the many behind it.
    let first = batches.last_mut().filter(|_| shots.fired == 0).and_then(Vec::pop);
    batches.retain(|batch| !batch.is_empty());
    let mut left = batches.len();
    if let Some(first) = first {
        shots.add(&fire_batch(worker, vec![first]).await?);
        pass_between(left);
    }
    let at_once = if worker.app.store.has_one_writer() {
        1
    } else {
        BATCHES_AT_ONCE
    };
    let mut running = stream::iter(batches)
        .map(|batch| fire_batch(worker, batch))
        .buffer_unordered(at_once);
    while let Some(salvo) = running.try_next().await? {
        shots.add(&salvo);
        left -= 1;
        pass_between(left);
    }
    Ok(())
}

fn pass_between(left: usize) {
    if left > 0 {
        faults::pass(faults::BETWEEN_FIRED_TRIGGERS);
    }
}

async fn fire_batch(worker: &Worker, batch: Vec<Firing>) -> Result<Salvo, StoreError> {
    let salvo = worker.app.store.fire_all(&batch, worker.app.clock.now()).await?;
    for Stuck {
        trigger_id, error, ..
    } in &salvo.stuck
    {
        tracing::error!(trigger.id = %trigger_id, %error, "a stop cannot fire: it does not protect");
    }
    signal(worker, &salvo.fired).await;
    Ok(salvo)
}

/// The transactions that fire these triggers. A user's stand together, so that no two transactions wait for each other's
/// locks while one is enough.
fn batches(mut firings: Vec<Firing>) -> Vec<Vec<Firing>> {
    firings.sort_unstable_by_key(|Firing { trigger, .. }| (trigger.user_id, trigger.account_id, trigger.id));
    let of_users = firings.chunk_by(|one, next| one.trigger.user_id == next.trigger.user_id);
    let sizes = sizes(of_users.map(<[Firing]>::len), BATCH_MAX);
    let mut firings = firings.into_iter();
    sizes
        .into_iter()
        .map(|size| firings.by_ref().take(size).collect())
        .collect()
}

/// The sizes of batches of at most `max`, cut between `groups` unless one alone is larger.
fn sizes(groups: impl Iterator<Item = usize>, max: usize) -> Vec<usize> {
    let (mut sizes, mut size) = (Vec::new(), 0);
    for mut group in groups {
        if size > 0 && size + group > max {
            sizes.push(size);
            size = 0;
        }
        while group > max {
            sizes.push(max);
            group -= max;
        }
        size += group;
    }
    if size > 0 {
        sizes.push(size);
    }
    sizes
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
    fn batches_are_full_and_cut_between_users_where_they_can_be() {
        let sizes = |groups: &[usize]| sizes(groups.iter().copied(), 10);
        assert_eq!(sizes(&[]), Vec::<usize>::new());
        assert_eq!(sizes(&[1, 2, 3, 4]), [10]);
        assert_eq!(sizes(&[6, 5, 5, 1]), [6, 10, 1]);
        assert_eq!(
            sizes(&[3, 25, 2]),
            [3, 10, 10, 7],
            "one user with many has to be cut"
        );
    }
}
