//! A private Redis server for tests: on loopback, on a free port, with its files in a temporary directory.
//!
//! It needs `redis-server` in the path and fails without it: a test that silently skips proves nothing.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::secret_url::SecretUrl;

const START_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
const ATTEMPTS_MAX: u32 = 5;
const POLL: Duration = Duration::from_millis(5);

/// A server that ends, with its files, when it is dropped.
#[derive(Debug)]
pub struct TestRedis {
    directory: TempDir,
    port: u16,
    url: SecretUrl,
    process: Option<Child>,
}

impl TestRedis {
    /// Starts a server and waits until it answers.
    pub fn start() -> io::Result<TestRedis> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut redis = TestRedis::reserve()?;
            match redis.restart() {
                // Somebody took the free port first: another one, then.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < ATTEMPTS_MAX => {}
                result => return result.map(|()| redis),
            }
        }
    }

    /// Chooses the port of a server that [`TestRedis::restart`] starts later.
    pub fn reserve() -> io::Result<TestRedis> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let url = format!("redis://127.0.0.1:{port}")
            .parse()
            .map_err(io::Error::other)?;
        Ok(TestRedis {
            directory: TempDir::new()?,
            port,
            url,
            process: None,
        })
    }

    /// The URL, without a database number.
    pub fn url(&self) -> &SecretUrl {
        &self.url
    }

    /// Starts the server on its port, empty, and waits until it answers. Fails with `AddrInUse` if it ends at once.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        let process = Command::new("redis-server")
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--port",
            ])
            .arg(self.port.to_string())
            .arg("--dir")
            .arg(self.directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let process = self.process.insert(process);
        let deadline = Instant::now() + START_TIMEOUT;
        while !answers_as(self.port, process.id()).unwrap_or(false) {
            if process.try_wait()?.is_some() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "redis-server ended at once",
                ));
            }
            if Instant::now() > deadline {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "redis-server does not answer",
                ));
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// Kills the server (SIGKILL) and waits for its end. What it held is lost.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Both fail only if the process has ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Stops the server without ending it (SIGSTOP): connections stay open and nothing answers.
    pub fn hang(&self) -> io::Result<()> {
        self.signal("-STOP")
    }

    /// Lets a stopped server go on (SIGCONT).
    pub fn resume(&self) -> io::Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let process = self.process.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let status = Command::new("kill")
            .arg(signal)
            .arg(process.id().to_string())
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other("the signal was not delivered"))
        }
    }
}

/// Whether the server on this port is this process, and not a stranger who had the port first.
fn answers_as(port: u16, process: u32) -> io::Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(b"INFO server\r\nQUIT\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.contains(&format!("process_id:{process}\r\n")))
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        self.kill();
    }
}
