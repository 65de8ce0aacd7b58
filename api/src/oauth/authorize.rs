//! `/oauth/authorize`: a person is asked, and the app gets the answer.
//!
//! The form of the page carries the whole request on, and everything is judged again when it comes back: nothing that a
//! browser sends is believed because a page of ours once held it.

use std::sync::Arc;

use domain::id::AccountId;
use poem::http::{StatusCode, header};
use poem::web::Data;
use poem::{Body, Request, Response, handler};
use store::audit_log::AuditKind;
use store::entity::accounts;
use store::oauth::NewGrant;
use store::{OAuthClient, StoreError};

use super::params::{Params, encoded, is_form};
use super::refusal::{ErrorName, Refusal};
use super::request::{self, Asked, NAMES, Target, Unsafe};
use super::{of_store, scope};
use crate::app::App;
use crate::auth::SessionUser;
use crate::auth::csrf::Bound;
use crate::middleware::RequestContext;
use crate::pages::{self, AccountChoice, AccountMode, Consent, Destination, Failure};
use crate::record::Record;

/// Where the endpoint is.
pub const PATH: &str = "/oauth/authorize";

/// What is said to a person who has nothing to let an app act on.
const NO_ACCOUNT: &str = "You have no account that an app could act on.";

/// How a request stands.
enum Standing {
    /// It names no place to trust.
    Unsafe(Unsafe),
    /// Nobody has logged in.
    Anonymous,
    /// The app has to be told that it is refused.
    Refused(Target, Refusal),
    /// The person can be asked.
    Asks(Box<Question>),
}

/// A request that a person can be asked about.
struct Question {
    client: OAuthClient,
    target: Target,
    asked: Asked,
    person: SessionUser,
}

async fn stand(params: &Params, person: Option<&SessionUser>, app: &App) -> Result<Standing, StoreError> {
    let client = match request::client_id(params) {
        Ok(client_id) => app.store.oauth_client(client_id).await?,
        Err(fault) => return Ok(Standing::Unsafe(fault)),
    };
    let (client, target) = match (request::target(params, client.as_ref()), client) {
        (Ok(target), Some(client)) => (client, target),
        (Err(fault), _) => return Ok(Standing::Unsafe(fault)),
        (Ok(_), None) => return Ok(Standing::Unsafe(Unsafe::Client)),
    };
    let Some(person) = person.cloned() else {
        return Ok(Standing::Anonymous);
    };
    Ok(match request::judge(params, &client) {
        Ok(asked) => Standing::Asks(Box::new(Question {
            client,
            target,
            asked,
            person,
        })),
        Err(refusal) => Standing::Refused(target, refusal),
    })
}

/// Where the answer to a login may end that goes on to `next`: an app whose request is refused is told at once, and browsers
/// hold that redirect to the policy of the page with the form, as they do with the consent page's.
pub(crate) async fn destination_behind(next: &str, app: &App) -> Option<Destination> {
    let params = Params::parse(next.strip_prefix(PATH)?.strip_prefix('?')?);
    let client_id = request::client_id(&params).ok()?;
    let client = app.store.oauth_client(client_id).await.ok()?;
    let target = request::target(&params, client.as_ref()).ok()?;
    Destination::of(&target.uri)
}

/// Shows the page that asks; sends a person who is not logged in to do that first.
#[handler]
pub(crate) async fn show_consent(
    request: &Request,
    Data(app): Data<&Arc<App>>,
    context: RequestContext,
) -> poem::Result<Response> {
    let params = Params::parse(request.uri().query().unwrap_or_default());
    match stand(&params, request.data(), app).await {
        Ok(Standing::Unsafe(fault)) => error_page(&context, StatusCode::BAD_REQUEST, fault.sentence()),
        Ok(Standing::Anonymous) => {
            let asked = request
                .uri()
                .path_and_query()
                .map_or(PATH, |asked| asked.as_str());
            Ok(log_in(asked))
        }
        Ok(Standing::Refused(target, refusal)) => Ok(see_other(&target.refuse(&app.oauth.issuer, &refusal))),
        Ok(Standing::Asks(question)) => ask(&question, &params, &context, app).await,
        Err(error) => failed(&context, &error),
    }
}

/// Takes the person's answer and tells the app.
#[handler]
pub(crate) async fn decide_consent(
    request: &Request,
    body: Body,
    Data(app): Data<&Arc<App>>,
    record: Record,
) -> poem::Result<Response> {
    let context = record.context();
    let bytes = match body.into_vec().await {
        Ok(bytes) if is_form(request.content_type()) => bytes,
        Ok(_) | Err(_) => return error_page(context, StatusCode::BAD_REQUEST, INCOMPLETE),
    };
    let params = Params::parse(bytes);
    match stand(&params, request.data(), app).await {
        Ok(Standing::Unsafe(fault)) => error_page(context, StatusCode::BAD_REQUEST, fault.sentence()),
        Ok(Standing::Anonymous) => Ok(log_in(&again(&params))),
        Ok(Standing::Refused(target, refusal)) => Ok(see_other(&target.refuse(&app.oauth.issuer, &refusal))),
        Ok(Standing::Asks(question)) => decide(&question, &params, &record, app).await,
        Err(error) => failed(context, &error),
    }
}

