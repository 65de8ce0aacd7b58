//! The audit log page by page, the newest first.

use chrono::{DateTime, Utc};
use domain::id::UserId;
use sea_orm::{EntityTrait as _, Statement, Value};
use uuid::Uuid;

use crate::audit_log::AuditKind;
use crate::entity::audit_events;
use crate::{Store, StoreError};

/// Events of one page at most.
pub const PAGE_MAX: u64 = 1_000;

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only what this user did.
    pub user: Option<UserId>,
    /// Only what is of this kind.
    pub kind: Option<AuditKind>,
    /// Only what happened at this time or later.
    pub since: Option<DateTime<Utc>>,
}

/// The last event that a reader has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditCursor {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Its chain.
    pub chain_id: Uuid,
    /// Its number there.
    pub seq: i64,
}

/// Some events, the newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage {
    /// The events.
    pub events: Vec<audit_events::Model>,
    /// After which event the next page begins; `None` where there is none.
    pub next: Option<AuditCursor>,
}

impl Store {
    /// Events that `filter` lets through, after `after`, the newest first, by one query. At most [`PAGE_MAX`].
    ///
    /// A page that a kind is asked of reads all events of its time to find them: there is no index by kind.
    pub async fn audit_page(
        &self,
        filter: &AuditFilter,
        after: Option<AuditCursor>,
        limit: u64,
    ) -> Result<AuditPage, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let statement = self.page_statement(filter, after, limit);
        let query = audit_events::Entity::find().from_raw_sql(statement);
        let mut events = query.all(self.read()).await?;
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = events.len() > size;
        events.truncate(size);
        let next = events.last().filter(|_| has_more).map(|event| AuditCursor {
            at: event.at,
            chain_id: event.chain_id,
            seq: event.seq,
        });
        Ok(AuditPage { events, next })
    }

    /// One event more than `limit` tells whether there is another page.
    fn page_statement(&self, filter: &AuditFilter, after: Option<AuditCursor>, limit: u64) -> Statement {
        let mut values: Vec<Value> = Vec::new();
        let mut bind = |value: Value| {
            values.push(value);
            format!("${}", values.len())
        };
        let mut wanted = Vec::new();
        if let Some(user) = filter.user {
            wanted.push(format!("user_id = {}", bind(user.0.into())));
        }
        if let Some(kind) = filter.kind {
            wanted.push(format!("kind = {}", bind(kind.as_str().into())));
        }
        if let Some(since) = filter.since {
            wanted.push(format!("at >= {}", bind(since.into())));
        }
        if let Some(AuditCursor { at, chain_id, seq }) = after {
            let place = [at.into(), chain_id.into(), seq.into()].map(&mut bind);
            wanted.push(format!("(at, chain_id, seq) < ({})", place.join(", ")));
        }
        let wanted = if wanted.is_empty() {
            "true".to_owned()
        } else {
            wanted.join(" AND ")
        };
        let sql = format!(
            "SELECT * FROM audit_events WHERE {wanted} ORDER BY at DESC, chain_id DESC, seq DESC LIMIT {}",
            limit + 1
        );
        Statement::from_sql_and_values(self.backend(), sql, values)
    }
}
