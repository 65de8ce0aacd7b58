//! `/auth`: people log in, and what belongs to a login. Arbion's own: unknown fields are refused.
//!
//! 1. An unknown e-mail and a wrong password cost the same work and give the same answer.
//! 2. After each login, each new password and each proof of the old one the session has a new secret: one that was
//!    planted before is worth nothing afterwards.

pub(crate) mod keys;
mod login;
pub(crate) mod sessions;

use std::sync::Arc;

use poem::Request;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use store::StoreError;
use store::audit_log::AuditKind;
use uuid::Uuid;

use self::login::{Credentials, me, read_credentials, renew, required, wrong_password};
pub(crate) use self::login::{
    SessionStart, attempt, begin, check, create, end, hash_of, is_email, page_token, require_open, taken,
};

use super::Tag;
use crate::app::App;
use crate::auth::SessionUser;
use crate::idempotency::NoIdempotencyKey;
use crate::input::JsonBody;
use crate::problem::Problem;
use crate::record::Record;
use crate::wire::{RoleName, Time};

/// The resource.
pub(crate) struct Auth;

/// Who one is.
#[derive(Object)]
#[oai(rename = "Credentials")]
pub(crate) struct CredentialsBody {
    /// The e-mail address; case does not matter.
    email: String,
    /// The password.
    password: String,
}

/// A proof of the password.
#[derive(Object)]
#[oai(rename = "Reauthenticate")]
pub(crate) struct ReauthenticateBody {
    /// The password.
    password: String,
}

/// A new password.
#[derive(Object)]
#[oai(rename = "ChangePassword")]
pub(crate) struct ChangePasswordBody {
    /// The password until now.
    current_password: String,
    /// The password from now on: 12 to 256 characters, and none that is often used.
    new_password: String,
}

/// A token for the header `X-CSRF-Token`.
#[derive(Object)]
#[oai(rename = "CsrfToken")]
pub(crate) struct CsrfView {
    /// The token of this session, or of this browser before the login.
    csrf_token: String,
}

/// One of a user's accounts.
#[derive(Object)]
#[oai(rename = "OwnAccount")]
pub(crate) struct AccountView {
    /// Its id, for the header `Arbion-Account`.
    id: String,
    /// Its number.
    account_number: String,
    /// `paper` or `live`.
    mode: String,
}

/// The person who is logged in.
#[derive(Object)]
#[oai(rename = "Me")]
pub(crate) struct MeView {
    /// The user's id.
    id: String,
    /// The e-mail address.
    email: String,
    /// What they may do.
    role: RoleName,
    /// Their accounts, the oldest first. Requests mean the first unless the header `Arbion-Account` names another.
    accounts: Vec<AccountView>,
    /// The session's id.
    session_id: String,
    /// When the password was last given.
    authenticated_at: Time,
    /// The token for the header `X-CSRF-Token`.
    csrf_token: String,
}

/// The browser has a token.
#[derive(ApiResponse)]
pub(crate) enum Csrf {
    /// The token; before the login with the cookie that it belongs to.
    #[oai(status = 200)]
    Token(Json<CsrfView>, #[oai(header = "Set-Cookie")] Option<String>),
}

/// A user was made.
#[derive(ApiResponse)]
pub(crate) enum Registered {
    /// The user, logged in.
    #[oai(status = 201)]
    Session(Json<MeView>, #[oai(header = "Set-Cookie")] String),
}

/// A session has begun.
#[derive(ApiResponse)]
pub(crate) enum LoggedIn {
    /// The user; the cookie holds the session.
    #[oai(status = 200)]
    Session(Json<MeView>, #[oai(header = "Set-Cookie")] String),
}

/// A session has ended.
#[derive(ApiResponse)]
pub(crate) enum LoggedOut {
    /// The cookie is taken back.
    #[oai(status = 204)]
    Done(#[oai(header = "Set-Cookie")] String),
}

#[OpenApi(prefix_path = "/auth", tag = "Tag::Access")]
impl Auth {
    /// Get a CSRF token
    ///
    /// Every request of a session that changes something carries it in `X-CSRF-Token`; so do login and registration.
    #[expect(clippy::unused_async, reason = "the macro calls every operation so")]
    #[oai(path = "/csrf", method = "get", operation_id = "get_csrf_token")]
    async fn get_csrf_token(&self, Data(app): Data<&Arc<App>>, request: &Request) -> Csrf {
        let (csrf_token, cookie) = page_token(app, request);
        Csrf::Token(Json(CsrfView { csrf_token }), cookie)
    }

