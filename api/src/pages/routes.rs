//! The handlers of the pages: what the forms of a browser without scripts do over the same functions as `/auth`.
//!
//! 1. After a form that did something the browser is sent on (303), so that reloading does nothing twice.
//! 2. `next` is a path of this server, or nothing.

use std::sync::Arc;

use poem::http::{HeaderValue, StatusCode, header};
use poem::web::{Data, Form, Query};
use poem::{Request, Response, Route, get, handler, post};
use serde::Deserialize;

use super::{Failure, Fault, Field, Home, Login, Person, Register, access_page, assets, local_path};
use crate::app::App;
use crate::auth::SessionUser;
use crate::auth::csrf::Bound;
use crate::oauth::authorize::{self, destination_behind};
use crate::problem::Code;
use crate::record::Record;
use crate::routes::auth::{
    SessionStart, attempt, begin, check, create, end, is_email, page_token, require_open,
};

const READ: &[&str] = &["GET", "HEAD"];

/// The paths, with the methods that they take.
pub(crate) const PATHS: [(&str, &[&str]); 6] = [
    ("/", READ),
    ("/login", &["GET", "HEAD", "POST"]),
    ("/register", &["GET", "HEAD", "POST"]),
    ("/logout", &["POST"]),
    ("/access", READ),
    ("/access/revoke", &["POST"]),
];

/// Adds the routes of the pages and of what they load.
pub(crate) fn routes(route: Route) -> Route {
    assets::routes(route)
        .at("/", get(show_home))
        .at("/login", get(show_login).post(log_in))
        .at("/register", get(show_register).post(register))
        .at("/logout", post(log_out))
        .at("/access", get(access_page::show))
        .at("/access/revoke", post(access_page::revoke))
}

/// Whether `path` is shown to a person, so that its errors are pages, too.
pub(crate) fn is_page(path: &str) -> bool {
    is_own(path) || path == authorize::PATH
}

fn is_own(path: &str) -> bool {
    PATHS.iter().any(|(page, _)| *page == path)
}

/// Whether [`routes`] has an answer for `path`.
pub(crate) fn has(path: &str) -> bool {
    is_own(path) || assets::has(path)
}

/// `answer`, to a request that failed with `code`, as a page: status and headers stay.
pub(crate) fn failure(code: Code, request_id: &str, mut answer: Response) -> Response {
    let view = Failure {
        heading: code.title(),
        sentence: code.remedy(),
        request_id,
    };
    if let Ok(page) = super::error(code.status(), &view) {
        let (parts, body) = page.into_parts();
        answer.headers_mut().extend(parts.headers);
        answer.set_body(body);
    }
    answer
}

#[derive(Debug, Deserialize)]
struct Next {
    next: Option<String>,
}

#[derive(Deserialize)]
struct CredentialsForm {
    email: String,
    password: String,
    next: Option<String>,
}

/// Sends the browser on with GET.
pub(super) fn see_other(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, location)
        .finish()
}

