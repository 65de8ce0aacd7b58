//! The errors of the protocol (RFC 6749 §4.1.2.1 and §5.2, RFC 7009, RFC 7662).
//!
//! They have the protocol's form, not that of problems: clients of OAuth look for `error`. Their texts are constant, so
//! nothing of a request is ever repeated.

use poem::Response;
use poem::http::{StatusCode, header};
use serde_json::{Value, json};

use super::params::Repeated;

/// An error by its name in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorName {
    /// A parameter is missing, repeated, or of the wrong form.
    InvalidRequest,
    /// Who the client is was not proven.
    InvalidClient,
    /// The code or refresh token is good for nothing, or not for this client.
    InvalidGrant,
    /// The client may not get tokens in this way.
    UnauthorizedClient,
    /// There is no such way to get tokens.
    UnsupportedGrantType,
    /// There is no such kind of answer.
    UnsupportedResponseType,
    /// A scope is unknown, or more than the client may have.
    InvalidScope,
    /// The person said no.
    AccessDenied,
    /// The database does not answer.
    TemporarilyUnavailable,
    /// A fault of ours.
    ServerError,
}

impl ErrorName {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::AccessDenied => "access_denied",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }

    /// The status at the endpoints that clients call themselves.
    const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest
            | Self::InvalidGrant
            | Self::UnauthorizedClient
            | Self::UnsupportedGrantType
            | Self::UnsupportedResponseType
            | Self::InvalidScope
            | Self::AccessDenied => StatusCode::BAD_REQUEST,
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A request that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Which error it is.
    pub name: ErrorName,
    /// What happened, for the client's author.
    pub description: &'static str,
    /// Whether the client tried `Authorization`.
    is_of_header: bool,
}

impl Refusal {
    /// A refusal that says `description`.
    pub const fn new(name: ErrorName, description: &'static str) -> Self {
        Self {
            name,
            description,
            is_of_header: false,
        }
    }

    /// A parameter is missing, repeated or of the wrong form.
    pub const fn malformed(description: &'static str) -> Self {
        Self::new(ErrorName::InvalidRequest, description)
    }

    /// A code or token is good for nothing. Why is nobody's business but the log's.
    pub const fn of_grant() -> Self {
        Self::new(
            ErrorName::InvalidGrant,
            "the code or token is unknown, expired, used, revoked, or was made for another client or redirect_uri",
        )
    }

    /// Who the client is was not proven; `is_of_header` where it tried `Authorization`.
    pub const fn of_client(is_of_header: bool) -> Self {
        Self {
            name: ErrorName::InvalidClient,
            description: "the client is unknown, or its secret is wrong or missing",
            is_of_header,
        }
    }

    /// The answer to a client that called an endpoint itself.
    pub fn response(&self) -> Response {
        let body = json!({"error": self.name.as_str(), "error_description": self.description});
        let mut response = json_response(&body);
        response.set_status(self.name.status());
        let headers = response.headers_mut();
        // RFC 6749 §5.2: a client that tried `Authorization` is told which scheme it takes.
        if self.is_of_header {
            let scheme = header::HeaderValue::from_static("Basic realm=\"arbion\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        if self.name == ErrorName::TemporarilyUnavailable {
            headers.insert(header::RETRY_AFTER, 1.into());
        }
        response
    }
}

impl From<Repeated> for Refusal {
    fn from(_: Repeated) -> Self {
        Self::malformed("a parameter stands there more than once")
    }
}

/// An answer in JSON that nobody on the way may keep (RFC 6749 §5.1).
pub fn json_response(body: &Value) -> Response {
    Response::builder()
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::PRAGMA, "no-cache")
        .body(body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [ErrorName; 10] = [
        ErrorName::InvalidRequest,
        ErrorName::InvalidClient,
        ErrorName::InvalidGrant,
        ErrorName::UnauthorizedClient,
        ErrorName::UnsupportedGrantType,
        ErrorName::UnsupportedResponseType,
        ErrorName::InvalidScope,
        ErrorName::AccessDenied,
        ErrorName::TemporarilyUnavailable,
        ErrorName::ServerError,
    ];

    #[tokio::test]
    async fn a_refusal_has_the_protocol_s_form_and_is_kept_by_nobody() {
        for name in ALL {
            let mut response = Refusal::new(name, "why").response();
            assert_eq!(response.header("cache-control"), Some("no-store"));
            assert_eq!(response.header("www-authenticate"), None);
            let body = response.take_body().into_string().await.unwrap();
            let expected = format!(r#"{{"error":"{}","error_description":"why"}}"#, name.as_str());
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn only_a_client_that_tried_a_header_is_asked_for_one() {
        let scheme = |refusal: Refusal| {
            let response = refusal.response();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            response.header("www-authenticate").map(str::to_owned)
        };
        assert_eq!(scheme(Refusal::of_client(false)), None);
        assert!(scheme(Refusal::of_client(true)).unwrap().starts_with("Basic "));
    }
}
