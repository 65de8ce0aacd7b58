//! From an e-mail address and a password to a session: what the operations of [`super`] and the pages share.

use chrono::TimeDelta;
use domain::id::{AccountId, UserId};
use platform::email::normal;
use platform::password::{self, ChoiceError};
use platform::secrets::{new_token, sha256};
use poem::Request;
use secrecy::SecretString;
use store::audit_log::AuditKind;
use store::{NewSession, NewUser, Renewal, Role, StoreError};

use super::{AccountView, MeView};
use crate::app::App;
use crate::auth::SessionUser;
use crate::auth::csrf::Bound;
use crate::auth::device;
use crate::input::Fields;
use crate::problem::{Code, Problem, or_absent};
use crate::record::Record;
use crate::wire::{RoleName, Time};

/// The longest e-mail address (RFC 5321 section 4.5.3.1.3, less the brackets).
const EMAIL_CHARACTERS_MAX: usize = 254;

/// The longest part of `User-Agent` that is kept.
const USER_AGENT_CHARACTERS_MAX: usize = 256;

/// A name and its proof, as they were sent.
pub(super) struct Credentials {
    /// As it was typed.
    pub(super) email: String,
    /// Never shown.
    pub(super) password: SecretString,
}

/// A session that has just begun.
pub(crate) struct Begun {
    /// Who has it.
    pub(crate) me: MeView,
    /// The value of `Set-Cookie`.
    pub(crate) cookie: String,
}

/// The token of a page: of its session, else of the browser, with the cookie that it needs for it.
pub(crate) fn page_token(app: &App, request: &Request) -> (String, Option<String>) {
    if let Some(user) = request.data::<SessionUser>() {
        return (app.csrf.token(Bound::Session(user.session)), None);
    }
    let present = app.cookies.read_visitor(request.headers());
    let id = present.clone().unwrap_or_else(new_token);
    let cookie = present.is_none().then(|| app.cookies.visitor(&id));
    (app.csrf.token(Bound::Visitor(&id)), cookie)
}

pub(super) fn required(fields: &mut Fields, name: &'static str) -> SecretString {
    let text = fields.text(name);
    if text.is_none() && !fields.has_fault_at(name) {
        fields.refuse(Code::InvalidRequest, name, format!("{name} is required"));
    }
    SecretString::from(text.unwrap_or_default())
}

pub(super) fn read_credentials(fields: &mut Fields) -> Result<Credentials, Problem> {
    let email = fields.text("email");
    if !email.as_deref().is_some_and(is_email) && !fields.has_fault_at("email") {
        fields.refuse(Code::InvalidRequest, "email", "email must be an e-mail address");
    }
    let password = required(fields, "password");
    fields.refuse_unknown();
    fields.finish()?;
    Ok(Credentials {
        email: email.unwrap_or_default(),
        password,
    })
}

/// Something, one `@`, something, printable, no blanks. The mail server knows the rest.
pub(crate) fn is_email(text: &str) -> bool {
    let text = text.trim();
    let is_sane =
        |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
    text.chars().count() <= EMAIL_CHARACTERS_MAX
        && text
            .split_once('@')
            .is_some_and(|(name, host)| is_sane(name) && is_sane(host) && !host.contains('@'))
}

/// The hash of a password that the policy allows; `field` is where it came from.
pub(crate) async fn hash_of(
    app: &App,
    email: &str,
    password: &SecretString,
    field: &'static str,
) -> Result<SecretString, Problem> {
    let chosen = app.passwords.choose(password, email).await;
    chosen.map_err(|error| match error {
        ChoiceError::Weak(weak) => Problem::new(Code::WeakPassword, weak.to_string()).at_field(field),
        ChoiceError::Password(error) => error.into(),
    })
}

/// Refuses where only administrators make users.
pub(crate) fn require_open(app: &App) -> Result<(), Problem> {
    if app.is_registration_open() {
        return Ok(());
    }
    let detail = "only administrators make users here";
    Err(Problem::new(Code::RegistrationClosed, detail))
}

