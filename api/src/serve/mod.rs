//! The router, and the server around it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use platform::Shutdown;
use poem::listener::TcpAcceptor;
use poem::{Endpoint, EndpointExt as _, Request, Response, Route, Server};
use tokio::net::TcpListener;

use crate::access::Gate;
use crate::app::App;
use crate::middleware::{
    AllowOrigins, AnswerErrors, FindClient, LimitBody, LimitReadTime, Observe, RequireHttps, RoutePairs,
    SecureHeaders, ShieldBursts,
};
use crate::paths::PathTable;
use crate::{docs_page, oauth, openapi, pages};

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
    for (path, methods) in undocumented() {
        table.add(path, methods);
    }
    let (paths, access) = (Arc::new(table), Arc::clone(&app.access));
    let bytes_max = app.rules.max_body_bytes;
    let routes = Routes {
        pages: oauth::routes::routes(pages::routes::routes(docs_page::routes(
            Route::new(),
            openapi::text(&document),
        ))),
        operations: openapi::service(),
    };
    let gate = Gate {
        app: Arc::clone(&app),
    };
    routes
        .data(app)
        .with(LimitReadTime(times.read))
        .with(gate)
        .with(LimitBody {
            bytes_max,
            time_max: times.body,
        })
        .with(RoutePairs)
        .with(AnswerErrors {
            paths: Arc::clone(&paths),
        })
        .with(AllowOrigins {
            access: Arc::clone(&access),
        })
        .with(RequireHttps {
            access: Arc::clone(&access),
        })
        .with(ShieldBursts::new(access.rate_limits))
        .with(Observe { paths })
        .with(SecureHeaders)
        .with(FindClient { access })
}

/// The paths that the document leaves out, with the methods that they take.
pub(crate) fn undocumented() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let pages = pages::routes::PATHS.into_iter().chain(pages::assets::PATHS);
    docs_page::PATHS
        .into_iter()
        .chain(pages)
        .chain(oauth::routes::PATHS)
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
        let path = request.uri().path();
        if docs_page::has(path) || pages::routes::has(path) || oauth::routes::has(path) {
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
    ///
    /// Boxed: so all that a request may become is compiled with this crate, once, and not with each program.
    pub fn run(self, app: Arc<App>, shutdown: &Shutdown, grace: Duration) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            let acceptor = TcpAcceptor::from_tokio(self.listener)?;
            Server::new_with_acceptor(acceptor)
                .name("api")
                .run_with_graceful_shutdown(router(app), shutdown.requested(), Some(grace))
                .await
        })
    }
}

/// Answers requests at `address` until `shutdown`; the library form of the binary.
pub async fn run(app: Arc<App>, address: SocketAddr, shutdown: &Shutdown, grace: Duration) -> io::Result<()> {
    Listening::bind(address).await?.run(app, shutdown, grace).await
}

#[cfg(test)]
mod tests;
