//! The paper broker: a venue of its own, in Arbion's own processes.
//!
//! It keeps its own accounts, positions and orders in its own schema or file, through its own connections, keyed by the
//! client order id that travels. Arbion reaches and reads it through the port alone. Its commit and Arbion's are two
//! transactions, so lost answers, unknown outcomes and reconciliation are as real here as at any broker.
//!
//! | file | holds |
//! |---|---|
//! | this one | the port |
//! | `work` | the transactions: one a call |
//! | `desk` | what orders, cancels, quotes and time do to the book, without IO |
//! | `book` | the book's SQL |
//! | `rows`, `rules`, `hours` | what the book keeps; what the venue charges; when it is open |
//! | `connect`, `sql`, `amount`, `error` | connections and transactions, statements, decimals, failures |
//!
//! How quotes fill orders is decided by [`domain::fill_model`].

mod amount;
mod book;
mod connect;
mod desk;
mod error;
mod hours;
mod rows;
mod rules;
mod sql;
#[cfg(test)]
mod tests;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::id::{AssetId, ConnectionId, OrderId};
use domain::quote::Quote;
use platform::clock::SharedClock;
use rust_decimal::Decimal;
use sea_orm::DatabaseConnection;

use crate::{
    Broker, BrokerError, Capabilities, Connection, Found, Outcome, OutgoingOrder, Replacing, ReportPage,
    VenueOrderRef, VenuePosition,
};
use connect::{CALL_TIMEOUT, Pools};
use error::{BookError, NAME};
use work::{Feed, Listing, Request, Wish};

pub use rules::PaperRules;

/// Instruments that one transaction of [`Paper::feed`] locks at most.
const FEED_BATCH: usize = 64;

/// Instruments that one call of [`Paper::feed`] looks at at most because time has come for one of their orders.
const DUE_MAX: u64 = 512;

/// Where the venue keeps its book, and by which rules it trades.
#[derive(Clone)]
pub struct PaperOptions {
    /// PostgreSQL (Arbion's database; the venue keeps to its schema `paper`), or `sqlite:` and a file of the venue's own.
    pub database_url: String,
    /// The most connections to PostgreSQL; on SQLite, the most readers.
    pub max_connections: u32,
    /// What it charges, when it is open, what it trades.
    pub rules: PaperRules,
    /// The time of day.
    pub clock: SharedClock,
}

/// The paper venue. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Paper {
    pools: Pools,
    rules: PaperRules,
    clock: SharedClock,
    capabilities: Capabilities,
}

/// A connection for the venue's migrations, in its schema or file, which it makes where there is none.
pub async fn connect_for_migrations(database_url: &str) -> Result<DatabaseConnection, BrokerError> {
    Ok(connect::for_migrations(database_url).await?)
}

impl Paper {
    /// Opens the venue; its tables must be there already.
    pub async fn open(options: PaperOptions) -> Result<Self, BrokerError> {
        let pools = Pools::open(&options.database_url, options.max_connections).await?;
        let asset_ids: BTreeSet<AssetId> = options.rules.assets.keys().copied().collect();
        let asset_ids: Vec<AssetId> = asset_ids.into_iter().collect();
        pools.transaction(&Listing(&asset_ids)).await?;
        tracing::info!(
            broker.name = NAME,
            assets.count = asset_ids.len(),
            "the paper venue is open"
        );
        Ok(Self {
            pools,
            rules: options.rules,
            clock: options.clock,
            capabilities: Capabilities {
                client_ids: true,
                replacing: Replacing::NewId,
                is_fed_by_quotes: true,
                call_timeout: CALL_TIMEOUT,
            },
        })
    }

    /// Ends all connections, after their present statements.
    pub async fn close(self) -> Result<(), BrokerError> {
        self.pools.close().await?;
        Ok(())
    }

    async fn grant(
        &self,
        connection: &Connection,
        asset_id: AssetId,
        wish: Wish<'_>,
    ) -> Result<Outcome, BookError> {
        self.pools
            .transaction(&Request {
                rules: &self.rules,
                clock: &self.clock,
                connection,
                asset_id,
                wish,
            })
            .await
    }

    async fn submit_order(
        &self,
        connection: &Connection,
        order: &OutgoingOrder,
    ) -> Result<Outcome, BookError> {
        if !self.rules.assets.contains_key(&order.asset_id) {
            return Ok(unknown_asset(order));
        }
        self.grant(connection, order.asset_id, Wish::Submit(order)).await
    }

    async fn cancel_order(&self, connection: &Connection, id: OrderId) -> Result<Outcome, BookError> {
        // The instrument of an order never changes, so it can be read before its lock is taken.
        match book::orders(&self.pools.reader, &[id]).await?.first() {
            Some(order) => self.grant(connection, order.asset_id, Wish::Cancel(id)).await,
            None => Ok(Outcome::Refused {
                reason: desk::UNKNOWN_ORDER.to_owned(),
            }),
        }
    }

    async fn replace_order(
        &self,
        connection: &Connection,
        old: OrderId,
        new: &OutgoingOrder,
    ) -> Result<Outcome, BookError> {
        if !self.rules.assets.contains_key(&new.asset_id) {
            return Ok(unknown_asset(new));
        }
        self.grant(connection, new.asset_id, Wish::Replace(old, new))
            .await
    }

