//! The time of a read.
//!
//! Only GET and HEAD are given up: SDKs repeat a time-out blindly, so a request that may have stored an order is always
//! answered by its outcome. What it waits for has limits of its own, in the store and the quote cache.

use std::time::Duration;

use poem::http::Method;
use poem::{Endpoint, Middleware, Request};

use crate::problem::{Code, Problem};

/// Gives up reads that take longer than this (503).
#[derive(Debug, Clone, Copy)]
pub struct LimitReadTime(pub Duration);

impl<E: Endpoint> Middleware<E> for LimitReadTime {
    type Output = LimitReadTimeEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        LimitReadTimeEndpoint { inner, limit: self.0 }
    }
}

/// The endpoint behind [`LimitReadTime`].
pub struct LimitReadTimeEndpoint<E> {
    inner: E,
    limit: Duration,
}

impl<E: Endpoint> Endpoint for LimitReadTimeEndpoint<E> {
    type Output = E::Output;

    async fn call(&self, request: Request) -> poem::Result<Self::Output> {
        let is_read = [Method::GET, Method::HEAD].contains(request.method());
        // Boxed, as in `Observe`: each layer around would hold and move the whole of it, and here twice.
        let answering = Box::pin(self.inner.call(request));
        if !is_read {
            return answering.await;
        }
        tokio::time::timeout(self.limit, answering)
            .await
            .unwrap_or_else(|_| Err(Problem::new(Code::TimedOut, "the answer took too long").into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::EndpointExt as _;
    use poem::endpoint::make;
    use poem::http::StatusCode;

    async fn status_of(method: Method) -> StatusCode {
        let slow = make(|_| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok::<_, poem::Error>("done")
        });
        let endpoint = slow.with(LimitReadTime(Duration::from_millis(5)));
        endpoint
            .get_response(Request::builder().method(method).finish())
            .await
            .status()
    }

    #[tokio::test]
    async fn a_slow_read_is_given_up_and_a_slow_write_never() {
        assert_eq!(status_of(Method::GET).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status_of(Method::POST).await, StatusCode::OK);
        assert_eq!(status_of(Method::DELETE).await, StatusCode::OK);
    }
}
