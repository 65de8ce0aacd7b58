//! `/v2/orders`: placing, listing, reading, replacing and cancelling orders.

mod answer;
mod cancel;
mod replace;
mod request;
#[cfg(test)]
pub(crate) mod tests;
mod view;
mod words;
mod write;

use std::sync::Arc;

use domain::id::OrderId;
use domain::lifecycle::OrderStatus;
use domain::order::Order;
use poem::web::Data;
use poem::{FromRequest, Request, RequestBody};
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use store::orders::{OrderFilter, StatusFilter};
use uuid::Uuid;

pub(crate) use answer::{Canceled, CanceledAll, CanceledOrder, OrderAnswer};
pub(crate) use cancel::cancel_all;
use cancel::canceled;
pub use replace::ReplaceOrderBody;
#[cfg(test)]
pub(crate) use replace::{UNUSED_PRICES as REFUSED_WHEN_REPLACING, read as read_replacement};
#[cfg(test)]
pub(crate) use request::REFUSED_WHEN_PLACING;
pub use request::{PlaceOrderBody, WantedOrder, find_asset, read};
pub use view::{Beside, OrderView};
pub(crate) use words::{ClassWords, DirectionWords, SideWords, StatusWords};

use super::Tag;
use crate::accept;
use crate::app::App;
use crate::auth::Principal;
use crate::idempotency::{self, NoIdempotencyKey};
use crate::input::JsonBody;
use crate::input::query::{Flag, Instant, List, Param, Word};
use crate::middleware::RequestContext;
use crate::problem::{Code, FieldError, Problem, endpoint_not_found, order_not_found};

/// How many orders a list has unless more are asked for.
const LIST_DEFAULT: u64 = 50;

/// How many orders a list has at most.
const LIST_MAX: u64 = 500;

/// The resource.
pub(crate) struct Orders;

/// Proof that the path is exactly `/v2/orders:by_client_order_id`: poem reads the colon as a parameter, so that
/// `/v2/ordersfoo` would come here, too.
pub(crate) struct ByClientOrderIdPath;

impl<'a> FromRequest<'a> for ByClientOrderIdPath {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let path = request.data::<RequestContext>().map_or("", RequestContext::path);
        if path.replace("%3A", ":").replace("%3a", ":") == "/v2/orders:by_client_order_id" {
            Ok(Self)
        } else {
            Err(endpoint_not_found().into())
        }
    }
}

#[OpenApi(prefix_path = "/v2", tag = "Tag::Orders")]
impl Orders {
    /// Place an order
    ///
    /// The answer means that the order is stored and will be carried out; its `status` is `accepted`. Send an
    /// `Idempotency-Key` to repeat a request safely: the answer is then given again, with `Idempotency-Replayed: true`.
    #[oai(path = "/orders", method = "post", operation_id = "place_order")]
    async fn place_order(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        context: RequestContext,
        request: &Request,
        body: JsonBody<PlaceOrderBody>,
    ) -> poem::Result<OrderAnswer> {
        let key = idempotency::key_of(request, &principal, body.bytes())?;
        if let Some(answer) = OrderAnswer::given_before(app, &principal, key.as_ref()).await? {
            return Ok(answer);
        }
        let wanted = read(&mut body.fields()?, &app.assets)?;
        let asked = accept::request_for(wanted, key, &principal, &context, app);
        context.record_order(asked.order.id);
        let accepted = accept::accept_one(app, asked).await?;
        Ok(OrderAnswer::of(&accepted, app))
    }