    /// Register
    ///
    /// Makes a user with a paper account, and logs in.
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        Data(app): Data<&Arc<App>>,
        record: Record,
        request: &Request,
        _key: NoIdempotencyKey,
        body: JsonBody<CredentialsBody>,
    ) -> poem::Result<Registered> {
        let Credentials { email, password } = read_credentials(&mut body.fields()?)?;
        let user = create(app, &record, email, password).await?;
        let begun = begin(app, &record, request, user).await?;
        Ok(Registered::Session(Json(begun.me), begun.cookie))
    }

    /// Log in
    #[oai(path = "/login", method = "post", operation_id = "log_in")]
    async fn log_in(
        &self,
        Data(app): Data<&Arc<App>>,
        record: Record,
        request: &Request,
        _key: NoIdempotencyKey,
        body: JsonBody<CredentialsBody>,
    ) -> poem::Result<LoggedIn> {
        let Credentials { email, password } = read_credentials(&mut body.fields()?)?;
        let user = check(app, &record, &attempt(app, request, &email), &email, &password).await?;
        let begun = begin(app, &record, request, user).await?;
        Ok(LoggedIn::Session(Json(begun.me), begun.cookie))
    }

    /// Give the password again
    ///
    /// Administration asks for that when the last time is more than 15 minutes ago. The session's cookie is renewed.
    #[oai(path = "/reauthenticate", method = "post", operation_id = "reauthenticate")]
    async fn reauthenticate(
        &self,
        Data(app): Data<&Arc<App>>,
        record: Record,
        user: SessionUser,
        _key: NoIdempotencyKey,
        body: JsonBody<ReauthenticateBody>,
    ) -> poem::Result<LoggedIn> {
        let mut fields = body.fields()?;
        let password = required(&mut fields, "password");
        fields.refuse_unknown();
        fields.finish()?;
        check(app, &record, &user.session.to_string(), &user.email, &password).await?;
        let renewed = renew(app, &user).await?;
        Ok(LoggedIn::Session(Json(renewed.me), renewed.cookie))
    }

    /// Change the password
    ///
    /// All other sessions of the user end, and this one's cookie is renewed. API keys and connected apps stay.
    #[oai(path = "/password", method = "post", operation_id = "change_password")]
    async fn change_password(
        &self,
        Data(app): Data<&Arc<App>>,
        record: Record,
        user: SessionUser,
        _key: NoIdempotencyKey,
        body: JsonBody<ChangePasswordBody>,
    ) -> poem::Result<LoggedIn> {
        let mut fields = body.fields()?;
        let current = required(&mut fields, "current_password");
        let new = required(&mut fields, "new_password");
        fields.refuse_unknown();
        fields.finish()?;
        let verified = check(app, &record, &user.session.to_string(), &user.email, &current).await?;
        let hash = hash_of(app, &user.email, &new, "new_password").await?;
        let (id, session) = (user.user, user.session);
        let verified = &verified.password_hash;
        let changed = app
            .store
            .set_password(id, verified, &hash, Some(session), app.now())
            .await;
        changed.map_err(|error| match error {
            // Somebody was faster: the password that was given is not the present one any more.
            StoreError::Stale { .. } => wrong_password(),
            other => Problem::from(other),
        })?;
        app.forget_credentials();
        app.audit(&record.of_user(id), AuditKind::PasswordChanged).await?;
        let renewed = renew(app, &user).await?;
        Ok(LoggedIn::Session(Json(renewed.me), renewed.cookie))
    }

    /// Log out
    #[oai(path = "/logout", method = "post", operation_id = "log_out")]
    async fn log_out(
        &self,
        Data(app): Data<&Arc<App>>,
        record: Record,
        user: SessionUser,
        _key: NoIdempotencyKey,
    ) -> poem::Result<LoggedOut> {
        Ok(LoggedOut::Done(end(app, &record, &user).await?))
    }

    /// Read who is logged in
    #[oai(path = "/me", method = "get", operation_id = "get_me")]
    async fn get_me(&self, Data(app): Data<&Arc<App>>, user: SessionUser) -> poem::Result<Json<MeView>> {
        Ok(Json(me(app, &user).await?))
    }
}

/// An id in a path; what is no id names nothing.
pub(crate) fn parse_id(text: &str, not_found: impl FnOnce() -> Problem) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| not_found())
}
