//! The outermost layer: gives each request its context, logs it in one line, and answers every error in the one form.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use poem::{Endpoint, IntoResponse as _, Middleware, Request, Response};
use tracing::Instrument as _;

use super::{REQUEST_ID, RequestContext};
use crate::paths::PathTable;
use crate::problem::{self, Code};

/// See the module.
#[derive(Debug, Clone)]
pub struct Observe {
    /// The documented paths: for `Allow`, and for the route's name in the log.
    pub paths: Arc<PathTable>,
}

impl<E: Endpoint> Middleware<E> for Observe {
    type Output = ObserveEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        ObserveEndpoint {
            inner,
            paths: Arc::clone(&self.paths),
        }
    }
}

/// The endpoint behind [`Observe`].
pub struct ObserveEndpoint<E> {
    inner: E,
    paths: Arc<PathTable>,
}

impl<E: Endpoint> Endpoint for ObserveEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let context = RequestContext::of(&request);
        let method = request.method().clone();
        let route = self
            .paths
            .find(context.path())
            .map_or("-", |known| known.pattern())
            .to_owned();
        request.set_data(context.clone());
        let span = context.span().clone();
        let answering = AssertUnwindSafe(self.inner.call(request).instrument(span.clone())).catch_unwind();
        let answered = answering.await;
        let _entered = span.enter();
        let mut response = match answered {
            Ok(Ok(response)) => response.into_response(),
            // An answer that a handler made itself passes as it is.
            Ok(Err(error)) if error.is_from_response() => error.into_response(),
            Ok(Err(error)) => problem::answer_error(&error, &context, &self.paths),
            Err(_panic) => problem::answer_panic(&context),
        };
        if let Some(id) = context.id_header() {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        tracing::info!(
            http.method = method.as_str(),
            http.route = route,
            http.status = response.status().as_u16(),
            error.code = response.data::<Code>().map(|code| code.as_str()),
            duration_ms = u64::try_from(context.elapsed().as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
        Ok(response)
    }
}
