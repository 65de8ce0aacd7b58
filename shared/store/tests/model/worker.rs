//! What workers do, cut into single writes: claim, begin, call, record. Between any two of them the process may die.

use std::time::Duration;

use domain::asset::MarketHours;
use sea_orm::ConnectionTrait;
use store::{AttemptOutcome, Begin, Dispatch, LookUp, StoreError, WorkKind};

use crate::history::{Fault, History, Stage, Underway, ensure};

/// Longer than a test; leases end when the history says so.
const LEASE: Duration = Duration::from_hours(1);

/// What a call came to, before it is recorded.
#[derive(Debug)]
pub(crate) enum Answer {
    Called(AttemptOutcome),
    LookedUp(LookUp),
}

fn told(error: &StoreError) -> Fault {
    format!("the store: {error:?}")
}

fn not_sent() -> AttemptOutcome {
    AttemptOutcome::NotSent {
        reason: "refused".into(),
        retry_in: Duration::from_secs(1),
    }
}

fn unknown() -> AttemptOutcome {
    AttemptOutcome::Unknown {
        reason: "timeout".into(),
        check_in: Duration::from_secs(1),
    }
}

fn answered(is_taken: bool) -> AttemptOutcome {
    if is_taken {
        AttemptOutcome::Acknowledged {
            broker_order_id: None,
            is_working: true,
        }
    } else {
        AttemptOutcome::Refused { reason: "no".into() }
    }
}

