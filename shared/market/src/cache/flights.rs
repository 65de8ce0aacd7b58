//! One fetch per asset at a time, however many callers want it.
//!
//! Whoever comes first for an asset leads a *flight* for all assets that nobody fetches yet; whoever comes while it is
//! under way joins and waits for its landing. A leader that is dropped on the way (its request was cancelled) ends its
//! flight without a landing, and those who waited start over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::asset::Asset;
use domain::id::AssetId;
use tokio::sync::watch;

use super::entry::Entry;
use crate::MarketError;

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// It was in this process' memory.
    Memory,
    /// It was in the copy that all processes share.
    Redis,
    /// The provider was asked: there is no newer answer.
    Provider,
}

/// What a flight brought home.
#[derive(Debug, Default)]
pub(super) struct Landing {
    /// The answers.
    pub(super) entries: HashMap<AssetId, (Entry, Source)>,
    /// Why the other assets have none.
    pub(super) error: Option<MarketError>,
}

type Board = watch::Receiver<Option<Arc<Landing>>>;

/// The flights that are under way.
#[derive(Debug, Default)]
pub(super) struct Flights {
    running: Mutex<HashMap<AssetId, Board>>,
}

/// How the assets of one caller are divided.
pub(super) struct Boarded {
    /// The flight this caller leads, if any.
    pub(super) own: Option<Flight>,
    /// Flights of others, with the assets this caller waits for.
    pub(super) joined: Vec<(Joined, Vec<Asset>)>,
}

/// A flight that its holder leads.
pub(super) struct Flight {
    flights: Arc<Flights>,
    /// What it fetches.
    pub(super) assets: Vec<Asset>,
    landed: watch::Sender<Option<Arc<Landing>>>,
}

/// A flight that somebody else leads.
pub(super) struct Joined(Board);

impl Flights {
    /// Joins the flights under way for some of `assets`, and opens one for the rest.
    pub(super) fn board(self: &Arc<Self>, assets: &[Asset]) -> Boarded {
        let mut running = self.lock();
        let mut joined: Vec<(Joined, Vec<Asset>)> = Vec::new();
        let mut free = Vec::new();
        for asset in assets {
            match running.get(&asset.id) {
                None => free.push(asset.clone()),
                Some(board) => match joined.iter_mut().find(|(flight, _)| flight.0.same_channel(board)) {
                    Some((_, waiting)) => waiting.push(asset.clone()),
                    None => joined.push((Joined(board.clone()), vec![asset.clone()])),
                },
            }
        }
        if free.is_empty() {
            return Boarded { own: None, joined };
        }
        let (landed, board) = watch::channel(None);
        running.extend(free.iter().map(|asset| (asset.id, board.clone())));
        let own = Flight {
            flights: Arc::clone(self),
            assets: free,
            landed,
        };
        Boarded {
            own: Some(own),
            joined,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AssetId, Board>> {
        // Nothing that can panic runs between two changes that belong together.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Tells everyone who waits.
    pub(super) fn land(self, landing: Arc<Landing>) {
        self.landed.send_replace(Some(landing));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut running = self.flights.lock();
        for asset in &self.assets {
            running.remove(&asset.id);
        }
    }
}

impl Joined {
    /// Waits for the landing; `None` when the leader was dropped on the way.
    pub(super) async fn landing(mut self) -> Option<Arc<Landing>> {
        self.0
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|landing| landing.clone())
    }
}
