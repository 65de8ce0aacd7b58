//! The official Python SDK trades here as it does at Alpaca; only its base URL is changed.

use std::process::Stdio;

use crate::support::{Site, audit, environment, on_both, repository};

on_both! {
    async fn the_official_sdk_trades_and_understands_the_errors(set_up: SetUp) {
        let site = Site::start(set_up).await;
        let output = tokio::process::Command::new(environment::variable("TEST_PYTHON"))
            .arg(repository().join("tests/e2e/python/trade.py"))
            .arg(site.client().base())
            .arg(site.place.data_dir().join("api-key.headers"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && out.trim() == "ok", "{out}\n{err}");
        audit(&site.place).await;
    }
}