    /// List orders
    ///
    /// Newest first, unless `direction` says otherwise.
    #[expect(
        clippy::too_many_arguments,
        reason = "one argument a query parameter of the contract"
    )]
    #[oai(path = "/orders", method = "get", operation_id = "list_orders")]
    async fn list_orders(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        /// Open, closed or all orders; open unless given.
        Query(status): Query<Param<Word<StatusWords>>>,
        /// How many at most: 50 unless given, 500 at most.
        Query(limit): Query<Param<u64>>,
        /// Only orders accepted after this time.
        Query(after): Query<Param<Instant>>,
        /// Only orders accepted before this time.
        Query(until): Query<Param<Instant>>,
        /// The order of the list; desc unless given.
        Query(direction): Query<Param<Word<DirectionWords>>>,
        /// Whether legs are listed below their parents; plain orders have none.
        #[oai(name = "nested")]
        _nested: Query<Param<Flag>>,
        /// Only orders of these instruments, separated by commas.
        Query(symbols): Query<Param<List>>,
        /// Only orders on this side.
        Query(side): Query<Param<Word<SideWords>>>,
        /// Only orders of this class of instruments.
        Query(asset_class): Query<Param<Word<ClassWords>>>,
        /// Only orders accepted before this one.
        Query(before_order_id): Query<Param<Uuid>>,
        /// Only orders accepted after this one.
        Query(after_order_id): Query<Param<Uuid>>,
    ) -> poem::Result<Json<Vec<OrderView>>> {
        let limit = limit.get().unwrap_or(LIST_DEFAULT);
        if !(1..=LIST_MAX).contains(&limit) {
            return Err(bad_limit().into());
        }
        let named = symbols.values();
        let assets: Vec<_> = named
            .iter()
            .filter_map(|symbol| app.assets.find(symbol))
            .map(|asset| asset.id)
            .collect();
        let class = asset_class.meaning();
        // Orders exist only of instruments that Arbion knows.
        if (!named.is_empty() && assets.is_empty()) || class == Some(None) {
            return Ok(Json(Vec::new()));
        }
        let filter = OrderFilter {
            status: status.meaning().unwrap_or(StatusFilter::Open),
            limit,
            after: after.at(),
            until: until.at(),
            ascending: direction.meaning().unwrap_or(false),
            assets,
            side: side.meaning(),
            asset_class: class.flatten(),
            before_order_id: before_order_id.get().map(OrderId),
            after_order_id: after_order_id.get().map(OrderId),
        };
        let orders = app
            .store
            .orders(principal.account, &filter)
            .await
            .map_err(Problem::from)?;
        Ok(Json(views(app, &orders).await?))
    }

    /// Cancel all open orders
    ///
    /// An order that has not left ends at once; of the others the venue is asked.
    #[oai(path = "/orders", method = "delete", operation_id = "cancel_all_orders")]
    async fn cancel_all_orders(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        _key: NoIdempotencyKey,
        context: RequestContext,
    ) -> poem::Result<CanceledAll> {
        let canceled = cancel_all(app, &principal, &context).await?;
        Ok(CanceledAll::Each(Json(canceled)))
    }

    /// Read an order by the caller's name for it
    #[oai(
        path = "/orders:by_client_order_id",
        method = "get",
        operation_id = "get_order_by_client_id"
    )]
    async fn get_order_by_client_id(
        &self,
        _path: ByClientOrderIdPath,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        context: RequestContext,
        /// The `client_order_id` that the order was placed with.
        Query(client_order_id): Query<Param<String>>,
    ) -> poem::Result<Json<OrderView>> {
        let Some(name) = client_order_id.get() else {
            let detail = "client_order_id is required";
            let error = FieldError::at_parameter("client_order_id", detail);
            return Err(Problem::new(Code::InvalidRequest, detail)
                .with_error(error)
                .into());
        };
        // No order can have a name with a NUL, and databases choke on it.
        if name.contains('\0') {
            return Err(order_not_found().into());
        }
        let order = app.store.order_by_client_id(principal.account, &name).await;
        let order = order.map_err(Problem::from)?.ok_or_else(order_not_found)?;
        context.record_order(order.id);
        Ok(Json(view(app, &order).await?))
    }

    /// Read an order
    #[oai(path = "/orders/:id", method = "get", operation_id = "get_order")]
    async fn get_order(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        context: RequestContext,
        /// The order's id, with or without dashes.
        id: Path<String>,
        /// Whether legs are listed; a plain order has none.
        #[oai(name = "nested")]
        _nested: Query<Param<Flag>>,
    ) -> poem::Result<Json<OrderView>> {
        let order = find(app, &principal, &context, &id).await?;
        Ok(Json(view(app, &order).await?))
    }

    /// Replace an order
    ///
    /// Makes a new order in the place of one that the venue has; the answer is the new one. Until the venue has decided,
    /// the old one is `pending_replace`; if a fill wins, the new one is `rejected`.
    #[oai(path = "/orders/:id", method = "patch", operation_id = "replace_order")]
    async fn replace_order(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        _key: NoIdempotencyKey,
        context: RequestContext,
        /// The order's id, with or without dashes.
        id: Path<String>,
        body: JsonBody<ReplaceOrderBody>,
    ) -> poem::Result<OrderAnswer> {
        let replacement = replace::read(&mut body.fields()?, accept::new_order_id())?;
        let old = find(app, &principal, &context, &id).await?;
        let accepted = accept::replace(app, old, replacement, principal.cause(&context)).await?;
        Ok(OrderAnswer::of(&accepted, app))
    }

    /// Cancel an order
    ///
    /// An order that has not left ends at once. Of any other the venue is asked: it is `pending_cancel` until the venue
    /// has decided, and a fill may win.
    #[oai(path = "/orders/:id", method = "delete", operation_id = "cancel_order")]
    async fn cancel_order(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        _key: NoIdempotencyKey,
        context: RequestContext,
        /// The order's id, with or without dashes.
        id: Path<String>,
    ) -> poem::Result<Canceled> {
        let id = parse_id(&id)?;
        context.record_order(id);
        let cause = principal.cause(&context);
        let answer = app
            .store
            .request_cancel(principal.account, id, cause, app.now())
            .await;
        let to_ask = canceled(answer.map_err(Problem::from)?)?;
        app.signal(to_ask);
        Ok(Canceled::Asked)
    }
}

