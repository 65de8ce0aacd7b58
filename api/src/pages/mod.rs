//! The HTML pages: what a person sees of Arbion without another program.
//!
//! | page | path | its forms post to |
//! |---|---|---|
//! | [`home`] | `/` | `/logout` |
//! | [`login`] | `/login` | `/login`: `email`, `password`, `next` |
//! | [`register`] | `/register` | `/register`: `email`, `password`, `next` |
//! | [`consent`] | `/oauth/authorize` | `/oauth/authorize`: the request's own fields, `account_id`, `decision` (`allow`, `deny`) |
//! | [`access`] | `/access` | `/access/revoke`: `kind` (`app`, `session`, `key`), `id` |
//! | [`error`] | wherever a page fails | |
//!
//! Invariants:
//! 1. Every text is escaped by the templates; there is no way around that here, and no `safe` in them.
//! 2. Every form carries `csrf_token`.
//! 3. Nothing is inline and nothing is loaded from elsewhere, so that the policy can be `default-src 'none'`; no page
//!    needs a script.
//! 4. Forms lead to this server alone; those of [`consent`], and of [`login`] and [`register`] on the way there, also to the
//!    app's own [`Destination`].
//! 5. A page is for one person: none may be kept in a cache.

mod access_page;
pub mod assets;
mod destination;
mod local_path;
pub(crate) mod routes;
mod views;

use askama::Template;
use poem::Response;
use poem::http::{HeaderValue, StatusCode, header};

pub use destination::Destination;
pub use local_path::local_path;
pub use views::{
    Access, AccountChoice, AccountMode, ConnectedApp, Consent, Failure, Fault, Field, Home, Key, Login,
    Person, Register, Session,
};

use crate::problem::{Code, Problem};

/// The start: what this is, and where to go.
pub fn home(view: &Home<'_>) -> poem::Result<Response> {
    page(StatusCode::OK, view)
}

/// Asks who it is. `status` is that of the attempt that failed, else 200.
pub fn login(status: StatusCode, view: &Login<'_>) -> poem::Result<Response> {
    page(status, view)
}

/// Makes an account. `status` is that of the attempt that failed, else 200.
pub fn register(status: StatusCode, view: &Register<'_>) -> poem::Result<Response> {
    page(status, view)
}

/// Asks whether an app may act for the person.
pub fn consent(view: &Consent<'_>) -> poem::Result<Response> {
    leading_to(page(StatusCode::OK, view)?, view.destination)
}

/// Lets the forms of a page lead to `destination`, too.
fn leading_to(mut response: Response, destination: &Destination) -> poem::Result<Response> {
    let policy = HeaderValue::try_from(destination.policy())
        .map_err(|error| Problem::hidden(Code::InternalError, error))?;
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// Lists everything that acts for the person, and ends it.
pub fn access(view: &Access<'_>) -> poem::Result<Response> {
    page(StatusCode::OK, view)
}

/// Says that it did not work, in words for people; the answer's status is `status`.
pub fn error(status: StatusCode, view: &Failure<'_>) -> poem::Result<Response> {
    page(status, view)
}

fn page(status: StatusCode, view: &impl Template) -> poem::Result<Response> {
    let html = view
        .render()
        .map_err(|error| Problem::hidden(Code::InternalError, error))?;
    Ok(Response::builder()
        .status(status)
        .content_type("text/html; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .body(html))
}

#[cfg(test)]
mod tests;
