//! The single-page application of `docs/guides/spa.md` works as it is printed, from its own origin.

use crate::support::browser::Browser;
use crate::support::elsewhere::Elsewhere;
use crate::support::person::{PASSWORD, origin};
use crate::support::{SetUp, Site, eventually, repository};

/// Where the guide says that the API is.
const PRINTED: &str = "http://localhost:5000";

/// The first block of HTML in the guide.
fn printed_page() -> String {
    let guide = std::fs::read_to_string(repository().join("docs/guides/spa.md")).unwrap();
    let (_, rest) = guide.split_once("```html\n").unwrap();
    let (page, _) = rest.split_once("```").unwrap();
    page.to_owned()
}

async fn says(browser: &Browser, words: &str) {
    eventually(words, async || {
        browser
            .text("[role='status']")
            .await
            .contains(words)
            .then_some(())
    })
    .await;
}

/// A browser in which somebody has pressed the button to register.
async fn registers_at(origin: &str) -> Browser {
    let browser = Browser::open().await;
    browser.goto(origin).await;
    says(&browser, "ready").await;
    browser.fill("[name='email']", "anna@example.com").await;
    browser.fill("[name='password']", PASSWORD).await;
    browser.click("button[value='register']").await;
    browser
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_printed_application_registers_trades_and_logs_in_and_out() {
    let page = printed_page();
    let (_, script) = page.split_once("<script type=\"module\">\n").unwrap();
    let (script, _) = script.split_once("</script>").unwrap();
    assert!(script.lines().count() < 30, "what the guide promises");
    let spa = Elsewhere::start();
    let its_origin = spa.origin("localhost");
    let plan = Site::plan(SetUp::Sqlite).set("CORS_ORIGINS", &its_origin);
    let site = plan.start().await;
    assert!(page.contains(PRINTED));
    spa.show(&page.replace(PRINTED, &origin(&site)));

    let browser = registers_at(&its_origin).await;
    says(&browser, "Hello anna@example.com").await;
    browser.click("#logout").await;
    says(&browser, "done").await;
    browser.click("button[value='login']").await;
    says(&browser, "Hello anna@example.com").await;
    browser.click("#buy").await;
    says(&browser, "\"symbol\": \"BTC/USD\"").await;
    eventually("the position is shown", async || {
        browser.click("#positions").await;
        let shown = browser.text("[role='status']").await;
        shown.contains("\"avg_entry_price\"").then_some(())
    })
    .await;
    browser.click("#logout").await;
    says(&browser, "done").await;
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
    // Nobody is logged in any more.
    browser.click("#positions").await;
    eventually("it is refused", async || {
        let shown = browser.text("[role='status']").await;
        (!shown.contains("done") && !shown.contains("avg_entry_price")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_on_another_site_gets_in_only_where_cookies_may_come_from_there() {
    let spa = Elsewhere::start();
    // To a browser, a name and an address of one machine are two sites.
    let its_origin = spa.origin("127.0.0.1");
    for (same_site, is_let_in) in [("lax", false), ("none", true)] {
        let plan = Site::plan(SetUp::Sqlite)
            .set("CORS_ORIGINS", &its_origin)
            .set("SESSION_SAMESITE", same_site);
        let site = plan.start().await;
        spa.show(&printed_page().replace(PRINTED, &origin(&site)));
        let browser = registers_at(&its_origin).await;
        if is_let_in {
            says(&browser, "Hello anna@example.com").await;
            browser.click("#buy").await;
            says(&browser, "\"symbol\": \"BTC/USD\"").await;
        } else {
            says(&browser, "the cookie of the page is missing").await;
        }
    }
}
