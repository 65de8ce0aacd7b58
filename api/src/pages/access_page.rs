//! The page of everything that acts for a person, and its buttons.

use std::sync::Arc;

use domain::id::{AccountId, UserId};
use poem::web::{Data, Form, Query};
use poem::{IntoResponse as _, Request, Response, handler};
use serde::Deserialize;
use store::audit_log::AuditKind;
use store::entity::accounts;
use store::{ApiKeyView, KEYS_MAX, SessionView, StoreError, oauth};
use uuid::Uuid;

use super::routes::{person, see_other};
use super::{Access, AccountMode, ConnectedApp, Key, Session};
use crate::access::Scope;
use crate::app::App;
use crate::auth::SessionUser;
use crate::auth::csrf::Bound;
use crate::problem::{Code, Problem, or_absent};
use crate::record::Record;

/// How many connected apps it lists.
const APPS_MAX: u64 = 100;

#[derive(Debug, Deserialize)]
struct Done {
    done: Option<String>,
}

/// Everything that acts for a person.
struct Found {
    sessions: Vec<SessionView>,
    keys: Vec<ApiKeyView>,
    accounts: Vec<accounts::Model>,
    grants: Vec<oauth::ConnectedApp>,
}

impl Found {
    async fn of(user: UserId, app: &App) -> Result<Self, StoreError> {
        let (store, now) = (&app.store, app.now());
        Ok(Self {
            sessions: store.sessions_of(user, now, app.sessions.idle()).await?,
            keys: store.live_api_keys_of_user(user, now, KEYS_MAX).await?,
            accounts: store.accounts_of(user).await?,
            grants: store.oauth_grants_of(user, None, None, APPS_MAX, now).await?,
        })
    }
}

#[handler]
pub(super) async fn show(
    Data(app): Data<&Arc<App>>,
    request: &Request,
    Query(Done { done }): Query<Done>,
) -> poem::Result<Response> {
    let Some(user) = request.data::<SessionUser>() else {
        return Ok(see_other("/login?next=/access"));
    };
    let Found {
        sessions,
        keys,
        accounts,
        grants,
    } = Found::of(user.user, app).await.map_err(Problem::from)?;
    let mode_of = |id: AccountId| {
        let account = accounts.iter().find(|account| account.id == id.0);
        account.map_or(AccountMode::Live, |account| AccountMode::of(&account.mode))
    };
    let meanings: Vec<Vec<&str>> = grants.iter().map(|grant| meanings(&grant.scopes)).collect();
    let apps: Vec<ConnectedApp<'_>> = grants
        .iter()
        .zip(&meanings)
        .map(|(grant, scopes)| ConnectedApp {
            id: grant.id,
            name: &grant.name,
            account: &grant.account_number,
            mode: mode_of(grant.account),
            scopes,
            created_at: grant.created_at,
            last_used_at: grant.last_used_at,
        })
        .collect();
    let number = |id: Uuid| {
        let account = accounts.iter().find(|account| account.id == id);
        account.map_or("", |account| account.account_number.as_str())
    };
    let scopes: Vec<Vec<&str>> = keys
        .iter()
        .map(|key| key.scopes.iter().map(String::as_str).collect())
        .collect();
    let keys: Vec<Key<'_>> = keys
        .iter()
        .zip(&scopes)
        .map(|(key, scopes)| Key {
            id: key.id.0,
            name: &key.name,
            key_id: &key.key_id,
            account: number(key.account_id.0),
            scopes,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
        })
        .collect();
    let agents: Vec<String> = sessions
        .iter()
        .map(|session| browser_of(&session.user_agent))
        .collect();
    let sessions = shown_sessions(&sessions, &agents, user.session);
    let token = app.csrf.token(Bound::Session(user.session));
    super::access(&Access {
        person: person(user, &token),
        done: done.as_deref().and_then(sentence),
        apps: &apps,
        sessions: &sessions,
        keys: &keys,
    })
}

/// What the app may do, in the words of the consent page.
fn meanings(scopes: &[String]) -> Vec<&'static str> {
    let known = scopes.iter().filter_map(|scope| scope.parse::<Scope>().ok());
    known.map(Scope::meaning).collect()
}

fn shown_sessions<'a>(sessions: &'a [SessionView], agents: &'a [String], current: Uuid) -> Vec<Session<'a>> {
    let named = sessions.iter().zip(agents);
    named
        .map(|(session, agent)| Session {
            id: session.id,
            agent,
            address: &session.ip,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            is_current: session.id == current,
        })
        .collect()
}

/// Names of browsers, by what only they, or those before them, call themselves.
const BROWSERS: [(&str, &str); 7] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// Names of systems, likewise.
const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "an iPhone"),
    ("iPad", "an iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

/// How a person recognises a browser of theirs: what is no browser is shown as it calls itself.
fn browser_of(user_agent: &str) -> String {
    let named = |names: &[(&str, &'static str)]| {
        let mut known = names.iter().filter(|(word, _)| user_agent.contains(word));
        known.next().map(|(_, name)| *name)
    };
    match (named(&BROWSERS), named(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        _ if user_agent.is_empty() => "A program without a name".to_owned(),
        _ => user_agent.to_owned(),
    }
}

/// What was done, by the word in the address: a page never shows what somebody else's link says.
fn sentence(word: &str) -> Option<&'static str> {
    match word {
        "app" => Some("The app was disconnected."),
        "session" => Some("The session was ended."),
        "key" => Some("The API key was revoked."),
        _ => None,
    }
}

#[derive(Debug, Deserialize)]
struct RevokeForm {
    kind: String,
    id: Uuid,
}

#[handler]
pub(super) async fn revoke(
    Data(app): Data<&Arc<App>>,
    record: Record,
    user: SessionUser,
    Form(RevokeForm { kind, id }): Form<RevokeForm>,
) -> poem::Result<Response> {
    let record = record.about(&id);
    let (revoked, what, absent) = match kind.as_str() {
        "app" => {
            let revoked = app.store.revoke_oauth_grant(user.user, None, id, app.now()).await;
            (revoked, AuditKind::OauthGrantRevoked, Code::GrantNotFound)
        }
        "session" => (
            app.store.end_session(user.user, id, app.now()).await,
            AuditKind::SessionRevoked,
            Code::SessionNotFound,
        ),
        "key" => {
            let revoked = app.store.revoke_api_key(user.user, id.into(), app.now()).await;
            (revoked, AuditKind::ApiKeyRevoked, Code::KeyNotFound)
        }
        _ => return Err(Problem::new(Code::InvalidRequest, "kind must be app, session or key").into()),
    };
    revoked.map_err(|error| or_absent(error, || Problem::new(absent, "it is not there")))?;
    app.forget_credentials();
    app.audit(&record, what).await?;
    Ok(see_other(&format!("/access?done={kind}")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_recognises_their_browsers() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (user_agent, expected) in [
            (
                format!("Mozilla/5.0 (X11; Linux x86_64) {webkit} Chrome/148.0.0.0 Safari/537.36"),
                "Chrome on Linux",
            ),
            (
                format!("Mozilla/5.0 (Windows NT 10.0) {webkit} Chrome/148.0.0.0 Safari/537.36 Edg/148.0.0.0"),
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1".into(),
                "Safari on an iPhone",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:150.0) Gecko/20100101 Firefox/150.0".into(),
                "Firefox on macOS",
            ),
            ("curl/8.14.1".into(), "curl/8.14.1"),
            (String::new(), "A program without a name"),
        ] {
            assert_eq!(browser_of(&user_agent), expected, "{user_agent}");
        }
    }
}
