//! One process under test. It is ended and reaped when this is dropped, whatever state it is in; when the test fails,
//! its log is shown.
//!
//! It stays in the process group of the tests, so that whoever ends that group ends it, too.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::wait::within;

/// How many lines of a log are shown when a test fails.
const SHOWN_LINES: usize = 60;

/// See the module.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` in `directory` with nothing of our environment but the path. Its output goes to the file `log`.
    pub(crate) fn start(
        program: &Path,
        arguments: &[&str],
        environment: &BTreeMap<String, String>,
        directory: &Path,
        log: PathBuf,
    ) -> Self {
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", super::environment::variable("PATH"))
            .env("HOME", directory)
            .envs(environment)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let name = program.file_name().unwrap().to_string_lossy().into_owned();
        Self { name, child, log }
    }

    /// Everything that it has written.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends a signal by its name: `INT`, `TERM`, `STOP`, `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal, &pid])
            .status();
        assert!(
            sent.unwrap().success(),
            "{} could not be sent {signal}",
            self.name
        );
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How it ended, if it has.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self, patience: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        within(patience, &what, async || self.end()).await
    }

    /// Waits until a line of its log has `words` in it, and answers that line.
    pub(crate) async fn says(&mut self, words: &str) -> String {
        let what = format!("{} says {words:?}", self.name);
        within(super::wait::PATIENCE, &what, async || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains(words)).map(str::to_owned);
            if line.is_none() {
                assert!(self.end().is_none(), "{} ended:\n{log}", self.name);
            }
            line
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            // A test that waits asks again and again: that says nothing.
            let is_news =
                |line: &&str| !(line.contains("http.method=\"GET\"") && line.contains("http.status=200"));
            let lines: Vec<&str> = log.lines().filter(is_news).collect();
            let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
            eprintln!("--- the end of the log of {}\n{shown}", self.name);
        }
    }
}
