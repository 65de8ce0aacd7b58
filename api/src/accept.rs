//! From a wanted order to an accepted one: what placing and replacing orders and closing positions share.
//!
//! 1. The order is accepted when the store has committed it; everything after that can only be late, never undo it.
//! 2. Where the answer to the COMMIT was lost, the order is read again: an order that is there is answered as accepted.
//!    Where even that is not known, the answer is 503 with the order's id, and never a status that clients repeat.
//! 3. A quote is asked for only where the risk rules need a price; without one they fail closed.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::asset::{Asset, MarketHours};
use domain::id::{AssetId, ClientOrderId, OrderId};
use domain::order::{NewOrder, Order, OrderTerms};
use domain::quote::{Purpose, Quote};
use domain::risk;
use platform::{GroupCommit, SharedClock};
use store::orders::acceptor::{self, Acceptor};
use store::orders::{AcceptContext, AcceptRequest, Accepted, IdempotencyKey, Replacement, SavedAnswer};
use store::{Cause, Store, StoreError};
use uuid::Uuid;

use crate::app::{App, Rules};
use crate::auth::Principal;
use crate::middleware::RequestContext;
use crate::problem::{Code, Problem};
use crate::routes::orders::{Beside, OrderView, WantedOrder};

/// A new order id. Version 7: ids sort by time.
pub(crate) fn new_order_id() -> OrderId {
    OrderId(Uuid::now_v7())
}

/// The body of the answer that a request for `order` gets.
pub(crate) fn body_of(order: &Order, hours: MarketHours) -> String {
    OrderView::of(order, hours, &Beside::default()).text()
}

/// The answer that a request for `order` gets again under its idempotency key.
fn answer_of(order: &Order, hours: MarketHours) -> SavedAnswer {
    SavedAnswer {
        status: 200,
        body: body_of(order, hours),
        headers: serde_json::json!({}),
        order_id: Some(order.id),
    }
}

/// What asks for `wanted` on behalf of `principal`.
pub(crate) fn request_for(
    wanted: WantedOrder,
    idempotency: Option<IdempotencyKey>,
    principal: &Principal,
    context: &RequestContext,
    app: &App,
) -> AcceptRequest {
    let id = new_order_id();
    AcceptRequest {
        order: NewOrder {
            id,
            user_id: principal.user,
            account_id: principal.account,
            client_order_id: wanted.client_order_id.unwrap_or_else(|| ClientOrderId::from(id)),
            instrument: wanted.asset.instrument(),
            terms: wanted.terms,
            held_by: None,
            submitted_at: app.now(),
        },
        cause: principal.cause(context),
        idempotency,
    }
}

/// What the store needs to decide, beside the database; `answer` makes what is kept for a twin of the request.
fn decide_by<'a>(
    rules: Rules,
    now: DateTime<Utc>,
    quotes: &'a HashMap<AssetId, Quote>,
    answer: &'a (dyn Fn(&Order) -> SavedAnswer + Send + Sync),
) -> AcceptContext<'a> {
    AcceptContext {
        now,
        hours: rules.hours,
        limits: rules.limits,
        fees: rules.fees,
        quotes,
        answer,
    }
}

/// The quotes that the risk rules need for these orders.
async fn quotes_for<'a>(
    app: &App,
    orders: impl IntoIterator<Item = (&'a Asset, &'a OrderTerms)>,
) -> HashMap<AssetId, Quote> {
    let priced = orders.into_iter().filter(|(_, terms)| risk::needs_quote(terms));
    let assets: Vec<Asset> = priced.map(|(asset, _)| asset.clone()).collect();
    if assets.is_empty() {
        return HashMap::new();
    }
    // What few requests need is boxed, here and below: the future of every request would have room for it.
    Box::pin(app.quotes(&assets, Purpose::Risk)).await
}

/// Accepts the orders of many requests together: what waits while a batch is being committed is the next batch.
pub(crate) type Acceptance = GroupCommit<Ask, Vec<acceptor::Answer>>;

/// Orders that one request asks to be accepted, and the quotes they are judged by.
pub(crate) struct Ask {
    requests: Vec<AcceptRequest>,
    quotes: HashMap<AssetId, Quote>,
}

/// The most requests of one batch.
const BATCH_MAX: usize = 256;

/// Starts to accept orders into `store` by `rules`.
pub(crate) fn spawn(store: Store, rules: Rules, clock: SharedClock) -> Acceptance {
    let acceptor = Arc::new(Acceptor::new(store));
    GroupCommit::spawn(BATCH_MAX, move |asks: Vec<Ask>| {
        let (acceptor, now) = (Arc::clone(&acceptor), clock.now());
        async move { accept_batch(&acceptor, asks, rules, now).await }
    })
}

async fn accept_batch(
    acceptor: &Acceptor,
    asks: Vec<Ask>,
    rules: Rules,
    now: DateTime<Utc>,
) -> Vec<Vec<acceptor::Answer>> {
    let sizes: Vec<usize> = asks.iter().map(|ask| ask.requests.len()).collect();
    let (mut requests, mut quotes) = (Vec::new(), HashMap::new());
    for ask in asks {
        requests.extend(ask.requests);
        for (asset, quote) in ask.quotes {
            // Two requests may bring two quotes of an instrument: the later one is the truer one.
            let known = quotes.entry(asset).or_insert_with(|| quote.clone());
            if known.at < quote.at {
                *known = quote;
            }
        }
    }
    let answer = |order: &Order| answer_of(order, rules.hours);
    let deciding = decide_by(rules, now, &quotes, &answer);
    let mut answers = acceptor.accept(&requests, &deciding).await.into_iter();
    let of_ask = |size: usize| answers.by_ref().take(size).collect();
    sizes.into_iter().map(of_ask).collect()
}

