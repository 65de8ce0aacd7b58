//! Swagger UI places orders with every kind of credential.

use crate::support::browser::{Browser, DESKTOP, PHONE};
use crate::support::person::{log_in, origin, register, register_app};
use crate::support::{SetUp, Site, eventually};

const PLACE: &str = "[id$='-place_order']";

async fn open_docs(browser: &Browser, site: &Site) {
    browser.goto(&format!("{}/docs/", origin(site))).await;
    browser.click("button.authorize").await;
}

/// The part of the dialog that asks for the scheme `name`.
fn scheme(name: &str) -> String {
    format!("//div[@class='auth-container'][.//h4/code='{name}']")
}

/// Gives `value` to the scheme `name`.
async fn authorize(browser: &Browser, name: &str, value: &str) {
    let scheme = scheme(name);
    browser.fill(&format!("{scheme}//input"), value).await;
    browser.click(&format!("{scheme}//button[@type='submit']")).await;
    browser.wait_for(&format!("{scheme}//h6[.='Authorized']")).await;
}

async fn close_dialog(browser: &Browser) {
    browser.click(".auth-container .btn-done").await;
    eventually("the dialog closes", async || {
        (browser.count(".auth-container").await == 0).then_some(())
    })
    .await;
}

/// Sends the example of `operation` ("Try it out"), and answers the status and the text of the answer.
async fn try_out(browser: &Browser, operation: &str) -> (String, String) {
    browser
        .click(&format!("{operation} .opblock-summary-control"))
        .await;
    browser.click(&format!("{operation} .execute")).await;
    let answer = format!("{operation} .live-responses-table tbody");
    let status = browser.text(&format!("{answer} .response-col_status")).await;
    let body = browser.text(&format!("{answer} .response-col_description")).await;
    (status, body)
}

async fn place_order(browser: &Browser) {
    let (status, body) = try_out(browser, PLACE).await;
    assert!(status.starts_with("200"), "{status}: {body}");
    assert!(body.contains("\"symbol\": \"AAPL\""), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_tried_out_with_an_api_key() {
    let site = Site::start(SetUp::Sqlite).await;
    let client = site.client();
    let browser = Browser::open().await;
    open_docs(&browser, &site).await;
    authorize(&browser, "api_key_id", client.key("apca-api-key-id")).await;
    authorize(&browser, "api_secret_key", client.key("apca-api-secret-key")).await;
    close_dialog(&browser).await;
    place_order(&browser).await;
    let orders = client.get("/v2/orders?status=all").await.expect(200);
    assert_eq!(orders[0]["symbol"], "AAPL");
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_tried_out_with_a_login_and_its_csrf_token() {
    let site = Site::start(SetUp::Sqlite).await;
    let browser = Browser::open().await;
    register(&browser, &site, "anna@example.com").await;
    browser.goto(&format!("{}/docs/", origin(&site))).await;
    let (status, body) = try_out(&browser, "[id$='-get_csrf_token']").await;
    assert!(status.starts_with("200"), "{status}: {body}");
    let (_, rest) = body.split_once("\"csrf_token\": \"").unwrap();
    let (token, _) = rest.split_once('"').unwrap();

    browser.click("button.authorize").await;
    authorize(&browser, "csrf", token).await;
    close_dialog(&browser).await;
    place_order(&browser).await;
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_tried_out_with_a_token_that_the_page_is_given_by_oauth() {
    let site = Site::start(SetUp::Sqlite).await;
    let browser = Browser::open().await;
    register(&browser, &site, "anna@example.com").await;
    browser.click(".who button").await;
    browser.wait_for("nav.who").await;
    let redirect_uri = origin(&site) + "/docs/oauth2-redirect.html";
    let app = register_app(&site, "API reference", &redirect_uri).await;

    open_docs(&browser, &site).await;
    browser.fill("#client_id_authorizationCode", &app).await;
    browser
        .click("label[for='trading-authorizationCode-checkbox-oauth2']")
        .await;
    for (name, screen) in [
        ("docs-authorize-phone", PHONE),
        ("docs-authorize-desktop", DESKTOP),
    ] {
        browser.look_with(screen).await;
        assert!(browser.screenshot(name).await.is_file());
    }
    browser
        .click(".auth-container:has(#client_id_authorizationCode) button.authorize")
        .await;
    browser.enter_popup().await;
    log_in(&browser, "anna@example.com").await;
    browser.click("button[value='allow']").await;
    browser.leave_popup().await;
    browser
        .wait_for("//div[@class='auth-container'][.//button[.='Logout']]//h6[.='Authorized']")
        .await;
    close_dialog(&browser).await;
    // The popup has logged the browser in, too, but a session places nothing without its CSRF token.
    place_order(&browser).await;
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
}
