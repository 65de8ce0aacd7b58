//! Before a call: whether it may be made, and its row.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::asset::MarketHours;
use domain::id::{AccountId, OrderId};
use domain::order::Order;
use sea_orm::DatabaseTransaction;

use super::decide::{Step, begin_cancel, begin_reconcile, begin_replace, begin_submit};
use super::row::{AllEarlier, Earlier, dispatch, earlier, end_taken_over, insert_rows, row_of};
use super::{Begin, NewAttempt};
use crate::Store;
use crate::book::{self, Scope};
use crate::connections::{ConnectionView, connections_of};
use crate::entity::broker_attempts;
use crate::error::StoreError;
use crate::halves::Parts;
use crate::ledger::Ledger;
use crate::work::{Claim, Postponed, WorkKind, fences, postpone};

impl Store {
    /// Puts a call on record, if it may be made.
    pub async fn begin_attempt(
        &self,
        claim: &Claim,
        correlation_id: &str,
        now: DateTime<Utc>,
        hours: MarketHours,
    ) -> Result<Begin, StoreError> {
        let wish = NewAttempt {
            claim: claim.clone(),
            correlation_id: correlation_id.to_owned(),
        };
        let mut answers = self.begin_attempts(&[wish], now, hours).await;
        answers.pop().unwrap_or(Ok(Begin::Gone))
    }

    /// Puts calls on record, those that may be made; one answer for each of `wishes`.
    pub async fn begin_attempts(
        &self,
        wishes: &[NewAttempt],
        now: DateTime<Utc>,
        hours: MarketHours,
    ) -> Vec<Result<Begin, StoreError>> {
        let mut answers: Vec<Option<Result<Begin, StoreError>>> = vec![None; wishes.len()];
        let submissions = places(wishes, |place| {
            wishes
                .get(place)
                .is_some_and(|wish| wish.claim.kind == WorkKind::Submit)
        });
        let short: Vec<&NewAttempt> = submissions.iter().map(|(_, wish)| *wish).collect();
        if !short.is_empty() {
            let begun = self.begin_shortly(&short, now, hours).await;
            for (nth, (place, _)) in submissions.iter().enumerate() {
                let answer = match &begun {
                    Ok(begun) => begun
                        .get(nth)
                        .cloned()
                        .flatten()
                        .map(|go| Ok(Begin::Go(Box::new(go)))),
                    Err(error @ (StoreError::Unavailable(_) | StoreError::CommitUnknown(_))) => {
                        Some(Err(error.clone()))
                    }
                    // The long way finds out which of them is at fault.
                    Err(_) => None,
                };
                if let Some(slot) = answers.get_mut(*place) {
                    *slot = answer;
                }
            }
        }
        let rest = places(wishes, |place| answers.get(place).is_some_and(Option::is_none));
        self.begin_the_long_way(&rest, &mut answers, now, hours).await;
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or(Ok(Begin::Gone)))
            .collect()
    }

    async fn begin_the_long_way(
        &self,
        wishes: &[(usize, &NewAttempt)],
        answers: &mut [Option<Result<Begin, StoreError>>],
        now: DateTime<Utc>,
        hours: MarketHours,
    ) {
        let mut parts = Parts::whole(wishes.len());
        while let Some(part) = parts.next() {
            let of_part = wishes.get(part.clone()).unwrap_or_default();
            let begun = self
                .transaction("begin_attempts", async |tx| {
                    begin_under_locks(self, &tx, of_part, now, hours).await
                })
                .await;
            let begun: Vec<_> = match begun {
                Ok(begun) => begun.into_iter().map(Ok).collect(),
                Err(error) if parts.halve(&part, &error) => continue,
                Err(error) => vec![Err(error); part.len()],
            };
            for ((place, _), answer) in of_part.iter().zip(begun) {
                if let Some(slot) = answers.get_mut(*place) {
                    *slot = Some(answer);
                }
            }
        }
    }
}

/// The wishes at those places for which `is_wanted` holds, with their places.
fn places(wishes: &[NewAttempt], is_wanted: impl Fn(usize) -> bool) -> Vec<(usize, &NewAttempt)> {
    wishes
        .iter()
        .enumerate()
        .filter(|(place, _)| is_wanted(*place))
        .collect()
}

