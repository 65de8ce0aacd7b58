//! The table of ticks: what the leader does, and how often.
//!
//! 1. Every tick is idempotent by its slot or by what it finds in the database, so a tick too many does nothing, and one
//!    tick makes up for several that were missed.
//! 2. Protection (sweeps, re-drive) and housekeeping have a table each, and neither waits for the other.

use std::time::Duration;

use chrono::TimeDelta;
use queue::Job;
use store::StoreError;
use store::sessions::SESSIONS_MAX;

use crate::app::SchedulerApp;
use crate::faults;
use crate::redrive::{self, counted};
use crate::slot::{Due, due, slot_at};

/// How long the answer to a request with an idempotency key is kept.
const ANSWERS_KEPT: TimeDelta = TimeDelta::hours(48);

/// Answers that one tick forgets: one short statement, and more than a hundred million answers a month.
const ANSWERS_MAX: u32 = 5_000;

/// Waiting orders that one tick looks at.
const ORDERS_MAX: u64 = 1_000;

/// How long the record of a sweep is kept.
const SWEEPS_KEPT: TimeDelta = TimeDelta::days(30);

/// How long a session is kept after its end.
const SESSIONS_KEPT: TimeDelta = TimeDelta::days(30);

/// How many codes, and how many tokens, are forgotten at once at most.
const TOKENS_MAX: u32 = 500;

/// How often one tick forgets as many as it may at once: what is left then waits for the next one.
const ROUNDS_MAX: usize = 20;

/// Something that the leader does again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tick {
    /// Opens the sweep of the slot and signals it.
    Sweep,
    /// Signals orders whose work is overdue.
    RedriveOrders,
    /// Signals sweeps that are overdue.
    RedriveSweeps,
    /// Ends orders for the day that never left and whose day is over.
    ExpireOrders,
    /// Forgets answers to requests with idempotency keys.
    PruneAnswers,
    /// Forgets sweeps of long ago.
    PruneSweeps,
    /// Forgets sessions, codes and tokens that ended long ago.
    PruneAccess,
}

impl Tick {
    /// What protects orders and positions, in the order in which they happen when several are due.
    pub const PROTECTION: [Tick; 3] = [Tick::Sweep, Tick::RedriveSweeps, Tick::RedriveOrders];

    /// What tidies up, and may be late.
    pub const HOUSEKEEPING: [Tick; 4] = [
        Tick::ExpireOrders,
        Tick::PruneAnswers,
        Tick::PruneSweeps,
        Tick::PruneAccess,
    ];

    /// Its name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Tick::Sweep => "sweep",
            Tick::RedriveOrders => "redrive_orders",
            Tick::RedriveSweeps => "redrive_sweeps",
            Tick::ExpireOrders => "expire_orders",
            Tick::PruneAnswers => "prune_answers",
            Tick::PruneSweeps => "prune_sweeps",
            Tick::PruneAccess => "prune_access",
        }
    }

    /// The length of its slots.
    pub const fn every(self, sweep_interval: Duration) -> Duration {
        match self {
            Tick::Sweep => sweep_interval,
            Tick::RedriveOrders | Tick::RedriveSweeps => Duration::from_secs(1),
            Tick::ExpireOrders => Duration::from_secs(5),
            Tick::PruneAnswers | Tick::PruneAccess => Duration::from_mins(1),
            Tick::PruneSweeps => Duration::from_hours(1),
        }
    }

    async fn happen(self, app: &SchedulerApp, fence: i64, due: Due) -> Result<(), StoreError> {
        match self {
            Tick::Sweep => open_sweep(app, fence, due.slot).await,
            Tick::RedriveOrders => redrive::orders(app).await,
            Tick::RedriveSweeps => redrive::sweeps(app).await,
            Tick::ExpireOrders => expire_orders(app).await,
            Tick::PruneAnswers => prune_answers(app).await,
            Tick::PruneSweeps => prune_sweeps(app).await,
            Tick::PruneAccess => prune_access(app).await,
        }
    }
}

/// Which slot each tick of a table had last.
#[derive(Debug)]
pub(crate) struct Schedule {
    last: Vec<(Tick, Option<i64>)>,
}

impl Schedule {
    /// The schedule of protection of a new leader, who knows from the database which sweep was the last one.
    pub(crate) async fn of_protection(app: &SchedulerApp) -> Result<Schedule, StoreError> {
        let every = Tick::Sweep.every(app.options.sweep_interval);
        let last = app.store.recent_sweeps(1).await?.into_iter().next();
        // Slots of another interval have other numbers; they say nothing about ours.
        let ours = last.filter(|last| slot_at(last.created_at, every).abs_diff(last.slot) <= 1);
        let slot_of = |tick| match tick {
            Tick::Sweep => ours.as_ref().map(|last| last.slot),
            Tick::RedriveOrders
            | Tick::RedriveSweeps
            | Tick::ExpireOrders
            | Tick::PruneAnswers
            | Tick::PruneSweeps
            | Tick::PruneAccess => None,
        };
        Ok(Schedule {
            last: Tick::PROTECTION.map(|tick| (tick, slot_of(tick))).into(),
        })
    }

