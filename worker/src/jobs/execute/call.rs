//! The call itself: out to the broker, with a limit on everything.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use broker::{Connection, Found, Outcome as Called, OutgoingOrder, Replacing, VenueOrderRef};
use domain::order::Order;
use domain::quote::Purpose;
use futures::FutureExt as _;
use store::{LookUp, WorkKind};

use super::{Answered, Begun, has_time, millis_since};
use crate::faults;
use crate::jobs::{millis, read_reports};

/// What a call came to.
pub(super) enum Answer {
    /// A submission, a cancel or a replace.
    Called(Called),
    /// A replace was not sent: the broker does not show what an earlier attempt has sent.
    Missed,
    /// A look-up.
    LookedUp(LookUp),
}

impl<'a> Begun<'a> {
    /// Calls the broker, at most for its limit, if the claim still lasts long enough for that.
    pub(super) async fn call(self) -> Answered<'a> {
        let started = Instant::now();
        let kind = self.dispatch.claim.kind;
        if kind == WorkKind::Submit {
            self.hand_over_quote().await;
        }
        let answer = if has_time(self.worker, &self.dispatch.claim, self.limit()) {
            faults::pass(faults::BEFORE_SEND);
            self.answer(kind).await
        } else {
            Self::out_of_time(kind)
        };
        self.log(&answer, millis(started));
        let Begun { worker, dispatch, .. } = self;
        Answered {
            worker,
            dispatch,
            answer,
        }
    }

    async fn answer(&self, kind: WorkKind) -> Answer {
        let connection = self.connection();
        let order = &self.dispatch.order;
        match kind {
            WorkKind::Submit => {
                self.note_latency();
                self.limited(self.broker.submit(&connection, &outgoing(order)))
                    .await
            }
            WorkKind::Cancel => {
                self.limited(self.broker.cancel(&connection, &reference(order)))
                    .await
            }
            WorkKind::Replace => self.replace(&connection).await,
            WorkKind::Reconcile => self.look_up(&connection).await,
        }
    }

    async fn replace(&self, connection: &Connection) -> Answer {
        let refused = |reason: String| Answer::Called(Called::Refused { reason });
        let Some(new) = &self.dispatch.replacement else {
            return refused("the order that was to take its place is gone".to_owned());
        };
        let new = outgoing(new);
        match self.broker.capabilities().replacing {
            Replacing::NewId | Replacing::InPlace => {}
            Replacing::None => return refused(format!("{} can't replace orders", self.broker.name())),
        }
        if self.dispatch.is_repeat
            && let Some(answer) = self.earlier_replace(connection, &new).await
        {
            return answer;
        }
        let old = reference(&self.dispatch.order);
        self.limited(self.broker.replace(connection, &old, &new)).await
    }

    /// What became of a replace whose outcome is unknown; `None` when it may be sent again.
    async fn earlier_replace(&self, connection: &Connection, new: &OutgoingOrder) -> Option<Answer> {
        let unknown = |reason: String| Some(Answer::Called(Called::Unknown { reason }));
        match within(
            self.limit(),
            self.broker.find(connection, new, self.dispatch.attempted_at),
        )
        .await
        {
            Ok(Ok(Found::Present(found))) => Some(Answer::Called(match found.refused {
                Some(reason) => Called::Refused { reason },
                None => Called::Acknowledged {
                    broker_order_id: Some(found.broker_order_id),
                    is_working: found.is_working,
                },
            })),
            // The same id again changes nothing where ids travel; elsewhere nothing is sent twice.
            Ok(Ok(Found::Absent)) if !self.broker.capabilities().client_ids => {
                unknown("the replacement was not seen at the broker".to_owned())
            }
            Ok(Ok(Found::Absent)) if self.dispatch.was_missed => None,
            Ok(Ok(Found::Absent)) => Some(Answer::Missed),
            Ok(Ok(Found::Ambiguous)) => unknown("several orders could be the replacement".to_owned()),
            Ok(Err(error)) => unknown(error.to_string()),
            Err(reason) => unknown(reason),
        }
    }

    async fn look_up(&self, connection: &Connection) -> Answer {
        let order = outgoing(&self.dispatch.order);
        let call = self.broker.find(connection, &order, self.dispatch.attempted_at);
        Answer::LookedUp(match within(self.limit(), call).await {
            Ok(Ok(Found::Present(order))) => LookUp::Present(order),
            Ok(Ok(Found::Absent)) if self.broker.capabilities().client_ids => LookUp::Absent,
            // Nothing makes a second order of the same facts harmless: a late one of ours could still arrive.
            Ok(Ok(Found::Absent)) => LookUp::Failed {
                reason: "not seen at a broker that takes no ids of ours: a person has to look".to_owned(),
            },
            Ok(Ok(Found::Ambiguous)) => LookUp::Ambiguous,
            Ok(Err(error)) => LookUp::Failed {
                reason: error.to_string(),
            },
            Err(reason) => LookUp::Failed { reason },
        })
    }

    /// Waits for `call`, and calls its outcome unknown when it does not come.
    async fn limited(&self, call: impl Future<Output = Called>) -> Answer {
        let answer = within(self.limit(), call).await;
        Answer::Called(answer.unwrap_or_else(|reason| Called::Unknown { reason }))
    }

    /// Gives a broker that fills by our quotes a fresh one. Without it the order rests until the next one comes.
    async fn hand_over_quote(&self) {
        if !self.broker.capabilities().is_fed_by_quotes {
            return;
        }
        let app = &self.worker.app;
        let Some(asset) = app.assets.get(self.dispatch.order.asset_id) else {
            return;
        };
        let quote = match app.quotes.quote(asset, Purpose::Fill).await {
            Ok(Some(quote)) => quote,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, symbol = asset.symbol, "no quote; the order rests at the venue");
                return;
            }
        };
        let (fed, quotes) = (&self.worker.fed, [quote]);
        let [quote] = &quotes;
        let told = fed.once(self.broker.name(), quote, async {
            match within(self.limit(), self.broker.feed(&quotes)).await {
                Ok(Ok(connections)) => Some(connections),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the venue did not take a quote");
                    None
                }
                Err(reason) => {
                    tracing::warn!(reason, "the venue did not take a quote");
                    None
                }
            }
        });
        // The quote may fill orders of others, too. Our own reports are read when this order is recorded.
        let ours = self.dispatch.connection.id;
        let others = told.await.unwrap_or_default().into_iter();
        read_reports::hand_over(self.worker, others.filter(|connection| *connection != ours)).await;
    }

    /// The answer to a call that was not made, because another worker may own the work before it would end.
    fn out_of_time(kind: WorkKind) -> Answer {
        let reason = "the claim was too old for a call".to_owned();
        match kind {
            WorkKind::Submit | WorkKind::Cancel | WorkKind::Replace => Answer::Called(Called::NotSent {
                reason,
                retry_after: None,
            }),
            WorkKind::Reconcile => Answer::LookedUp(LookUp::Failed { reason }),
        }
    }

    fn limit(&self) -> Duration {
        self.worker.call_limit(self.broker.as_ref())
    }

    fn connection(&self) -> Connection {
        let view = &self.dispatch.connection;
        Connection {
            id: view.id,
            starting_cash: view.starting_cash,
        }
    }

    fn note_latency(&self) {
        if self.dispatch.n == 1 {
            let waited = self.worker.app.clock.now() - self.dispatch.order.submitted_at;
            self.worker.metrics.accept_to_call(waited);
        }
    }

    fn log(&self, answer: &Answer, duration_ms: u64) {
        let claim = &self.dispatch.claim;
        let (job, broker, attempt) = (claim.kind.as_str(), self.broker.name(), self.dispatch.n);
        if claim.kind == WorkKind::Cancel && attempt > 1 {
            tracing::warn!(
                job.name = job,
                broker.name = broker,
                attempt,
                "the venue has not answered a cancel yet"
            );
        }
        let (loudness, text, reason) = tell(answer);
        match loudness {
            Loudness::Usual => {
                let accepted = self.dispatch.order.submitted_at;
                let since_accepted_ms = millis_since(accepted, self.worker.app.clock.now());
                tracing::info!(
                    job.name = job,
                    broker.name = broker,
                    attempt,
                    duration_ms,
                    since_accepted_ms,
                    "{text}"
                );
            }
            Loudness::Alarm => {
                tracing::warn!(
                    job.name = job,
                    broker.name = broker,
                    attempt,
                    duration_ms,
                    reason,
                    "{text}"
                );
            }
            Loudness::Person => {
                tracing::error!(
                    job.name = job,
                    broker.name = broker,
                    attempt,
                    duration_ms,
                    reason,
                    "{text}"
                );
            }
        }
    }
}