fn with_cookie(mut response: Response, cookie: Option<String>) -> Response {
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

pub(super) fn person<'a>(user: &'a SessionUser, csrf_token: &'a str) -> Person<'a> {
    Person {
        email: &user.email,
        csrf_token,
    }
}

#[handler]
fn show_home(Data(app): Data<&Arc<App>>, request: &Request) -> poem::Result<Response> {
    let user = request.data::<SessionUser>();
    let token = user.map_or_else(String::new, |user| app.csrf.token(Bound::Session(user.session)));
    super::home(&Home {
        person: user.map(|user| person(user, &token)),
        is_registration_open: app.is_registration_open(),
    })
}

/// A page with a form whose answer goes on to `next`.
async fn with_form(
    app: &App,
    page: Response,
    next: Option<&str>,
    cookie: Option<String>,
) -> poem::Result<Response> {
    let destination = match next {
        Some(next) => destination_behind(next, app).await,
        None => None,
    };
    let page = match &destination {
        Some(destination) => super::leading_to(page, destination)?,
        None => page,
    };
    Ok(with_cookie(page, cookie))
}

#[handler]
async fn show_login(
    Data(app): Data<&Arc<App>>,
    request: &Request,
    Query(Next { next }): Query<Next>,
) -> poem::Result<Response> {
    let next = next.as_deref().and_then(local_path);
    if request.data::<SessionUser>().is_some() {
        return Ok(see_other(next.unwrap_or("/")));
    }
    login_page(app, request, StatusCode::OK, "", next, None).await
}

async fn login_page(
    app: &App,
    request: &Request,
    status: StatusCode,
    email: &str,
    next: Option<&str>,
    error: Option<&str>,
) -> poem::Result<Response> {
    let (token, cookie) = page_token(app, request);
    let view = Login {
        email,
        next,
        error,
        csrf_token: &token,
        is_registration_open: app.is_registration_open(),
    };
    with_form(app, super::login(status, &view)?, next, cookie).await
}

#[handler]
async fn log_in(
    Data(app): Data<&Arc<App>>,
    request: &Request,
    record: Record,
    Form(form): Form<CredentialsForm>,
) -> poem::Result<Response> {
    let CredentialsForm {
        email,
        password,
        next,
    } = form;
    let next = next.as_deref().and_then(local_path);
    let start = match check(
        app,
        &record,
        &attempt(app, request, &email),
        &email,
        &password.into(),
    )
    .await
    {
        Ok(start) => start,
        Err(problem) if problem.code() == Code::WrongPassword => {
            let error = Some("The e-mail address or the password is wrong.");
            return login_page(app, request, StatusCode::UNAUTHORIZED, &email, next, error).await;
        }
        Err(problem) => return Err(problem.into()),
    };
    go_on(app, &record, request, start, next).await
}

/// Begins a session and sends the browser on to where it was going.
async fn go_on(
    app: &App,
    record: &Record,
    request: &Request,
    start: SessionStart,
    next: Option<&str>,
) -> poem::Result<Response> {
    let begun = begin(app, record, request, start).await?;
    Ok(with_cookie(see_other(next.unwrap_or("/")), Some(begun.cookie)))
}

#[handler]
async fn show_register(
    Data(app): Data<&Arc<App>>,
    request: &Request,
    Query(Next { next }): Query<Next>,
) -> poem::Result<Response> {
    let next = next.as_deref().and_then(local_path);
    register_page(app, request, StatusCode::OK, "", next, None).await
}

async fn register_page(
    app: &App,
    request: &Request,
    status: StatusCode,
    email: &str,
    next: Option<&str>,
    fault: Option<Fault<'_>>,
) -> poem::Result<Response> {
    require_open(app)?;
    let (token, cookie) = page_token(app, request);
    let view = Register {
        email,
        next,
        fault,
        csrf_token: &token,
    };
    with_form(app, super::register(status, &view)?, next, cookie).await
}

const fn at(field: Field, text: &str) -> Fault<'_> {
    Fault {
        field: Some(field),
        text,
    }
}

#[handler]
async fn register(
    Data(app): Data<&Arc<App>>,
    request: &Request,
    record: Record,
    Form(form): Form<CredentialsForm>,
) -> poem::Result<Response> {
    let CredentialsForm {
        email,
        password,
        next,
    } = form;
    let next = next.as_deref().and_then(local_path);
    if !is_email(&email) {
        let text = "Enter an e-mail address, such as anna@example.com.";
        let (status, fault) = (StatusCode::UNPROCESSABLE_ENTITY, at(Field::Email, text));
        return register_page(app, request, status, &email, next, Some(fault)).await;
    }
    let start = match create(app, &record, email.clone(), password.into()).await {
        Ok(start) => start,
        Err(problem) if problem.code() == Code::WeakPassword => {
            let (status, fault) = (problem.code().status(), at(Field::Password, problem.detail()));
            return register_page(app, request, status, &email, next, Some(fault)).await;
        }
        Err(problem) if problem.code() == Code::EmailTaken => {
            let text = "There is an account with this e-mail address: log in instead.";
            let (status, fault) = (problem.code().status(), at(Field::Email, text));
            return register_page(app, request, status, &email, next, Some(fault)).await;
        }
        Err(problem) => return Err(problem.into()),
    };
    go_on(app, &record, request, start, next).await
}

#[handler]
async fn log_out(Data(app): Data<&Arc<App>>, record: Record, user: SessionUser) -> poem::Result<Response> {
    let cookie = end(app, &record, &user).await?;
    Ok(with_cookie(see_other("/"), Some(cookie)))
}
