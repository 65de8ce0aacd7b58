//! What stands in the way of a start is told in one line, and nothing is left behind.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use crate::support::environment;
use crate::support::process::Process;

/// A program that does not start: its directory, and what it says.
struct Refused {
    directory: tempfile::TempDir,
    log: String,
}

/// Starts a program in an empty directory and waits until it has given up.
async fn refused(program: &str, variables: &[(&str, &str)]) -> Refused {
    let directory = tempfile::tempdir().unwrap();
    // Outside of the directory, which has to stay empty.
    let logs = tempfile::tempdir().unwrap();
    let mut environment = BTreeMap::from([("PORT".to_owned(), "0".to_owned())]);
    for (name, value) in variables {
        environment.insert((*name).to_owned(), (*value).to_owned());
    }
    let log = logs.path().join("log");
    let path = environment::program(program);
    let mut process = Process::start(&path, &[], &environment, directory.path(), log);
    let end = process.ended(Duration::from_secs(15)).await;
    assert_eq!(end.code(), Some(1), "{program} {variables:?}");
    let log = process.log();
    Refused { directory, log }
}

impl Refused {
    /// The only line that was printed, after the program's name.
    fn line(&self, program: &str) -> &str {
        let line = self.log.strip_suffix('\n').unwrap();
        assert_eq!(line.lines().count(), 1, "{line}");
        line.strip_prefix(program).unwrap().strip_prefix(": ").unwrap()
    }

    fn left_nothing_behind(&self) -> bool {
        self.directory.path().read_dir().unwrap().next().is_none()
    }
}

#[tokio::test]
async fn one_of_several_processes_does_not_start_without_the_database_that_they_share() {
    for program in ["arbion-api", "arbion-worker", "arbion-scheduler"] {
        let refused = refused(program, &[]).await;
        let line = refused.line(program);
        assert!(line.starts_with("DATABASE_URL is not set: "), "{line}");
        assert!(line.contains("for example postgres://"), "{line}");
        assert!(refused.left_nothing_behind(), "{program} made files of its own");
    }
}

#[tokio::test]
async fn several_processes_may_share_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("shared.db").display());
    let variables = BTreeMap::from([
        ("PORT".to_owned(), "0".to_owned()),
        ("DATABASE_URL".to_owned(), url),
    ]);
    for (program, words) in [
        ("arbion-api", "listening"),
        ("arbion-worker", "the worker is ready"),
        ("arbion-scheduler", "the scheduler is ready"),
    ] {
        let log = directory.path().join(program);
        let path = environment::program(program);
        let mut process = Process::start(&path, &[], &variables, directory.path(), log);
        process.says(words).await;
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_and_nothing_is_written() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let refused = refused("arbion", &[("PORT", &port)]).await;
    let line = refused.line("arbion");
    let expected = format!("cannot listen on 127.0.0.1:{port}; set PORT or BIND_ADDRESS to another one: ");
    assert!(line.starts_with(&expected), "{line}");
    assert!(refused.left_nothing_behind());
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let data_dir = file.join("data");
    let data_dir = data_dir.to_str().unwrap();
    let refused = refused("arbion", &[("ARBION_DATA_DIR", data_dir)]).await;
    let line = refused.line("arbion");
    assert!(line.contains(data_dir), "{line}");
}

#[tokio::test]
async fn a_wrong_value_is_told_in_one_line() {
    for program in ["arbion", "arbion-api", "arbion-worker", "arbion-scheduler"] {
        let refused = refused(program, &[("LEASE_SECONDS", "soon")]).await;
        let line = refused.line(program);
        assert!(
            line.contains(r#"LEASE_SECONDS must be a whole number from 1 to 3600, not "soon""#),
            "{line}"
        );
        assert!(refused.left_nothing_behind());
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_named_without_its_password() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("postgres://me:hidden-word@{closed}/arbion");
    let refused = refused("arbion-worker", &[("DATABASE_URL", &url)]).await;
    let line = refused.line("arbion-worker");
    let expected = format!("cannot open the database postgres://me:***@{closed}/arbion (DATABASE_URL): ");
    assert!(line.starts_with(&expected), "{line}");
    assert!(!line.contains("hidden-word"), "{line}");
}
