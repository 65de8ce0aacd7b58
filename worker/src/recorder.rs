//! Records what calls came to, and with them what the brokers report about the same connections.
//!
//! A venue that fills by our quotes has filled an order when it answers: its reports are at hand. They are read once for
//! all connections of a batch, and recorded in the transaction that records the answers. Other brokers' reports are read
//! apart (`jobs/read_reports`), as a slow one must not delay the record of an answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use broker::{Broker, Connection};
use domain::id::ConnectionId;
use store::{AfterLookUp, ConnectionView, Ended, ReportsRead, StoreError};

use crate::app::WorkerApp;

/// Reports of one page of a connection.
pub(crate) const PAGE: u64 = 500;

/// Reports that are at hand and do not come in this time are read later: the answers are recorded without them.
const AT_HAND: Duration = Duration::from_secs(1);

/// So many connections' cursors are remembered at most; then all are forgotten, and read again.
const CURSORS_MAX: usize = 50_000;

/// Something to be recorded.
#[derive(Debug)]
pub(crate) struct ToRecord {
    /// What a call came to.
    pub ended: Option<Ended>,
    /// A connection whose reports are at hand.
    pub read: Option<ConnectionView>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Written {
    /// How the call's order goes on; without a call, [`AfterLookUp::Settled`].
    pub after: Result<AfterLookUp, StoreError>,
    /// Whether the connection may have more reports: ask again.
    pub has_more: bool,
}

/// How the reading of one connection went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    /// There may be more, or another process was faster.
    More,
    /// Nothing more for now; or it failed, as the log says.
    Over,
}

/// Records batches, one after the other.
pub(crate) struct Recorder {
    app: WorkerApp,
    /// The cursors up to which this process has recorded; another one may have gone on, which the store notices.
    cursors: Mutex<HashMap<ConnectionId, String>>,
}

/// Whether the reports of `broker` are there when it answers, and can be read in a moment.
pub(crate) fn has_reports_at_hand(broker: &dyn Broker) -> bool {
    broker.capabilities().is_fed_by_quotes
}

impl Recorder {
    pub(crate) fn new(app: WorkerApp) -> Recorder {
        Recorder {
            app,
            cursors: Mutex::default(),
        }
    }

    /// Records a batch; one answer for each.
    pub(crate) async fn record(&self, asked: Vec<ToRecord>) -> Vec<Written> {
        let views = asked.iter().filter_map(|asked| asked.read.as_ref());
        let views: BTreeMap<ConnectionId, &ConnectionView> = views.map(|view| (view.id, view)).collect();
        let pages = self.read(&views).await;
        let (mut ended, mut whose) = (Vec::new(), Vec::new());
        for asked in asked {
            whose.push((asked.ended.is_some(), asked.read.map(|view| view.id)));
            ended.extend(asked.ended);
        }
        let recorded = self.app.store.record(&ended, &pages, self.app.clock.now()).await;
        let mut left = HashMap::new();
        for (page, result) in pages.iter().zip(&recorded.reports) {
            left.insert(page.connection, self.note(page, result));
        }
        let mut afters = recorded.ended.into_iter();
        let written = whose.into_iter().map(|(is_call, connection)| {
            let settled = Ok(AfterLookUp::Settled);
            let after = if is_call {
                afters.next().unwrap_or(settled)
            } else {
                settled
            };
            let has_more = connection.is_some_and(|id| left.get(&id) == Some(&Page::More));
            Written { after, has_more }
        });
        written.collect()
    }

    /// The next page of each connection, where there is one.
    async fn read(&self, views: &BTreeMap<ConnectionId, &ConnectionView>) -> Vec<ReportsRead> {
        if views.is_empty() {
            return Vec::new();
        }
        let cursors = match self.cursors_of(views.keys().copied().collect()).await {
            Ok(cursors) => cursors,
            Err(error) => {
                tracing::warn!(%error, "failed to read report cursors; the reports are read later");
                return Vec::new();
            }
        };
        let mut by_broker: HashMap<&str, Vec<(Connection, String)>> = HashMap::new();
        for (id, view) in views {
            let connection = Connection {
                id: *id,
                starting_cash: view.starting_cash,
            };
            let cursor = cursors.get(id).cloned().unwrap_or_default();
            by_broker
                .entry(&view.broker)
                .or_default()
                .push((connection, cursor));
        }
        let mut pages = Vec::new();
        for (name, asks) in by_broker {
            if let Some(broker) = self.app.brokers.get(name) {
                pages.extend(self.ask(broker.as_ref(), asks).await);
            }
        }
        pages
    }

