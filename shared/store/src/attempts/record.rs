//! The transaction that records what calls came to, and what brokers report: in batches, of many connections at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::id::OrderId;
use domain::lifecycle::Submission;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction};

use super::finish::{finish, outcome_of};
use super::row::{AllEarlier, EndedRow, earlier, end_rows, reason_of};
use super::{AfterLookUp, AttemptOutcome, Dispatch, End, Ended, LookUp, RecordedAll};
use crate::Store;
use crate::book::{self, Scope};
use crate::error::StoreError;
use crate::halves::Parts;
use crate::ledger::Ledger;
use crate::reports::{Pages, Recorded, ReportsRead};
use crate::rows::Writes;
use crate::work::{Postponed, WorkKind, fences, postpone};

/// One thing to record.
#[derive(Debug, Clone, Copy)]
enum Item<'a> {
    Ended(&'a Ended),
    Reports(&'a ReportsRead),
}

/// The answer to one [`Item`].
#[derive(Debug)]
enum Answer {
    Ended(Result<AfterLookUp, StoreError>),
    Reports(Result<Recorded, StoreError>),
}

impl Store {
    /// Records what calls came to, then what brokers report, in one transaction with a number of statements that does not
    /// depend on how many there are.
    ///
    /// [`StoreError::Stale`] of a call whose claim is no longer ours, and of reports whose cursor someone else has moved.
    pub async fn record(&self, ended: &[Ended], reports: &[ReportsRead], now: DateTime<Utc>) -> RecordedAll {
        let calls = ended.iter().map(Item::Ended);
        let items: Vec<Item<'_>> = calls.chain(reports.iter().map(Item::Reports)).collect();
        let mut all = RecordedAll {
            ended: Vec::with_capacity(ended.len()),
            reports: Vec::with_capacity(reports.len()),
        };
        let mut parts = Parts::whole(items.len());
        while let Some(part) = parts.next() {
            let of_part = items.get(part.clone()).unwrap_or_default();
            let recorded = self
                .transaction("record", async |tx| record(self, &tx, of_part, now).await)
                .await;
            let answers = match recorded {
                Ok(answers) => answers,
                Err(error) if parts.halve(&part, &error) => continue,
                Err(error) => of_part.iter().map(|item| item.failed(&error)).collect(),
            };
            for answer in answers {
                match answer {
                    Answer::Ended(answer) => all.ended.push(answer),
                    Answer::Reports(answer) => all.reports.push(answer),
                }
            }
        }
        all
    }

    /// Records what one call came to. [`StoreError::Stale`] when the claim is no longer ours.
    pub async fn finish_attempt(
        &self,
        dispatch: &Dispatch,
        outcome: AttemptOutcome,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.finish_one(dispatch, End::Called(outcome), now)
            .await
            .map(|_| ())
    }

    /// Records what one look-up came to, and answers how the order goes on; where the venue could not tell, with another
    /// look after `next_check`. [`StoreError::Stale`] when the claim is no longer ours.
    pub async fn finish_lookup(
        &self,
        dispatch: &Dispatch,
        found: LookUp,
        next_check: Duration,
        now: DateTime<Utc>,
    ) -> Result<AfterLookUp, StoreError> {
        self.finish_one(dispatch, End::LookedUp { found, next_check }, now)
            .await
    }

    async fn finish_one(
        &self,
        dispatch: &Dispatch,
        end: End,
        now: DateTime<Utc>,
    ) -> Result<AfterLookUp, StoreError> {
        let ended = Ended {
            dispatch: Box::new(dispatch.clone()),
            end,
        };
        let recorded = self.record(&[ended], &[], now).await;
        recorded
            .ended
            .into_iter()
            .next()
            .unwrap_or(Ok(AfterLookUp::Settled))
    }
}

impl Item<'_> {
    fn failed(self, error: &StoreError) -> Answer {
        match self {
            Item::Ended(_) => Answer::Ended(Err(error.clone())),
            Item::Reports(_) => Answer::Reports(Err(error.clone())),
        }
    }
}

