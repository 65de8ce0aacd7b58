//! `/admin/audit`: who did what, from where.

use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::id::UserId;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use store::audit_log::{AuditCursor, AuditFilter, AuditKind};
use store::entity::audit_events;
use uuid::Uuid;

use super::Tag;
use crate::app::App;
use crate::auth::SessionUser;
use crate::input::query::{Instant, PAGE_DEFAULT, Param, page_limit, refuse_unknown};
use crate::input::shown;
use crate::problem::{Code, FieldError, Problem};
use crate::wire::{AnyJson, Time};

/// How many events a page has at most.
const PAGE_MAX: u64 = 200;

/// The resource.
pub(crate) struct Audit;

/// One event of the audit log.
#[derive(Object)]
#[oai(rename = "AuditEvent")]
pub(crate) struct AuditEventView {
    /// The chain that it is a link of: an account, else a user, else the installation.
    chain_id: String,
    /// Its place in the chain, from 1, without gaps.
    seq: i64,
    /// When it happened.
    at: Time,
    /// What happened.
    kind: String,
    /// Who did it.
    user_id: Option<String>,
    /// With which key, token or session.
    credential_id: Option<String>,
    /// On which account.
    account_id: Option<String>,
    /// To what: an id, or an e-mail address.
    subject: Option<String>,
    /// From where.
    ip: Option<String>,
    /// In which request.
    request_id: Option<String>,
    /// What else is worth knowing.
    data: AnyJson,
}

impl AuditEventView {
    fn of(row: audit_events::Model) -> Self {
        Self {
            chain_id: row.chain_id.to_string(),
            seq: row.seq,
            at: Time(row.at),
            kind: row.kind,
            user_id: row.user_id.map(|id| id.to_string()),
            credential_id: row.credential_id.map(|id| id.to_string()),
            account_id: row.account_id.map(|id| id.to_string()),
            subject: row.subject,
            ip: row.ip,
            request_id: row.request_id,
            data: AnyJson(row.data),
        }
    }
}

/// A page of the audit log.
#[derive(Object)]
#[oai(rename = "AuditPage")]
pub(crate) struct AuditPageView {
    /// The events, the newest first.
    events: Vec<AuditEventView>,
    /// What to send as `after` for the next page; null: there is none.
    next_after: Option<String>,
}

#[OpenApi(prefix_path = "/admin", tag = "Tag::Administration")]
impl Audit {
    /// List audit events
    ///
    /// Logins, keys, connected apps, roles, limits: the newest first. `arbion audit verify` shows that nobody changed them.
    #[expect(clippy::too_many_arguments, reason = "each parameter of the query is one")]
    #[oai(path = "/audit", method = "get", operation_id = "list_audit_events")]
    async fn list_audit_events(
        &self,
        Data(app): Data<&Arc<App>>,
        _user: SessionUser,
        request: &Request,
        /// Only what this user did.
        Query(user_id): Query<Param<Uuid>>,
        /// Only events of this kind, such as `login_failed`.
        Query(kind): Query<Param<String>>,
        /// Only what happened then or later.
        Query(since): Query<Param<Instant>>,
        /// Only what came before: `next_after` of the page before.
        Query(after): Query<Param<String>>,
        /// How many at most: 50 unless given, 200 at most.
        Query(limit): Query<Param<u64>>,
    ) -> poem::Result<Json<AuditPageView>> {
        refuse_unknown(request, &["user_id", "kind", "since", "after", "limit"])?;
        let limit = page_limit(limit, PAGE_DEFAULT, PAGE_MAX)?;
        let filter = AuditFilter {
            user: user_id.get().map(UserId),
            kind: kind.get().map(|word| parse_kind(&word)).transpose()?,
            since: since.at(),
        };
        let after = after.get().map(|text| parse_cursor(&text)).transpose()?;
        let page = app
            .store
            .audit_page(&filter, after, limit)
            .await
            .map_err(Problem::from)?;
        Ok(Json(AuditPageView {
            events: page.events.into_iter().map(AuditEventView::of).collect(),
            next_after: page.next.map(write_cursor),
        }))
    }
}

fn parse_kind(word: &str) -> Result<AuditKind, Problem> {
    let detail = || format!("kind {} is no kind of event", shown(word));
    AuditKind::of(word).ok_or_else(|| refused("kind", detail()))
}

fn refused(parameter: &str, detail: String) -> Problem {
    let error = FieldError::at_parameter(parameter, detail.clone());
    Problem::new(Code::InvalidRequest, detail).with_error(error)
}

fn write_cursor(cursor: AuditCursor) -> String {
    format!("{},{},{}", Time(cursor.at).text(), cursor.chain_id, cursor.seq)
}

fn parse_cursor(text: &str) -> Result<AuditCursor, Problem> {
    let mut parts = text.split(',');
    let cursor = (|| {
        let cursor = AuditCursor {
            at: DateTime::<Utc>::from_str(parts.next()?).ok()?,
            chain_id: parts.next()?.parse().ok()?,
            seq: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(cursor)
    })();
    cursor.ok_or_else(|| refused("after", "after must be next_after of the page before".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is_one() {
        let cursor = AuditCursor {
            at: "2026-11-28T12:00:00.123456Z".parse().unwrap(),
            chain_id: Uuid::from_u128(7),
            seq: 42,
        };
        let text = write_cursor(cursor);
        assert_eq!(parse_cursor(&text).unwrap(), cursor);
        for wrong in [
            "",
            "42",
            &format!("{text},"),
            &format!("x{text}"),
            &text[..text.len() - 2],
        ] {
            assert!(parse_cursor(wrong).is_err(), "{wrong}");
        }
    }
}
