//! What clients ask for, many at once: what arrives while the last transaction is in flight goes together into the next.
//!
//! 1. The asks of a batch are decided in the order in which they came, and each gets its own answer.
//! 2. One ask that the database will not have fails alone: its batch is halved until it is found.
//! 3. A call ends within [`CALL_TIMEOUT`](super::connect::CALL_TIMEOUT): an ask that has waited too long for its batch is
//!    not tried any more, and a batch has one deadline, however often it is halved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::id::{ConnectionId, OrderId};
use rust_decimal::Decimal;
use tokio::time::Instant;

use super::book;
use super::connect::{BODY_TIMEOUT, QUEUE_TIMEOUT};
use super::error::{BookError, NAME};
use super::house::House;
use super::work::Batch;
use crate::{Connection, Outcome, OutgoingOrder};

/// What a client wants of an order.
#[derive(Debug)]
pub(super) enum Wish {
    /// That it be taken.
    Submit(OutgoingOrder),
    /// That it end.
    Cancel(OrderId),
    /// That the second take the place of the first.
    Replace(OrderId, OutgoingOrder),
}

impl Wish {
    const fn name(&self) -> &'static str {
        match self {
            Self::Submit(_) => "submit",
            Self::Cancel(_) => "cancel",
            Self::Replace(..) => "replace",
        }
    }

    const fn order_id(&self) -> OrderId {
        match self {
            Self::Submit(order) => order.id,
            Self::Cancel(id) | Self::Replace(id, _) => *id,
        }
    }
}

/// A client's wish, for one account.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) connection: Connection,
    pub(super) wish: Wish,
    /// When it came.
    pub(super) at: Instant,
}

impl Ask {
    pub(super) fn new(connection: &Connection, wish: Wish) -> Self {
        Self {
            connection: connection.clone(),
            wish,
            at: Instant::now(),
        }
    }

    /// The outcome of a failure, which it also logs.
    fn failed(&self, error: &BookError) -> Outcome {
        let outcome = error.outcome();
        let (order_id, action) = (self.wish.order_id(), self.wish.name());
        tracing::warn!(broker.name = NAME, order.id = %order_id, action, error = %error, outcome = ?outcome, "the venue failed");
        outcome
    }
}

/// The outcomes of `asks`, one each, in their order.
pub(super) async fn take(house: Arc<House>, asks: Vec<Ask>) -> Vec<Outcome> {
    let begun = Instant::now();
    let mut outcomes = Vec::with_capacity(asks.len());
    // They stand in the order in which they came, so those that waited too long come first.
    let late = asks.partition_point(|ask| begun.duration_since(ask.at) > QUEUE_TIMEOUT);
    let (late, asks) = asks.split_at(late);
    outcomes.extend(late.iter().map(|ask| ask.failed(&BookError::TimedOut)));
    // The first of the parts that are left is the last in the list.
    let mut parts = vec![asks];
    while let Some(part) = parts.pop() {
        let work = Batch::new(&house, part);
        let result = match house.pools.transaction(&work, begun + BODY_TIMEOUT).await {
            Err(BookError::NotOpen(missing)) => match open(&house, part, &missing).await {
                Ok(()) => {
                    parts.push(part);
                    continue;
                }
                Err(error) => Err(error),
            },
            result => result,
        };
        match result {
            Ok(answers) => outcomes.extend(answers),
            Err(error) if part.len() > 1 && error.may_be_one_ask() => {
                tracing::debug!(broker.name = NAME, batch.size = part.len(), error = %error, "a batch is halved");
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            Err(error) => outcomes.extend(part.iter().map(|ask| ask.failed(&error))),
        }
    }
    outcomes
}

/// Opens the accounts `missing` of those who ask.
///
/// It holds no lock meanwhile, so that nobody who waits here is waited for; an account that is opened and gets no order
/// is what it was before: its starting cash.
async fn open(house: &House, asks: &[Ask], missing: &BTreeSet<ConnectionId>) -> Result<(), BookError> {
    let accounts: BTreeMap<ConnectionId, Decimal> = asks
        .iter()
        .rev()
        .filter(|ask| missing.contains(&ask.connection.id))
        .map(|ask| (ask.connection.id, ask.connection.starting_cash))
        .collect();
    tokio::time::timeout(
        BODY_TIMEOUT,
        book::open_accounts(house.pools.writer(), &accounts, house.clock.now()),
    )
    .await
    .map_err(|_| BookError::TimedOut)?
}
