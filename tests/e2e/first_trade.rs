//! One command trades: no database server, no Redis, no variable but the port (which the tests may not share).

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::client::text;
use crate::support::process::Process;
use crate::support::{Client, environment, eventually};

/// Someone with the program, in an empty directory of their own.
pub(crate) struct Newcomer {
    directory: tempfile::TempDir,
}

impl Newcomer {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// Starts the program there, and waits for its welcome.
    pub(crate) async fn start(&self, log: &str) -> Process {
        self.start_with(log, BTreeMap::new()).await
    }

    /// The same with variables, as if they stood before the command.
    pub(crate) async fn start_with(&self, log: &str, mut variables: BTreeMap<String, String>) -> Process {
        variables.insert("PORT".to_owned(), "0".to_owned());
        let log = self.directory.path().join(log);
        let program = environment::program("arbion");
        let mut process = Process::start(&program, &[], &variables, self.directory.path(), log);
        process.says("Ctrl-C stops it").await;
        process
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn key_file(&self) -> std::path::PathBuf {
        self.directory.path().join("arbion-data/api-key.headers")
    }

    /// A client with the key of the data directory.
    pub(crate) fn client(&self, process: &Process) -> Client {
        let key = std::fs::read_to_string(self.key_file()).unwrap();
        Client::new(&address(process), &key)
    }
}

/// The address that the welcome names.
pub(crate) fn address(process: &Process) -> String {
    let log = process.log();
    let line = log
        .lines()
        .find(|line| line.trim_start().starts_with("API "))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

/// Runs `line` as a newcomer would who pastes it into a shell.
fn paste(line: &str, directory: &Path) -> String {
    let output = Command::new("bash")
        .args(["-c", line])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn printed_curl_line(process: &Process) -> String {
    process
        .log()
        .lines()
        .find(|line| line.trim_start().starts_with("curl "))
        .unwrap()
        .trim()
        .to_owned()
}

#[tokio::test]
async fn one_command_and_the_pasted_line_buy_bitcoin() {
    let newcomer = Newcomer::new();
    let process = newcomer.start("first.log").await;
    let placed: Value =
        serde_json::from_str(&paste(&printed_curl_line(&process), newcomer.directory.path())).unwrap();
    assert_eq!(placed["symbol"], "BTC/USD", "{placed}");
    let client = newcomer.client(&process);
    let filled = client.order_in(text(&placed["id"]), &["filled"]).await;
    assert_eq!(filled["notional"], "50");
    let positions = client.get("/v2/positions").await.expect(200);
    assert_eq!(positions[0]["symbol"], "BTC/USD", "{positions}");
    assert_eq!(positions[0]["qty"], filled["filled_qty"]);
}

#[tokio::test]
async fn the_welcome_says_where_everything_is_and_no_secret() {
    let newcomer = Newcomer::new();
    let process = newcomer.start("first.log").await;
    paste(&printed_curl_line(&process), newcomer.directory.path());
    let client = newcomer.client(&process);
    eventually("the request is logged", async || {
        process.log().contains("/v2/orders").then_some(())
    })
    .await;
    let log = process.log();
    for words in [
        &format!("{}/docs/", client.base()),
        "arbion-data/api-key.headers",
        "arbion-data",
    ] {
        assert!(log.contains(words), "{words} is not in\n{log}");
    }
    assert!(
        !log.contains(client.key("apca-api-secret-key")),
        "the secret is printed"
    );
    let data = newcomer.directory.path().join("arbion-data");
    for file in std::fs::read_dir(&data).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        let is_secret = ["api-key.headers", "secrets"]
            .iter()
            .any(|name| file.file_name().to_string_lossy().contains(name));
        assert!(
            !is_secret || mode & 0o777 == 0o600,
            "{} has the mode {mode:o}",
            file.path().display()
        );
    }
    let mode = std::fs::metadata(newcomer.key_file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn the_database_holds_only_the_hash_of_the_key() {
    let newcomer = Newcomer::new();
    let mut process = newcomer.start("first.log").await;
    let secret = newcomer.client(&process).key("apca-api-secret-key").to_owned();
    process.signal("INT");
    process.ended(Duration::from_secs(10)).await;
    let data = newcomer.directory.path().join("arbion-data");
    for file in std::fs::read_dir(&data).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let holds = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert_eq!(holds, path.ends_with("api-key.headers"), "{}", path.display());
    }
    // 256 random bits do not fit into fewer characters.
    assert!(secret.len() >= 43, "{} characters", secret.len());
}

#[tokio::test]
async fn ctrl_c_stops_within_seconds_and_the_next_start_goes_on() {
    let newcomer = Newcomer::new();
    let mut first = newcomer.start("first.log").await;
    paste(&printed_curl_line(&first), newcomer.directory.path());
    let client = newcomer.client(&first);
    eventually("it fills", async || {
        let positions = client.get("/v2/positions").await.expect(200);
        (!positions.as_array().unwrap().is_empty()).then_some(())
    })
    .await;
    let before = client.get("/v2/orders?status=all").await.expect(200);
    first.signal("INT");
    let end = first.ended(Duration::from_secs(5)).await;
    assert!(end.success(), "{end}");
    let key = std::fs::read_to_string(newcomer.key_file()).unwrap();

    let second = newcomer.start("second.log").await;
    assert_eq!(
        std::fs::read_to_string(newcomer.key_file()).unwrap(),
        key,
        "the key stays"
    );
    assert!(!second.log().contains("(new)"), "no new key is announced");
    let client = newcomer.client(&second);
    assert_eq!(client.get("/v2/orders?status=all").await.expect(200), before);
    assert_eq!(
        client
            .get("/v2/positions")
            .await
            .expect(200)
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
