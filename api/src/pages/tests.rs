use std::collections::HashSet;

use chrono::TimeZone as _;
use poem::Body;
use uuid::Uuid;

use super::*;

/// What somebody may type who wants a script to run.
const HOSTILE: &str = "<script>alert(1)</script>\"><img src=x onerror='alert(2)'>&amp;";

const SCOPES: [&str; 3] = [
    "see the account: its money, positions, orders and history",
    "place, change and cancel orders, and close positions",
    "arm and take back stops, which sell by themselves",
];

const TOKEN: &str = "mZ0cW5b1pZ8Qk3Yd0r7hXJ2s6tVfN4uGqLwEaRiOyTc";

fn person(email: &str) -> Person<'_> {
    Person {
        email,
        csrf_token: TOKEN,
    }
}

fn account(number: &str, mode: AccountMode) -> AccountChoice<'_> {
    AccountChoice {
        id: Uuid::new_v5(&Uuid::NAMESPACE_OID, number.as_bytes()),
        number,
        mode,
    }
}

fn consent_for(text: &str, accounts: &[AccountChoice<'_>]) -> poem::Result<Response> {
    consent(&Consent {
        app: text,
        registered_by: text,
        destination: &Destination::of("https://app.example/cb").unwrap(),
        email: text,
        accounts,
        scopes: &SCOPES,
        fields: &[
            ("client_id", text),
            ("state", text),
            ("code_challenge_method", "S256"),
        ],
        csrf_token: TOKEN,
    })
}

fn access_for(text: &str) -> poem::Result<Response> {
    let at = chrono::Utc.with_ymd_and_hms(2026, 11, 28, 13, 27, 36).unwrap();
    let id = Uuid::from_u128(7);
    access(&Access {
        person: person(text),
        done: Some(text),
        apps: &[ConnectedApp {
            id,
            name: text,
            account: text,
            mode: AccountMode::Live,
            scopes: &[text],
            created_at: at,
            last_used_at: None,
        }],
        sessions: &[Session {
            id,
            agent: text,
            address: text,
            created_at: at,
            last_seen_at: at,
            is_current: true,
        }],
        keys: &[Key {
            id,
            name: text,
            key_id: text,
            account: text,
            scopes: &[text],
            expires_at: Some(at),
            last_used_at: Some(at),
        }],
    })
}

fn login_for(text: &str, error: Option<&str>) -> poem::Result<Response> {
    login(
        StatusCode::OK,
        &Login {
            email: text,
            next: (!text.is_empty()).then_some(text),
            error,
            csrf_token: TOKEN,
            is_registration_open: true,
        },
    )
}

fn register_for(text: &str, field: Option<Field>) -> poem::Result<Response> {
    let fault = (!text.is_empty()).then_some(Fault { field, text });
    register(
        StatusCode::OK,
        &Register {
            email: text,
            next: (!text.is_empty()).then_some(text),
            fault,
            csrf_token: TOKEN,
        },
    )
}

/// Every page in each of its states, with `text` wherever a text of somebody stands.
async fn pages(text: &str) -> Vec<(&'static str, String)> {
    let paper = account("PA3K7Q2M", AccountMode::Paper);
    let live = account(text, AccountMode::Live);
    let empty = Access {
        person: person(text),
        done: None,
        apps: &[],
        sessions: &[],
        keys: &[],
    };
    let failure = Failure {
        heading: text,
        sentence: text,
        request_id: text,
    };
    let home_for = |person, is_registration_open| {
        home(&Home {
            person,
            is_registration_open,
        })
    };
    let mut pages = Vec::new();
    for (name, response) in [
        ("home", home_for(None, true)),
        ("home, closed", home_for(None, false)),
        ("home, logged in", home_for(Some(person(text)), true)),
        ("login", login_for("", None)),
        ("login, again", login_for(text, Some(text))),
        ("register", register_for("", None)),
        ("register, wrong e-mail", register_for(text, Some(Field::Email))),
        (
            "register, wrong password",
            register_for(text, Some(Field::Password)),
        ),
        ("register, wrong", register_for(text, None)),
        ("consent, paper", consent_for(text, &[paper])),
        ("consent, live", consent_for(text, &[live])),
        ("consent, several", consent_for(text, &[live, paper])),
        ("access", access_for(text)),
        ("access, empty", access(&empty)),
        ("error", error(StatusCode::BAD_REQUEST, &failure)),
    ] {
        pages.push((name, html(response.unwrap()).await));
    }
    pages
}

async fn html(mut response: Response) -> String {
    let body: Body = response.take_body();
    body.into_string().await.unwrap()
}

/// One tag: its name, with `/` where it closes, and its attributes.
#[derive(Debug)]
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Reads the tags as a browser would; quotes go before brackets.
fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let mut quoted = false;
        let end = rest
            .find(|character: char| {
                quoted ^= character == '"';
                character == '>' && !quoted
            })
            .unwrap_or_else(|| panic!("a tag has no end: {rest}"));
        let (tag, after) = rest.split_at(end);
        let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        tags.push(Tag {
            name: name.to_ascii_lowercase(),
            attributes: attributes_of(attributes),
        });
        rest = &after[1..];
    }
    tags
}