    /// Those of `quotes` that tell the book something, by instrument: the newest of each.
    async fn news<'q>(&self, quotes: &'q [Quote]) -> Result<BTreeMap<AssetId, &'q Quote>, BookError> {
        let mut newest: BTreeMap<AssetId, &Quote> = BTreeMap::new();
        for quote in quotes {
            let known = newest.entry(quote.asset_id).or_insert(quote);
            if quote.at > known.at {
                *known = quote;
            }
        }
        let now = self.clock.now();
        let asset_ids: Vec<AssetId> = newest.keys().copied().collect();
        let mut news = BTreeMap::new();
        for chunk in asset_ids.chunks(FEED_BATCH) {
            for row in book::assets(&self.pools.reader, chunk).await? {
                if let Some(quote) = newest.get(&row.asset_id)
                    && desk::is_news(&row, quote, &self.rules, now)
                {
                    news.insert(row.asset_id, *quote);
                }
            }
        }
        Ok(news)
    }

    async fn feed_all(&self, quotes: &[Quote]) -> Result<BTreeSet<ConnectionId>, BookError> {
        let news = self.news(quotes).await?;
        let mut asset_ids: BTreeSet<AssetId> = news.keys().copied().collect();
        let due = book::due_assets(&self.pools.reader, self.clock.now(), DUE_MAX).await?;
        asset_ids.extend(due);
        let asset_ids: Vec<AssetId> = asset_ids.into_iter().collect();
        let mut told = BTreeSet::new();
        for batch in asset_ids.chunks(FEED_BATCH) {
            let feed = Feed {
                rules: &self.rules,
                clock: &self.clock,
                asset_ids: batch,
                quotes: &news,
            };
            match self.pools.transaction(&feed).await {
                Ok(connections) => told.extend(connections),
                // What is committed is committed, and its connections must hear of it; the rest comes with the next call.
                Err(error) if !told.is_empty() => {
                    tracing::warn!(broker.name = NAME, error = %error, "a part of the quotes was not taken");
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(told)
    }
}

fn unknown_asset(order: &OutgoingOrder) -> Outcome {
    tracing::warn!(broker.name = NAME, order.id = %order.id, asset.id = %order.asset_id, "an unknown asset");
    Outcome::Refused {
        reason: format!("asset {} is not traded here", order.symbol),
    }
}

/// The outcome of a call, its failures included.
fn settled(result: Result<Outcome, BookError>, action: &'static str, order_id: OrderId) -> Outcome {
    result.unwrap_or_else(|error| {
        let outcome = error.outcome();
        tracing::warn!(broker.name = NAME, order.id = %order_id, action, error = %error, outcome = ?outcome, "the venue failed");
        outcome
    })
}

/// The place in the journal that a cursor names; the empty one is the beginning.
fn place(cursor: &str) -> Result<i64, BrokerError> {
    if cursor.is_empty() {
        return Ok(0);
    }
    cursor.parse().map_err(|_| BrokerError::Inconsistent {
        broker: NAME,
        what: format!("cursor {cursor:?} is no place in the journal"),
    })
}

#[async_trait]
impl Broker for Paper {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn submit(&self, connection: &Connection, order: &OutgoingOrder) -> Outcome {
        settled(self.submit_order(connection, order).await, "submit", order.id)
    }

    async fn cancel(&self, connection: &Connection, order: &VenueOrderRef) -> Outcome {
        settled(
            self.cancel_order(connection, order.order_id).await,
            "cancel",
            order.order_id,
        )
    }

    async fn replace(&self, connection: &Connection, old: &VenueOrderRef, new: &OutgoingOrder) -> Outcome {
        settled(
            self.replace_order(connection, old.order_id, new).await,
            "replace",
            old.order_id,
        )
    }

    async fn find(
        &self,
        connection: &Connection,
        order: &OutgoingOrder,
        _attempted_at: DateTime<Utc>,
    ) -> Result<Found, BrokerError> {
        let rows = book::orders(&self.pools.reader, &[order.id]).await?;
        Ok(rows
            .first()
            .filter(|row| row.connection_id == connection.id)
            .map_or(Found::Absent, |row| Found::Present(row.found())))
    }

    async fn reports(
        &self,
        connection: &Connection,
        cursor: &str,
        limit: u64,
    ) -> Result<ReportPage, BrokerError> {
        let after = place(cursor)?;
        let rows = book::journal(&self.pools.reader, connection.id, after, limit).await?;
        let cursor = rows.last().map_or(after, |row| row.seq);
        Ok(ReportPage {
            reports: rows.into_iter().map(rows::JournalRow::report).collect(),
            cursor: cursor.to_string(),
        })
    }

    async fn positions(&self, connection: &Connection) -> Result<Vec<VenuePosition>, BrokerError> {
        let holdings = book::holdings(&self.pools.reader, connection.id).await?;
        Ok(holdings
            .into_iter()
            .filter(|(_, quantity)| !quantity.is_zero())
            .map(|(asset_id, quantity)| VenuePosition { asset_id, quantity })
            .collect())
    }

    async fn cash(&self, connection: &Connection) -> Result<Decimal, BrokerError> {
        let cash = book::cash(&self.pools.reader, connection.id).await?;
        Ok(cash.unwrap_or(connection.starting_cash))
    }

    async fn resting_assets(&self) -> Result<Vec<AssetId>, BrokerError> {
        Ok(book::resting_assets(&self.pools.reader).await?)
    }

    async fn feed(&self, quotes: &[Quote]) -> Result<Vec<ConnectionId>, BrokerError> {
        Ok(self.feed_all(quotes).await?.into_iter().collect())
    }
}
