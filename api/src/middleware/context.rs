//! What is known of a request while it runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::id::OrderId;
use platform::rate_limit::Verdict;
use poem::http::HeaderValue;
use poem::{FromRequest, Request, RequestBody};
use tracing::Span;
use tracing::field::{Empty, display};
use uuid::Uuid;

use crate::auth::PrincipalIds;

/// The header with the request's id, in both directions.
pub const REQUEST_ID: &str = "x-request-id";

/// A client's id may be this long.
const ID_CHARACTERS_MAX: usize = 128;

/// One request. Clones are the same one.
#[derive(Debug, Clone)]
pub struct RequestContext {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: String,
    path: String,
    started: Instant,
    span: Span,
    limits: Mutex<Option<(Verdict, DateTime<Utc>)>>,
    cookies: Mutex<Vec<String>>,
}

impl RequestContext {
    /// The context of a request that has just come in.
    pub fn of(request: &Request) -> Self {
        let given = request.header(REQUEST_ID).filter(|id| is_sane(id));
        let id = given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
        let span = tracing::info_span!(
            "request",
            request.id = id,
            user.id = Empty,
            account.id = Empty,
            credential.id = Empty,
            order.id = Empty,
        );
        Self {
            inner: Arc::new(Inner {
                id,
                path: request.uri().path().to_owned(),
                started: Instant::now(),
                span,
                limits: Mutex::default(),
                cookies: Mutex::default(),
            }),
        }
    }

    /// The request's id.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The id as a header's value; `None` never happens with a sane id.
    pub fn id_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(self.id()).ok()
    }

    /// The path as it was asked for, without the query.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// How long the request has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.inner.started.elapsed()
    }

    /// The span that every log line of the request belongs to.
    pub fn span(&self) -> &Span {
        &self.inner.span
    }

    /// Notes who is asking, in the span.
    pub fn record_principal(&self, ids: PrincipalIds) {
        tracing::record_all!(
            self.inner.span,
            user.id = display(ids.user),
            account.id = display(ids.account),
            credential.id = display(ids.credential),
        );
    }

    /// Notes how the rate limits stand `at` this time; the answer tells it, whatever it will be. What was noted before
    /// stays: a request may count against an address first, and then against the account that it names.
    pub fn record_limits(&self, mut verdict: Verdict, at: DateTime<Utc>) {
        let mut noted = self.inner.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, _)) = noted.take() {
            verdict.states.splice(0..0, before.states);
        }
        *noted = Some((verdict, at));
    }

    /// How the rate limits stand, and at which time, if the request was counted.
    pub fn limits(&self) -> Option<(Verdict, DateTime<Utc>)> {
        self.inner
            .limits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Has the answer set one more cookie, beside the one of the operation; `cookie` is a value of `Set-Cookie`.
    pub fn add_cookie(&self, cookie: String) {
        let mut cookies = self.inner.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        cookies.push(cookie);
    }

    /// The cookies that the answer shall set besides.
    pub fn take_cookies(&self) -> Vec<String> {
        std::mem::take(&mut *self.inner.cookies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes which order the request is about, in the span.
    pub fn record_order(&self, id: OrderId) {
        self.inner.span.record("order.id", display(id));
    }
}

/// Printable ASCII without blanks, so that an id can't break a log line or a header.
fn is_sane(id: &str) -> bool {
    (1..=ID_CHARACTERS_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

impl<'a> FromRequest<'a> for RequestContext {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(request
            .data::<Self>()
            .cloned()
            .unwrap_or_else(|| Self::of(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(id: Option<&str>) -> RequestContext {
        let mut request = Request::builder().uri_str("/v2/orders?limit=1");
        if let Some(id) = id {
            request = request.header(REQUEST_ID, id);
        }
        RequestContext::of(&request.finish())
    }

    #[test]
    fn a_sane_id_is_taken_over_and_any_other_is_replaced() {
        assert_eq!(context(Some("bot-7/42")).id(), "bot-7/42");
        for bad in ["", "two words", &"x".repeat(129)] {
            assert_ne!(context(Some(bad)).id(), bad);
        }
        assert_ne!(context(None).id(), context(None).id());
    }

    #[test]
    fn the_path_is_kept_without_its_query() {
        assert_eq!(context(None).path(), "/v2/orders");
    }
}
