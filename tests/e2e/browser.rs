//! What a person sees in a browser, and can do there without a mouse.

use fantoccini::key::Key;

use crate::support::browser::{Browser, SCREENS};
use crate::support::{SetUp, Site, eventually, repository};

/// How many operations the committed document has.
fn operations() -> usize {
    let text = std::fs::read_to_string(repository().join("openapi.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let paths = document["paths"].as_object().unwrap();
    paths.values().map(|path| path.as_object().unwrap().len()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_docs_page_shows_every_operation_and_nothing_fails_in_it() {
    let site = Site::start(SetUp::Sqlite).await;
    let browser = Browser::open().await;
    browser.goto(&format!("{}/docs/", site.client().base())).await;
    eventually("every operation is shown", async || {
        (browser.count(".opblock").await == operations()).then_some(())
    })
    .await;
    assert!(browser.text(".info .title").await.contains("Arbion"));
    for (name, screen) in SCREENS {
        // The page asks for the colours once, when it is loaded.
        browser.look_with(screen).await;
        browser.goto(&format!("{}/docs/", site.client().base())).await;
        browser.wait_for(".opblock").await;
        assert!(browser.screenshot(&format!("docs-{name}")).await.is_file());
    }
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_is_tried_with_an_api_key_by_keyboard_alone() {
    let site = Site::start(SetUp::Sqlite).await;
    let client = site.client();
    let browser = Browser::open().await;
    browser.goto(&format!("{}/docs/", client.base())).await;
    browser.wait_for(".opblock").await;
    browser.tab_to("button.authorize").await;
    browser.press(Key::Enter).await;
    browser.wait_for("#auth-basic-username").await;
    for (field, header) in [
        ("#auth-basic-username", "apca-api-key-id"),
        ("#auth-basic-password", "apca-api-secret-key"),
    ] {
        browser.tab_to(field).await;
        browser.keyboard(client.key(header)).await;
    }
    browser.press(Key::Enter).await;
    browser.tab_to(".auth-container .btn-done").await;
    browser.press(Key::Enter).await;
    browser
        .tab_to("[id$='-get_clock'] .opblock-summary-control")
        .await;
    browser.press(Key::Enter).await;
    browser.wait_for("[id$='-get_clock'] .execute").await;
    browser.tab_to("[id$='-get_clock'] .execute").await;
    browser.press(Key::Enter).await;
    let status = "[id$='-get_clock'] .live-responses-table tbody .response-col_status";
    assert_eq!(browser.text(status).await, "200");
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_browser_tells_what_did_not_load_and_sends_what_is_typed() {
    let site = Site::start(SetUp::Sqlite).await;
    let browser = Browser::open().await;
    let base = site.client().base().to_owned();
    browser.goto(&format!("{base}/docs/")).await;
    browser.wait_for(".opblock").await;
    browser.fill(".download-url-input", "/openapi.json?again").await;
    browser.click(".download-url-button").await;
    browser.wait_for(".opblock").await;
    browser
        .goto(&format!("{base}/docs/errors#order_notional_limit"))
        .await;
    assert!(browser.url().await.ends_with("/docs/errors#order_notional_limit"));
    assert_eq!(browser.text("h1").await, "Errors");
    // So an empty list elsewhere means something.
    browser.goto(&format!("{base}/docs/nothing.js")).await;
    let errors = browser.console_errors().await;
    assert!(errors.iter().any(|error| error.contains("404")), "{errors:?}");
}
