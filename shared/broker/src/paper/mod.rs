//! The paper broker: a venue of its own, in Arbion's own processes.
//!
//! It keeps its own accounts, positions and orders in its own schema or file, through its own connections, keyed by the
//! client order id that travels. Arbion reaches and reads it through the port alone. Its commit and Arbion's are two
//! transactions, so lost answers, unknown outcomes and reconciliation are as real here as at any broker.
//!
//! | file | holds |
//! |---|---|
//! | this one | the port |
//! | `asking`, `feeding` | what many callers want at once: batches of orders and cancels, and of quotes |
//! | `work` | the transactions |
//! | `desk` | what orders, cancels, quotes and time do to the book, without IO |
//! | `book` | the book's SQL |
//! | `rows`, `rules`, `hours` | what the book keeps; what the venue charges; when it is open |
//! | `house` | what the parts share in a process |
//! | `connect`, `sql`, `amount`, `error` | connections and transactions, statements, decimals, failures |
//!
//! How quotes fill orders is decided by [`domain::fill_model`].

mod amount;
mod asking;
mod book;
mod connect;
mod desk;
mod error;
mod feeding;
mod hours;
mod house;
mod reporting;
mod rows;
mod rules;
mod sql;
#[cfg(test)]
mod tests;
mod work;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::id::{AssetId, ConnectionId};
use domain::quote::Quote;
use platform::GroupCommit;
use platform::clock::SharedClock;
use rust_decimal::Decimal;
use sea_orm::DatabaseConnection;
use tokio::time::Instant;

use crate::{
    Broker, BrokerError, Capabilities, Connection, Found, Outcome, OutgoingOrder, Replacing, ReportPage,
    VenueOrderRef, VenuePosition,
};
use asking::{Ask, Wish};
use connect::{BODY_TIMEOUT, CALL_TIMEOUT, Pools};
use error::NAME;
use feeding::{Offer, Told};
use house::House;
use work::Listing;

pub use rules::PaperRules;

/// Asks that go into one transaction at most.
const ASKS_MAX: usize = 256;

/// Callers whose quotes go to the book together at most.
const OFFERS_MAX: usize = 256;

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
    house: Arc<House>,
    asks: Arc<GroupCommit<Ask, Outcome>>,
    offers: Arc<GroupCommit<Offer, Told>>,
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
        Self::on(pools, options.rules, options.clock).await
    }

    async fn on(pools: Pools, rules: PaperRules, clock: SharedClock) -> Result<Self, BrokerError> {
        let asset_ids: BTreeSet<AssetId> = rules.assets.keys().copied().collect();
        let asset_ids: Vec<AssetId> = asset_ids.into_iter().collect();
        pools
            .transaction(&Listing(&asset_ids), Instant::now() + BODY_TIMEOUT)
            .await?;
        tracing::info!(
            broker.name = NAME,
            assets.count = asset_ids.len(),
            "the paper venue is open"
        );
        let house = Arc::new(House::new(pools, rules, clock));
        let (asked, offered) = (Arc::clone(&house), Arc::clone(&house));
        let asks = GroupCommit::spawn(ASKS_MAX, move |asks| asking::take(Arc::clone(&asked), asks));
        let offers = GroupCommit::spawn(OFFERS_MAX, move |offers| {
            feeding::feed(Arc::clone(&offered), offers)
        });
        Ok(Self {
            house,
            asks: Arc::new(asks),
            offers: Arc::new(offers),
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
        self.house.pools.clone().close().await?;
        Ok(())
    }

    async fn ask(&self, connection: &Connection, wish: Wish) -> Outcome {
        let outcome = self.asks.ask(Ask::new(connection, wish)).await;
        outcome.unwrap_or_else(|| Outcome::Unknown {
            reason: "the venue broke off".to_owned(),
        })
    }

    fn trades(&self, order: &OutgoingOrder) -> bool {
        self.house.rules.assets.contains_key(&order.asset_id)
    }

    fn reader(&self) -> &DatabaseConnection {
        &self.house.pools.reader
    }
}

fn unknown_asset(order: &OutgoingOrder) -> Outcome {
    tracing::warn!(broker.name = NAME, order.id = %order.id, asset.id = %order.asset_id, "an unknown asset");
    Outcome::Refused {
        reason: format!("asset {} is not traded here", order.symbol),
    }
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
        if !self.trades(order) {
            return unknown_asset(order);
        }
        self.ask(connection, Wish::Submit(order.clone())).await
    }

    async fn cancel(&self, connection: &Connection, order: &VenueOrderRef) -> Outcome {
        self.ask(connection, Wish::Cancel(order.order_id)).await
    }

    async fn replace(&self, connection: &Connection, old: &VenueOrderRef, new: &OutgoingOrder) -> Outcome {
        if !self.trades(new) {
            return unknown_asset(new);
        }
        self.ask(connection, Wish::Replace(old.order_id, new.clone()))
            .await
    }

    async fn find(
        &self,
        connection: &Connection,
        order: &OutgoingOrder,
        _attempted_at: DateTime<Utc>,
    ) -> Result<Found, BrokerError> {
        let rows = book::orders(self.reader(), &[order.id]).await?;
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
        let ask = (connection.clone(), cursor.to_owned());
        let pages = self.reports_of(std::slice::from_ref(&ask), limit).await;
        pages.into_iter().next().unwrap_or_else(|| {
            Ok(ReportPage {
                reports: Vec::new(),
                cursor: cursor.to_owned(),
            })
        })
    }

    async fn reports_of(
        &self,
        asks: &[(Connection, String)],
        limit: u64,
    ) -> Vec<Result<ReportPage, BrokerError>> {
        reporting::pages(self.reader(), asks, limit).await
    }

    async fn positions(&self, connection: &Connection) -> Result<Vec<VenuePosition>, BrokerError> {
        let holdings = book::holdings(self.reader(), connection.id).await?;
        Ok(holdings
            .into_iter()
            .filter(|(_, quantity)| !quantity.is_zero())
            .map(|(asset_id, quantity)| VenuePosition { asset_id, quantity })
            .collect())
    }

    async fn cash(&self, connection: &Connection) -> Result<Decimal, BrokerError> {
        let cash = book::cash(self.reader(), connection.id).await?;
        Ok(cash.unwrap_or(connection.starting_cash))
    }

    async fn resting_assets(&self) -> Result<Vec<AssetId>, BrokerError> {
        Ok(book::resting_assets(self.reader()).await?)
    }

    async fn feed(&self, quotes: &[Quote]) -> Result<Vec<ConnectionId>, BrokerError> {
        let Some(offer) = Offer::of(quotes, &self.house) else {
            return Ok(Vec::new());
        };
        self.offers.ask(offer).await.unwrap_or_else(|| {
            Err(BrokerError::Unavailable {
                broker: NAME,
                reason: "the venue broke off".to_owned(),
            })
        })
    }
}
