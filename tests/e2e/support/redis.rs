//! A Redis server of one test: the product uses fixed database numbers, so two tests cannot share one server.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use super::environment;
use super::process::Process;
use super::wait::eventually;

/// A Redis server on a port of its own, gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Redis {
    port: u16,
    process: Option<Process>,
    directory: tempfile::TempDir,
}

/// A port that is free at this moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

impl Redis {
    /// Starts a server and waits until it answers.
    pub(crate) async fn start() -> Self {
        let mut redis = Self {
            port: free_port(),
            process: None,
            directory: tempfile::tempdir().unwrap(),
        };
        redis.revive().await;
        redis
    }

    /// Starts the server on the port that it had: empty, or with what it was told to `SAVE`.
    pub(crate) async fn revive(&mut self) {
        let port = self.port.to_string();
        let arguments = [
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ];
        let log = self.directory.path().join("redis.log");
        let program = which("redis-server");
        self.process = Some(Process::start(
            Path::new(&program),
            &arguments,
            &BTreeMap::new(),
            self.directory.path(),
            log,
        ));
        let address = ("127.0.0.1", self.port);
        eventually("Redis answers", async || TcpStream::connect(address).ok()).await;
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Sends its process a signal by its name: `STOP` hangs it, `CONT` wakes it.
    pub(crate) fn signal(&self, signal: &str) {
        self.process.as_ref().unwrap().signal(signal);
    }

    /// Sends one command, and answers the first line of what comes back, in Redis' own form: `+OK`, `:7`.
    pub(crate) fn ask(&self, command: &str) -> String {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(connection).read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

/// The whole path of a program in the PATH.
pub(crate) fn which(program: &str) -> String {
    environment::variable("PATH")
        .split(':')
        .map(|directory| format!("{directory}/{program}"))
        .find(|path| Path::new(path).is_file())
        .unwrap_or_else(|| panic!("{program} is not in the PATH"))
}
