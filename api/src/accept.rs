//! From a wanted order to an accepted one: what `POST /v2/orders` and the closing of positions share.
//!
//! 1. The order is accepted when the store has committed it; everything after that can only be late, never undo it.
//! 2. Where the answer to the COMMIT was lost, the order is read again: an order that is there is answered as accepted.
//!    Where even that is not known, the answer is 503 with the order's id, and never a status that clients repeat.
//! 3. A quote is asked for only where the risk rules need a price; without one they fail closed.

use std::collections::HashMap;

use domain::asset::Asset;
use domain::id::{AssetId, ClientOrderId, OrderId};
use domain::order::{Amount, NewOrder, Order, OrderKind, OrderTerms, Side};
use domain::quote::{Purpose, Quote};
use store::StoreError;
use store::orders::{AcceptContext, AcceptRequest, Accepted, IdempotencyKey, SavedAnswer};
use uuid::Uuid;

use crate::app::App;
use crate::auth::Principal;
use crate::middleware::RequestContext;
use crate::problem::{Code, Problem};
use crate::routes::orders::{Beside, OrderView, WantedOrder};

/// A new order id. Version 7: ids sort by time.
pub(crate) fn new_order_id() -> OrderId {
    OrderId(Uuid::now_v7())
}

/// The answer that a request for `order` gets, and gets again under its idempotency key.
pub(crate) fn answer_of(order: &Order) -> SavedAnswer {
    SavedAnswer {
        status: 200,
        body: OrderView::of(order, &Beside::default()).json().to_string(),
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
            asset: wanted.asset,
            terms: wanted.terms,
            held_by: None,
            submitted_at: app.now(),
        },
        cause: principal.cause(context),
        idempotency,
    }
}

/// Whether the risk rules need a price for these terms.
const fn needs_quote(terms: &OrderTerms) -> bool {
    match (terms.kind, terms.side, terms.amount) {
        (OrderKind::Limit { .. }, _, _) | (OrderKind::Market, Side::Sell, Amount::Quantity(_)) => false,
        (OrderKind::Market, Side::Buy, _) | (OrderKind::Market, Side::Sell, Amount::Notional(_)) => true,
    }
}

/// What the store needs to decide, beside the database.
pub(crate) fn decide_by<'a>(app: &App, quotes: &'a HashMap<AssetId, Quote>) -> AcceptContext<'a> {
    AcceptContext {
        now: app.now(),
        hours: app.rules.hours,
        limits: app.rules.limits,
        fees: app.rules.fees,
        quotes,
        answer: &answer_of,
    }
}

/// The quotes that the risk rules need for these orders.
pub(crate) async fn quotes_for<'a>(
    app: &App,
    orders: impl IntoIterator<Item = (&'a Asset, &'a OrderTerms)>,
) -> HashMap<AssetId, Quote> {
    let priced = orders.into_iter().filter(|(_, terms)| needs_quote(terms));
    let assets: Vec<Asset> = priced.map(|(asset, _)| asset.clone()).collect();
    if assets.is_empty() {
        return HashMap::new();
    }
    app.quotes(&assets, Purpose::Risk).await
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
    let orders = requests
        .iter()
        .map(|request| (&request.order.asset, &request.order.terms));
    let quotes = quotes_for(app, orders).await;
    let asked: Vec<_> = requests
        .iter()
        .map(|request| (request.order.account_id, request.order.id))
        .collect();
    let answers = match app.store.accept_orders(requests, &decide_by(app, &quotes)).await {
        Ok(answers) => answers
            .into_iter()
            .map(|answer| answer.map_err(Problem::from))
            .collect(),
        Err(StoreError::CommitUnknown(error)) => {
            let mut answers = Vec::with_capacity(asked.len());
            for (account, id) in asked {
                let found = app.store.order(account, id).await;
                answers.push(after_lost_commit(id, found, &error));
            }
            answers
        }
        Err(error) => return Err(error.into()),
    };
    #[cfg(feature = "fault-points")]
    fail::fail_point!("api::after_commit");
    let fresh = answers
        .iter()
        .flatten()
        .filter(|accepted| accepted.replay.is_none());
    app.signal(fresh.map(|accepted| accepted.order.id)).await;
    Ok(answers)
}

/// The answer for an order whose COMMIT was not answered, given what a second look `found`.
fn after_lost_commit(
    id: OrderId,
    found: Result<Option<Order>, StoreError>,
    lost: &(impl std::error::Error + Clone + Send + Sync + 'static),
) -> Result<Accepted, Problem> {
    if let Ok(Some(order)) = found {
        return Ok(Accepted { order, replay: None });
    }
    Err(Problem::hidden(Code::ServiceUnavailable, lost.clone()).with("order_id", id.to_string()))
}
