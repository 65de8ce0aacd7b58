//! What many jobs do together: claiming orders, beginning calls, recording what they came to.
//!
//! What asks while a batch is in flight is the next batch. So an order that is alone waits for nobody, and of a backlog
//! many orders share each transaction. The three stages run beside each other: while one batch is recorded, the calls of
//! the next are under way and the one after that begins.

use std::collections::HashMap;
use std::sync::Arc;

use domain::id::OrderId;
use platform::GroupCommit;
use store::{Begin, Claim, NewAttempt, StoreError};

use crate::app::WorkerApp;
use crate::recorder::{Recorder, ToRecord, Written};

/// Orders of one claim.
const CLAIMS_MAX: usize = 256;

/// Calls of one transaction: enough that its fixed cost is small for each, few enough that the first of them is not kept
/// waiting for the last.
const CALLS_MAX: usize = 256;

/// The batches of one worker.
pub(crate) struct Batches {
    claims: GroupCommit<OrderId, Result<Vec<Claim>, StoreError>>,
    begins: GroupCommit<NewAttempt, Result<Begin, StoreError>>,
    records: GroupCommit<ToRecord, Written>,
}

impl Batches {
    /// Batches that have nothing to do yet. Within a Tokio runtime.
    pub(crate) fn new(app: &WorkerApp) -> Batches {
        let (claiming, beginning) = (app.clone(), app.clone());
        let recorder = Arc::new(Recorder::new(app.clone()));
        Batches {
            claims: GroupCommit::spawn(CLAIMS_MAX, move |orders| claim(claiming.clone(), orders)),
            begins: GroupCommit::spawn(CALLS_MAX, move |wishes| begin(beginning.clone(), wishes)),
            records: GroupCommit::spawn(CALLS_MAX, move |asked| {
                let recorder = Arc::clone(&recorder);
                async move { recorder.record(asked).await }
            }),
        }
    }

    /// Claims the due work of `order`. `None` when the batch broke; then nothing is known of it, as in all of these.
    pub(crate) async fn claim(&self, order: OrderId) -> Option<Result<Vec<Claim>, StoreError>> {
        self.claims.ask(order).await
    }

    /// Puts a call on record, if it may be made.
    pub(crate) async fn begin(&self, wish: NewAttempt) -> Option<Result<Begin, StoreError>> {
        self.begins.ask(wish).await
    }

    /// Records what a call came to, or what a connection's broker reports.
    pub(crate) async fn record(&self, asked: ToRecord) -> Option<Written> {
        self.records.ask(asked).await
    }
}

async fn claim(app: WorkerApp, orders: Vec<OrderId>) -> Vec<Result<Vec<Claim>, StoreError>> {
    let options = &app.options;
    let claims = match app
        .store
        .claim_orders(&options.name, &orders, options.lease)
        .await
    {
        Ok(claims) => claims,
        Err(error) => return vec![Err(error); orders.len()],
    };
    let mut by_order: HashMap<OrderId, Vec<Claim>> = HashMap::new();
    for claim in claims {
        by_order.entry(claim.order_id).or_default().push(claim);
    }
    // Of an order that is named twice, only the first has the claims.
    orders
        .iter()
        .map(|order| Ok(by_order.remove(order).unwrap_or_default()))
        .collect()
}

async fn begin(app: WorkerApp, wishes: Vec<NewAttempt>) -> Vec<Result<Begin, StoreError>> {
    app.store
        .begin_attempts(&wishes, app.clock.now(), app.hours)
        .await
}