/// Makes a standard user with a paper account.
pub(crate) async fn create(
    app: &App,
    record: &Record,
    email: String,
    password: SecretString,
) -> Result<SessionStart, Problem> {
    require_open(app)?;
    let password_hash = hash_of(app, &email, &password, "password").await?;
    let new = NewUser {
        email,
        password_hash,
        role: Role::Standard,
        starting_cash: app.rules.starting_cash,
        now: app.now(),
    };
    // Whoever was logged in here before has nothing to do with it.
    let record = Record::of(record.client(), record.context().clone());
    let event = |user: UserId, account: AccountId| {
        let record = record.of_user(user).at_account(account);
        record.event(AuditKind::Registered, new.now)
    };
    let made = app.store.register_user_on_record(&new, event).await;
    let (user, _) = made.map_err(taken)?;
    Ok(SessionStart {
        user,
        email: new.email,
        password_hash: new.password_hash,
    })
}

/// Why a user was not made.
pub(crate) fn taken(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict { .. } => {
            Problem::new(Code::EmailTaken, "there is a user with this e-mail address").at_field("email")
        }
        other => Problem::from(other),
    }
}

/// Who begins a session.
#[derive(Debug)]
pub(crate) struct SessionStart {
    /// The user.
    user: UserId,
    /// As it was typed.
    email: String,
    /// The hash of the password that was right: a session never begins by one that was changed meanwhile.
    pub(super) password_hash: SecretString,
}

pub(super) fn wrong_password() -> Problem {
    Problem::new(Code::WrongPassword, "the e-mail address or the password is wrong")
}

/// Against what a login to the account of `email` counts: the browser, where it is known to the account, else the account.
pub(crate) fn attempt(app: &App, request: &Request, email: &str) -> String {
    let account = normal(email);
    device::known_to(&account, request.headers(), &app.cookies, &app.csrf).unwrap_or(account)
}

/// Whose password it is. Wrong ones are answered later and later, right ones at once. `attempt` is what it counts against.
pub(crate) async fn check(
    app: &App,
    record: &Record,
    attempt: &str,
    email: &str,
    password: &SecretString,
) -> Result<SessionStart, Problem> {
    app.budgets
        .count_login(record.context(), attempt, app.now())
        .await?;
    let login = app.store.find_login(email).await?;
    let hash = login.as_ref().and_then(|login| login.password_hash.as_ref());
    let is_right = app.passwords.verify(password, hash).await?;
    let user = login.filter(|login| is_right && login.is_active);
    let Some((user, hash)) = user.and_then(|user| Some((user.user_id, user.password_hash?))) else {
        app.audit(&record.about(email), AuditKind::LoginFailed).await?;
        let delay = app.failures.failed(email, record.client().ip, app.now());
        tokio::time::sleep(delay).await;
        return Err(wrong_password());
    };
    app.failures.succeeded(email, record.client().ip);
    let password_hash = rehashed(app, user, hash, password).await;
    let email = email.to_owned();
    Ok(SessionStart {
        user,
        email,
        password_hash,
    })
}

/// The hash that is stored of a password: made anew where it was made with older parameters. A login does not fail by that.
async fn rehashed(app: &App, user: UserId, old: SecretString, password: &SecretString) -> SecretString {
    if !password::needs_rehash(&old) {
        return old;
    }
    let Ok(new) = app.passwords.hash(password).await else {
        return old;
    };
    match app.store.rehash_password(user, &old, &new).await {
        Ok(true) => new,
        Ok(false) => old,
        Err(error) => {
            tracing::warn!(%error, user.id = %user, "the password's hash was not renewed");
            old
        }
    }
}

