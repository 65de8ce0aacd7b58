//! What a scheduler needs around it, and how it is set up.

use std::time::Duration;

use domain::asset::MarketHours;
use platform::chain::ChainKey;
use platform::{Config, SharedClock};
use queue::Queue;
use store::Store;
use uuid::Uuid;

/// The parts that a scheduler works with.
#[derive(Clone)]
pub struct SchedulerApp {
    /// The truth.
    pub store: Store,
    /// What wakes workers up.
    pub queue: Queue,
    /// The time of day, which decides the slots.
    pub clock: SharedClock,
    /// With which the logs are sealed.
    pub chain_key: ChainKey,
    /// Whether equities keep the exchange's hours.
    pub hours: MarketHours,
    /// How it works.
    pub options: SchedulerOptions,
}

/// How a scheduler works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerOptions {
    /// Its name in the leader's lease; no other process may have it.
    pub name: String,
    /// The time between two sweeps of the stops.
    pub sweep_interval: Duration,
    /// Into how many parts each sweep is cut.
    pub sweep_shards: i32,
}

/// One part suffices for a million stops on five hundred instruments: a sweep costs what fires.
const SWEEP_SHARDS: i32 = 1;

impl SchedulerOptions {
    /// As configured, under a new name.
    pub fn of(config: &Config) -> SchedulerOptions {
        SchedulerOptions {
            name: format!("scheduler-{}-{}", std::process::id(), Uuid::new_v4().simple()),
            sweep_interval: config.sweep_interval(),
            sweep_shards: SWEEP_SHARDS,
        }
    }
}
