//! A person makes an account, connects an app, and disconnects it: with a mouse, and without.

use fantoccini::key::Key;

use crate::support::browser::Browser;
use crate::support::person::{LoopbackApp, PASSWORD, log_in, origin, register};
use crate::support::{SetUp, Site, eventually};

const ALLOW: &str = "button[value='allow']";
const DISCONNECT: &str = "section[aria-labelledby='apps'] button.danger";

/// The app trades, until the person does not want it any more.
async fn is_refused(app: &LoopbackApp, token: &str) {
    eventually("the token is refused", async || {
        (app.order(token).await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_connects_an_app_which_trades_until_it_is_disconnected() {
    let site = Site::start(SetUp::Sqlite).await;
    let app = LoopbackApp::start(&site, "Grid Bot").await;
    let browser = Browser::open().await;
    let base = origin(&site);
    register(&browser, &site, "anna@example.com").await;
    browser.click(".who button").await;
    browser.click("nav.who a[href='/login']").await;
    log_in(&browser, "anna@example.com").await;
    browser.wait_for(".who .email").await;
    browser.click(".who button").await;
    browser.wait_for("nav.who").await;

    browser.goto(&app.authorization_url("trading")).await;
    log_in(&browser, "anna@example.com").await;
    browser.wait_for(ALLOW).await;
    let page = browser.text("main").await;
    for told in [
        "Connect Grid Bot?",
        "Paper",
        "admin@localhost",
        "a program on this device (127.0.0.1:",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    browser.click(ALLOW).await;
    assert_eq!(browser.text("#elsewhere").await, "The app is back");
    let token = app.token().await;
    let placed = app.order(&token).await.expect(200);
    assert_eq!(placed["symbol"], "BTC/USD");

    browser.goto(&format!("{base}/access")).await;
    assert!(
        browser
            .text("section[aria-labelledby='apps']")
            .await
            .contains("Grid Bot")
    );
    browser.click(DISCONNECT).await;
    assert_eq!(browser.text("[role='status']").await, "The app was disconnected.");
    assert_eq!(browser.count(DISCONNECT).await, 0);
    is_refused(&app, &token).await;
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_without_a_mouse_connects_an_app_and_disconnects_it() {
    let site = Site::start(SetUp::Sqlite).await;
    let app = LoopbackApp::start(&site, "Grid Bot").await;
    let browser = Browser::open().await;
    let base = origin(&site);
    // The page begins where one types, and Enter sends it.
    browser.goto(&format!("{base}/register")).await;
    browser.wait_for_focus("#email").await;
    browser.keyboard("ben@example.com").await;
    assert_eq!(browser.tab_order(2).await, ["#password", "Create account"]);
    browser.wait_for_focus("button.primary").await;
    browser.tab_back().await;
    browser.wait_for_focus("#password").await;
    browser.keyboard(PASSWORD).await;
    browser.press(Key::Enter).await;

    browser.wait_for(".who .email").await;
    let order = browser.tab_order(5).await;
    let expected = [
        "Skip to the content",
        "Arbion",
        "Log out",
        "Try the API",
        "Who has access",
    ];
    assert_eq!(order, expected);
    browser.tab_back().await;
    browser.tab_back().await;
    browser.wait_for_focus(".who button").await;
    browser.press(Key::Enter).await;
    browser.wait_for("nav.who").await;

    browser.goto(&app.authorization_url("trading")).await;
    browser.wait_for_focus("#email").await;
    browser.keyboard("ben@example.com").await;
    browser.press(Key::Tab).await;
    browser.keyboard(PASSWORD).await;
    browser.press(Key::Tab).await;
    browser.wait_for_focus("button.primary").await;
    browser.press(Key::Enter).await;

    browser.wait_for(ALLOW).await;
    let order = browser.tab_order(5).await;
    assert_eq!(
        order,
        ["Skip to the content", "Arbion", "Access", "Deny", "Allow"]
    );
    browser.press(Key::Enter).await;
    browser.wait_for("#elsewhere").await;
    let token = app.token().await;
    app.order(&token).await.expect(200);

    browser.goto(&format!("{base}/access")).await;
    browser.wait_for(DISCONNECT).await;
    let order = browser.tab_order(4).await;
    assert_eq!(
        order,
        ["Skip to the content", "Arbion", "Log out", "Disconnect Grid Bot"]
    );
    browser.press(Key::Enter).await;
    browser.wait_for("[role='status']").await;
    is_refused(&app, &token).await;
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_learns_that_it_is_refused_whether_its_person_had_to_log_in_or_says_no() {
    let site = Site::start(SetUp::Sqlite).await;
    let browser = Browser::open().await;
    register(&browser, &site, "cleo@example.com").await;
    let shy = LoopbackApp::start(&site, "Shy Bot").await;
    browser.goto(&shy.authorization_url("trading")).await;
    browser.click("button[value='deny']").await;
    browser.wait_for("#elsewhere").await;
    assert_eq!(shy.answer().await, ("error".into(), "access_denied".into()));

    browser.goto(&origin(&site)).await;
    browser.click(".who button").await;
    browser.wait_for("nav.who").await;
    // More than it is registered for: the answer to the login itself leads to the app.
    let greedy = LoopbackApp::start(&site, "Greedy Bot").await;
    browser.goto(&greedy.authorization_url("arbion:keys")).await;
    log_in(&browser, "cleo@example.com").await;
    browser.wait_for("#elsewhere").await;
    assert_eq!(greedy.answer().await, ("error".into(), "invalid_scope".into()));
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_fits_every_screen() {
    let site = Site::start(SetUp::Sqlite).await;
    let app = LoopbackApp::start(&site, "Grid Bot").await;
    let browser = Browser::open().await;
    let base = origin(&site);
    for (path, name) in [("/", "home"), ("/login", "login"), ("/register", "register")] {
        browser.goto(&format!("{base}{path}")).await;
        browser.screenshots(name).await;
    }
    browser.goto(&format!("{base}/login")).await;
    log_in(&browser, "nobody@example.com").await;
    assert_eq!(
        browser.text("[role='alert']").await,
        "The e-mail address or the password is wrong."
    );
    browser.wait_for_focus("#password").await;
    browser.screenshots("login-wrong").await;

    let email = "maximiliane.von-habsburg-lothringen@department.example.com";
    register(&browser, &site, email).await;
    browser.screenshots("home-person").await;
    browser.goto(&app.authorization_url("data trading")).await;
    browser.wait_for(ALLOW).await;
    browser.screenshots("consent").await;
    browser.click(ALLOW).await;
    browser.wait_for("#elsewhere").await;
    app.token().await;
    browser.goto(&format!("{base}/access")).await;
    browser.wait_for(DISCONNECT).await;
    browser.screenshots("access").await;
    browser.click(DISCONNECT).await;
    browser.wait_for("[role='status']").await;
    browser.screenshots("access-done").await;
    browser
        .goto(&format!("{base}/oauth/authorize?client_id=unknown"))
        .await;
    browser.screenshots("error").await;
    // What the wrong password and the unknown app were answered with, and nothing else.
    let errors = browser.console_errors().await;
    let is_status = |error: &String| error.contains("401") || error.contains("400");
    assert!(errors.iter().all(is_status), "{errors:?}");
}
