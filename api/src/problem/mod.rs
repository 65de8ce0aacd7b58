//! THE error map: every failure of a request becomes one [`Problem`], and nothing else builds an error body.
//!
//! The body is `application/problem+json` (RFC 9457) that Alpaca's SDKs can read, too: beside `type`, `title`, `status`,
//! `detail` and `instance` it has our stable `error`, the `request_id`, and Alpaca's integer `code` and string `message`.
//!
//! | module | what |
//! |---|---|
//! | [`code`] | the closed list of codes |
//! | `mapping` | how the errors of the domain and the store map to codes |
//! | `framework` | what poem itself refuses, panics included |
//! | [`docs`] | the page of errors, and `docs/errors.md` |
//!
//! Internal text never reaches a client: it is logged once, under the request id, where the answer is made.

pub mod code;
pub mod docs;
mod framework;
mod mapping;

use std::error::Error;
use std::fmt;

use poem::error::ResponseError;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

pub use code::Code;
pub(crate) use framework::endpoint_not_found;
pub use framework::{answer, answer_panic};
pub(crate) use mapping::{or_absent, order_not_found};

/// The media type of an error's body.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// How long a client should wait before it tries again after a 503 that names no other time, in seconds.
const RETRY_AFTER_SECONDS: u64 = 1;

/// One thing that is wrong with a request, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    place: Place,
    detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// A JSON pointer (RFC 6901) into the body.
    Pointer(String),
    /// A parameter of the path or the query.
    Parameter(String),
    /// A header.
    Header(String),
}

impl FieldError {
    /// Wrong in the body, at a JSON pointer.
    pub fn at_pointer(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            place: Place::Pointer(pointer.into()),
            detail: detail.into(),
        }
    }

    /// Wrong in the path or the query.
    pub fn at_parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            place: Place::Parameter(name.into()),
            detail: detail.into(),
        }
    }

    /// Wrong in a header.
    pub fn at_header(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            place: Place::Header(name.into()),
            detail: detail.into(),
        }
    }

    /// The pointer, or the name of the parameter or header.
    pub fn place(&self) -> &str {
        match &self.place {
            Place::Pointer(place) | Place::Parameter(place) | Place::Header(place) => place,
        }
    }

    fn to_json(&self) -> Value {
        let kind = match &self.place {
            Place::Pointer(_) => "pointer",
            Place::Parameter(_) => "parameter",
            Place::Header(_) => "header",
        };
        json!({ kind: self.place(), "detail": self.detail })
    }
}

/// A failed request: its code, what happened this time, and what a client can use.
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
    retry_after_seconds: Option<u64>,
    is_of_token: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A problem that tells `detail`, in words for the client.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            members: Map::new(),
            retry_after_seconds: None,
            is_of_token: false,
            source: None,
        }
    }

    /// A problem whose cause is logged and never shown.
    pub fn hidden(code: Code, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let mut problem = Self::new(code, code.title());
        problem.source = Some(source.into());
        problem
    }

    /// The problem of several faults: named by the first, listing all.
    pub fn from_faults(faults: Vec<(Code, FieldError)>) -> Result<(), Self> {
        let Some((code, first)) = faults.first() else {
            return Ok(());
        };
        let mut problem = Self::new(*code, first.detail.clone());
        problem.errors = faults.into_iter().map(|(_, error)| error).collect();
        Err(problem)
    }

    /// Adds the place that is wrong.
    #[must_use]
    pub fn with_error(mut self, error: FieldError) -> Self {
        self.errors.push(error);
        self
    }

    /// Names a field of the body as the place that is wrong.
    #[must_use]
    pub fn at_field(self, name: &str) -> Self {
        let error = FieldError::at_pointer(format!("/{name}"), self.detail.clone());
        self.with_error(error)
    }

    /// Adds a member that clients can use.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Says when it is of use to try again.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Says that an access token was sent which is worth nothing, or nothing any more.
    #[must_use]
    pub(crate) const fn of_token(mut self) -> Self {
        self.is_of_token = true;
        self
    }

    /// What went wrong.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What happened this time.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The places that are wrong.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// What the log shall know and the client shall not.
    pub fn hidden_cause(&self) -> Option<&(dyn Error + Send + Sync)> {
        self.source.as_deref()
    }

    /// The body: also an element of a 207, where it stands beside the element's status.
    pub fn body(&self, instance: &str, request_id: &str) -> Value {
        let mut body = self.members.clone();
        let members = [
            ("type", json!(self.code.type_uri())),
            ("title", json!(self.code.title())),
            ("status", json!(self.code.status().as_u16())),
            ("detail", json!(self.detail)),
            ("instance", json!(instance)),
            ("error", json!(self.code.as_str())),
            ("request_id", json!(request_id)),
            ("code", json!(self.code.alpaca_code())),
            ("message", json!(self.detail)),
        ];
        body.extend(members.map(|(name, value)| (name.to_owned(), value)));
        if !self.errors.is_empty() {
            let errors = self.errors.iter().map(FieldError::to_json).collect();
            body.insert("errors".to_owned(), Value::Array(errors));
        }
        Value::Object(body)
    }

    /// How to prove oneself, as RFC 6750 section 3 has it told to the holders of access tokens. Basic, which is accepted,
    /// too, is not among it: browsers would ask for a password in a window of their own.
    fn challenge(&self) -> Option<HeaderValue> {
        if self.code.status() == StatusCode::UNAUTHORIZED {
            return Some(HeaderValue::from_static(if self.is_of_token {
                "Bearer realm=\"arbion\", error=\"invalid_token\""
            } else {
                "ApiKey realm=\"arbion\", Bearer realm=\"arbion\""
            }));
        }
        if self.code != Code::InsufficientScope {
            return None;
        }
        let scope = self.members.get("scope").and_then(Value::as_str)?;
        let challenge = format!("Bearer realm=\"arbion\", error=\"insufficient_scope\", scope=\"{scope}\"");
        HeaderValue::from_str(&challenge).ok()
    }

    /// The whole answer to the request `request_id` for `instance` (its path).
    pub fn response(&self, instance: &str, request_id: &str) -> Response {
        let body = self.body(instance, request_id).to_string();
        let mut response = body.with_content_type(CONTENT_TYPE).into_response();
        response.set_status(self.code.status());
        let headers = response.headers_mut();
        if let Some(challenge) = self.challenge() {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if self.code.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({}: {})", self.code.as_str(), self.detail)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.code.status()
    }
}

#[cfg(test)]
mod tests;