    /// The schedule of housekeeping: everything is due.
    pub(crate) fn of_housekeeping() -> Schedule {
        Schedule {
            last: Tick::HOUSEKEEPING.map(|tick| (tick, None)).into(),
        }
    }

    /// Lets every tick happen that is due, and says what was missed.
    pub(crate) async fn pass(&mut self, app: &SchedulerApp, fence: i64) {
        for (tick, last) in &mut self.last {
            let tick = *tick;
            let every = tick.every(app.options.sweep_interval);
            let Some(due) = due(every, *last, app.clock.now()) else {
                continue;
            };
            tell_gap(tick, due);
            match tick.happen(app, fence, due).await {
                Ok(()) => *last = Some(due.slot),
                // The slot stays due: the next pass tries it again.
                Err(error) => tracing::warn!(%error, tick = tick.name(), "a tick failed; it is tried again"),
            }
        }
    }
}

fn tell_gap(tick: Tick, Due { slot, missed, back }: Due) {
    // Of the ticks of every second nobody misses one: they look at all that is due.
    if tick == Tick::Sweep && missed > 0 {
        let missed_slots = counted(usize::try_from(missed).unwrap_or(usize::MAX), "slot");
        tracing::warn!(slot, missed, "missed {missed_slots}; one sweep makes up for all");
    }
    if tick == Tick::Sweep && back > 0 {
        tracing::warn!(
            slot,
            back,
            "the clock went back; slots that were swept are not swept again"
        );
    }
}

/// Opens the sweep of `slot`, unless it is there, and signals its parts.
async fn open_sweep(app: &SchedulerApp, fence: i64, slot: i64) -> Result<(), StoreError> {
    let shards = app.options.sweep_shards;
    if !app.store.open_sweep(slot, shards, fence).await? {
        return Ok(());
    }
    faults::pass(faults::BETWEEN_SLOT_AND_SIGNAL);
    let jobs: Vec<Job> = (0..shards).map(|shard| Job::SweepStops { slot, shard }).collect();
    app.queue.push(&jobs).await;
    tracing::info!(sweep.slot = slot, sweep.shards = shards, "opened a sweep");
    Ok(())
}

async fn expire_orders(app: &SchedulerApp) -> Result<(), StoreError> {
    let expired = app
        .store
        .expire_unsent(app.clock.now(), app.hours, ORDERS_MAX)
        .await?;
    if !expired.is_empty() {
        let orders = counted(expired.len(), "unsent order");
        tracing::info!(orders = expired.len(), "ended {orders} whose day is over");
    }
    Ok(())
}

async fn prune_answers(app: &SchedulerApp) -> Result<(), StoreError> {
    let pruned = app
        .store
        .prune_idempotency(app.clock.now() - ANSWERS_KEPT, ANSWERS_MAX)
        .await?;
    if pruned > 0 {
        tracing::info!(answers = pruned, "forgot answers that were kept for two days");
    }
    Ok(())
}

async fn prune_sweeps(app: &SchedulerApp) -> Result<(), StoreError> {
    let pruned = app.store.prune_sweeps(app.clock.now() - SWEEPS_KEPT).await?;
    if pruned > 0 {
        tracing::info!(sweeps = pruned, "forgot sweeps that were kept for a month");
    }
    Ok(())
}

/// What somebody got in by is kept for a while after its end, for whoever asks who it was.
async fn prune_access(app: &SchedulerApp) -> Result<(), StoreError> {
    let now = app.clock.now();
    let prune_sessions = || app.store.prune_sessions(now - SESSIONS_KEPT);
    let sessions = until_short(SESSIONS_MAX, prune_sessions).await?;
    let prune_tokens = || app.store.prune_oauth(TOKENS_MAX, now);
    let tokens = until_short(TOKENS_MAX.into(), prune_tokens).await?;
    if sessions + tokens > 0 {
        tracing::info!(
            sessions,
            tokens,
            "forgot sessions, codes and tokens that ended long ago"
        );
    }
    Ok(())
}

/// Prunes until fewer than `most` went at once, which means that nothing is left. Answers how many went.
async fn until_short<R>(most: u64, prune: impl Fn() -> R) -> Result<u64, StoreError>
where
    R: Future<Output = Result<u64, StoreError>>,
{
    let mut all = 0;
    for _ in 0..ROUNDS_MAX {
        let pruned = prune().await?;
        all += pruned;
        if pruned < most {
            break;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all() -> impl Iterator<Item = Tick> {
        Tick::PROTECTION.into_iter().chain(Tick::HOUSEKEEPING)
    }

    #[test]
    fn every_tick_stands_in_one_table_and_has_its_own_name() {
        let ticks: BTreeSet<_> = all().collect();
        let names: BTreeSet<_> = all().map(Tick::name).collect();
        assert_eq!((ticks.len(), names.len()), (7, 7));
    }

    #[test]
    fn the_sweep_comes_first_and_at_the_configured_pace() {
        assert_eq!(Tick::PROTECTION[0], Tick::Sweep);
        let interval = Duration::from_secs(7);
        assert_eq!(Tick::Sweep.every(interval), interval);
        for tick in all().skip(1) {
            assert_ne!(tick.every(interval), interval, "{}", tick.name());
        }
    }
}
