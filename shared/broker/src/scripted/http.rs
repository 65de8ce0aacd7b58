//! One request to the broker, with its time-outs, and what came back of it.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::BrokerError;

/// The way to the broker. Clones share the connections.
#[derive(Clone)]
pub(super) struct Http {
    client: Client,
    url: String,
    /// The broker's name.
    pub(super) broker: &'static str,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// No connection was made: the request never left.
    Unreachable(String),
    /// The request may have arrived; no whole answer came.
    Lost(String),
    /// A whole answer.
    Answer {
        /// The status.
        status: u16,
        /// What the broker asks to wait.
        retry_after: Option<Duration>,
        /// The body.
        body: Vec<u8>,
    },
}

impl Http {
    pub(super) fn open(
        broker: &'static str,
        url: &str,
        connect_timeout: Duration,
        timeout: Duration,
    ) -> Result<Self, BrokerError> {
        let client = Client::builder()
            .connect_timeout(connect_timeout)
            .timeout(timeout)
            .no_proxy()
            // A request goes out once: whether again is not for a library to decide.
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let client = client.map_err(|error| BrokerError::Unavailable {
            broker,
            reason: error.to_string(),
        })?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, broker })
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        send(self.request(Method::GET, path)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Reply {
        send(self.request(Method::DELETE, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Reply {
        send(self.request(Method::POST, path).json(body)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }
}

async fn send(request: RequestBuilder) -> Reply {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() || error.is_builder() => return Reply::Unreachable(told(&error)),
        Err(error) => return Reply::Lost(told(&error)),
    };
    let status = response.status().as_u16();
    let wait = response.headers().get(RETRY_AFTER);
    let wait = wait.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    match response.bytes().await {
        Ok(body) => Reply::Answer {
            status,
            retry_after: wait.map(Duration::from_secs),
            body: body.to_vec(),
        },
        Err(error) => Reply::Lost(told(&error)),
    }
}

/// What went wrong, with what lies behind it: the outer error of a library says little.
fn told(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        error.to_string()
    };
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
