//! `arbion audit verify` beside running servers: what nobody touched is clean, and what somebody changed is named.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::books::Book;
use crate::support::client::market_order;
use crate::support::consent::Person;
use crate::support::{Site, environment, eventually, on_both};

const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
const SALT: &str = "a salt for tests only";

/// Runs `arbion audit verify` with the installation's variables.
fn verify(site: &Site, arguments: &[&str]) -> Output {
    let mut command = Command::new(environment::program("arbion"));
    command.args(["audit", "verify"]).args(arguments);
    command.env_clear().envs(site.environment());
    let command = command.current_dir(site.place.path()).stdin(Stdio::null());
    command.output().unwrap()
}

fn report(site: &Site) -> (Option<i32>, Value) {
    let output = verify(site, &["--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(&text);
    let said = String::from_utf8_lossy(&output.stderr);
    (
        output.status.code(),
        report.unwrap_or_else(|error| panic!("{error}: {text}{said}")),
    )
}

on_both! {
    async fn a_log_that_nobody_touched_is_clean_and_a_changed_row_is_named(set_up: SetUp) {
        let plan = Site::plan(set_up).set("ENCRYPTION_KEY", KEY).set("ENCRYPTION_SALT", SALT);
        let site = plan.start().await;
        Person::registered(site.client().base(), "anna@example.com").await;
        site.client().post("/v2/orders", &market_order("buy", "BTC/USD", "0.001")).await.expect(200);
        // The sealer runs behind the writes.
        eventually("everything is sealed", async || {
            let (code, report) = report(&site);
            assert_eq!(code, Some(0), "{report}");
            let logs = report["read"].as_array().unwrap();
            let is_sealed = |log: &Value| log["tail"] == 0 && log["verified"].as_u64() > Some(0);
            (logs.len() == 2 && logs.iter().all(is_sealed)).then_some(())
        })
        .await;

        let book = Book::open(&site.place).await;
        book.change("UPDATE audit_events SET ip = '203.0.113.7' WHERE kind = 'registered'").await;
        let (code, changed) = report(&site);
        assert_eq!(code, Some(1), "{changed}");
        let findings = changed["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "{changed}");
        assert_eq!((&findings[0]["source"], &findings[0]["wrong"]), (&json!("audit"), &json!("changed")));
        let output = verify(&site, &[]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("changed since it was sealed") && text.ends_with("1 finding\n"), "{text}");
    }
}
