//! The layer before all handlers: see [`super`].

use std::sync::Arc;

use domain::id::AccountId;
use poem::http::header::AUTHORIZATION;
use poem::http::{HeaderMap, Method};
use poem::{Body, Endpoint, Middleware, Request, Response};
use store::Role;
use store::audit_log::AuditKind;

use super::rules::{Class, Rule, Who};
use crate::app::App;
use crate::auth::csrf::{self, Bound};
use crate::auth::{Principal, SessionUser, api_key, bearer};
use crate::middleware::{ClientAddress, RequestContext, client_of};
use crate::oauth::params::is_form;
use crate::paths::KnownPath;
use crate::problem::{Code, Problem};
use crate::record::Record;

/// The header by which a session picks one of the user's accounts.
pub(crate) const ACCOUNT: &str = "arbion-account";

/// See the module.
pub(crate) struct Gate {
    /// What it asks.
    pub(crate) app: Arc<App>,
}

impl<E: Endpoint<Output = Response>> Middleware<E> for Gate {
    type Output = GateEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        GateEndpoint {
            app: Arc::clone(&self.app),
            inner,
        }
    }
}

/// The endpoint behind [`Gate`].
pub(crate) struct GateEndpoint<E> {
    app: Arc<App>,
    inner: E,
}

impl<E: Endpoint<Output = Response>> Endpoint for GateEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        // Boxed: what is found out here is larger than what is kept of it.
        Box::pin(admit(&self.app, &mut request)).await?;
        self.inner.call(request).await
    }
}

/// Who is asking.
enum Caller {
    /// Nobody that is known.
    Nobody,
    /// A program with a key or a token.
    Program(Principal),
    /// A person with a session.
    Person(Principal, SessionUser),
}

impl Caller {
    const fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Nobody => None,
            Self::Program(principal) | Self::Person(principal, _) => Some(principal),
        }
    }
}

async fn admit(app: &App, request: &mut Request) -> Result<(), Problem> {
    let client = client_of(request);
    let known = request.data::<Arc<KnownPath>>();
    let Some(rule) = known.and_then(|known| known.rule(request.method())) else {
        return match known {
            Some(known) if known.takes(request.method()) => {
                Err(Problem::hidden(Code::InternalError, "the operation has no rule"))
            }
            // It ends as 405.
            Some(_) => Ok(()),
            // It ends as 404; searching for paths costs the address' budget.
            None => app.count(request, Class::Ordinary, None).await,
        };
    };
    if rule.class == Class::Unlimited {
        return Ok(());
    }
    let caller = match identify(app, request.headers(), rule, client).await {
        Ok(caller) => caller,
        // Who can't be looked up now is no stranger, and comes back.
        Err(problem) if problem.code().status().is_server_error() => return Err(problem),
        Err(problem) => {
            app.count(request, Class::Ordinary, None).await?;
            return Err(problem);
        }
    };
    let credential = caller.principal().map(|principal| principal.credential);
    if let Err(problem) = check_csrf(app, request, rule, &caller).await {
        // Not against the limit of logins: another site could use that up.
        app.count(request, Class::Ordinary, credential).await?;
        note_refusal(app, request, &caller, client).await?;
        return Err(problem);
    }
    app.count(request, rule.class, credential).await?;
    check_rule(rule, &caller, app)?;
    match caller {
        Caller::Nobody => {}
        Caller::Program(principal) => note(request, principal),
        Caller::Person(principal, user) => {
            request.set_data(user);
            note(request, principal);
        }
    }
    Ok(())
}

fn note(request: &mut Request, principal: Principal) {
    if let Some(context) = request.data::<RequestContext>() {
        context.record_principal(principal.ids());
    }
    request.set_data(principal);
}

/// Finds out who is asking. A key or token that is sent wins over a cookie, which a browser adds by itself.
async fn identify(
    app: &App,
    headers: &HeaderMap,
    rule: Rule,
    client: ClientAddress,
) -> Result<Caller, Problem> {
    let takes_programs = matches!(rule.who, Who::Credential(_));
    if takes_programs && (api_key::is_sent(headers) || headers.contains_key(AUTHORIZATION)) {
        let principal = match bearer::token(headers) {
            Some(token) if !api_key::is_sent(headers) => bearer::authenticate(token, app).await?,
            Some(_) | None => api_key::authenticate(headers, app, client.ip).await?,
        };
        return Ok(Caller::Program(principal));
    }
    // OAuth's endpoints know clients alone: a cookie that a browser adds means nothing there.
    let cookie = app
        .cookies
        .read_session(headers)
        .filter(|_| rule.class != Class::Token);
    let Some(secret) = cookie else {
        return Ok(Caller::Nobody);
    };
    let account = chosen_account(headers)?;
    let found = app.sessions.find(&app.store, &secret, account, app.now()).await?;
    Ok(found.map_or(Caller::Nobody, |known| {
        Caller::Person(known.principal(), known.user())
    }))
}