/// Begins a session for `start`, whatever session the browser had before.
pub(crate) async fn begin(
    app: &App,
    record: &Record,
    request: &Request,
    start: SessionStart,
) -> Result<Begun, Problem> {
    let headers = request.headers();
    if let Some(old) = app.cookies.read_session(headers) {
        end_old(app, record, &old).await?;
    }
    let secret = new_token();
    let now = app.now();
    let agent = headers
        .get("user-agent")
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default();
    let new = NewSession {
        user: start.user,
        password_hash: Some(start.password_hash),
        hash: sha256(&secret),
        ip: record.client().ip.to_string(),
        user_agent: agent.chars().take(USER_AGENT_CHARACTERS_MAX).collect(),
        now,
        expires_at: now + TimeDelta::from_std(app.access.session_max()).unwrap_or(TimeDelta::MAX),
    };
    app.store.create_session(&new).await?;
    app.audit(&record.of_user(start.user), AuditKind::LoginSucceeded)
        .await?;
    let account = normal(&start.email);
    if device::known_to(&account, headers, &app.cookies, &app.csrf).is_none() {
        let cookie = app.cookies.device(&device::made_for(&account, &app.csrf));
        record.context().add_cookie(cookie);
    }
    found(app, &secret).await
}

/// Ends the session that the browser had, whosever it was.
async fn end_old(app: &App, record: &Record, secret: &str) -> Result<(), Problem> {
    let old = app.store.find_session(&sha256(secret)).await?;
    if let Some(old) = old.filter(|old| old.ended_at.is_none()) {
        app.store
            .end_session(old.user_id, old.session_id, app.now())
            .await?;
        app.forget_credentials();
        let record = Record::of(record.client(), record.context().clone());
        app.audit(
            &record.of_user(old.user_id).about(&old.session_id),
            AuditKind::LoggedOut,
        )
        .await?;
    }
    Ok(())
}

/// Ends the session that asks; answers the value of `Set-Cookie` that ends it in the browser.
pub(crate) async fn end(app: &App, record: &Record, user: &SessionUser) -> Result<String, Problem> {
    app.store.end_session(user.user, user.session, app.now()).await?;
    app.forget_credentials();
    app.audit(record, AuditKind::LoggedOut).await?;
    Ok(app.cookies.no_session())
}

/// Gives the session of one who has just given the password a new secret and a new id, in the database and in the browser.
pub(super) async fn renew(app: &App, user: &SessionUser) -> Result<Begun, Problem> {
    let secret = new_token();
    let renewal = Renewal {
        hash: sha256(&secret),
        is_authenticated: true,
        now: app.now(),
        expires_at: None,
    };
    let renewed = app.store.renew_session(user.user, user.session, &renewal).await;
    renewed.map_err(|error| or_absent(error, || Problem::from(StoreError::Ended)))?;
    app.forget_credentials();
    found(app, &secret).await
}

async fn found(app: &App, secret: &str) -> Result<Begun, Problem> {
    let known = app.sessions.find(&app.store, secret, None, app.now()).await?;
    let known = known.ok_or_else(|| Problem::new(Code::NotAuthorized, "the session ended at once"))?;
    Ok(Begun {
        me: me(app, &known.user()).await?,
        cookie: app.cookies.session(secret),
    })
}

pub(super) async fn me(app: &App, user: &SessionUser) -> Result<MeView, Problem> {
    let accounts = app.store.accounts_of(user.user).await?;
    Ok(MeView {
        id: user.user.to_string(),
        email: user.email.clone(),
        role: RoleName(user.role.as_str()),
        accounts: accounts
            .into_iter()
            .map(|account| AccountView {
                id: account.id.to_string(),
                account_number: account.account_number,
                mode: account.mode,
            })
            .collect(),
        session_id: user.session.to_string(),
        authenticated_at: Time(user.authenticated_at),
        csrf_token: app.csrf.token(Bound::Session(user.session)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_one_at_and_nothing_that_breaks_a_line() {
        for good in ["a@b", "Anna.Smith+arbion@example.com", " padded@example.com "] {
            assert!(is_email(good), "{good}");
        }
        let long = format!("{}@example.com", "x".repeat(EMAIL_CHARACTERS_MAX));
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b\r\nBcc: x@y",
            "a\0@b",
            &long,
        ] {
            assert!(!is_email(bad), "{bad:?}");
        }
    }
}
