//! What a browser does with an API: keeps its cookies, and sends the token of its page.

use std::collections::BTreeMap;

use poem::Request;
use poem::http::Method;
use poem::http::header::SET_COOKIE;
use serde_json::{Value, json};

use super::site::{Answer, Site};

/// A password that the policy allows.
pub(super) const PASSWORD: &str = "seven purple sailing boats";

/// One browser of one person.
pub(super) struct Browser<'a> {
    site: &'a Site,
    cookies: BTreeMap<String, String>,
    /// The token that it sends; empty: none.
    pub(super) token: String,
    /// Further headers of each request.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl<'a> Browser<'a> {
    /// One that has opened the page with the login.
    pub(super) async fn open(site: &'a Site) -> Self {
        let mut browser = Self {
            site,
            cookies: BTreeMap::new(),
            token: String::new(),
            headers: Vec::new(),
        };
        let answer = browser.get("/auth/csrf").await;
        browser.token = text(&answer.json()["csrf_token"]);
        browser
    }

    /// One that has just registered `email`.
    pub(super) async fn registered(site: &'a Site, email: &str) -> Self {
        let mut browser = Self::open(site).await;
        let answer = browser.enter("/auth/register", email, PASSWORD).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        browser
    }

    /// One that has just logged in.
    pub(super) async fn logged_in(site: &'a Site, email: &str) -> Self {
        let mut browser = Self::open(site).await;
        let answer = browser.enter("/auth/login", email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        browser
    }

    /// Sends an e-mail address and a password; takes over the token of the session that begins.
    pub(super) async fn enter(&mut self, path: &str, email: &str, password: &str) -> Answer {
        let answer = self
            .post(path, &json!({"email": email, "password": password}))
            .await;
        self.take_token(&answer);
        answer
    }

    /// Takes over the token of a session that begins or is renewed.
    pub(super) fn take_token(&mut self, answer: &Answer) {
        if answer.status.is_success() {
            self.token = text(&answer.json()["csrf_token"]);
        }
    }

    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    pub(super) fn plant(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    pub(super) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(super) async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(super) async fn patch(&mut self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub(super) async fn delete(&mut self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    pub(super) async fn send(&mut self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(|body| ("application/json", body.to_string()));
        self.send_as(method, path, body, true).await
    }

    /// Sends a form as a page does that has no script: the token stands in it, or not at all.
    pub(super) async fn submit(&mut self, path: &str, form: String) -> Answer {
        let body = Some(("application/x-www-form-urlencoded", form));
        self.send_as(Method::POST, path, body, false).await
    }

    async fn send_as(
        &mut self,
        method: Method,
        path: &str,
        body: Option<(&str, String)>,
        is_by_script: bool,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method.clone())
            .uri_str(path)
            .header("host", "localhost:5000");
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !pairs.is_empty() {
            request = request.header("cookie", pairs.join("; "));
        }
        if is_by_script && method != Method::GET && !self.token.is_empty() {
            request = request.header("x-csrf-token", &self.token);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = match body {
            Some((content_type, body)) => request.content_type(content_type).body(body),
            None => request.finish(),
        };
        let answer = self.site.answer(request).await;
        for line in answer.response.headers().get_all(SET_COOKIE) {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.plant(name, value);
            }
        }
        answer
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}
