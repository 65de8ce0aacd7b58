//! Calls to a broker: a row before the first byte leaves, and its outcome after.
//!
//! 1. An attempt begins only under a claim that still holds, for an order that still wants it.
//! 2. A claim that is taken over finds the attempt of the one before unfinished: what it sent is *unknown*, and is
//!    looked up, never sent again blindly.
//! 3. A stale worker's outcome is refused by its fence.

mod begin;
mod finish;
mod row;

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::id::{BrokerOrderId, OrderId};
use domain::lifecycle::OrderEvent;
use domain::order::Order;
use domain::reconcile::VenueOrder;
use sea_orm::{DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter};

use crate::Store;
use crate::book::{self, Scope};
use crate::cause::Cause;
use crate::connections::ConnectionView;
use crate::entity::order_work;
use crate::error::StoreError;
use crate::ledger::{ApplyError, Ledger};
use crate::work::{Claim, held_by};

/// One call to a broker that may be made now.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// The right to make it.
    pub claim: Claim,
    /// The number of the attempt.
    pub n: i32,
    /// The order.
    pub order: Order,
    /// Of a replace, the order that shall take its place.
    pub replacement: Option<Order>,
    /// Where the call goes.
    pub connection: ConnectionView,
    /// When the order was last sent; of a look-up, when to look for it.
    pub attempted_at: DateTime<Utc>,
    /// An earlier attempt of this work has an unknown outcome: look before sending.
    pub is_repeat: bool,
    /// The look before, some seconds ago, did not see the order: another such look settles that it never arrived.
    pub was_missed: bool,
}

/// Whether a call may be made.
#[derive(Debug, Clone)]
pub enum Begin {
    /// Yes: the attempt is on record.
    Go(Box<Dispatch>),
    /// Not now; the work is due again later.
    Later {
        /// When.
        due_in: Duration,
        /// What it waits for.
        reason: &'static str,
    },
    /// Not any more: the work is gone.
    Gone,
    /// An earlier attempt may have sent it: the work has become a look-up, which is due at once.
    LookUp,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The broker has the order, or the request.
    Acknowledged {
        /// The broker's id, where the answer names it.
        broker_order_id: Option<BrokerOrderId>,
        /// Whether the order is at work already.
        is_working: bool,
    },
    /// The broker does not want it.
    Refused {
        /// The broker's words.
        reason: String,
    },
    /// Nothing left, for certain.
    NotSent {
        /// What was in the way.
        reason: String,
        /// When to try again.
        retry_in: Duration,
    },
    /// Nobody knows.
    Unknown {
        /// What was seen.
        reason: String,
        /// When to look.
        check_in: Duration,
    },
    /// Nothing was sent: the venue does not show what an earlier attempt of a replace has sent. Looked for again in some
    /// seconds, since absence counts when it is seen twice.
    Missed,
}

/// How an order goes on after a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterLookUp {
    /// The venue's word stands; nothing is left to look up.
    Settled,
    /// It is looked up again.
    Again {
        /// When.
        due_in: Duration,
    },
    /// It was missed twice, and its sending is due at once.
    SendAgain,
}

/// What a look-up came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUp {
    /// The venue has the order.
    Present(VenueOrder),
    /// The venue does not have it.
    Absent,
    /// More than one order would fit: a person has to look.
    Ambiguous,
    /// The venue could not be asked.
    Failed {
        /// What was seen.
        reason: String,
    },
}

/// A look that found nothing is repeated after this long: a venue may show an order some seconds late.
pub const MISSED_CHECK: Duration = Duration::from_secs(3);

/// How `last_error` remembers that a look found nothing: absence counts when it is seen twice.
const MISSED: &str = "absent";

/// The order of `claim` under locks; `None` when the claim is no longer ours or its work is gone.
async fn open_claimed(
    tx: &DatabaseTransaction,
    claim: &Claim,
    now: DateTime<Utc>,
) -> Result<Option<Ledger>, StoreError> {
    let known = book::peek(tx, &[claim.order_id]).await?;
    let Some(order) = known.first() else {
        return Ok(None);
    };
    let mut scope = Scope::default();
    scope.add_order(order);
    if order.facts.held_by.is_some() {
        for sell in Store::holding_sells(tx, &[(order.account_id, order.asset_id)]).await? {
            scope.add_order(&sell);
        }
    }
    let ledger = book::open(tx, &scope, now).await?;
    let is_ours = order_work::Entity::find()
        .filter(held_by(claim))
        .count(tx)
        .await?
        == 1;
    Ok(is_ours.then_some(ledger))
}

/// Lets `event` happen; one that no longer makes sense (a report was faster) is logged and left out.
fn follow(ledger: &mut Ledger, id: OrderId, event: &OrderEvent, cause: &Cause) -> Result<(), StoreError> {
    match ledger.apply(id, event, cause) {
        Ok(_) => Ok(()),
        Err(ApplyError::Transition(error)) => {
            tracing::info!(order.id = %id, order.phase = ?error.from, order.event = ?error.event,
                "an answer came too late to matter");
            Ok(())
        }
        Err(error @ (ApplyError::NotLoaded(_) | ApplyError::NoUser(_) | ApplyError::NoAccount(_))) => {
            Err(error.clone().into_inconsistent())
        }
    }
}
