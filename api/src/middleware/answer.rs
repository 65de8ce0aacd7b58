//! Makes an answer of whatever comes from within, so that the layers around it see every answer and no error: pages of
//! other origins can read problems, too, and a refused request tells its rate limits.

use std::sync::Arc;

use poem::http::HeaderValue;
use poem::http::header::SET_COOKIE;
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use super::RequestContext;
use crate::limits;
use crate::paths::PathTable;
use crate::problem;

/// See the module.
#[derive(Debug, Clone)]
pub struct AnswerErrors {
    /// The documented paths: for `Allow`.
    pub paths: Arc<PathTable>,
}

impl<E: Endpoint> Middleware<E> for AnswerErrors {
    type Output = AnswerErrorsEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        AnswerErrorsEndpoint {
            inner,
            paths: Arc::clone(&self.paths),
        }
    }
}

/// The endpoint behind [`AnswerErrors`].
pub struct AnswerErrorsEndpoint<E> {
    inner: E,
    paths: Arc<PathTable>,
}

impl<E: Endpoint> Endpoint for AnswerErrorsEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let context = request.data::<RequestContext>().cloned();
        let context = context.unwrap_or_else(|| RequestContext::of(&request));
        // Boxed: the future of a whole request is large, and every layer around it would copy it.
        let answered = Box::pin(self.inner.call(request)).await;
        let mut response = problem::answer(answered.map(IntoResponse::into_response), &context, &self.paths);
        if let Some((verdict, at)) = context.limits() {
            limits::write(response.headers_mut(), &verdict, at);
        }
        for cookie in context.take_cookies() {
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use platform::rate_limit::{PolicyState, Verdict};
    use poem::EndpointExt as _;
    use poem::endpoint::make_sync;

    use super::*;
    use crate::problem::{Code, Problem};

    #[tokio::test]
    async fn an_error_is_a_problem_that_tells_the_rate_limits() {
        let refusing = make_sync(|request: Request| {
            let verdict = Verdict {
                is_allowed: true,
                states: vec![PolicyState {
                    name: "credential",
                    limit: 200,
                    window_seconds: 60,
                    remaining: 7,
                    reset_seconds: 30,
                }],
                retry_after_seconds: None,
            };
            let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
            request
                .data::<RequestContext>()
                .unwrap()
                .record_limits(verdict, at);
            Err::<Response, poem::Error>(Problem::new(Code::OrderNotFound, "no such order").into())
        });
        let router = refusing.with(AnswerErrors {
            paths: Arc::default(),
        });
        let mut request = Request::builder().uri_str("/v2/orders/x").finish();
        request.set_data(RequestContext::of(&request));
        let answer = router.call(request).await.unwrap();
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.content_type(), Some(problem::CONTENT_TYPE));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some("7"));
        assert_eq!(answer.header("x-ratelimit-reset"), Some("1800000030"));
    }
}
