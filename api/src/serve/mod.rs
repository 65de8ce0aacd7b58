//! The router, and the server around it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use platform::Shutdown;
use poem::listener::TcpAcceptor;
use poem::{Endpoint, EndpointExt as _, Request, Response, Route, Server};
use tokio::net::TcpListener;

use crate::app::App;
use crate::middleware::{LimitBody, LimitReadTime, Observe, RoutePairs};
use crate::paths::PathTable;
use crate::{docs_page, openapi};

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// How long a body may take to arrive.
    body: Duration,
    /// How long a read may take.
    read: Duration,
}

const TIMES: Times = Times {
    body: Duration::from_secs(10),
    read: Duration::from_secs(10),
};

/// Everything that the API answers.
pub fn router(app: Arc<App>) -> impl Endpoint<Output = Response> {
    router_within(TIMES, app)
}

fn router_within(times: Times, app: Arc<App>) -> impl Endpoint<Output = Response> {
    let document = openapi::document();
    let mut table = PathTable::of_document(&document);
    for (path, methods) in docs_page::PATHS {
        table.add(path, methods);
    }
    let bytes_max = app.rules.max_body_bytes;
    let routes = Routes {
        pages: docs_page::routes(Route::new(), openapi::text(&document)),
        operations: openapi::service(),
    };
    routes
        .data(app)
        .with(LimitReadTime(times.read))
        .with(LimitBody {
            bytes_max,
            time_max: times.body,
        })
        .with(RoutePairs)
        .with(Observe {
            paths: Arc::new(table),
        })
}

/// The pages beside the operations. They are told apart here, since a nested router of poem parses each path once more.
struct Routes<P, O> {
    pages: P,
    operations: O,
}

impl<P, O> Endpoint for Routes<P, O>
where
    P: Endpoint<Output = Response>,
    O: Endpoint<Output = Response>,
{
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if docs_page::has(request.uri().path()) {
            self.pages.call(request).await
        } else {
            self.operations.call(request).await
        }
    }
}

/// A port that is open: connections wait in it until [`Listening::run`].
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    /// Opens `address`; port 0 takes a free one.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown`, then lets those that run finish within `grace`.
    pub async fn run(self, app: Arc<App>, shutdown: &Shutdown, grace: Duration) -> io::Result<()> {
        let acceptor = TcpAcceptor::from_tokio(self.listener)?;
        Server::new_with_acceptor(acceptor)
            .name("api")
            .run_with_graceful_shutdown(router(app), shutdown.requested(), Some(grace))
            .await
    }
}

/// Answers requests at `address` until `shutdown`; the library form of the binary.
pub async fn run(app: Arc<App>, address: SocketAddr, shutdown: &Shutdown, grace: Duration) -> io::Result<()> {
    Listening::bind(address).await?.run(app, shutdown, grace).await
}

#[cfg(test)]
mod tests;
