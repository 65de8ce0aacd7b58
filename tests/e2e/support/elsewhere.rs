//! A web server of somebody else: one page under every path of another origin, and what it was asked for.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use reqwest::Url;

use super::wait::{PATIENCE, eventually};

/// See the module.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    page: Mutex<String>,
    targets: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Elsewhere {
    /// A server on this machine, with a page that says hardly anything.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        let elsewhere = Self {
            port: listener.local_addr().unwrap().port(),
            shared,
            thread: Some(std::thread::spawn(move || serve(&listener, &served))),
        };
        elsewhere.show("<!doctype html><title>Elsewhere</title><h1 id=\"elsewhere\">The app is back</h1>");
        elsewhere
    }

    /// Its origin under one of the names of this machine.
    pub(crate) fn origin(&self, host: &str) -> String {
        format!("http://{host}:{}", self.port)
    }

    /// Changes the page.
    pub(crate) fn show(&self, html: &str) {
        html.clone_into(&mut self.shared.page.lock().unwrap());
    }

    /// Waits until `path` was asked for, and answers the parameters of its query.
    pub(crate) async fn asked(&self, path: &str) -> Vec<(String, String)> {
        let base = Url::parse(&self.origin("localhost")).unwrap();
        eventually(&format!("{path} is asked for"), async || {
            let targets = self.shared.targets.lock().unwrap();
            let mut urls = targets.iter().map(|target| base.join(target).unwrap());
            let url = urls.find(|url| url.path() == path)?;
            Some(url.query_pairs().into_owned().collect())
        })
        .await
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // It waits for a connection; this is one.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_over.load(Ordering::SeqCst) {
            return;
        }
        let shared = Arc::clone(shared);
        // Browsers open connections ahead that they may never use: none of them holds the others up.
        std::thread::spawn(move || stream.and_then(|stream| answer(stream, &shared)));
    }
}

fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let Some(target) = first.split(' ').nth(1) else {
        return Ok(());
    };
    shared.targets.lock().unwrap().push(target.to_owned());
    let page = shared.page.lock().unwrap().clone();
    let length = page.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
    )
}
