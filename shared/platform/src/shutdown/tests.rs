//! The signals go to a child process, so that the test's own survives the second one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use tokio::sync::oneshot;

use super::*;

#[tokio::test]
async fn a_request_reaches_every_clone_and_everyone_who_waits() {
    let shutdown = Shutdown::new();
    let clone = shutdown.clone();
    let waiter = tokio::spawn(async move { clone.requested().await });
    assert!(!shutdown.is_requested());
    shutdown.request();
    waiter.await.unwrap();
    assert!(shutdown.is_requested() && shutdown.token().is_cancelled());
    shutdown.requested().await;
}

#[tokio::test]
async fn draining_requests_the_end_and_waits_for_the_work_in_hand() {
    let shutdown = Shutdown::new();
    let heard = shutdown.clone();
    let (finished, finish) = oneshot::channel();
    shutdown.spawn("worker", async move {
        heard.requested().await;
        // What is left to do after the request takes a few turns.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        finished.send(()).unwrap();
    });
    assert!(shutdown.drain(Duration::from_secs(10)).await);
    assert_eq!(finish.await, Ok(()));
}

#[tokio::test]
async fn a_task_that_does_not_end_makes_the_drain_incomplete_and_is_named() {
    let shutdown = Shutdown::new();
    let stuck = shutdown.spawn("stuck", std::future::pending::<()>());
    shutdown.spawn("quick", async {}).await.unwrap();
    assert!(!shutdown.drain(Duration::from_millis(20)).await);
    assert_eq!(
        shutdown.running.lock().values().copied().collect::<Vec<_>>(),
        ["stuck"]
    );
    stuck.abort();
    assert!(shutdown.drain(Duration::from_secs(10)).await);
    assert!(shutdown.running.lock().is_empty());
}

#[tokio::test]
async fn a_panic_shows_in_the_handle_and_does_not_hold_up_the_drain() {
    let shutdown = Shutdown::new();
    let handle = shutdown.spawn("broken", async { panic!("boom") });
    assert!(handle.await.unwrap_err().is_panic());
    assert!(shutdown.drain(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn a_value_comes_back_through_the_handle_and_a_dropped_guard_requests_the_end() {
    let shutdown = Shutdown::new();
    assert_eq!(shutdown.spawn("sum", async { 20 + 22 }).await.unwrap(), 42);
    let guard = shutdown.request_on_drop();
    assert!(!shutdown.is_requested());
    drop(guard);
    assert!(shutdown.is_requested());
}

/// Not a test by itself: the child process of the two below. It ends when its standard input does.
#[tokio::test]
async fn child_process_for_signals() {
    if !std::env::args().any(|argument| argument == "shutdown::tests::child_process_for_signals") {
        return;
    }
    let shutdown = Shutdown::new();
    shutdown.listen_for_signals().unwrap();
    let mut output = io::stdout();
    writeln!(output, "\nlistening").unwrap();
    shutdown.requested().await;
    writeln!(output, "requested").unwrap();
    tokio::task::spawn_blocking(|| io::stdin().lines().count())
        .await
        .unwrap();
}

struct SignalChild {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl SignalChild {
    fn start() -> SignalChild {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "shutdown::tests::child_process_for_signals",
                "--nocapture",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut started = SignalChild { child, output };
        started.wait_for("listening");
        started
    }

    fn wait_for(&mut self, expected: &str) {
        let mut lines = self.output.by_ref().lines().map(Result::unwrap);
        assert!(
            lines.any(|line| line == expected),
            "the child ended without saying {expected:?}"
        );
    }

    fn send(&self, signal: &str) {
        assert!(
            Command::new("kill")
                .args([signal, &self.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }
}

#[test]
fn the_first_signal_requests_the_end_and_the_process_ends_in_its_own_time() {
    for signal in ["-TERM", "-INT"] {
        let mut process = SignalChild::start();
        process.send(signal);
        process.wait_for("requested");
        drop(process.child.stdin.take());
        assert_eq!(process.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut process = SignalChild::start();
        // `wait` would close it, and the child would end by itself.
        let _input = process.child.stdin.take();
        process.send("-TERM");
        process.wait_for("requested");
        process.send(signal);
        assert_eq!(process.child.wait().unwrap().code(), Some(code), "{signal}");
    }
}
