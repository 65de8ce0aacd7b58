//! What `/v2/orders` answers with, beside the order itself.

use domain::order::Order;
use poem::{IntoResponse, Response};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type as _;
use poem_openapi::{ApiResponse, Object};
use store::orders::SavedAnswer;

use super::OrderView;
use crate::wire::AnyJson;
use crate::{accept, idempotency};

/// An order whose JSON is made already: so that an answer and its replay are equal to the byte.
pub(crate) struct OrderAnswer(Response);

impl OrderAnswer {
    /// The answer to the request that made `order`.
    pub(crate) fn fresh(order: &Order) -> Self {
        let body = accept::answer_of(order).body;
        Self(Response::builder().content_type("application/json").body(body))
    }

    /// The answer that was given before.
    pub(super) fn again(saved: &SavedAnswer) -> Self {
        Self(idempotency::replay(saved))
    }
}

impl IntoResponse for OrderAnswer {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for OrderAnswer {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The order.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: "application/json",
                    schema: OrderView::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        OrderView::register(registry);
    }
}

/// Whether an order's end was asked for.
#[derive(ApiResponse)]
pub(crate) enum Canceled {
    /// The order has ended, or the venue is asked.
    #[oai(status = 204)]
    Asked,
}

/// What became of each order.
#[derive(ApiResponse)]
pub(crate) enum CanceledAll {
    /// One entry for each open order.
    #[oai(status = 207)]
    Each(Json<Vec<CanceledOrder>>),
}

/// One order's end.
#[derive(Object)]
pub(crate) struct CanceledOrder {
    /// The order.
    pub(super) id: String,
    /// 200, or the status of the problem.
    pub(super) status: u16,
    /// The problem, where there is one.
    pub(super) body: Option<AnyJson>,
}
