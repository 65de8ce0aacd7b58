//! The outermost layer: gives each request its context, logs it in one line, and answers every error in the one form.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};
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
        let known = self.paths.find(context.path());
        let route = known.map_or("-", |known| known.pattern());
        if let Some(known) = known {
            request.set_data(Arc::clone(known));
        }
        request.set_data(context.clone());
        let span = context.span().clone();
        // Boxed: the future of a whole request is large, and everything around it would copy it.
        let answering = Box::pin(self.inner.call(request)).instrument(span.clone());
        let answering = AssertUnwindSafe(answering).catch_unwind();
        let answered = answering.await;
        let _entered = span.enter();
        let mut response = match answered {
            Ok(answered) => problem::answer(answered.map(IntoResponse::into_response), &context, &self.paths),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::id::OrderId;
    use platform::Config;
    use platform::telemetry::{self, LogBuffer, LogWriter};
    use poem::endpoint::make;
    use poem::http::StatusCode;
    use poem::{EndpointExt as _, Route};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::middleware::LimitReadTime;

    /// The answer to `GET path` and the lines that were logged on the way.
    async fn observed(path: &str) -> (Response, Vec<Value>) {
        let works = make(|request: Request| async move {
            let context = request.data::<RequestContext>().cloned();
            if let Some(context) = context {
                context.record_order(OrderId(Uuid::from_u128(7)));
            }
            Ok::<_, poem::Error>("done")
        });
        let panics = make(|request: Request| async move {
            assert!(request.uri().query().is_none(), "a panic with a secret: hunter2");
            Ok::<_, poem::Error>("done")
        });
        let mut paths = PathTable::default();
        paths.add("/works/{id}", &["GET"]);
        let router = Route::new().at("/works/:id", works).at("/panics", panics);
        let router = router.with(Observe {
            paths: Arc::new(paths),
        });
        let format = |name: &str| (name == "LOG_FORMAT").then(|| "json".to_owned());
        let (config, buffer) = (Config::from_lookup(format).unwrap(), LogBuffer::new());
        let dispatch = telemetry::dispatch(&config, "test", LogWriter::Buffer(buffer.clone()));
        let _logging = tracing::dispatcher::set_default(&dispatch);
        let request = Request::builder()
            .uri_str(path)
            .header("authorization", "Basic hunter2")
            .finish();
        let response = router.get_response(request).await;
        (response, buffer.json_lines())
    }

    #[tokio::test]
    async fn a_request_is_one_line_with_its_route_and_its_ids() {
        let (response, lines) = observed("/works/42?token=hunter2").await;
        assert_eq!(response.status(), StatusCode::OK);
        let [line] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        for (field, expected) in [
            ("http.method", json!("GET")),
            ("http.route", json!("/works/{id}")),
            ("http.status", json!(200)),
            ("order.id", json!("00000000-0000-0000-0000-000000000007")),
            ("request.id", json!(response.header(REQUEST_ID).unwrap())),
        ] {
            assert_eq!(line[field], expected, "{field}");
        }
        assert!(line["duration_ms"].is_u64());
        assert!(
            !line.to_string().contains("hunter2"),
            "no secrets, no queries: {line}"
        );
    }

    #[tokio::test]
    async fn a_panic_is_answered_as_a_problem_and_logged_under_the_request_id() {
        let (response, lines) = observed("/panics?now").await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let id = response.header(REQUEST_ID).unwrap().to_owned();
        let text = response.into_body().into_string().await.unwrap();
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&problem["error"], &problem["request_id"]),
            (&json!("internal_error"), &json!(id))
        );
        assert!(!text.contains("hunter2"), "{text}");
        let codes: Vec<_> = lines
            .iter()
            .map(|line| (&line["level"], &line["error.code"], &line["request.id"]))
            .collect();
        let expected = |level: &str| (json!(level), json!("internal_error"), json!(id));
        let expected = [expected("ERROR"), expected("INFO")];
        let expected: Vec<_> = expected
            .iter()
            .map(|(level, code, id)| (level, code, id))
            .collect();
        assert_eq!(codes, expected);
    }

    #[tokio::test]
    async fn a_path_that_is_not_there_is_logged_without_its_text() {
        let (response, lines) = observed("/hunter2").await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(
            (&lines[0]["http.route"], &lines[0]["error.code"]),
            (&json!("-"), &json!("endpoint_not_found"))
        );
    }

    #[test]
    fn the_future_of_a_request_does_not_hold_the_large_one_inside() {
        let large = make(|request: Request| async move {
            let room = [request.uri().path().len(); 1024];
            tokio::task::yield_now().await;
            Ok::<_, poem::Error>(room.map(|length| length.to_string()).concat())
        });
        let inside = size_of_val(&large.call(Request::default()));
        assert!(inside > 8192, "{inside}");
        let router = large.with(LimitReadTime(Duration::from_secs(1))).with(Observe {
            paths: Arc::default(),
        });
        let whole = size_of_val(&router.call(Request::default()));
        assert!(whole < 2048, "{whole}");
    }
}