/// Decides each of `wishes` on the ledger as the ones before it left it, and writes what follows.
async fn begin_under_locks(
    store: &Store,
    tx: &DatabaseTransaction,
    wishes: &[(usize, &NewAttempt)],
    now: DateTime<Utc>,
    hours: MarketHours,
) -> Result<Vec<Begin>, StoreError> {
    let ids: Vec<_> = wishes.iter().map(|(_, wish)| wish.claim.order_id).collect();
    let known = book::peek(tx, &ids).await?;
    let mut scope = Scope::default();
    for order in &known {
        scope.add_order(order);
    }
    let held = known.iter().filter(|order| order.facts.held_by.is_some());
    let held: Vec<_> = held.map(|order| (order.account_id, order.asset_id)).collect();
    for sell in Store::holding_sells(tx, &held).await? {
        scope.add_order(&sell);
    }
    let ledger = book::open(tx, &scope, now).await?;
    let accounts = ledger.accounts.keys().copied().collect::<Vec<_>>();
    let mut batch = Batch {
        ledger,
        // Again, now that nobody can add one.
        holding: Store::holding_sells(tx, &held).await?,
        fences: fences(tx, ids.iter().copied()).await?,
        earlier: earlier(tx, ids.iter().copied()).await?,
        connections: connections_of(tx, &accounts).await?,
        hours,
        rows: Vec::new(),
        taken_over: Vec::new(),
        later: Vec::new(),
    };
    let mut answers = Vec::with_capacity(wishes.len());
    for (_, wish) in wishes {
        answers.push(batch.begin(wish)?);
    }
    end_taken_over(tx, &batch.taken_over, now).await?;
    insert_rows(tx, batch.rows).await?;
    postpone(store, tx, &batch.later).await?;
    book::write(store, tx, &batch.ledger).await?;
    Ok(answers)
}

/// What a batch is decided on, and what its decisions write beside the ledger.
struct Batch<'a> {
    ledger: Ledger,
    /// Open sells of what held exits are to sell.
    holding: Vec<Order>,
    fences: BTreeMap<(OrderId, WorkKind), i64>,
    earlier: AllEarlier,
    connections: BTreeMap<AccountId, ConnectionView>,
    hours: MarketHours,
    rows: Vec<broker_attempts::Model>,
    taken_over: Vec<(OrderId, WorkKind)>,
    later: Vec<Postponed<'a>>,
}

impl<'a> Batch<'a> {
    fn begin(&mut self, wish: &'a NewAttempt) -> Result<Begin, StoreError> {
        let claim = &wish.claim;
        let key = (claim.order_id, claim.kind);
        if self.fences.get(&key) != Some(&claim.fence) {
            return Ok(Begin::Gone);
        }
        let step = match claim.kind {
            WorkKind::Submit => begin_submit(&mut self.ledger, claim, &self.holding, self.hours)?,
            WorkKind::Cancel => begin_cancel(&self.ledger, claim),
            WorkKind::Replace => begin_replace(&mut self.ledger, claim)?,
            WorkKind::Reconcile => begin_reconcile(&self.ledger, claim),
        };
        match step {
            Step::Go => self.go(wish),
            Step::Later { due_in, reason } => {
                self.later.push(Postponed {
                    claim,
                    due_in,
                    last_error: reason.into(),
                });
                Ok(Begin::Later { due_in, reason })
            }
            Step::Gone => {
                self.ledger.end_work(claim.order_id, claim.kind);
                Ok(Begin::Gone)
            }
            Step::LookUp => {
                self.take_over(claim);
                self.ledger.end_work(claim.order_id, WorkKind::Submit);
                self.ledger
                    .add_work(claim.order_id, WorkKind::Reconcile, Duration::ZERO);
                Ok(Begin::LookUp)
            }
        }
    }

    fn go(&mut self, wish: &NewAttempt) -> Result<Begin, StoreError> {
        let missing = |table| move || StoreError::NotFound { table };
        let claim = &wish.claim;
        let order = self
            .ledger
            .order(claim.order_id)
            .cloned()
            .ok_or_else(missing("orders"))?;
        let connection = self.connections.get(&order.account_id).cloned();
        let connection = connection.ok_or_else(missing("broker_connections"))?;
        let replacement = order
            .facts
            .replaced_by
            .filter(|_| claim.kind == WorkKind::Replace);
        let replacement = replacement.and_then(|id| self.ledger.order(id)).cloned();
        self.take_over(claim);
        let call = dispatch(
            wish,
            &self.earlier,
            order,
            replacement,
            connection,
            self.ledger.now,
        );
        self.rows
            .push(row_of(&call, &wish.correlation_id, self.ledger.now));
        Ok(Begin::Go(Box::new(call)))
    }

    /// Nobody else holds this work any more: what its unfinished calls came to, nobody knows.
    fn take_over(&mut self, claim: &Claim) {
        let key = (claim.order_id, claim.kind);
        if self.earlier.get(&key).is_some_and(Earlier::is_open) {
            self.taken_over.push(key);
        }
    }
}
