//! The transactions of the venue: each locks a part of the book, lets a [`Desk`] act, and saves what has changed.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::id::{AssetId, ConnectionId, OrderId};
use domain::quote::Quote;
use platform::clock::SharedClock;
use sea_orm::DatabaseTransaction;

use super::book;
use super::connect::Work;
use super::desk::Desk;
use super::error::BookError;
use super::rules::PaperRules;
use crate::{Connection, Outcome, OutgoingOrder};

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

/// What a client wants of an order.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish<'a> {
    /// That it be taken.
    Submit(&'a OutgoingOrder),
    /// That it end.
    Cancel(OrderId),
    /// That the second take the place of the first.
    Replace(OrderId, &'a OutgoingOrder),
}

impl Wish<'_> {
    fn order_ids(&self) -> Vec<OrderId> {
        match self {
            Self::Submit(order) => vec![order.id],
            Self::Cancel(id) => vec![*id],
            Self::Replace(old, new) => vec![*old, new.id],
        }
    }
}

/// A client's wish, for one account and one instrument.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) rules: &'a PaperRules,
    pub(super) clock: &'a SharedClock,
    pub(super) connection: &'a Connection,
    pub(super) asset_id: AssetId,
    pub(super) wish: Wish<'a>,
}

#[async_trait]
impl Work for Request<'_> {
    type Answer = Outcome;

    async fn run(&self, transaction: &DatabaseTransaction) -> Result<Outcome, BookError> {
        let assets = book::lock_assets(transaction, &[self.asset_id]).await?;
        // Taken under the lock: who is first there is first at its price.
        let now = self.clock.now();
        let mut desk = Desk::new(self.rules, now, assets);
        let connection = self.connection;
        let ids = [connection.id];
        let mut accounts = book::lock_accounts(transaction, &ids).await?;
        if accounts.is_empty() {
            book::open_accounts(transaction, &[(connection.id, connection.starting_cash)], now).await?;
            accounts = book::lock_accounts(transaction, &ids).await?;
        }
        desk.add_accounts(accounts);
        desk.add_positions(book::positions(transaction, &ids, &[self.asset_id]).await?);
        desk.add_orders(book::orders(transaction, &self.wish.order_ids()).await?);
        let outcome = match self.wish {
            Wish::Submit(order) => desk.submit(connection.id, order)?,
            Wish::Cancel(id) => desk.cancel(connection.id, id)?,
            Wish::Replace(old, new) => desk.replace(connection.id, old, new)?,
        };
        book::save(transaction, &mut desk).await?;
        Ok(outcome)
    }
}

/// Quotes and time for some instruments: their orders fill, expire and begin to work.
#[derive(Debug)]
pub(super) struct Feed<'a> {
    pub(super) rules: &'a PaperRules,
    pub(super) clock: &'a SharedClock,
    /// In the order of their ids.
    pub(super) asset_ids: &'a [AssetId],
    pub(super) quotes: &'a BTreeMap<AssetId, &'a Quote>,
}

#[async_trait]
impl Work for Feed<'_> {
    /// The accounts that the journal has new rows for.
    type Answer = BTreeSet<ConnectionId>;

    async fn run(&self, transaction: &DatabaseTransaction) -> Result<BTreeSet<ConnectionId>, BookError> {
        let assets = book::lock_assets(transaction, self.asset_ids).await?;
        let mut desk = Desk::new(self.rules, self.clock.now(), assets);
        let mut met = Vec::new();
        for id in self.asset_ids {
            if let Some(quote) = self.quotes.get(id)
                && desk.quote(quote)
            {
                met.push(*id);
            }
        }
        // The quotes are written first: the next statement compares orders with them.
        book::save(transaction, &mut desk).await?;
        let orders = book::orders_to_act_on(transaction, self.asset_ids, &met, desk.now).await?;
        if orders.is_empty() {
            return Ok(BTreeSet::new());
        }
        desk.add_orders(orders);
        let connections = desk.order_connections();
        desk.add_accounts(book::lock_accounts(transaction, &connections).await?);
        desk.add_positions(book::positions(transaction, &connections, self.asset_ids).await?);
        desk.pass_time()?;
        for id in &met {
            desk.match_asset(*id)?;
        }
        let told = desk.told();
        book::save(transaction, &mut desk).await?;
        Ok(told)
    }
}