fn chosen_account(headers: &HeaderMap) -> Result<Option<AccountId>, Problem> {
    let Some(value) = headers.get(ACCOUNT) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    // What is no id names no account.
    id.map(Some)
        .ok_or_else(|| Problem::new(Code::AccountNotFound, "account not found"))
}

/// Refuses what another site may have made the browser send.
async fn check_csrf(app: &App, request: &mut Request, rule: Rule, caller: &Caller) -> Result<(), Problem> {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        return Ok(());
    }
    let visitor = app.cookies.read_visitor(request.headers());
    let bound = match caller {
        Caller::Person(_, user) => Bound::Session(user.session),
        // Whoever logs somebody in from another site could have them trade for a stranger.
        Caller::Nobody if is_login(rule) => Bound::Visitor(
            visitor
                .as_deref()
                .ok_or_else(|| refused("the cookie of the page is missing"))?,
        ),
        Caller::Nobody | Caller::Program(_) => return Ok(()),
    };
    if !csrf::is_origin_allowed(request.headers(), &app.access) {
        return Err(refused(
            "the page's origin is neither the API's own nor one of CORS_ORIGINS",
        ));
    }
    let token = match request.header(csrf::HEADER) {
        Some(token) => Some(token.to_owned()),
        None => form_token(request).await?,
    };
    let Some(token) = token else {
        return Err(refused("the header X-CSRF-Token is missing"));
    };
    if app.csrf.is_right(bound, &token) {
        Ok(())
    } else {
        Err(refused("the CSRF token is not the one of this session"))
    }
}

/// Writes into the audit log that a request was not meant by a page that may.
async fn note_refusal(
    app: &App,
    request: &Request,
    caller: &Caller,
    client: ClientAddress,
) -> Result<(), Problem> {
    let context = request.data::<RequestContext>().cloned();
    let context = context.unwrap_or_else(|| RequestContext::of(request));
    let path = context.path().to_owned();
    let record = Record::of(client, context).about(&path);
    let record = caller
        .principal()
        .map_or_else(|| record.clone(), |principal| record.of_principal(principal));
    app.audit(&record, AuditKind::CsrfRefused).await
}

/// Whether a session may begin here.
fn is_login(rule: Rule) -> bool {
    rule.who == Who::Anyone && matches!(rule.class, Class::Login | Class::Registration)
}

fn refused(detail: &str) -> Problem {
    Problem::new(Code::CsrfRefused, detail)
}

/// The token in a form, which stays to be read by the handler.
async fn form_token(request: &mut Request) -> Result<Option<String>, Problem> {
    if !is_form(request.content_type()) {
        return Ok(None);
    }
    let body = request.take_body().into_bytes().await;
    let bytes = body.map_err(|error| Problem::hidden(Code::InternalError, error))?;
    let mut pairs = form_urlencoded::parse(&bytes);
    let token = pairs
        .find(|(name, _)| name == csrf::FIELD)
        .map(|(_, value)| value.into_owned());
    request.set_body(Body::from_bytes(bytes));
    Ok(token)
}

fn check_rule(rule: Rule, caller: &Caller, app: &App) -> Result<(), Problem> {
    match (rule.who, caller) {
        (Who::Anyone, _)
        | (Who::Credential(None), Caller::Program(_) | Caller::Person(..))
        | (Who::Session, Caller::Person(..)) => Ok(()),
        (Who::Credential(Some(scope)), Caller::Program(principal) | Caller::Person(principal, _)) => {
            principal.require(scope)
        }
        (Who::Administrator(least), Caller::Person(_, user)) => check_administrator(least, user, app),
        // `identify` reads keys and tokens only where programs are admitted.
        (Who::Credential(_) | Who::Session | Who::Administrator(_), Caller::Nobody)
        | (Who::Session | Who::Administrator(_), Caller::Program(_)) => Err(not_authorized()),
    }
}

fn check_administrator(least: Role, user: &SessionUser, app: &App) -> Result<(), Problem> {
    if user.role < least {
        let detail = format!("only for the role {least} and above");
        return Err(Problem::new(Code::RoleNotAllowed, detail));
    }
    if user.is_fresh_at(app.now()) {
        return Ok(());
    }
    let detail = "give the password again with POST /auth/reauthenticate";
    Err(Problem::new(Code::StaleSession, detail))
}

/// What is answered to a credential that is missing or wrong: which of the two is not told.
pub(crate) fn not_authorized() -> Problem {
    Problem::new(Code::NotAuthorized, "request is not authorized")
}
