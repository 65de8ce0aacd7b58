//! People in a browser, by plain HTTP: they keep their cookies, send the token of their page, follow no redirect by
//! themselves, and answer the page that asks whether an app may act for them.

use std::collections::BTreeMap;

use oauth2::url::{Url, form_urlencoded};
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use super::client::{Answer, text};

/// A password that the policy allows.
pub(crate) const PASSWORD: &str = "seven purple sailing boats";

/// The media type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    http: reqwest::Client,
    base: String,
    cookies: BTreeMap<String, String>,
    /// The token that the page holds.
    token: String,
    /// Further headers of each request.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// A client that goes nowhere by itself.
pub(crate) fn without_redirects() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(Policy::none())
        .build()
        .unwrap()
}

/// `pairs` as a form.
pub(crate) fn form<K: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// The parameter `name` of the address that an answer leads to.
pub(crate) fn parameter(location: &str, name: &str) -> Option<String> {
    let url = Url::parse(location).unwrap_or_else(|error| panic!("{error}: {location}"));
    let mut pairs = url.query_pairs();
    pairs
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

impl Person {
    /// One who has opened the page with the login.
    pub(crate) async fn arrives(base: &str) -> Self {
        let mut person = Self {
            http: without_redirects(),
            base: base.to_owned(),
            cookies: BTreeMap::new(),
            token: String::new(),
            headers: Vec::new(),
        };
        let answer = person.get("/auth/csrf").await;
        person.take_token(&answer);
        person
    }

    /// One who has just registered.
    pub(crate) async fn registered(base: &str, email: &str) -> Self {
        let mut person = Self::arrives(base).await;
        person.enter("/auth/register", email, PASSWORD).await.expect(201);
        person
    }

    /// One who has just logged in.
    pub(crate) async fn logged_in(base: &str, email: &str) -> Self {
        let mut person = Self::arrives(base).await;
        person.enter("/auth/login", email, PASSWORD).await.expect(200);
        person
    }

    /// The same browser, as it is now, at another process of the API.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self {
            base: base.to_owned(),
            ..self.clone()
        }
    }

    /// Sends an e-mail address and a password to `path`.
    pub(crate) async fn enter(&mut self, path: &str, email: &str, password: &str) -> Answer {
        let answer = self
            .post(path, &json!({"email": email, "password": password}))
            .await;
        self.take_token(&answer);
        answer
    }

    fn take_token(&mut self, answer: &Answer) {
        if answer.status < 300 {
            text(&answer.json()["csrf_token"]).clone_into(&mut self.token);
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(("application/json", body.to_string())))
            .await
    }

    pub(crate) async fn patch(&mut self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, Some(("application/json", body.to_string())))
            .await
    }

    pub(crate) async fn delete(&mut self, path: &str) -> Answer {
        self.send("DELETE", path, None).await
    }

    /// Sends a request as a page of the API does.
    async fn send(&mut self, method: &str, path: &str, body: Option<(&str, String)>) -> Answer {
        let is_form = body.as_ref().is_some_and(|(kind, _)| *kind == FORM);
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        if !self.cookies.is_empty() {
            let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
            request = request.header("cookie", pairs.collect::<Vec<_>>().join("; "));
        }
        if method != reqwest::Method::GET {
            request = request.header("origin", &self.base);
            // A form has it among its fields.
            if !is_form {
                request = request.header("x-csrf-token", &self.token);
            }
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some((kind, body)) = body {
            request = request.header("content-type", kind).body(body);
        }
        let answer = Answer::read(request.send().await.unwrap()).await.unwrap();
        for line in answer.headers.get_all("set-cookie") {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Opens the page at `address`, which an app has made, and sends its form with `decision`, and with `changes` to what
    /// the page holds.
    pub(crate) async fn answer(&mut self, address: &str, decision: &str, changes: &[(&str, &str)]) -> Answer {
        let path = address
            .strip_prefix(&self.base)
            .unwrap_or_else(|| panic!("{address} is not at {}", self.base));
        let page = self.get(path).await;
        assert_eq!(page.status, 200, "{} {:?}", page.text(), page.header("location"));
        let mut fields = hidden_fields(&page.text());
        let is_asked = |wanted: &str| fields.iter().any(|(name, _)| name == wanted);
        assert!(is_asked("csrf_token") && is_asked("account_id"), "{fields:?}");
        fields.push(("decision".to_owned(), decision.to_owned()));
        for (name, value) in changes {
            fields.retain(|(one, _)| one != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        self.send("POST", "/oauth/authorize", Some((FORM, form(fields))))
            .await
    }

    /// Lets the app that has made `address` act; answers where the browser goes then.
    pub(crate) async fn allow(&mut self, address: &str) -> String {
        led_to(&self.answer(address, "allow", &[]).await)
    }

    /// Opens `address` as it is: what an app that asks wrongly brings about.
    pub(crate) async fn open(&mut self, address: &str) -> Answer {
        let path = address.strip_prefix(&self.base).unwrap().to_owned();
        self.get(&path).await
    }
}

/// Where a browser goes after `answer`.
#[track_caller]
pub(crate) fn led_to(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

/// The hidden fields of the form of a page, as a browser reads them.
fn hidden_fields(page: &str) -> Vec<(String, String)> {
    let inputs = page.split("<input type=\"hidden\" ").skip(1);
    let field = |input: &str| {
        let tag = input.split_once('>').unwrap().0;
        let attribute = |name: &str| {
            let after = tag.split_once(&format!("{name}=\"")).unwrap().1;
            unescaped(after.split_once('"').unwrap().0)
        };
        (attribute("name"), attribute("value"))
    };
    inputs.map(field).collect()
}

/// What the text of an attribute means.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';').unwrap_or_else(|| panic!("& in {text}"));
        let number = entity.strip_prefix('#').and_then(|number| number.parse().ok());
        plain.push(match (entity, number.and_then(char::from_u32)) {
            (_, Some(character)) => character,
            ("amp", None) => '&',
            ("lt", None) => '<',
            ("gt", None) => '>',
            ("quot", None) => '"',
            _ => panic!("&{entity}; in {text}"),
        });
        plain.push_str(rest);
    }
    plain
}

#[test]
fn the_hidden_fields_of_a_page_are_read_as_a_browser_reads_them() {
    let page = "<form><input type=\"hidden\" name=\"a\" value=\"x&#38;y&#60;&quot;\">\n\
                <input type=\"radio\" name=\"b\" value=\"1\">\n<input type=\"hidden\" name=\"c\" value=\"\"></form>";
    let expected = [("a", "x&y<\""), ("c", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(hidden_fields(page), expected);
}
