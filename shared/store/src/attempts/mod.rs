//! Calls to a broker: a row before the first byte leaves, and its outcome after.
//!
//! 1. An attempt begins only under a claim that still holds, for an order that still wants it.
//! 2. A claim that is taken over finds the attempt of the one before unfinished: what it sent is *unknown*, and is
//!    looked up, never sent again blindly.
//! 3. A stale worker's outcome is refused by its fence.
//! 4. Calls begin and end in batches: the number of statements does not depend on how many there are, each is decided by
//!    itself, and one that fails never stops its neighbours.
//!
//! | file | holds |
//! |---|---|
//! | `begin`, `decide`, `short` | before a call: the transaction; the decision; the short way of an order that is simply sent |
//! | `finish`, `record` | after it: the decision; the transaction, in which reports are recorded as well |
//! | `row` | the calls' rows |

mod begin;
mod decide;
mod finish;
mod record;
mod row;
mod short;

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::id::{BrokerOrderId, OrderId};
use domain::lifecycle::OrderEvent;
use domain::order::Order;
use domain::reconcile::VenueOrder;

use crate::cause::Cause;
use crate::connections::ConnectionView;
use crate::error::StoreError;
use crate::ledger::{ApplyError, Ledger};
use crate::reports::Recorded;
use crate::work::Claim;

/// A call that wants to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttempt {
    /// The right to make it.
    pub claim: Claim,
    /// What both logs are searched by.
    pub correlation_id: String,
}

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
    /// Of a replace: an earlier attempt has sent it, or may have: look before sending.
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

/// A call that has ended, to be recorded.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The call.
    pub dispatch: Box<Dispatch>,
    /// What it came to.
    pub end: End,
}

/// What a call, of whatever kind, came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A submission, a cancel or a replace.
    Called(AttemptOutcome),
    /// A look-up.
    LookedUp {
        /// What was found.
        found: LookUp,
        /// Where the venue could not tell, the next look is due after this time.
        next_check: Duration,
    },
}

/// What was recorded: one answer for each call, and one for each connection's reports.
#[derive(Debug)]
pub struct RecordedAll {
    /// How each order goes on; of calls other than look-ups, [`AfterLookUp::Settled`].
    pub ended: Vec<Result<AfterLookUp, StoreError>>,
    /// What each connection's reports did.
    pub reports: Vec<Result<Recorded, StoreError>>,
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

/// How it remembers that a look found several.
const AMBIGUOUS: &str = "ambiguous";

/// How the row of a call says that the claim for it was taken over.
const TAKEN_OVER: &str = "taken over";

/// How a record that only we read is told to somebody else; other reasons are words already.
pub(crate) fn in_words(reason: &str) -> &str {
    match reason {
        MISSED => "the venue does not show it; it is looked for once more",
        AMBIGUOUS => "several orders at the venue could be this one: a person has to look",
        TAKEN_OVER => "the worker that sent it went silent; it is looked for at the venue",
        words => words,
    }
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