async fn record(
    store: &Store,
    tx: &DatabaseTransaction,
    items: &[Item<'_>],
    now: DateTime<Utc>,
) -> Result<Vec<Answer>, StoreError> {
    let calls = || {
        items.iter().filter_map(|item| match item {
            Item::Ended(ended) => Some(*ended),
            Item::Reports(_) => None,
        })
    };
    let reports = items.iter().filter_map(|item| match item {
        Item::Reports(reports) => Some(*reports),
        Item::Ended(_) => None,
    });
    let mut pages = Pages::lock(tx, reports.collect(), now).await?;
    let mut scope = Scope::default();
    let mut known = BTreeSet::new();
    for ended in calls() {
        scope.add_order(&ended.dispatch.order);
        known.insert(ended.dispatch.order.id);
    }
    pages.add_to(tx, &mut scope, known).await?;
    // A page may only move a cursor.
    let ledger = if pages.has_orders() {
        book::open(tx, &scope, now).await?
    } else {
        Ledger::new(now)
    };
    let mut batch = Batch::read(tx, ledger, calls()).await?;
    let mut answers = Vec::with_capacity(items.len());
    for ended in calls() {
        answers.push(Answer::Ended(batch.finish(ended)?));
    }
    let Batch {
        mut ledger,
        rows,
        later,
        ..
    } = batch;
    answers.extend(
        pages
            .record(tx, &mut ledger)
            .await?
            .into_iter()
            .map(Answer::Reports),
    );
    postpone(store, tx, &later).await?;
    let mut writes = Writes::new(tx.get_database_backend());
    end_rows(&mut writes, &rows, now);
    pages.write(&mut writes, now);
    book::write_with(store, tx, &ledger, writes).await?;
    Ok(answers)
}

/// What the ends of calls are decided on, and what they write beside the ledger.
struct Batch<'a> {
    ledger: Ledger,
    fences: BTreeMap<(OrderId, WorkKind), i64>,
    /// The calls of those orders whose work is no longer ours.
    overtaken: AllEarlier,
    rows: Vec<EndedRow<'a>>,
    later: Vec<Postponed<'a>>,
}

impl<'a> Batch<'a> {
    async fn read(
        tx: &DatabaseTransaction,
        ledger: Ledger,
        ended: impl Iterator<Item = &'a Ended> + Clone,
    ) -> Result<Self, StoreError> {
        let ids = || ended.clone().map(|ended| ended.dispatch.claim.order_id);
        let fences = if ended.clone().next().is_some() {
            fences(tx, ids()).await?
        } else {
            BTreeMap::new()
        };
        let mut batch = Self {
            ledger,
            fences,
            overtaken: AllEarlier::new(),
            rows: Vec::new(),
            later: Vec::new(),
        };
        let lost: Vec<OrderId> = ended
            .filter(|ended| !batch.is_ours(&ended.dispatch))
            .map(|ended| ended.dispatch.claim.order_id)
            .collect();
        if !lost.is_empty() {
            batch.overtaken = earlier(tx, lost.into_iter()).await?;
        }
        Ok(batch)
    }

    fn is_ours(&self, dispatch: &Dispatch) -> bool {
        let claim = &dispatch.claim;
        self.fences.get(&(claim.order_id, claim.kind)) == Some(&claim.fence)
    }

    fn finish(&mut self, ended: &'a Ended) -> Result<Result<AfterLookUp, StoreError>, StoreError> {
        let dispatch = ended.dispatch.as_ref();
        let outcome = outcome_of(&ended.end);
        if !self.is_ours(dispatch) {
            return Ok(self.finish_overtaken(dispatch, outcome));
        }
        let (after, due_in) = finish(&mut self.ledger, ended)?;
        if let Some(due_in) = due_in {
            let later = Postponed {
                claim: &dispatch.claim,
                due_in,
                last_error: reason_of(&outcome).to_owned().into(),
            };
            self.later.push(later);
        }
        self.rows.push(EndedRow { dispatch, outcome });
        Ok(Ok(after))
    }

    /// Our work is gone. Where the venue's reports have settled it meanwhile, only the call's row is left to end.
    fn finish_overtaken(
        &mut self,
        dispatch: &'a Dispatch,
        outcome: AttemptOutcome,
    ) -> Result<AfterLookUp, StoreError> {
        let claim = &dispatch.claim;
        let is_settled = self.ledger.order(claim.order_id).is_some_and(|order| {
            order.facts.closed.is_some() || order.facts.submission == Submission::Acknowledged
        });
        let calls = self.overtaken.get(&(claim.order_id, claim.kind));
        let is_open = calls.is_some_and(|calls| calls.has_open(dispatch.n, claim.fence));
        if is_settled && is_open {
            self.rows.push(EndedRow { dispatch, outcome });
            return Ok(AfterLookUp::Settled);
        }
        Err(StoreError::Stale { what: "the claim" })
    }
}