fn attributes_of(mut text: &str) -> Vec<(String, String)> {
    let mut attributes = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return attributes;
        }
        let end = text.find(['=', ' ', '\n']).unwrap_or(text.len());
        let (name, after) = text.split_at(end);
        text = after;
        let mut value = "";
        if let Some(quoted) = after.strip_prefix("=\"") {
            (value, text) = quoted.split_once('"').unwrap();
        } else {
            assert!(!after.starts_with('='), "a value without quotes: {name}{after}");
        }
        attributes.push((name.to_ascii_lowercase(), value.to_owned()));
    }
}

#[tokio::test]
async fn what_somebody_typed_is_shown_and_never_markup() {
    let plain: Vec<_> = pages("x").await;
    for ((name, page), (_, plain)) in pages(HOSTILE).await.into_iter().zip(plain) {
        let names = |page: &str| tags(page).into_iter().map(|tag| tag.name).collect::<Vec<_>>();
        assert_eq!(names(&page), names(&plain), "{name}: the text has become markup");
        for raw in ["<script", "<img src=x", "'alert"] {
            assert!(!page.contains(raw), "{name}: {raw}");
        }
        let shows = !matches!(name, "home" | "home, closed" | "login" | "register");
        assert_eq!(page.contains("&#60;script&#62;alert(1)"), shows, "{name}");
    }
}

#[tokio::test]
async fn every_form_is_posted_to_this_server_with_a_csrf_token() {
    let mut count = 0;
    for (name, page) in pages(HOSTILE).await {
        let mut parts = page.split("<form").skip(1);
        assert!(parts.all(|form| form.contains("</form>")), "{name}");
        for form in page.split("<form").skip(1) {
            let form = format!("<form{}", form.split("</form>").next().unwrap());
            let tags = tags(&form);
            assert_eq!(tags[0].get("method"), Some("post"), "{name}");
            let tokens: Vec<_> = tags
                .iter()
                .filter(|tag| tag.get("name") == Some("csrf_token"))
                .map(|tag| (tag.get("type"), tag.get("value")))
                .collect();
            assert_eq!(tokens, [(Some("hidden"), Some(TOKEN))], "{name}");
            count += 1;
        }
    }
    assert!(count >= 12, "{count} forms");
}

#[tokio::test]
async fn nothing_is_inline_and_nothing_is_from_elsewhere() {
    for (name, page) in pages(HOSTILE).await {
        for tag in tags(&page) {
            let is_active =
                ["script", "style", "iframe", "object", "embed", "base"].contains(&tag.name.as_str());
            assert!(!is_active, "{name}: {tag:?}");
            for (attribute, value) in &tag.attributes {
                assert!(
                    attribute != "style" && !attribute.starts_with("on"),
                    "{name}: {attribute}"
                );
                if ["href", "src", "action", "formaction"].contains(&attribute.as_str()) {
                    let is_here =
                        value.starts_with('#') || value.starts_with('/') && !value.starts_with("//");
                    assert!(is_here, "{name}: {attribute}={value}");
                }
                assert_ne!(attribute, "http-equiv", "{name}");
            }
        }
    }
}

#[tokio::test]
async fn every_page_can_be_used_without_eyes_and_without_a_mouse() {
    for (name, page) in pages("text").await {
        let tags = tags(&page);
        let ids: Vec<_> = tags.iter().filter_map(|tag| tag.get("id")).collect();
        assert_eq!(
            ids.iter().collect::<HashSet<_>>().len(),
            ids.len(),
            "{name}: {ids:?}"
        );
        for tag in &tags {
            for reference in ["for", "aria-describedby", "aria-labelledby"] {
                for id in tag.get(reference).unwrap_or_default().split(' ') {
                    assert!(id.is_empty() || ids.contains(&id), "{name}: {reference}={id}");
                }
            }
            let kind = tag.get("type").unwrap_or_default();
            if tag.name == "input" && !["hidden", "radio"].contains(&kind) {
                let id = tag.get("id").unwrap();
                assert!(tags.iter().any(|tag| tag.get("for") == Some(id)), "{name}: {id}");
                assert!(tag.get("autocomplete").is_some(), "{name}: {id}");
            }
            assert!(tag.name != "img" || tag.get("alt").is_some(), "{name}: {tag:?}");
        }
        let levels: Vec<_> = tags
            .iter()
            .filter_map(|tag| tag.name.strip_prefix('h')?.parse::<u32>().ok())
            .collect();
        assert_eq!(levels.first(), Some(&1), "{name}");
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1, "{name}");
        assert!(
            levels.windows(2).all(|pair| pair[1] <= pair[0] + 1),
            "{name}: {levels:?}"
        );
        assert!(page.contains("<html lang=\"en\">"), "{name}");
        let autofocus = tags.iter().filter(|tag| tag.get("autofocus").is_some()).count();
        assert!(autofocus <= 1, "{name}: {autofocus} fields ask for the focus");
    }
}

