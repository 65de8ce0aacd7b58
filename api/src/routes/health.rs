//! `/health`: for probes and operators, without a credential.
//!
//! | path | says |
//! |---|---|
//! | `/health` | the process answers: version, uptime |
//! | `/health/live` | the process answers: nothing else, so that a database that is down restarts no process |
//! | `/health/ready` | whether it can do its work: database, migrations, queue |
//!
//! A process without Redis is *degraded* and ready: orders fill and stops fire all the same.

use std::sync::Arc;
use std::time::Duration;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use queue::QueueHealth;
use store::Store;

use super::Tag;
use crate::app::App;
use crate::wire::Time;

/// How long a probe waits for the database.
const DATABASE_TIME_MAX: Duration = Duration::from_secs(2);

/// The resource.
pub(crate) struct Health;

/// The process answers.
#[derive(Object)]
#[oai(rename = "Health")]
pub(crate) struct HealthView {
    /// `ok`.
    status: String,
    /// The version of the program.
    version: String,
    /// When the process started.
    started_at: Time,
    /// Since how long it runs, in seconds.
    uptime_seconds: u64,
}

/// The process answers.
#[derive(Object)]
#[oai(rename = "Liveness")]
pub(crate) struct LiveView {
    /// `ok`.
    status: String,
}

/// Whether the process can do its work.
#[derive(Debug, PartialEq, Eq, Object)]
#[oai(rename = "Readiness")]
pub(crate) struct ReadyView {
    /// `ok`, `degraded` (ready, and something is slower than it should be) or `unavailable`.
    status: String,
    /// Each part that it needs.
    checks: Checks,
}

/// The parts that a process needs.
#[derive(Debug, PartialEq, Eq, Object)]
#[oai(rename = "ReadinessChecks")]
pub(crate) struct Checks {
    /// Whether the database answers.
    database: Check,
    /// Whether its schema is the one that this program needs.
    migrations: Check,
    /// Whether signals get through to workers.
    queue: Check,
}

/// One part.
#[derive(Debug, PartialEq, Eq, Object)]
#[oai(rename = "ReadinessCheck")]
pub(crate) struct Check {
    /// `ok`, `degraded` or `unavailable`.
    status: String,
    /// What is wrong, or how it is set up.
    detail: Option<String>,
}

/// The answers to a readiness probe.
#[derive(ApiResponse)]
pub(crate) enum Ready {
    /// Ready, maybe degraded.
    #[oai(status = 200)]
    Yes(Json<ReadyView>),
    /// Not ready: the check that fails says why.
    #[oai(status = 503)]
    No(Json<ReadyView>),
}

impl Check {
    fn new(status: &str, detail: Option<String>) -> Self {
        Self {
            status: status.to_owned(),
            detail,
        }
    }

    fn of_database(is_up: bool) -> Self {
        if is_up {
            Self::new("ok", None)
        } else {
            Self::new("unavailable", Some("the database does not answer".to_owned()))
        }
    }

    fn of_migrations(pending: Option<Vec<String>>) -> Self {
        match pending {
            None => Self::new(
                "unavailable",
                Some("unknown: the database does not answer".to_owned()),
            ),
            Some(pending) if pending.is_empty() => Self::new("ok", None),
            Some(pending) => Self::new("unavailable", Some(format!("pending: {}", pending.join(", ")))),
        }
    }

    fn of_queue(health: QueueHealth) -> Self {
        match health {
            QueueHealth::Up => Self::new("ok", None),
            QueueHealth::Degraded { reason } => {
                let detail = format!("signals are lost ({reason}); workers find their work in the database");
                Self::new("degraded", Some(detail))
            }
            QueueHealth::NotConfigured => {
                let detail = "in this process; other processes find their work in the database";
                Self::new("ok", Some(detail.to_owned()))
            }
        }
    }
}

impl ReadyView {
    fn of(checks: Checks) -> Self {
        let all = [&checks.database, &checks.migrations, &checks.queue];
        let any = |status: &str| all.iter().any(|check| check.status == status);
        let status = if any("unavailable") {
            "unavailable"
        } else if any("degraded") {
            "degraded"
        } else {
            "ok"
        };
        Self {
            status: status.to_owned(),
            checks,
        }
    }
}

#[OpenApi(prefix_path = "/health", tag = "Tag::Health")]
impl Health {
    /// Version and uptime
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    #[oai(path = "/", method = "get", operation_id = "get_health")]
    async fn get_health(&self, Data(app): Data<&Arc<App>>) -> Json<HealthView> {
        Json(HealthView {
            status: "ok".to_owned(),
            version: platform::VERSION.to_owned(),
            started_at: Time(app.started.at()),
            uptime_seconds: app.started.uptime().as_secs(),
        })
    }

    /// Whether the process answers
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    #[oai(path = "/live", method = "get", operation_id = "get_liveness")]
    async fn get_liveness(&self) -> Json<LiveView> {
        Json(LiveView {
            status: "ok".to_owned(),
        })
    }

    /// Whether the process can do its work
    #[oai(path = "/ready", method = "get", operation_id = "get_readiness")]
    async fn get_readiness(&self, Data(app): Data<&Arc<App>>) -> Ready {
        let pending = tokio::time::timeout(DATABASE_TIME_MAX, pending(&app.store));
        let (ping, pending, queue) = tokio::join!(app.store.ping(), pending, app.queue.health());
        let pending = pending.unwrap_or_default();
        let view = ReadyView::of(Checks {
            database: Check::of_database(ping.is_ok()),
            migrations: Check::of_migrations(pending),
            queue: Check::of_queue(queue),
        });
        if view.status == "unavailable" {
            Ready::No(Json(view))
        } else {
            Ready::Yes(Json(view))
        }
    }
}

/// What the schema lacks: migrations that were not applied, and tables that are not there. `None` where the database
/// does not answer.
async fn pending(store: &Store) -> Option<Vec<String>> {
    let mut names = migrations::pending::<migrations::Migrator>(store.read())
        .await
        .ok()?;
    if names.is_empty() {
        let missing = store.missing_tables().await.ok()?;
        names.extend(missing.into_iter().map(|table| format!("table {table}")));
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pending: Option<&[&str]>, queue: QueueHealth) -> String {
        let pending = pending.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let checks = Checks {
            database: Check::of_database(pending.is_some()),
            migrations: Check::of_migrations(pending),
            queue: Check::of_queue(queue),
        };
        ReadyView::of(checks).status
    }

    #[test]
    fn a_process_is_ready_while_the_database_is_whatever_the_queue_does() {
        let degraded = || QueueHealth::Degraded {
            reason: "down".to_owned(),
        };
        for (pending, queue, expected) in [
            (Some(&[][..]), QueueHealth::Up, "ok"),
            (Some(&[][..]), QueueHealth::NotConfigured, "ok"),
            (Some(&[][..]), degraded(), "degraded"),
            (Some(&["m1"][..]), QueueHealth::Up, "unavailable"),
            (Some(&["m1"][..]), degraded(), "unavailable"),
            (None, QueueHealth::Up, "unavailable"),
        ] {
            assert_eq!(status(pending, queue), expected);
        }
    }

    #[test]
    fn a_pending_migration_is_named() {
        let check = Check::of_migrations(Some(vec!["m20261124_000001_schema".to_owned()]));
        assert_eq!(check.detail.as_deref(), Some("pending: m20261124_000001_schema"));
    }
}
