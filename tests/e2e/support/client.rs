//! A plain HTTP client that knows an API key.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// The headers of a request beside the key's.
pub(crate) type Headers<'a> = &'a [(&'a str, &'a str)];

/// Sends requests to one API process. Clones share the connections.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    key: HeaderMap,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// A client of `base` (`http://…`) with the headers of the key in `key_file`, the text of a header file.
    pub(crate) fn new(base: &str, key_file: &str) -> Self {
        let key = key_file.lines().map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        });
        Self {
            http: reqwest::Client::new(),
            base: base.to_owned(),
            key: key.collect(),
        }
    }

    /// The same without a key.
    pub(crate) fn anonymous(&self) -> Self {
        Self {
            key: HeaderMap::new(),
            ..self.clone()
        }
    }

    /// Where it sends to.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The value of one of the key's headers.
    pub(crate) fn key(&self, name: &str) -> &str {
        self.key[name].to_str().unwrap()
    }

    /// Sends a request; `Err` where no answer came.
    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: Headers<'_>,
        body: Vec<u8>,
    ) -> Result<Answer, reqwest::Error> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .headers(self.key.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(request.body(body).send().await?).await
    }

    /// Sends a request.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: Headers<'_>, body: Vec<u8>) -> Answer {
        let answer = self.try_send(method, path, headers, body).await;
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    /// POST with a name and a secret by Basic.
    pub(crate) async fn send_with_basic(
        &self,
        path: &str,
        name: &str,
        secret: &str,
        headers: Headers<'_>,
        body: String,
    ) -> Answer {
        let mut request = self.http.post(format!("{}{path}", self.base));
        request = request.basic_auth(name, Some(secret));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(request.body(body).send().await.unwrap())
            .await
            .unwrap()
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], vec![]).await
    }

    /// DELETE.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], vec![]).await
    }

    /// POST of a JSON text.
    pub(crate) async fn post_text(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.into())
            .await
    }

    /// POST.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, body.to_string()).await
    }

    /// PATCH.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(
            "PATCH",
            path,
            &[("content-type", "application/json")],
            body.to_string().into_bytes(),
        )
        .await
    }

    /// Places an order that must be accepted, and answers its id.
    pub(crate) async fn place(&self, order: &Value) -> String {
        let placed = self.post("/v2/orders", order).await.expect(200);
        text(&placed["id"]).to_owned()
    }

    /// The order `id` as it stands.
    pub(crate) async fn order(&self, id: &str) -> Value {
        self.get(&format!("/v2/orders/{id}")).await.expect(200)
    }

    /// Waits until the order `id` has one of these statuses, and answers it.
    pub(crate) async fn order_in(&self, id: &str, statuses: &[&str]) -> Value {
        super::eventually(&format!("order {id} is {statuses:?}"), async || {
            let order = self.order(id).await;
            statuses.contains(&text(&order["status"])).then_some(order)
        })
        .await
    }

    /// Buys at the market and waits for the fill.
    pub(crate) async fn buy(&self, symbol: &str, quantity: &str) -> Value {
        let id = self.place(&market_order("buy", symbol, quantity)).await;
        self.order_in(&id, &["filled"]).await
    }
}

/// A market order that any instrument takes.
pub(crate) fn market_order(side: &str, symbol: &str, quantity: &str) -> Value {
    let time_in_force = if symbol.contains('/') { "gtc" } else { "day" };
    json!({"symbol": symbol, "qty": quantity, "side": side, "type": "market", "time_in_force": time_in_force})
}

/// A limit order, good till canceled.
pub(crate) fn limit_order(side: &str, symbol: &str, quantity: &str, price: &str) -> Value {
    json!({
        "symbol": symbol, "qty": quantity, "side": side, "type": "limit", "limit_price": price,
        "time_in_force": "gtc"
    })
}

/// The text of a JSON string.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no string: {value}"))
}

impl Answer {
    /// Reads a response whole; `Err` where it breaks off.
    pub(crate) async fn read(response: reqwest::Response) -> Result<Self, reqwest::Error> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self {
            status,
            headers,
            body: response.bytes().await?.to_vec(),
        })
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The header `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// The stable code of a problem that must have this status; its form is checked.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> String {
        let body = self.expect(status);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{body}"
        );
        assert_eq!(body["status"], json!(status), "{body}");
        assert!(body["code"].is_i64() && body["message"].is_string(), "{body}");
        for member in ["type", "title", "detail", "instance"] {
            assert!(body[member].is_string(), "{member}: {body}");
        }
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"), "{body}");
        text(&body["error"]).to_owned()
    }
}
