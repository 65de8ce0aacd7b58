//! The API's document: committed, served as it is committed, and shown by a page that loads nothing from elsewhere.

use serde_json::Value;

use crate::support::{SetUp, Site, environment, on_both, repository};

fn committed() -> Value {
    let text = std::fs::read_to_string(repository().join("openapi.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

on_both! {
    async fn the_document_that_is_served_is_the_committed_one(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let served = site.client().anonymous().get("/openapi.json").await.expect(200);
        assert!(served == committed(), "openapi.json is not what the server says: cargo openapi");
    }
}

#[test]
fn the_committed_document_is_what_the_program_writes() {
    let output = std::process::Command::new(environment::program("arbion"))
        .arg("openapi")
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success());
    let committed = std::fs::read(repository().join("openapi.json")).unwrap();
    assert!(
        output.stdout == committed,
        "openapi.json is not current: cargo openapi"
    );
}

#[test]
fn every_operation_has_an_example_a_summary_and_its_errors() {
    let document = committed();
    let mut without = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let has = |member: &str| operation[member].as_str().is_some_and(|text| !text.is_empty());
            let responses = operation["responses"].as_object().unwrap();
            let fails = responses
                .keys()
                .any(|status| status.starts_with('4') || status.starts_with('5'));
            let is_probe = path.starts_with("/health");
            if !has("operationId") || !has("summary") || !(fails || is_probe) {
                without.push(format!("{method} {path}"));
            }
        }
    }
    assert!(without.is_empty(), "incomplete: {without:?}");
}

#[tokio::test]
async fn the_docs_page_and_all_it_loads_come_from_the_server() {
    let site = Site::start(SetUp::Sqlite).await;
    let client = site.client().anonymous();
    let page = client.get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let mut assets = links(&page.text());
    assert!(
        ["swagger-ui.css", "swagger-ui-bundle.js"]
            .iter()
            .all(|wanted| assets.iter().any(|link| link.ends_with(wanted)))
    );
    let mut loaded = 0;
    while let Some(link) = assets.pop() {
        assert!(!link.contains("//"), "{link} is loaded from elsewhere");
        let asset = client
            .get(&format!("/docs/{}", link.trim_start_matches("./")))
            .await;
        assert_eq!(asset.status, 200, "{link}");
        assert!(!asset.body.is_empty(), "{link} is empty");
        loaded += 1;
    }
    assert!(loaded >= 3, "{loaded} assets");
    let initializer = client.get("/docs/swagger-initializer.js").await;
    assert!(
        initializer.text().contains("/openapi.json"),
        "{}",
        initializer.text()
    );
    assert_eq!(
        client.get("/docs/nothing.js").await.problem(404),
        "endpoint_not_found"
    );
    let moved = reqwest::get(format!("{}/docs", client.base())).await.unwrap();
    assert_eq!((moved.status().as_u16(), moved.url().path()), (200, "/docs/"));
}

/// What a page loads: the values of `src` and of the links to style sheets and icons.
fn links(page: &str) -> Vec<String> {
    let mut links = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        for rest in page.split(attribute).skip(1) {
            links.push(rest.split('"').next().unwrap().to_owned());
        }
    }
    links
}
