//! The broker port: how orders leave Arbion, and how the truth about them comes back.
//!
//! 1. A call has three outcomes: *refused* (the broker's word), *not sent* (certain), *unknown* (anything else). An
//!    adapter maps its broker's answers to these; a status code alone never decides.
//! 2. The id that travels is our order id, so a look-up settles an unknown outcome where the broker takes client ids.
//! 3. What happens to an order at the venue comes by [`Broker::reports`], in the venue's order, from a cursor that the
//!    caller stores together with what it recorded.
//! 4. Capabilities are data. Nothing is ever downgraded silently.

pub mod paper;
#[cfg(feature = "fault-points")]
pub mod scripted;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::asset::AssetClass;
use domain::id::{AssetId, BrokerOrderId, ConnectionId, OrderId};
use domain::order::OrderTerms;
use domain::quote::Quote;
use domain::reconcile::{Report, VenueOrder};
use rust_decimal::Decimal;
use thiserror::Error;

/// A login at a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Ours.
    pub id: ConnectionId,
    /// Money that a paper account starts with, in quote currency; real brokers ignore it.
    pub starting_cash: Decimal,
}

/// An order as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingOrder {
    /// Our id; the client id at the broker derives from it.
    pub id: OrderId,
    /// The instrument.
    pub asset_id: AssetId,
    /// The instrument's symbol, as Arbion shows it.
    pub symbol: String,
    /// The instrument's class.
    pub asset_class: AssetClass,
    /// What it says.
    pub terms: OrderTerms,
}

/// How an order is named towards its broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VenueOrderRef {
    /// Our id.
    pub order_id: OrderId,
    /// The broker's id, where it is known.
    pub broker_order_id: Option<BrokerOrderId>,
}

/// What a submission, a cancel or a replace came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has it (a cancel or replace: has the request).
    Acknowledged {
        /// The broker's id, where the answer names it.
        broker_order_id: Option<BrokerOrderId>,
        /// Whether the order is at work already, not only held for the session.
        is_working: bool,
    },
    /// The broker does not want it.
    Refused {
        /// The broker's words.
        reason: String,
    },
    /// Nothing left, for certain; it may be tried again.
    NotSent {
        /// What was in the way.
        reason: String,
        /// How long the broker asks us to wait before the next try, where it says so.
        retry_after: Option<Duration>,
    },
    /// Nobody knows. It is looked up until it is known, and never resent blindly.
    Unknown {
        /// What was seen.
        reason: String,
    },
}

/// What a look-up came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The venue has the order.
    Present(VenueOrder),
    /// The venue does not have it; counts when seen twice, some seconds apart.
    Absent,
    /// More than one order would fit: a person has to look.
    Ambiguous,
}

/// Reports after a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportPage {
    /// In the venue's order.
    pub reports: Vec<Report>,
    /// To be stored together with what these reports changed.
    pub cursor: String,
}

/// What a broker says that an account owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VenuePosition {
    /// The instrument.
    pub asset_id: AssetId,
    /// Units; negative when short.
    pub quantity: Decimal,
}

/// How a broker replaces an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacing {
    /// A new order with a new id takes the old one's place.
    NewId,
    /// The order is edited and keeps its id.
    InPlace,
    /// Not at all: cancel, await the end, send anew.
    None,
}

/// What a broker can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether our id travels with the order and can be looked up.
    pub client_ids: bool,
    /// How orders are replaced.
    pub replacing: Replacing,
    /// Whether it must be fed with quotes to fill anything.
    pub is_fed_by_quotes: bool,
    /// The longest that a call may take, connect included.
    pub call_timeout: Duration,
}

/// A broker that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BrokerError {
    /// No answer that could be read.
    #[error("{broker} did not answer: {reason}")]
    Unavailable {
        /// Which one.
        broker: &'static str,
        /// What was seen.
        reason: String,
    },
    /// The book at the venue contradicts itself.
    #[error("{broker} holds inconsistent data: {what}")]
    Inconsistent {
        /// Which one.
        broker: &'static str,
        /// What was seen.
        what: String,
    },
}

/// A broker.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Its name in the log and in the database.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> &Capabilities;

    /// Sends `order`. The same order sent again is answered with the first one's outcome where client ids travel.
    async fn submit(&self, connection: &Connection, order: &OutgoingOrder) -> Outcome;

    /// Asks for the end of an order. Acknowledged means asked, not done: the report decides, and a fill may win.
    async fn cancel(&self, connection: &Connection, order: &VenueOrderRef) -> Outcome;

    /// Asks for `new` in the place of `old`. Acknowledged means asked: the reports decide.
    async fn replace(&self, connection: &Connection, old: &VenueOrderRef, new: &OutgoingOrder) -> Outcome;

    /// Looks `order` up, which was sent at about `attempted_at`.
    async fn find(
        &self,
        connection: &Connection,
        order: &OutgoingOrder,
        attempted_at: DateTime<Utc>,
    ) -> Result<Found, BrokerError>;

    /// At most `limit` reports after `cursor` (empty: from the beginning), oldest first.
    async fn reports(
        &self,
        connection: &Connection,
        cursor: &str,
        limit: u64,
    ) -> Result<ReportPage, BrokerError>;

    /// The pages of many connections, each as from [`Broker::reports`] after its own cursor: one answer for each of
    /// `asks`, in their order, so that one connection's failure is not the others'.
    ///
    /// A broker that can read them in one call does; the others are asked one connection after the other.
    async fn reports_of(
        &self,
        asks: &[(Connection, String)],
        limit: u64,
    ) -> Vec<Result<ReportPage, BrokerError>> {
        let mut pages = Vec::with_capacity(asks.len());
        for (connection, cursor) in asks {
            pages.push(self.reports(connection, cursor, limit).await);
        }
        pages
    }

    /// What the broker says that the account owns.
    async fn positions(&self, connection: &Connection) -> Result<Vec<VenuePosition>, BrokerError>;

    /// What the broker says that the account has in money, in quote currency.
    async fn cash(&self, connection: &Connection) -> Result<Decimal, BrokerError>;

    /// Instruments with orders that wait for a price, for a broker that [is fed](Capabilities::is_fed_by_quotes).
    async fn resting_assets(&self) -> Result<Vec<AssetId>, BrokerError> {
        Ok(Vec::new())
    }

    /// Hands quotes to a broker that is fed, and lets its time pass: orders fill, and day orders expire.
    ///
    /// Answers the connections that have new reports.
    async fn feed(&self, quotes: &[Quote]) -> Result<Vec<ConnectionId>, BrokerError> {
        let _ = quotes;
        Ok(Vec::new())
    }
}
