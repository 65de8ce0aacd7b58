//! `/auth/sessions`: where one is logged in.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use store::audit_log::AuditKind;
use uuid::Uuid;

use super::super::Tag;
use super::parse_id;
use crate::app::App;
use crate::auth::SessionUser;
use crate::idempotency::NoIdempotencyKey;
use crate::problem::{Code, Problem, or_absent};
use crate::record::Record;
use crate::wire::Time;

/// The resource.
pub(crate) struct OwnSessions;

/// A place where one is logged in.
#[derive(Object)]
#[oai(rename = "Session")]
pub(crate) struct SessionView {
    /// Its id.
    id: String,
    /// Whether it is the one that asks.
    is_current: bool,
    /// The address from which it began.
    ip: String,
    /// What the browser said of itself when it began.
    user_agent: String,
    /// When it began.
    created_at: Time,
    /// When it was last used, to about a minute.
    last_seen_at: Time,
    /// When it ends in any case.
    expires_at: Time,
}

/// Sessions were ended.
#[derive(ApiResponse)]
pub(crate) enum Ended {
    /// Each of their cookies is refused within a second.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(prefix_path = "/auth", tag = "Tag::Access")]
impl OwnSessions {
    /// List my sessions
    ///
    /// Those that have not ended, the newest first.
    #[oai(path = "/sessions", method = "get", operation_id = "list_sessions")]
    async fn list_sessions(
        &self,
        Data(app): Data<&Arc<App>>,
        user: SessionUser,
    ) -> poem::Result<Json<Vec<SessionView>>> {
        let sessions = app
            .store
            .sessions_of(user.user, app.now(), app.sessions.idle())
            .await
            .map_err(Problem::from)?;
        let view = |row: store::SessionView| SessionView {
            id: row.id.to_string(),
            is_current: row.id == user.session,
            ip: row.ip,
            user_agent: row.user_agent,
            created_at: Time(row.created_at),
            last_seen_at: Time(row.last_seen_at),
            expires_at: Time(row.expires_at),
        };
        Ok(Json(sessions.into_iter().map(view).collect()))
    }

    /// End a session
    #[oai(path = "/sessions/:id", method = "delete", operation_id = "end_session")]
    async fn end_session(
        &self,
        Data(app): Data<&Arc<App>>,
        record: Record,
        user: SessionUser,
        _key: NoIdempotencyKey,
        /// The session's id.
        id: Path<String>,
    ) -> poem::Result<Ended> {
        let id: Uuid = parse_id(&id, not_found)?;
        let ended = app.store.end_session(user.user, id, app.now()).await;
        ended.map_err(|error| or_absent(error, not_found))?;
        app.forget_credentials();
        let record = record.about(&id);
        app.audit(&record, AuditKind::SessionRevoked).await?;
        Ok(Ended::Done)
    }

    /// End all other sessions
    #[oai(path = "/sessions", method = "delete", operation_id = "end_other_sessions")]
    async fn end_other_sessions(
        &self,
        Data(app): Data<&Arc<App>>,
        record: Record,
        user: SessionUser,
        _key: NoIdempotencyKey,
    ) -> poem::Result<Ended> {
        let ended = app
            .store
            .end_sessions(user.user, Some(user.session), app.now())
            .await;
        ended.map_err(Problem::from)?;
        app.forget_credentials();
        let record = record.about("all others");
        app.audit(&record, AuditKind::SessionRevoked).await?;
        Ok(Ended::Done)
    }
}

fn not_found() -> Problem {
    Problem::new(Code::SessionNotFound, "session not found")
}
