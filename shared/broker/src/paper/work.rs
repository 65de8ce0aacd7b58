//! The transactions of the venue: each locks a part of the book, lets a [`Desk`] act, and saves what has changed. How
//! many statements one has does not depend on how many orders it is about.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use domain::id::{AssetId, ConnectionId, OrderId};
use domain::quote::Quote;
use sea_orm::DatabaseTransaction;

use super::asking::{Ask, Wish};
use super::book;
use super::connect::Work;
use super::desk::Desk;
use super::error::BookError;
use super::house::House;
use super::rows::{AccountRow, AssetRow};
use crate::Outcome;

/// Orders that one transaction lets expire or begin to work at most.
const DUE_PAGE: u16 = 500;

/// Orders of one side of an instrument that meet a quote in one transaction at most.
const MATCH_PAGE: u16 = 64;

/// Makes the rows of instruments that have none yet.
#[derive(Debug)]
pub(super) struct Listing<'a>(pub(super) &'a [AssetId]);

#[async_trait]
impl Work for Listing<'_> {
    type Answer = ();

    async fn run(&self, transaction: &DatabaseTransaction) -> Result<(), BookError> {
        book::save_assets(transaction, self.0).await
    }
}

/// Clients' wishes, in the order in which they came.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    house: &'a House,
    asks: &'a [Ask],
    /// Whether it runs again.
    is_again: AtomicBool,
}

/// The part of the book that a batch needs.
#[derive(Debug, Default)]
struct Needs {
    assets: BTreeSet<AssetId>,
    holdings: BTreeSet<(ConnectionId, AssetId)>,
    orders: BTreeSet<OrderId>,
}

impl Needs {
    /// The accounts that are not among those that are `open`.
    fn not_open(&self, open: &[AccountRow]) -> BTreeSet<ConnectionId> {
        let open: BTreeSet<_> = open.iter().map(|account| account.connection_id).collect();
        let needed = self.holdings.iter().map(|(account, _)| *account);
        needed.filter(|account| !open.contains(account)).collect()
    }
}

impl<'a> Batch<'a> {
    pub(super) fn new(house: &'a House, asks: &'a [Ask]) -> Self {
        Self {
            house,
            asks,
            is_again: AtomicBool::new(false),
        }
    }

    /// Whether the orders that are named have to be read. An order that comes is new nearly always: the first run lets its
    /// key say so, and the next one, after the key has refused it, reads.
    fn reads_orders(&self) -> bool {
        let is_new = |ask: &Ask| matches!(ask.wish, Wish::Submit(_));
        self.is_again.swap(true, Ordering::Relaxed) || !self.asks.iter().all(is_new)
    }

    fn canceled(&self) -> impl Iterator<Item = (&Ask, OrderId)> {
        self.asks.iter().filter_map(|ask| match &ask.wish {
            Wish::Cancel(id) => Some((ask, *id)),
            Wish::Submit(_) | Wish::Replace(..) => None,
        })
    }

    /// What is needed, where the orders to be canceled are of the instruments `placed`.
    fn needs(&self, placed: &HashMap<OrderId, AssetId>) -> Needs {
        let mut needs = Needs::default();
        let mut placed = placed.clone();
        for ask in self.asks {
            let (Wish::Submit(order) | Wish::Replace(_, order)) = &ask.wish else {
                continue;
            };
            needs.assets.insert(order.asset_id);
            needs.holdings.insert((ask.connection.id, order.asset_id));
            needs.orders.insert(order.id);
            // An order that is canceled may have come with this batch.
            placed.entry(order.id).or_insert(order.asset_id);
            if let Wish::Replace(old, _) = ask.wish {
                needs.orders.insert(old);
            }
        }
        for (ask, id) in self.canceled() {
            if let Some(asset_id) = placed.get(&id) {
                needs.assets.insert(*asset_id);
                needs.orders.insert(id);
                needs.holdings.insert((ask.connection.id, *asset_id));
            }
        }
        needs
    }
}