/// [`accept`] for a single order.
pub(crate) async fn accept_one(app: &App, request: AcceptRequest) -> Result<Accepted, Problem> {
    let answer = accept(app, vec![request]).await?.pop();
    answer.unwrap_or_else(|| Err(Problem::hidden(Code::InternalError, "the store gave no answer")))
}

/// Decides `requests` in their order, stores what is approved, and wakes workers for it.
pub(crate) async fn accept(
    app: &App,
    requests: Vec<AcceptRequest>,
) -> Result<Vec<Result<Accepted, Problem>>, Problem> {
    let orders = requests.iter().filter_map(|request| {
        let order = &request.order;
        Some((app.assets.by_id(order.instrument.id)?, &order.terms))
    });
    let quotes = quotes_for(app, orders).await;
    let asked: Vec<_> = requests
        .iter()
        .map(|request| (request.order.account_id, request.order.id))
        .collect();
    let accepted = app.acceptance.ask(Ask { requests, quotes }).await;
    let accepted =
        accepted.ok_or_else(|| Problem::hidden(Code::InternalError, "a batch of orders panicked"))?;
    let mut answers = Vec::with_capacity(asked.len());
    for ((account, id), answer) in asked.into_iter().zip(accepted) {
        answers.push(match answer {
            Ok(answer) => answer.map_err(Problem::from),
            Err(StoreError::CommitUnknown(lost)) => {
                let found = Box::pin(app.store.order(account, id)).await;
                after_lost_commit(id, found, &lost)
            }
            Err(error) => Err(error.into()),
        });
    }
    #[cfg(feature = "fault-points")]
    let _: Option<()> = fail::eval("api::after_commit", |_| std::process::abort());
    let fresh = answers
        .iter()
        .flatten()
        .filter(|accepted| accepted.replay.is_none());
    app.signal(fresh.map(|accepted| accepted.order.id));
    Ok(answers)
}

/// Asks for `replacement` in the place of `old`, and wakes a worker for it; answers the new order.
pub(crate) async fn replace(
    app: &App,
    old: Order,
    replacement: Replacement,
    cause: Cause,
) -> Result<Accepted, Problem> {
    let asset = app.assets.by_id(old.asset_id).ok_or_else(|| {
        let unknown = format!("order {} names an unknown asset", old.id);
        Problem::hidden(Code::InternalError, unknown)
    })?;
    let quotes = quotes_for(app, [(asset, &old.terms)]).await;
    let answer = |order: &Order| answer_of(order, app.rules.hours);
    let deciding = decide_by(app.rules, app.now(), &quotes, &answer);
    let (account, new_id) = (old.account_id, replacement.new_id);
    let answer = app
        .store
        .request_replace(account, old.id, replacement, asset, cause, &deciding)
        .await;
    let accepted = match answer {
        Ok(answer) => answer?,
        Err(StoreError::CommitUnknown(lost)) => {
            let found = app.store.order(account, new_id).await;
            after_lost_commit(new_id, found, &lost)?
        }
        Err(error) => return Err(error.into()),
    };
    // The work hangs on the old order: the venue is told about that one.
    app.signal([old.id]);
    Ok(accepted)
}

/// The answer for the order `id` whose COMMIT was not answered, given what a second look `found`.
fn after_lost_commit(
    id: OrderId,
    found: Result<Option<Order>, StoreError>,
    lost: &(impl Error + Clone + Send + Sync + 'static),
) -> Result<Accepted, Problem> {
    if let Ok(Some(order)) = found {
        return Ok(Accepted { order, replay: None });
    }
    // Not even an absent order is proof: the COMMIT may still be on its way.
    Err(Problem::hidden(Code::ServiceUnavailable, lost.clone()).with("order_id", id.to_string()))
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::routes::orders::tests::an_order;

    #[test]
    fn an_order_whose_commit_was_lost_is_accepted_if_it_is_there_and_named_if_that_is_not_known() {
        let order = an_order();
        let lost = StoreError::Stale { what: "the answer" };
        let there = after_lost_commit(order.id, Ok(Some(order.clone())), &lost);
        assert_eq!(there.unwrap().order, order);
        for found in [Ok(None), Err(lost.clone())] {
            let problem = after_lost_commit(order.id, found, &lost).unwrap_err();
            assert_eq!(problem.code(), Code::ServiceUnavailable);
            assert_eq!(problem.body("/", "r")["order_id"], order.id.to_string());
        }
    }

    #[test]
    fn an_answer_and_its_saved_copy_are_made_by_the_same_code() {
        let order = an_order();
        let saved = answer_of(&order, MarketHours::Real);
        assert_eq!((saved.status, saved.order_id), (200, Some(order.id)));
        let shown: serde_json::Value = serde_json::from_str(&saved.body).unwrap();
        assert_eq!(
            shown,
            OrderView::of(&order, MarketHours::Real, &Beside::default()).json()
        );
    }
}
