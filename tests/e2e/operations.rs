//! What an operator relies on: help, refusals to start, logs, migrations, and an orderly end.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::client::{market_order, text};
use crate::support::place::{Parts, Place};
use crate::support::process::Process;
use crate::support::{Role, SetUp, Site, environment, eventually, on_both};

/// Every program.
const PROGRAMS: [&str; 4] = ["arbion", "arbion-api", "arbion-worker", "arbion-scheduler"];

/// Runs a program that ends by itself.
fn run(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(environment::program(program));
    command
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(directory.path());
    command.stdin(Stdio::null()).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_program_tells_its_version_and_every_variable() {
    for program in PROGRAMS {
        let version = run(program, &["--version"], &[]);
        assert!(version.status.success());
        assert!(
            out(&version).contains(env!("CARGO_PKG_VERSION")),
            "{program}: {}",
            out(&version)
        );
        let help = run(program, &["--help"], &[]);
        assert!(help.status.success());
        for variable in [
            "DATABASE_URL",
            "SWEEP_INTERVAL_SECONDS",
            "RISK_STANDARD_ORDER_NOTIONAL",
        ] {
            assert!(out(&help).contains(variable), "{program} --help lacks {variable}");
        }
    }
}

#[test]
fn a_wrong_value_ends_the_start_and_is_named_with_an_example() {
    for program in PROGRAMS {
        for (name, value) in [
            ("PORT", "many"),
            ("MARKET_HOURS", "maybe"),
            ("LEASE_SECONDS", "-1"),
            ("DATABASE_URL", "mysql://a"),
        ] {
            let refused = run(
                program,
                &[],
                &[(name, value), ("PORT", if name == "PORT" { value } else { "0" })],
            );
            assert!(!refused.status.success(), "{program} {name}={value}");
            assert!(
                err(&refused).contains(name),
                "{program} {name}: {}",
                err(&refused)
            );
        }
    }
}

#[test]
fn production_refuses_to_start_without_its_secrets_and_names_each() {
    for program in PROGRAMS {
        let refused = run(program, &[], &[("ARBION_ENV", "production"), ("PORT", "0")]);
        assert!(!refused.status.success(), "{program}");
        for secret in ["ENCRYPTION_KEY", "ENCRYPTION_SALT", "SESSION_SECRET"] {
            assert!(err(&refused).contains(secret), "{program}: {}", err(&refused));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_at_once_on_an_empty_database_migrate_it_once() {
    let place = Place::create(
        SetUp::Postgres,
        Parts {
            without_redis: true,
            own_server: false,
        },
    )
    .await;
    let mut started = Vec::new();
    for number in 0..6 {
        let mut variables: BTreeMap<_, _> = place.environment();
        variables.extend([
            ("PORT".to_owned(), "0".to_owned()),
            ("DATABASE_MAX_CONNECTIONS".to_owned(), "4".to_owned()),
        ]);
        let program = environment::program(PROGRAMS[1 + number % 3]);
        let log = place.path().join(format!("{number}.log"));
        started.push(Process::start(&program, &[], &variables, place.path(), log));
    }
    for (number, process) in started.iter_mut().enumerate() {
        process
            .says(["listening", "the worker is ready", "the scheduler is ready"][number % 3])
            .await;
    }
    let book = crate::support::books::Book::open(&place).await;
    assert_eq!(book.count("arbion_migrations", "1 = 1").await, 8);
    assert_eq!(book.paper_count("paper_migrations", "1 = 1").await, 2);
}

on_both! {
    async fn migrating_twice_applies_nothing_the_second_time(set_up: SetUp) {
        let site = Site::start(set_up).await;
        assert!(site.run("arbion", &["migrate"]).contains("nothing to apply"));
    }

    async fn each_request_is_one_line_of_json_and_no_secret_is_in_any_log(set_up: SetUp) {
        let mut site = Site::plan(set_up).set("LOG_FORMAT", "json").set("RUST_LOG", "debug").start().await;
        let client = site.client();
        let headers = [("content-type", "application/json"), ("x-request-id", "find-me")];
        let order = market_order("buy", "AAPL", "1").to_string();
        let placed = client.send("POST", "/v2/orders", &headers, order.into_bytes()).await.expect(200);
        client.order_in(text(&placed["id"]), &["filled"]).await;
        let secret = client.key("apca-api-secret-key").to_owned();
        let line = eventually("the request is logged", async || {
            let log = site.processes(Role::Api)[0].log();
            log.lines().find(|line| line.contains("find-me") && line.contains("answered")).map(str::to_owned)
        })
        .await;
        for member in ["http.route", "http.status", "duration_ms", "request.id", "account.id", "credential.id", "order.id"] {
            assert!(line.contains(member), "{member} is not in {line}");
        }
        let line: Value = serde_json::from_str(&line).unwrap();
        assert!(line.is_object());
        for role in [Role::Api, Role::Worker, Role::Scheduler] {
            for process in site.processes(role) {
                let log = process.log();
                assert!(!log.contains(&secret), "a secret is in the log");
                let lines = log.lines().filter(|line| line.starts_with('{'));
                assert!(lines.clone().count() > 0, "{log}");
                for line in lines {
                    assert!(serde_json::from_str::<Value>(line).is_ok(), "no JSON: {line}");
                }
            }
        }
    }

    async fn sigterm_lets_every_process_finish_and_end_well(set_up: SetUp) {
        let mut site = Site::start(set_up).await;
        let client = site.client();
        let id = client.place(&market_order("buy", "AAPL", "1")).await;
        for role in [Role::Api, Role::Worker, Role::Scheduler] {
            for process in site.processes(role) {
                if process.end().is_none() {
                    process.signal("TERM");
                    let end = process.ended(Duration::from_secs(8)).await;
                    assert!(end.success(), "{end}");
                }
            }
        }
        site.revive().await;
        site.client().order_in(&id, &["filled"]).await;
        crate::support::audit(&site.place).await;
    }
}