/// Who has to hear of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loudness {
    /// Nobody in particular.
    Usual,
    /// Whoever watches the system.
    Alarm,
    /// A person has to act.
    Person,
}

/// How an answer is told in the log, with the broker's words.
fn tell(answer: &Answer) -> (Loudness, &'static str, Option<&str>) {
    use Loudness::{Alarm, Person, Usual};
    match answer {
        Answer::Called(Called::Acknowledged { .. }) => (Usual, "the broker has it", None),
        Answer::Called(Called::Refused { reason }) => (Alarm, "refused by the broker", Some(reason)),
        Answer::Called(Called::NotSent { reason, .. }) => {
            (Alarm, "not sent; it is tried again", Some(reason))
        }
        Answer::Called(Called::Unknown { reason }) => {
            (Alarm, "the outcome is unknown; it is looked up", Some(reason))
        }
        Answer::LookedUp(LookUp::Present(_)) => (Usual, "found at the broker", None),
        Answer::Missed | Answer::LookedUp(LookUp::Absent) => (Alarm, "not seen at the broker", None),
        Answer::LookedUp(LookUp::Ambiguous) => {
            (Person, "several orders at the broker could be this one", None)
        }
        Answer::LookedUp(LookUp::Failed { reason }) => (Alarm, "the outcome is still unknown", Some(reason)),
    }
}

/// The answer to `call`, or why there is none. A panic of an adapter is no answer.
async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> Result<T, String> {
    match tokio::time::timeout(limit, AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err("the adapter panicked".to_owned()),
        Err(_) => Err(format!("no answer within {} ms", limit.as_millis())),
    }
}

fn outgoing(order: &Order) -> OutgoingOrder {
    OutgoingOrder {
        id: order.id,
        asset_id: order.asset_id,
        symbol: order.symbol.clone(),
        asset_class: order.asset_class,
        terms: order.terms.clone(),
    }
}

fn reference(order: &Order) -> VenueOrderRef {
    VenueOrderRef {
        order_id: order.id,
        broker_order_id: order.broker_order_id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_without_an_answer_has_no_known_outcome() {
        let limit = Duration::from_millis(5);
        let never = within(limit, std::future::pending::<()>()).await;
        assert_eq!(never, Err("no answer within 5 ms".to_owned()));
    }

    #[tokio::test]
    async fn a_panic_of_an_adapter_is_no_answer_and_ends_nothing_else() {
        let broken = async { panic!("a broken adapter") };
        let answer = within::<()>(Duration::from_secs(5), broken).await;
        assert_eq!(answer, Err("the adapter panicked".to_owned()));
    }

    #[tokio::test]
    async fn an_answer_in_time_is_passed_on() {
        assert_eq!(within(Duration::from_secs(5), async { 7 }).await, Ok(7));
    }
}