fn bad_limit() -> Problem {
    let detail = format!("limit must be between 1 and {LIST_MAX}");
    let error = FieldError::at_parameter("limit", detail.clone());
    Problem::new(Code::InvalidRequest, detail).with_error(error)
}

/// An order's id in a path. What is no id names no order.
fn parse_id(text: &str) -> Result<OrderId, Problem> {
    text.parse().map_err(|_| order_not_found())
}

async fn find(
    app: &App,
    principal: &Principal,
    context: &RequestContext,
    id: &str,
) -> Result<Order, Problem> {
    let id = parse_id(id)?;
    context.record_order(id);
    app.store
        .order(principal.account, id)
        .await?
        .ok_or_else(order_not_found)
}

/// One order with everything that is shown beside it.
async fn view(app: &App, order: &Order) -> Result<OrderView, Problem> {
    let submission = match order.facts.status() {
        OrderStatus::PendingNew => Some(app.store.submission(order.id).await?),
        OrderStatus::Accepted
        | OrderStatus::New
        | OrderStatus::PartiallyFilled
        | OrderStatus::Held
        | OrderStatus::PendingCancel
        | OrderStatus::PendingReplace
        | OrderStatus::Filled
        | OrderStatus::Canceled
        | OrderStatus::Expired
        | OrderStatus::Rejected
        | OrderStatus::Replaced => None,
    };
    let exits = app.store.exit_causes(&[order.id]).await?;
    Ok(OrderView::of(
        order,
        app.rules.hours,
        &Beside { exits, submission },
    ))
}

/// Many orders: two queries, whatever their number.
async fn views(app: &App, orders: &[Order]) -> Result<Vec<OrderView>, Problem> {
    let ids: Vec<_> = orders.iter().map(|order| order.id).collect();
    let exits = app.store.exit_causes(&ids).await?;
    let beside = Beside {
        exits,
        submission: None,
    };
    let views = orders
        .iter()
        .map(|order| OrderView::of(order, app.rules.hours, &beside));
    Ok(views.collect())
}
