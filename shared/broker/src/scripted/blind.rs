//! A broker that takes no ids of ours: its orders are told from others by their facts, and by what we know already.
//!
//! 1. An order is found where exactly one order of its facts, entered at about its time, belongs to no other order of
//!    ours, and no other order of ours with the same facts waits to be found. Everything else is *ambiguous*.
//! 2. The broker's list is read before our own book: whatever of ours stands in the list had begun by then, so the book
//!    shows it as settled, with the broker's id, or as unsettled.
//! 3. A report of an order whose broker's id we do not know yet waits, by its number in the cursor, as long as an order of
//!    ours is unsettled. Then it is delivered, or it was about an order of somebody else.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{BrokerOrderId, ConnectionId, OrderId};
use domain::order::OrderTerms;

use super::{Scripted, wire};
use crate::{Broker as _, BrokerError, Connection, Found, OutgoingOrder, ReportPage};

/// The broker's clock may be so far from ours.
const SKEW: TimeDelta = TimeDelta::seconds(5);

/// A call that a stopped process makes late still makes an order that is looked for.
const LATE: TimeDelta = TimeDelta::minutes(10);

/// So many reports wait at most; behind them the broker's reports are not read on.
const WAITING_MAX: usize = 256;

/// What our own book knows about a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Our orders, by the broker's ids that were asked for.
    pub named: HashMap<BrokerOrderId, OrderId>,
    /// Orders that were sent, of which nobody knows yet what became.
    pub unsettled: Vec<Unsettled>,
}

/// An order that was sent, of which nobody knows yet what became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// Ours.
    pub id: OrderId,
    /// The instrument's symbol.
    pub symbol: String,
    /// What it says.
    pub terms: OrderTerms,
}

/// Our own book, for brokers that take no ids of ours.
#[async_trait]
pub trait OrderNames: Send + Sync {
    /// What is known about these of the broker's ids, and about orders that are unsettled, all at one moment.
    async fn known(&self, connection: ConnectionId, ids: &[BrokerOrderId]) -> Result<Known, BrokerError>;
}

impl Scripted {
    pub(super) async fn find_by_facts(
        &self,
        names: &dyn OrderNames,
        connection: &Connection,
        order: &OutgoingOrder,
        attempted_at: DateTime<Utc>,
    ) -> Result<Found, BrokerError> {
        let time = |at: Option<DateTime<Utc>>| at.unwrap_or(attempted_at).timestamp_millis();
        let from = time(attempted_at.checked_sub_signed(SKEW));
        let until = time(attempted_at.checked_add_signed(LATE));
        let path = format!(
            "/accounts/{}/orders?from_ms={from}&until_ms={until}",
            connection.id
        );
        let listed: wire::Orders = self.get(&path).await?;
        let fits = |listed: &wire::Order| listed.says(&order.symbol, &order.terms);
        let fitting: Vec<wire::Order> = listed.orders.into_iter().filter(fits).collect();
        let ids: Vec<BrokerOrderId> = fitting
            .iter()
            .map(|found| BrokerOrderId(found.id.clone()))
            .collect();
        let known = names.known(connection.id, &ids).await?;
        Ok(decide(order, &fitting, &known))
    }

    pub(super) async fn blind_reports(
        &self,
        names: &dyn OrderNames,
        connection: &Connection,
        cursor: &str,
        limit: u64,
    ) -> Result<ReportPage, BrokerError> {
        let Cursor { mut after, waiting } =
            Cursor::read(cursor).ok_or_else(|| BrokerError::Inconsistent {
                broker: self.name(),
                what: format!("cursor {cursor:?}"),
            })?;
        let page = async |after: u64, limit: u64| -> Result<wire::Page, BrokerError> {
            let path = format!("/accounts/{}/reports?after={after}&limit={limit}", connection.id);
            self.get(&path).await
        };
        let mut told = Vec::new();
        for seq in &waiting {
            told.extend(page(seq.saturating_sub(1), 1).await?.reports);
        }
        if waiting.len() < WAITING_MAX {
            let news = page(after, limit).await?;
            after = news.cursor;
            told.extend(news.reports);
        } else {
            tracing::error!(broker.name = self.name(), connection.id = %connection.id,
                "too many reports of orders that cannot be told apart: a person has to look");
        }
        let ids: Vec<BrokerOrderId> = told
            .iter()
            .map(|told| BrokerOrderId(told.order_id.clone()))
            .collect();
        let known = names.known(connection.id, &ids).await?;
        let (mut reports, mut waiting) = (Vec::new(), Vec::new());
        for told in told {
            match known.named.get(&BrokerOrderId(told.order_id.clone())) {
                Some(order) => reports.push(told.report(*order).map_err(|error| self.inconsistent(&error))?),
                None if !known.unsettled.is_empty() => waiting.push(told.seq),
                None => {
                    tracing::warn!(
                        broker.name = self.name(),
                        order = told.order_id,
                        "an order of somebody else"
                    );
                }
            }
        }
        let cursor = Cursor { after, waiting }.to_string();
        Ok(ReportPage { reports, cursor })
    }
}

/// Which of the orders that fit is `order`.
fn decide(order: &OutgoingOrder, fitting: &[wire::Order], known: &Known) -> Found {
    let owner = |found: &wire::Order| known.named.get(&BrokerOrderId(found.id.clone())).copied();
    if let Some(ours) = fitting.iter().find(|found| owner(found) == Some(order.id)) {
        return Found::Present(ours.found());
    }
    let mut free = fitting.iter().filter(|found| owner(found).is_none());
    let (Some(found), further) = (free.next(), free.next()) else {
        return Found::Absent;
    };
    let is_rival = |other: &Unsettled| {
        let same_facts = OrderTerms {
            // Only told to us, not to the broker.
            extended_hours: order.terms.extended_hours,
            position_intent: order.terms.position_intent,
            ..other.terms.clone()
        } == order.terms;
        other.id != order.id && other.symbol == order.symbol && same_facts
    };
    if further.is_some() || known.unsettled.iter().any(is_rival) {
        return Found::Ambiguous;
    }
    Found::Present(found.found())
}

/// Where reading goes on: behind a number, and what still waits before it. `12` or `12;7,9`.
#[derive(Debug, PartialEq, Eq)]
struct Cursor {
    after: u64,
    waiting: Vec<u64>,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        if text.is_empty() {
            let (after, waiting) = (0, Vec::new());
            return Some(Self { after, waiting });
        }
        let (after, waiting) = text.split_once(';').unwrap_or((text, ""));
        let numbers = waiting.split(',').filter(|number| !number.is_empty());
        let waiting = numbers.map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let after = after.parse().ok()?;
        Some(Self { after, waiting })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.after)?;
        for (index, seq) in self.waiting.iter().enumerate() {
            let mark = if index == 0 { ';' } else { ',' };
            write!(f, "{mark}{seq}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_as_it_was_written() {
        for (text, after, waiting) in [("0", 0, vec![]), ("12", 12, vec![]), ("12;7,9", 12, vec![7, 9])] {
            let cursor = Cursor { after, waiting };
            assert_eq!(cursor.to_string(), text);
            assert_eq!(Cursor::read(text), Some(cursor));
        }
        assert_eq!(Cursor::read(""), Cursor::read("0"));
        for text in ["x", "1;x", "-1", "1;2,x"] {
            assert_eq!(Cursor::read(text), None, "{text}");
        }
    }
}
