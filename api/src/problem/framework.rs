//! What poem itself refuses, and panics: the outermost layer turns every error into the one form, and logs the faults
//! of the server once, with the request id.

use std::error::Error;

use poem::error::{MethodNotAllowedError, NotFoundError, ReadBodyError};
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Response, error::ParsePathError};
use poem_openapi::error::{ParseParamError, ParsePathError as ParameterError};

use super::{Code, FieldError, Problem};
use crate::middleware::RequestContext;
use crate::pages;
use crate::paths::PathTable;

/// The answer to a request that was `answered` so.
pub fn answer(answered: poem::Result<Response>, context: &RequestContext, paths: &PathTable) -> Response {
    match answered {
        Ok(response) => response,
        // An answer that a handler made itself passes as it is.
        Err(error) if error.is_from_response() => error.into_response(),
        Err(error) => answer_error(&error, context, paths),
    }
}

/// The answer to a request that failed with `error`.
fn answer_error(error: &poem::Error, context: &RequestContext, paths: &PathTable) -> Response {
    if let Some(problem) = error.downcast_ref::<Problem>() {
        return answer_problem(problem, context);
    }
    if error.is::<MethodNotAllowedError>() {
        return answer_wrong_method(context, paths);
    }
    answer_problem(&from_framework(error), context)
}

/// The answer to a request whose handler panicked. The panic's text is in the log already.
pub fn answer_panic(context: &RequestContext) -> Response {
    answer_problem(
        &Problem::hidden(Code::InternalError, "the handler panicked"),
        context,
    )
}

fn answer_problem(problem: &Problem, context: &RequestContext) -> Response {
    if let Some(cause) = problem.hidden_cause() {
        log_cause(problem.code(), cause, context);
    }
    let mut response = problem.response(context.path(), context.id());
    response.set_data(problem.code());
    if pages::routes::is_page(context.path()) {
        return pages::routes::failure(problem.code(), context.id(), response);
    }
    response
}

fn log_cause(code: Code, cause: &(dyn Error + Send + Sync), context: &RequestContext) {
    let mut causes = cause.to_string();
    let mut next = cause.source();
    while let Some(source) = next {
        causes.push_str(": ");
        causes.push_str(&source.to_string());
        next = source.source();
    }
    tracing::error!(
        request.id = context.id(),
        error.code = code.as_str(),
        error = causes,
        "a request failed on our side"
    );
}

/// 405 with `Allow`; 404 where no documented path fits, since a colon in a route's path lets poem match too much.
fn answer_wrong_method(context: &RequestContext, paths: &PathTable) -> Response {
    let Some(known) = paths.find(context.path()) else {
        return answer_problem(&endpoint_not_found(), context);
    };
    let allow = known.allow();
    let detail = format!("{} takes {allow}", known.pattern());
    let mut response = answer_problem(&Problem::new(Code::MethodNotAllowed, detail), context);
    if let Ok(value) = HeaderValue::from_str(&allow) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

/// What is said of a path that no route has.
pub(crate) fn endpoint_not_found() -> Problem {
    Problem::new(Code::EndpointNotFound, "endpoint not found")
}

fn from_framework(error: &poem::Error) -> Problem {
    if error.is::<NotFoundError>() || error.is::<ParsePathError>() {
        return endpoint_not_found();
    }
    if let Some(ParseParamError { name, reason }) = error.downcast_ref::<ParseParamError>() {
        return bad_parameter(name, reason);
    }
    if let Some(ParameterError { reason, .. }) = error.downcast_ref::<ParameterError>() {
        return bad_parameter("path", reason);
    }
    if error.is::<ReadBodyError>() {
        return Problem::new(Code::MalformedJson, "the body ended early");
    }
    match error.status() {
        StatusCode::NOT_FOUND => endpoint_not_found(),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::BodyTooLarge, "the body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            let detail = "send the body as Content-Type: application/json";
            Problem::new(Code::UnsupportedMediaType, detail)
        }
        status if status.is_client_error() => Problem::new(Code::InvalidRequest, "the request can't be read"),
        _ => Problem::hidden(Code::InternalError, error.to_string()),
    }
}

fn bad_parameter(name: &str, reason: &str) -> Problem {
    // poem-openapi puts the name of the type before the reason: `failed to parse "boolean": must be …`.
    let own = reason
        .strip_prefix("failed to parse \"")
        .and_then(|rest| rest.split_once("\": "));
    let reason = own.map_or(reason, |(_, reason)| reason);
    let detail = format!("{name} {reason}");
    Problem::new(Code::InvalidRequest, detail.clone()).with_error(FieldError::at_parameter(name, detail))
}