#[tokio::test]
async fn every_tag_is_closed_where_it_should_be() {
    const VOID: [&str; 6] = ["!doctype", "meta", "link", "input", "img", "br"];
    for (name, page) in pages("text").await {
        let mut open = Vec::new();
        for tag in tags(&page) {
            match tag.name.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop().as_deref(), Some(closed), "{name}"),
                None if VOID.contains(&tag.name.as_str()) => {}
                None => open.push(tag.name),
            }
        }
        assert!(open.is_empty(), "{name}: {open:?}");
    }
}

#[tokio::test]
async fn a_wrong_form_says_so_at_the_field() {
    let described = |page: &str, id: &str| {
        let tags = tags(page);
        let field = tags.iter().find(|tag| tag.get("id") == Some(id)).unwrap();
        let is_wrong = field.get("aria-invalid") == Some("true");
        let by = field.get("aria-describedby").unwrap_or_default().to_owned();
        (is_wrong, by, field.get("autofocus").is_some())
    };
    let page = html(register_for("a@b.example", Some(Field::Password)).unwrap()).await;
    assert!(page.contains("role=\"alert\""));
    assert_eq!(described(&page, "email"), (false, String::new(), false));
    assert_eq!(
        described(&page, "password"),
        (true, "error password-hint".into(), true)
    );
    let page = html(register_for("a@b.example", Some(Field::Email)).unwrap()).await;
    assert_eq!(described(&page, "email"), (true, "error".into(), true));
    assert_eq!(
        described(&page, "password"),
        (false, "password-hint".into(), false)
    );
    // At login neither field may be blamed: that would tell whether the address is known.
    let page = html(login_for("a@b.example", Some("E-mail or password is wrong.")).unwrap()).await;
    assert_eq!(described(&page, "email"), (false, "error".into(), false));
    assert_eq!(described(&page, "password"), (false, "error".into(), true));
}

#[tokio::test]
async fn consent_warns_of_real_money_and_never_chooses_it() {
    let (paper, live) = (
        account("PA1", AccountMode::Paper),
        account("LV1", AccountMode::Live),
    );
    let other = account("LV2", AccountMode::Live);
    let chosen = |page: &str| {
        let tags = tags(page);
        let checked = tags.iter().find(|tag| tag.get("checked").is_some());
        checked.and_then(|tag| tag.get("value")).map(str::to_owned)
    };
    for (accounts, warnings, expected) in [
        (vec![paper], 0, None),
        (vec![live], 1, None),
        (vec![live, paper], 1, Some(paper.id.to_string())),
        (vec![live, other], 2, None),
    ] {
        let page = html(consent_for("Momentum", &accounts).unwrap()).await;
        assert_eq!(page.matches("use real money").count(), warnings, "{accounts:?}");
        assert_eq!(chosen(&page), expected, "{accounts:?}");
        for account in &accounts {
            let field = format!("name=\"account_id\" value=\"{}\"", account.id);
            assert_eq!(page.matches(&field).count(), 1, "{accounts:?}");
        }
    }
}

#[tokio::test]
async fn consent_carries_the_request_and_refuses_by_default() {
    let page = html(consent_for("Momentum", &[account("PA1", AccountMode::Paper)]).unwrap()).await;
    assert!(page.contains("<input type=\"hidden\" name=\"code_challenge_method\" value=\"S256\">"));
    let decisions: Vec<_> = tags(&page)
        .iter()
        .filter(|tag| tag.get("name") == Some("decision"))
        .map(|tag| tag.get("value").unwrap().to_owned())
        .collect();
    // The first button is the one that the Enter key presses.
    assert_eq!(decisions, ["deny", "allow"]);
    for scope in SCOPES {
        assert!(page.contains(scope), "{scope}");
    }
}

#[tokio::test]
async fn consent_says_where_its_answer_goes_and_lets_it_go_there() {
    let response = consent_for("Momentum", &[account("PA1", AccountMode::Paper)]).unwrap();
    let policy = response
        .header(header::CONTENT_SECURITY_POLICY)
        .unwrap()
        .to_owned();
    assert!(
        policy.contains("form-action 'self' https://app.example;"),
        "{policy}"
    );
    assert!(
        policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(html(response).await.contains(">app.example</strong>"));
}

#[tokio::test]
async fn a_page_is_html_that_no_cache_keeps() {
    let response = login_for("", None).unwrap();
    assert_eq!(response.content_type(), Some("text/html; charset=utf-8"));
    assert_eq!(response.header(header::CACHE_CONTROL), Some("no-store"));
    let failure = Failure {
        heading: "Not found",
        sentence: "There is no such page.",
        request_id: "1",
    };
    let response = error(StatusCode::NOT_FOUND, &failure).unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}