/// What is said of a form that is not the page's.
const INCOMPLETE: &str = "The form was not complete.";

async fn ask(
    question: &Question,
    params: &Params,
    context: &RequestContext,
    app: &App,
) -> poem::Result<Response> {
    let accounts = match app.store.accounts_of(question.person.user).await {
        Ok(accounts) if accounts.is_empty() => return error_page(context, StatusCode::CONFLICT, NO_ACCOUNT),
        Ok(accounts) => accounts,
        Err(error) => return failed(context, &error),
    };
    let Some(destination) = Destination::of(&question.target.uri) else {
        return error_page(context, StatusCode::BAD_REQUEST, Unsafe::RedirectUri.sentence());
    };
    let fields = NAMES.iter().filter_map(|name| Some((*name, params.once(name)?)));
    let accounts: Vec<AccountChoice<'_>> = accounts.iter().map(shown).collect();
    let scopes: Vec<&str> = question
        .asked
        .scopes
        .iter()
        .map(|scope| scope.meaning())
        .collect();
    pages::consent(&Consent {
        app: &question.client.name,
        registered_by: &question.client.owner_email,
        destination: &destination,
        email: &question.person.email,
        accounts: &accounts,
        scopes: &scopes,
        fields: &fields.collect::<Vec<_>>(),
        csrf_token: &app.csrf.token(Bound::Session(question.person.session)),
    })
}

fn shown(account: &accounts::Model) -> AccountChoice<'_> {
    AccountChoice {
        id: account.id,
        number: &account.account_number,
        mode: AccountMode::of(&account.mode),
    }
}

/// The page that says what is wrong, and sends nobody anywhere.
fn error_page(context: &RequestContext, status: StatusCode, sentence: &str) -> poem::Result<Response> {
    let view = Failure {
        heading: "The app could not be connected",
        sentence,
        request_id: context.id(),
    };
    pages::error(status, &view)
}

async fn decide(question: &Question, params: &Params, record: &Record, app: &App) -> poem::Result<Response> {
    let (issuer, target) = (&app.oauth.issuer, &question.target);
    let context = record.context();
    let record = record.about(&question.client.client_id);
    match params.once("decision") {
        Some("allow") => {}
        Some("deny") => {
            app.audit(&record, AuditKind::OauthConsentDenied).await?;
            let refusal = Refusal::new(ErrorName::AccessDenied, "the person said no");
            return Ok(see_other(&target.refuse(issuer, &refusal)));
        }
        Some(_) | None => return error_page(context, StatusCode::BAD_REQUEST, INCOMPLETE),
    }
    let account = params
        .once("account_id")
        .and_then(|account| account.parse::<AccountId>().ok());
    let Some(account) = account else {
        return error_page(context, StatusCode::BAD_REQUEST, INCOMPLETE);
    };
    let grant = NewGrant {
        client: question.client.id,
        user: question.person.user,
        account,
        scopes: scope::names(&question.asked.scopes),
        redirect_uri: target.is_named.then(|| target.uri.clone()),
        code_challenge: question.asked.code_challenge.clone(),
    };
    let record = record.at_account(account).with("scopes", &grant.scopes.join(" "));
    let event = record.event(AuditKind::OauthConsentGiven, app.now());
    let made = app
        .store
        .create_oauth_grant_on_record(&grant, &event, app.now())
        .await;
    match made {
        Ok(made) => {
            tracing::info!(
                oauth.grant = %made.grant,
                oauth.client = question.client.client_id,
                user.id = %grant.user,
                account.id = %account,
                oauth.scopes = grant.scopes.join(" "),
                "a person let an app act"
            );
            Ok(see_other(&target.answer(issuer, &[("code", &made.code)])))
        }
        // Another user's, or none at all: which of the two is nobody's business.
        Err(StoreError::NotFound { .. }) => error_page(context, StatusCode::BAD_REQUEST, INCOMPLETE),
        Err(error) => failed(context, &error),
    }
}

/// The request of a form as the address that shows its page again.
fn again(params: &Params) -> String {
    let pairs = NAMES.iter().filter_map(|name| Some((*name, params.once(name)?)));
    super::params::with_query(PATH, &pairs.collect::<Vec<_>>())
}

fn log_in(next: &str) -> Response {
    see_other(&format!("/login?next={}", encoded(next)))
}

/// 303, so that a form's body goes nowhere else (RFC 9700 §4.12).
fn see_other(location: &str) -> Response {
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, location)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer")
        .finish()
}

fn failed(context: &RequestContext, error: &StoreError) -> poem::Result<Response> {
    let status = of_store(error).response().status();
    error_page(context, status, "The server could not do this now.")
}
