//! What `/v2/orders` answers with, beside the order itself.

use poem::{IntoResponse, Response};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type as _;
use poem_openapi::{ApiResponse, Object};
use store::orders::{Accepted, IdempotencyKey};

use super::OrderView;
use crate::app::App;
use crate::auth::Principal;
use crate::problem::Problem;
use crate::wire::AnyJson;
use crate::{accept, idempotency};

/// An order whose JSON is made already: so that an answer and its replay are equal to the byte.
pub(crate) struct OrderAnswer(Response);

impl OrderAnswer {
    /// The answer to a request whose order was accepted, now or when it was sent for the first time.
    pub(crate) fn of(accepted: &Accepted, app: &App) -> Self {
        if let Some(saved) = &accepted.replay {
            return Self(idempotency::replay(saved));
        }
        let body = accept::body_of(&accepted.order, app.rules.hours);
        Self(Response::builder().content_type("application/json").body(body))
    }

    /// The answer that a request with this key got before, if there was one.
    pub(crate) async fn given_before(
        app: &App,
        principal: &Principal,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Self>, Problem> {
        let Some(key) = key else {
            return Ok(None);
        };
        // Boxed: most requests have no key, and their future would have room for this.
        let saved = Box::pin(app.store.saved_answer(principal.account, key)).await?;
        Ok(saved.transpose()?.map(|saved| Self(idempotency::replay(&saved))))
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