    async fn ask(&self, broker: &dyn Broker, asks: Vec<(Connection, String)>) -> Vec<ReportsRead> {
        let limit = broker
            .capabilities()
            .call_timeout
            .min(self.app.options.broker_timeout)
            .min(AT_HAND);
        let Ok(answers) = tokio::time::timeout(limit, broker.reports_of(&asks, PAGE)).await else {
            tracing::warn!(
                broker.name = broker.name(),
                connections = asks.len(),
                "no reports in time; they are asked for again"
            );
            return Vec::new();
        };
        let mut pages = Vec::with_capacity(asks.len());
        for ((connection, from_cursor), answer) in asks.into_iter().zip(answers) {
            match answer {
                Ok(page) if page.reports.is_empty() && page.cursor == from_cursor => {}
                Ok(page) => pages.push(ReportsRead {
                    connection: connection.id,
                    broker: broker.name(),
                    from_cursor,
                    reports: page.reports,
                    to_cursor: page.cursor,
                }),
                Err(error) => tracing::warn!(
                    connection.id = %connection.id,
                    broker.name = broker.name(),
                    %error,
                    "no reports; they are asked for again"
                ),
            }
        }
        pages
    }

    /// The cursors of these connections: those remembered, and for the others the database's.
    async fn cursors_of(
        &self,
        connections: Vec<ConnectionId>,
    ) -> Result<HashMap<ConnectionId, String>, StoreError> {
        let mut cursors: HashMap<ConnectionId, String> = {
            let known = self.lock();
            let of = |id: &ConnectionId| Some((*id, known.get(id)?.clone()));
            connections.iter().filter_map(of).collect()
        };
        let unknown: Vec<_> = connections
            .into_iter()
            .filter(|id| !cursors.contains_key(id))
            .collect();
        if !unknown.is_empty() {
            cursors.extend(self.app.store.report_cursors(unknown).await?);
        }
        Ok(cursors)
    }

    /// Says what recording a page did, and remembers where reading goes on.
    fn note(&self, page: &ReportsRead, result: &Result<store::Recorded, StoreError>) -> Page {
        let mut cursors = self.lock();
        match result {
            Ok(recorded) => {
                if cursors.len() >= CURSORS_MAX {
                    cursors.clear();
                }
                cursors.insert(page.connection, page.to_cursor.clone());
                drop(cursors);
                tell(page, recorded);
                if is_full(page.reports.len()) {
                    Page::More
                } else {
                    Page::Over
                }
            }
            Err(error) => {
                cursors.remove(&page.connection);
                drop(cursors);
                if matches!(error, StoreError::Stale { .. }) {
                    return Page::More;
                }
                tracing::warn!(%error, connection.id = %page.connection, "failed to record reports");
                Page::Over
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, String>> {
        // Every change is one call on the map, so a panic elsewhere leaves it whole.
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a page of so many reports may be followed by another one.
pub(crate) fn is_full(reports: usize) -> bool {
    u64::try_from(reports).map_or(true, |count| count >= PAGE)
}

/// What recording a page did, for the log.
pub(crate) fn tell(page: &ReportsRead, recorded: &store::Recorded) {
    tracing::debug!(
        connection.id = %page.connection,
        broker.name = page.broker,
        applied = recorded.applied,
        skipped = recorded.skipped,
        "reports recorded"
    );
    if recorded.alarms > 0 {
        tracing::error!(
            connection.id = %page.connection,
            broker.name = page.broker,
            alarms = recorded.alarms,
            "the venue's reports contradict our book: a person has to look"
        );
    }
}
