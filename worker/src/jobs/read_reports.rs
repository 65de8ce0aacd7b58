//! Reads what a broker reports about a connection, and records it in the broker's order.
//!
//! The cursor moves in the transaction that records the reports, so a report is recorded once, whoever reads it. What a
//! lost signal would leave unread is found by the duty `reports`, every few seconds, for connections with open orders.

use std::fmt::Display;

use broker::{Broker, Connection};
use domain::id::ConnectionId;
use futures::StreamExt as _;
use queue::{Job, Outcome};
use store::{ConnectionView, ReportsRead, StoreError};

use crate::recorder::{PAGE, ToRecord, has_reports_at_hand, is_full, tell};
use crate::worker::Worker;

/// So many pages in a row are read at most; a broker that never ends would keep the reader for ever.
const PAGES_MAX: u32 = 10_000;

/// Connections that are read at once by the duty.
const CONNECTIONS_AT_ONCE: usize = 8;

/// Reads the connection that a signal names.
pub(crate) async fn by_signal(worker: &Worker, connection: ConnectionId) -> Outcome {
    match worker.app.store.connection(connection).await {
        Ok(Some(connection)) => {
            read(worker, &connection).await;
            Outcome::Done
        }
        Ok(None) => Outcome::Done,
        Err(error) => worker.failed("find a connection", &error),
    }
}

/// Has these connections read, by whichever worker is free.
pub(crate) async fn hand_over(worker: &Worker, connections: impl IntoIterator<Item = ConnectionId>) {
    let jobs: Vec<Job> = connections
        .into_iter()
        .map(|connection| Job::ReadReports {
            connection_id: connection.0,
        })
        .collect();
    worker.app.queue.push(&jobs).await;
}

/// Reads every connection with open orders: the net under all signals.
pub(crate) async fn read_all(worker: &Worker) {
    match worker.app.store.connections_with_open_orders().await {
        Ok(connections) => {
            futures::stream::iter(connections)
                .for_each_concurrent(CONNECTIONS_AT_ONCE, async |connection| {
                    read(worker, &connection).await;
                })
                .await;
        }
        Err(error) => {
            worker.failed("list connections with open orders", &error);
        }
    }
}

/// Reads all new reports of `connection`. What fails is logged, and read again by the next signal or by the duty.
pub(crate) async fn read(worker: &Worker, connection: &ConnectionView) {
    let Some(broker) = worker.app.brokers.get(&connection.broker) else {
        tracing::error!(
            broker.name = connection.broker,
            "this worker does not know the broker"
        );
        return;
    };
    if has_reports_at_hand(broker.as_ref()) {
        return read_at_hand(worker, connection).await;
    }
    let mut reading = worker.readers.begin(connection.id);
    while let Some(right) = reading {
        if !read_pages(worker, broker.as_ref(), connection).await {
            return;
        }
        reading = right.end();
    }
}

/// Reads reports that are at hand, together with whoever else records now.
async fn read_at_hand(worker: &Worker, connection: &ConnectionView) {
    for _ in 0..PAGES_MAX {
        let asked = ToRecord {
            ended: None,
            read: Some(connection.clone()),
        };
        match worker.batches.record(asked).await {
            Some(written) if written.has_more => {}
            Some(_) | None => return,
        }
    }
    tracing::error!(connection.id = %connection.id, broker.name = connection.broker, "the reports do not end");
}

/// Reads pages up to the end. Answers whether it got there.
async fn read_pages(worker: &Worker, broker: &dyn Broker, connection: &ConnectionView) -> bool {
    for _ in 0..PAGES_MAX {
        match read_page(worker, broker, connection).await {
            Page::Full | Page::Overtaken => {}
            Page::Last => return true,
            Page::Failed => return false,
        }
    }
    tracing::error!(connection.id = %connection.id, broker.name = broker.name(), "the reports do not end");
    false
}

/// How the reading of one page went.
enum Page {
    /// There may be more.
    Full,
    /// Nothing more for now.
    Last,
    /// Another process recorded the same page first.
    Overtaken,
    /// Said in the log.
    Failed,
}

async fn read_page(worker: &Worker, broker: &dyn Broker, connection: &ConnectionView) -> Page {
    let store = &worker.app.store;
    let cursor = match store.report_cursor(connection.id).await {
        Ok(cursor) => cursor,
        Err(error) => return failed(worker, &error),
    };
    let outside = Connection {
        id: connection.id,
        starting_cash: connection.starting_cash,
    };
    let limit = worker.call_limit(broker);
    let page = match tokio::time::timeout(limit, broker.reports(&outside, &cursor, PAGE)).await {
        Ok(Ok(page)) => page,
        Ok(Err(error)) => return silent(connection, broker, &error),
        Err(error) => return silent(connection, broker, &error),
    };
    if page.reports.is_empty() && page.cursor == cursor {
        return Page::Last;
    }
    let read = ReportsRead {
        connection: connection.id,
        broker: broker.name(),
        from_cursor: cursor,
        reports: page.reports,
        to_cursor: page.cursor,
    };
    let now = worker.app.clock.now();
    let recorded = store.record(&[], std::slice::from_ref(&read), now).await;
    match recorded
        .reports
        .into_iter()
        .next()
        .unwrap_or_else(|| Ok(store::Recorded::default()))
    {
        Ok(recorded) => {
            tell(&read, &recorded);
            if is_full(read.reports.len()) {
                Page::Full
            } else {
                Page::Last
            }
        }
        Err(StoreError::Stale { .. }) => Page::Overtaken,
        Err(error) => failed(worker, &error),
    }
}

fn failed(worker: &Worker, error: &StoreError) -> Page {
    worker.failed("record reports", error);
    Page::Failed
}

fn silent(connection: &ConnectionView, broker: &dyn Broker, error: &impl Display) -> Page {
    tracing::warn!(
        connection.id = %connection.id,
        broker.name = broker.name(),
        %error,
        "no reports; they are asked for again"
    );
    Page::Failed
}
