//! A broker that does what a test says, as a server of its own.
//!
//! It keeps an append-only [journal] outside Arbion's database: what reached it, what it did, what it answered.
//! Told nothing, it is a plain venue that takes thousands of orders: a market order fills at once at the price of its
//! symbol, a limit order when the price allows. [Rules](rules) make it late, silent, wrong, or contradict itself.
//!
//! | file | holds |
//! |---|---|
//! | [`venue`] | orders, fills and reports, without IO |
//! | [`rules`] | which request is treated how |
//! | [`journal`] | the file of what happened, and how it is read back |
//! | [`desk`] | one request: what it asks for, what the rules make of it |
//! | [`http`] | HTTP/1.1 by hand, since a library does not let one answer half |
//!
//! Requests to `/accounts/{account}/…` are the broker's own; `/control/…` and `/journal…` are for tests. Decimals are
//! strings, times are milliseconds since 1970.

pub mod desk;
pub mod http;
pub mod journal;
pub mod rules;
pub mod venue;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio::net::TcpListener;

use desk::Desk;
use journal::Journal;

/// Why the broker could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The journal could not be read or written.
    #[error("cannot use the journal")]
    Journal(#[source] io::Error),
    /// Nobody can connect.
    #[error("cannot listen")]
    Listen(#[source] io::Error),
}

/// A broker that listens; [`Server::run`] makes it answer.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    desk: Arc<Desk>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Listens on loopback, on `port` or a free one (0), and goes on from `journal` where that file has lines.
    pub async fn bind(port: u16, journal: Option<PathBuf>, seed: u64) -> Result<Self, StartError> {
        let (journal, past) = Journal::open(journal).map_err(StartError::Journal)?;
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .map_err(StartError::Listen)?;
        let address = listener.local_addr().map_err(StartError::Listen)?;
        Ok(Self {
            listener,
            desk: Desk::open(journal, &past, seed),
            address,
        })
    }

    /// Answers for ever.
    pub async fn run(self) {
        http::serve(self.listener, self.desk).await;
    }
}