impl History<'_> {
    /// Some workers do some steps of some pieces of work, or die.
    pub(crate) async fn work(&mut self) -> Result<(), Fault> {
        for _ in 0..=self.random.below(6) {
            if self.underway.is_empty() || self.random.chance(25) {
                self.claim().await?;
                continue;
            }
            let index = self.random.index(self.underway.len());
            if !self.random.chance(6) {
                self.advance(index, true).await?;
                continue;
            }
            let died = self.underway.swap_remove(index);
            self.tell(|| format!("a worker dies: {died:?}"));
            self.count(match died.stage {
                Stage::Claimed(_) => "died with a claim",
                Stage::Begun(_) => "died before the call",
                Stage::Answered(..) => "died after the call",
            });
        }
        Ok(())
    }

    async fn claim(&mut self) -> Result<(), Fault> {
        let open: Vec<_> = self
            .orders
            .values()
            .filter(|order| order.facts.closed.is_none())
            .map(|order| order.id)
            .collect();
        let Some(order) = self.random.pick(&open).copied() else {
            return Ok(());
        };
        let claims = self
            .store
            .claim_order("worker", order, LEASE)
            .await
            .map_err(|error| told(&error))?;
        for claim in claims {
            self.tell(|| format!("claim {claim:?}"));
            let stage = Stage::Claimed(claim);
            self.underway.push(Underway {
                stage,
                is_lapsed: false,
            });
        }
        Ok(())
    }

    /// The next stage of a piece of work; `is_faulty`: the line may break.
    pub(crate) async fn advance(&mut self, index: usize, is_faulty: bool) -> Result<(), Fault> {
        let Underway { stage, is_lapsed } = self.underway.swap_remove(index);
        let stage = match stage {
            Stage::Claimed(claim) => {
                let begin = self
                    .store
                    .begin_attempt(&claim, "correlation", self.now, MarketHours::Ignore)
                    .await;
                self.tell(|| format!("begin {} {:?}: {begin:?}", claim.order_id, claim.kind));
                match begin.map_err(|error| told(&error))? {
                    Begin::Go(dispatch) => Stage::Begun(dispatch),
                    Begin::LookUp => {
                        self.count("taken over and looked up");
                        return Ok(());
                    }
                    Begin::Later { .. } | Begin::Gone => return Ok(()),
                }
            }
            Stage::Begun(dispatch) => {
                let answer = self.call(&dispatch, is_lapsed, is_faulty);
                self.tell(|| {
                    format!(
                        "call for {} {:?}: {answer:?}",
                        dispatch.order.id, dispatch.claim.kind
                    )
                });
                Stage::Answered(dispatch, answer)
            }
            Stage::Answered(dispatch, answer) => return self.record(&dispatch, answer, is_lapsed).await,
        };
        self.underway.push(Underway { stage, is_lapsed });
        Ok(())
    }

    async fn record(&mut self, dispatch: &Dispatch, answer: Answer, is_lapsed: bool) -> Result<(), Fault> {
        let next = Duration::from_secs(1);
        let recorded = match answer {
            Answer::Called(outcome) => self.store.finish_attempt(dispatch, outcome, self.now).await,
            Answer::LookedUp(found) => self
                .store
                .finish_lookup(dispatch, found, next, self.now)
                .await
                .map(|_| ()),
        };
        self.tell(|| {
            format!(
                "record {} {:?}: {recorded:?}",
                dispatch.order.id, dispatch.claim.kind
            )
        });
        match recorded {
            // Another worker has the work, or the venue's reports have settled it.
            Err(StoreError::Stale { .. }) => {
                self.count("a stale worker's answer");
                Ok(())
            }
            Ok(()) => Ok(()),
            Err(error) => Err(format!("lapsed: {is_lapsed}: {}", told(&error))),
        }
    }

    /// The call: nothing may leave when the lease is over. A broken line: nothing arrives, or no answer comes back.
    fn call(&mut self, dispatch: &Dispatch, is_lapsed: bool, is_faulty: bool) -> Answer {
        let is_look = dispatch.claim.kind == WorkKind::Reconcile;
        let arrives = !(is_lapsed || is_faulty && self.random.chance(15));
        if !arrives && is_look {
            return Answer::LookedUp(LookUp::Failed {
                reason: "no answer".into(),
            });
        }
        if !arrives {
            let is_certain = is_lapsed || self.random.chance(50);
            return Answer::Called(if is_certain { not_sent() } else { unknown() });
        }
        let answer = self.deliver(dispatch);
        match answer {
            Answer::Called(_) if is_faulty && self.random.chance(15) => {
                self.count("the answer is lost");
                Answer::Called(unknown())
            }
            answer => answer,
        }
    }

    fn deliver(&mut self, dispatch: &Dispatch) -> Answer {
        let order = &dispatch.order;
        Answer::Called(match dispatch.claim.kind {
            WorkKind::Submit => answered(self.venue.submit(order, &mut self.random, self.now)),
            WorkKind::Cancel => answered(self.venue.cancel(order.id)),
            WorkKind::Replace => return self.deliver_replace(dispatch),
            WorkKind::Reconcile => {
                return Answer::LookedUp(self.venue.find(order.id).map_or(LookUp::Absent, LookUp::Present));
            }
        })
    }

    /// One that may have been sent before is looked for first.
    fn deliver_replace(&mut self, dispatch: &Dispatch) -> Answer {
        let Some(new) = &dispatch.replacement else {
            return Answer::Called(answered(false));
        };
        if dispatch.is_repeat {
            match self.venue.find(new.id) {
                Some(found) => return Answer::Called(answered(found.refused.is_none())),
                None if !dispatch.was_missed => return Answer::Called(AttemptOutcome::Missed),
                None => {}
            }
        }
        Answer::Called(answered(self.venue.replace(dispatch.order.id, new)))
    }

    /// What is due later becomes due; sometimes leases run out, too.
    pub(crate) async fn let_time_pass(&mut self) -> Result<(), Fault> {
        if self.random.chance(50) {
            return self.let_leases_lapse().await;
        }
        self.tell(|| "time passes".into());
        self.age("due_at = '2001-01-01T00:00:00+00:00'").await
    }

    /// Everybody's claims run out.
    pub(crate) async fn let_leases_lapse(&mut self) -> Result<(), Fault> {
        self.tell(|| "leases run out".into());
        for underway in &mut self.underway {
            underway.is_lapsed = true;
        }
        self.age("due_at = '2001-01-01T00:00:00+00:00', claimed_until = NULL")
            .await
    }

    async fn age(&self, change: &str) -> Result<(), Fault> {
        let account = self.trader.account.0.simple();
        let sql = format!("UPDATE order_work SET {change} WHERE account_id = x'{account}'");
        let aged = self.store.write().execute_unprepared(&sql).await;
        aged.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Everything that is due is done by workers that neither die nor lose the line.
    pub(crate) async fn work_through(&mut self) -> Result<(), Fault> {
        for order in self.orders.keys().copied().collect::<Vec<_>>() {
            if self.orders[&order].facts.closed.is_some() {
                continue;
            }
            let claims = self
                .store
                .claim_order("settler", order, LEASE)
                .await
                .map_err(|error| told(&error))?;
            for claim in claims {
                self.underway.push(Underway {
                    stage: Stage::Claimed(claim),
                    is_lapsed: false,
                });
                let before = self.underway.len();
                while self.underway.len() == before {
                    self.advance(before - 1, false).await?;
                }
                ensure!(self.underway.len() < before, "work multiplies");
            }
        }
        Ok(())
    }
}
