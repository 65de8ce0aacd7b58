//! Paths in the one form that the routes know: see [`crate::paths`].

use std::future::Future;

use poem::{Endpoint, Middleware, Request};

use crate::paths;

/// Brings the path of a pair into the form that is routed.
#[derive(Debug, Clone, Copy)]
pub struct RoutePairs;

impl<E: Endpoint> Middleware<E> for RoutePairs {
    type Output = RoutePairsEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        RoutePairsEndpoint { inner }
    }
}

/// The endpoint behind [`RoutePairs`].
pub struct RoutePairsEndpoint<E> {
    inner: E,
}

impl<E: Endpoint> Endpoint for RoutePairsEndpoint<E> {
    type Output = E::Output;

    // No future of its own: it would hold the inner one once more.
    fn call(&self, mut request: Request) -> impl Future<Output = poem::Result<Self::Output>> + Send {
        if let Some(uri) = paths::routed(request.uri()) {
            *request.uri_mut() = uri;
        }
        self.inner.call(request)
    }
}