#[async_trait]
impl Work for Batch<'_> {
    /// One for each wish, in their order.
    type Answer = Vec<Outcome>;

    async fn run(&self, transaction: &DatabaseTransaction) -> Result<Vec<Outcome>, BookError> {
        let reads_orders = self.reads_orders();
        let canceled: Vec<OrderId> = self.canceled().map(|(_, id)| id).collect();
        let placed = match canceled.as_slice() {
            [] => HashMap::new(),
            ids => book::order_assets(transaction, ids).await?,
        };
        let needs = self.needs(&placed);
        let mut desk = Desk::new(&self.house.rules, self.house.clock.now(), Vec::new());
        if !needs.orders.is_empty() {
            let (assets, ids) = (listed(&needs.assets), listed(&needs.orders));
            desk.add_assets(book::lock_assets(transaction, &assets).await?);
            // Taken under the lock: who is first there is first at its price.
            desk.now = self.house.clock.now();
            let (open, positions) = book::lock_accounts(transaction, &needs.holdings).await?;
            let missing = needs.not_open(&open);
            if !missing.is_empty() {
                return Err(BookError::NotOpen(missing));
            }
            desk.add_accounts(open);
            desk.add_positions(positions);
            let orders = if reads_orders {
                book::orders(transaction, &ids).await?
            } else {
                Vec::new()
            };
            // Another process has taken an order that this batch both sends and cancels, and for another instrument.
            if orders
                .iter()
                .any(|order| !needs.assets.contains(&order.asset_id) && canceled.contains(&order.id))
            {
                return Err(BookError::Overtaken);
            }
            desk.add_orders(orders);
        }
        let mut outcomes = Vec::with_capacity(self.asks.len());
        for ask in self.asks {
            let connection_id = ask.connection.id;
            outcomes.push(match &ask.wish {
                Wish::Submit(order) => desk.submit(connection_id, order)?,
                Wish::Cancel(id) => desk.cancel(connection_id, *id)?,
                Wish::Replace(old, new) => desk.replace(connection_id, *old, new)?,
            });
        }
        book::save(transaction, &mut desk).await?;
        Ok(outcomes)
    }
}

fn listed<T: Copy>(ids: &BTreeSet<T>) -> Vec<T> {
    ids.iter().copied().collect()
}

/// Quotes and time for some instruments: their orders fill, expire and begin to work.
#[derive(Debug)]
pub(super) struct Feed<'a> {
    pub(super) house: &'a House,
    /// In the order of their ids.
    pub(super) asset_ids: &'a [AssetId],
    pub(super) quotes: &'a BTreeMap<AssetId, Quote>,
}

/// What came of one page of a [`Feed`].
#[derive(Debug)]
pub(super) struct Fed {
    /// The accounts that the journal has new rows for.
    pub(super) told: BTreeSet<ConnectionId>,
    /// The instruments, as they are now.
    pub(super) assets: Vec<AssetRow>,
    /// Whether nothing is left to do; else the same feed goes on in another transaction.
    pub(super) is_done: bool,
}

#[async_trait]
impl Work for Feed<'_> {
    type Answer = Fed;

    async fn run(&self, transaction: &DatabaseTransaction) -> Result<Fed, BookError> {
        let assets = book::lock_assets(transaction, self.asset_ids).await?;
        let mut desk = Desk::new(&self.house.rules, self.house.clock.now(), assets);
        let mut met = Vec::new();
        for id in self.asset_ids {
            if let Some(quote) = self.quotes.get(id)
                && desk.quote(quote)
            {
                met.push(*id);
            }
        }
        let due = book::due_orders(transaction, self.asset_ids, desk.now, DUE_PAGE.into()).await?;
        // Time first: no order fills after its end.
        let has_passed = due.len() < usize::from(DUE_PAGE);
        desk.add_orders(due);
        let mut crossing = Vec::new();
        if has_passed && !met.is_empty() {
            let mut levels = Vec::with_capacity(2 * met.len());
            for id in &met {
                levels.extend(desk.levels(*id)?);
            }
            crossing = book::crossing_orders(transaction, &levels, MATCH_PAGE.into()).await?;
        }
        let page: BTreeSet<OrderId> = crossing.iter().map(|order| order.id).collect();
        desk.add_orders(crossing);
        let holdings = desk.holdings();
        if !holdings.is_empty() {
            let (accounts, positions) = book::lock_accounts(transaction, &holdings).await?;
            desk.add_accounts(accounts);
            desk.add_positions(positions);
            desk.pass_time()?;
        }
        let mut is_done = has_passed;
        if has_passed {
            for id in &met {
                is_done &= desk.match_asset(*id, &page, MATCH_PAGE.into())?;
            }
        }
        let told = desk.told();
        book::save(transaction, &mut desk).await?;
        Ok(Fed {
            told,
            assets: desk.into_assets(),
            is_done,
        })
    }
}
