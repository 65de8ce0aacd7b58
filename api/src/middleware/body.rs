//! The size and the time of a request's body.
//!
//! The body is read here, whole, before any handler runs: a client that dribbles its bytes never holds a handler, and a
//! time-out can't cut an order that was accepted already.

use std::time::Duration;

use poem::error::ReadBodyError;
use poem::{Body, Endpoint, Middleware, Request};

use crate::problem::{Code, Problem};

/// Refuses bodies that are too large (413) or too slow (408).
#[derive(Debug, Clone, Copy)]
pub struct LimitBody {
    /// The most bytes that a body may have.
    pub bytes_max: usize,
    /// How long a body may take to arrive.
    pub time_max: Duration,
}

impl<E: Endpoint> Middleware<E> for LimitBody {
    type Output = LimitBodyEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        LimitBodyEndpoint { inner, limits: *self }
    }
}

/// The endpoint behind [`LimitBody`].
pub struct LimitBodyEndpoint<E> {
    inner: E,
    limits: LimitBody,
}

impl<E: Endpoint> Endpoint for LimitBodyEndpoint<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> poem::Result<Self::Output> {
        let LimitBody { bytes_max, time_max } = self.limits;
        let too_large = || {
            let detail = format!("the body must have at most {bytes_max} bytes");
            Problem::new(Code::BodyTooLarge, detail)
        };
        let announced = request
            .header("content-length")
            .and_then(|length| length.parse::<u64>().ok());
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        if announced.is_some_and(|length| length > limit) {
            return Err(too_large().into());
        }
        let reading = request.take_body().into_bytes_limit(bytes_max);
        let bytes = match tokio::time::timeout(time_max, reading).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(ReadBodyError::PayloadTooLarge)) => return Err(too_large().into()),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(Problem::new(Code::RequestTimeout, "the body came too slowly").into()),
        };
        request.set_body(Body::from_bytes(bytes));
        self.inner.call(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::endpoint::make;
    use poem::http::StatusCode;
    use poem::{EndpointExt as _, Response};

    async fn status_of(request: Request) -> StatusCode {
        let echo = make(|mut request: Request| async move {
            let bytes = request.take_body().into_bytes().await?;
            Ok::<_, poem::Error>(Response::builder().body(bytes))
        });
        let endpoint = echo.with(LimitBody {
            bytes_max: 10,
            time_max: Duration::from_secs(10),
        });
        endpoint.get_response(request).await.status()
    }

    fn chunked(chunks: &'static [&'static str]) -> Body {
        let stream = futures::stream::iter(
            chunks
                .iter()
                .map(|chunk| Ok::<_, std::io::Error>(chunk.as_bytes())),
        );
        Body::from_bytes_stream(stream)
    }

    #[tokio::test]
    async fn a_body_is_limited_with_and_without_an_announced_length() {
        let announced = |length: &str| Request::builder().header("content-length", length).body("x");
        assert_eq!(status_of(announced("11")).await, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(status_of(announced("10")).await, StatusCode::OK);
        let unannounced = |chunks| Request::builder().body(chunked(chunks));
        assert_eq!(status_of(unannounced(&["12345", "67890"])).await, StatusCode::OK);
        assert_eq!(
            status_of(unannounced(&["12345", "678901"])).await,
            StatusCode::PAYLOAD_TOO_LARGE
        );
        assert_eq!(status_of(Request::default()).await, StatusCode::OK, "a plain GET");
    }
}
