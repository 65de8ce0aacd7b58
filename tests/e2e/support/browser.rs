//! A headless Chromium that a test drives as a person would, through the `WebDriver` protocol.
//!
//! Every command has a time limit, and nothing is waited for but what can be seen. The browser and its driver are ended
//! when this is dropped; what they keep on disk is in a directory that goes with them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::{ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use super::process::Process;
use super::redis::{free_port, which};
use super::repository;
use super::wait::{PATIENCE, eventually};

/// How often Tab may be pressed before a thing counts as out of reach.
const TABS_MAX: usize = 300;

/// How long the driver has to end the browser, before it is killed.
const FAREWELL: Duration = Duration::from_secs(10);

/// What a page is looked at with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Whether the person likes it dark.
    pub(crate) is_dark: bool,
}

/// A phone, held upright.
pub(crate) const PHONE: Screen = Screen {
    width: 375,
    height: 812,
    is_dark: false,
};

/// Every screen that a page should look right on, with a name for its picture.
pub(crate) const SCREENS: [(&str, Screen); 4] = [
    ("desktop", DESKTOP),
    ("desktop-dark", DESKTOP.dark()),
    ("phone", PHONE),
    ("phone-dark", PHONE.dark()),
];

/// A small desktop.
pub(crate) const DESKTOP: Screen = Screen {
    width: 1280,
    height: 800,
    is_dark: false,
};

impl Screen {
    /// The same screen of somebody who likes it dark.
    pub(crate) const fn dark(self) -> Self {
        Self {
            is_dark: true,
            ..self
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Browser {
    client: fantoccini::Client,
    session: String,
    port: u16,
    pid: Option<u64>,
    // Dropped before the directory that it uses.
    _driver: Process,
    _directory: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser without cookies, history or anything else.
    pub(crate) async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let driver = start_driver(port, directory.path());
        let address = ("127.0.0.1", port);
        eventually("the browser's driver answers", async || {
            TcpStream::connect(address).ok()
        })
        .await;
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let Value::Object(capabilities) = capabilities(directory.path()) else {
            unreachable!("capabilities are an object")
        };
        builder.capabilities(capabilities);
        let url = format!("http://127.0.0.1:{port}");
        let client = in_time("a session", builder.connect(&url)).await;
        let session = in_time("its id", client.session_id()).await.unwrap();
        let said = client.capabilities();
        let pid = said.and_then(|said| said.get("goog:processID")?.as_u64());
        let browser = Self {
            client,
            session,
            port,
            pid,
            _driver: driver,
            _directory: directory,
        };
        // As the window of somebody who sits before it: what has the focus is seen to have it.
        browser
            .devtools("Emulation.setFocusEmulationEnabled", &json!({"enabled": true}))
            .await;
        browser.look_with(DESKTOP).await;
        browser
    }

    /// Changes the screen.
    pub(crate) async fn look_with(&self, screen: Screen) {
        let metrics = json!({
            "width": screen.width, "height": screen.height, "deviceScaleFactor": 1, "mobile": screen.width < 600,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics)
            .await;
        let scheme = if screen.is_dark { "dark" } else { "light" };
        // Without movement: else a picture may show a colour on its way from one scheme to the other.
        let media = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        self.devtools("Emulation.setEmulatedMedia", &media).await;
    }

    /// Opens `url`, and waits until the page and what it names are loaded.
    pub(crate) async fn goto(&self, url: &str) {
        in_time(url, self.client.goto(url)).await;
    }

    /// Where it is.
    pub(crate) async fn url(&self) -> String {
        in_time("the URL", self.client.current_url()).await.into()
    }

    /// Waits until an element that `css` selects can be seen. Here and below, what begins with a slash is `XPath`, for what
    /// is known by its text alone.
    pub(crate) async fn wait_for(&self, css: &str) -> Element {
        eventually(&format!("{css} can be seen"), async || {
            let found = in_time(css, self.client.find_all(locator(css))).await;
            for element in found {
                // One that has gone since it was found cannot be seen.
                if element.is_displayed().await.unwrap_or(false) {
                    return Some(element);
                }
            }
            None
        })
        .await
    }

    /// What can be read in the first element that `css` selects.
    pub(crate) async fn text(&self, css: &str) -> String {
        in_time(css, self.wait_for(css).await.text()).await
    }

    /// How many elements `css` selects now.
    pub(crate) async fn count(&self, css: &str) -> usize {
        in_time(css, self.client.find_all(locator(css))).await.len()
    }

    /// Clicks on the first element that `css` selects.
    pub(crate) async fn click(&self, css: &str) {
        in_time(css, self.wait_for(css).await.click()).await;
    }

    /// Empties the field that `css` selects, and types `text` into it.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.wait_for(css).await;
        in_time(css, field.clear()).await;
        in_time(css, field.send_keys(text)).await;
    }

    /// Presses one key, wherever the focus is.
    pub(crate) async fn press(&self, key: Key) {
        self.strike(&[key.into()]).await;
    }

    /// Types `text`, wherever the focus is.
    pub(crate) async fn keyboard(&self, text: &str) {
        self.strike(&text.chars().collect::<Vec<_>>()).await;
    }

    async fn strike(&self, keys: &[char]) {
        let strokes = keys
            .iter()
            .fold(KeyActions::new("keyboard".into()), |strokes, key| {
                strokes
                    .then(KeyAction::Down { value: *key })
                    .then(KeyAction::Up { value: *key })
            });
        in_time("a key", self.client.perform_actions(strokes)).await;
    }

    /// Presses Tab until the focus is on an element that `css` selects: what a person without a mouse can reach.
    pub(crate) async fn tab_to(&self, css: &str) {
        for _ in 0..TABS_MAX {
            if self.has_focus(css).await {
                return;
            }
            self.press(Key::Tab).await;
        }
        panic!("{css} is not reached by {TABS_MAX} presses of Tab");
    }

    /// Whether the focus is on an element that `css` selects.
    async fn has_focus(&self, css: &str) -> bool {
        let script = "return document.activeElement !== null && document.activeElement.matches(arguments[0])";
        in_time(css, self.client.execute(script, vec![json!(css)])).await == json!(true)
    }

    /// Waits until the focus is on an element that `css` selects, where nobody presses a key for it.
    pub(crate) async fn wait_for_focus(&self, css: &str) {
        eventually(&format!("{css} has the focus"), async || {
            self.has_focus(css).await.then_some(())
        })
        .await;
    }

    /// Presses Tab `times`, and answers what had the focus after each: its id, or what it says.
    pub(crate) async fn tab_order(&self, times: usize) -> Vec<String> {
        let script = "const it = document.activeElement; return it.id ? `#${it.id}` : it.innerText.trim()";
        let mut order = Vec::new();
        for _ in 0..times {
            self.press(Key::Tab).await;
            let focused = in_time("the focus", self.client.execute(script, vec![])).await;
            let words: Vec<&str> = focused.as_str().unwrap().split_whitespace().collect();
            order.push(words.join(" "));
        }
        order
    }

    /// Presses Tab with Shift.
    pub(crate) async fn tab_back(&self) {
        let strokes = KeyActions::new("keyboard".into())
            .then(KeyAction::Down {
                value: Key::Shift.into(),
            })
            .then(KeyAction::Down {
                value: Key::Tab.into(),
            })
            .then(KeyAction::Up {
                value: Key::Tab.into(),
            })
            .then(KeyAction::Up {
                value: Key::Shift.into(),
            });
        in_time("Shift+Tab", self.client.perform_actions(strokes)).await;
    }

    /// Goes on in the window that the page has opened, once there is one.
    pub(crate) async fn enter_popup(&self) {
        let own = in_time("the window", self.client.window()).await;
        let popup = eventually("a window opens", async || {
            let all = in_time("the windows", self.client.windows()).await;
            all.into_iter().find(|window| *window != own)
        })
        .await;
        in_time("the popup", self.client.switch_to_window(popup)).await;
    }

    /// Waits until there is but one window, and goes on there.
    pub(crate) async fn leave_popup(&self) {
        let left = eventually("the window closes", async || {
            let mut all = in_time("the windows", self.client.windows()).await;
            all.pop().filter(|_| all.is_empty())
        })
        .await;
        in_time("the page", self.client.switch_to_window(left)).await;
    }

    /// Saves what can be seen as `NAME.png`, for people to look at.
    pub(crate) async fn screenshot(&self, name: &str) -> PathBuf {
        let image = in_time("a screenshot", self.client.screenshot()).await;
        let directory = repository().join("target/screenshots");
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join(format!("{name}.png"));
        std::fs::write(&file, image).unwrap();
        file
    }

    /// What went wrong in the pages since this was last asked: exceptions, refusals by a policy, what did not load.
    pub(crate) async fn console_errors(&self) -> Vec<String> {
        let log = self.command("se/log", &json!({"type": "browser"})).await;
        let entries = log.as_array().unwrap();
        let errors = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        errors
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// [`Browser::screenshot`] on every screen.
    pub(crate) async fn screenshots(&self, name: &str) {
        for (suffix, screen) in SCREENS {
            self.look_with(screen).await;
            assert!(self.screenshot(&format!("{name}-{suffix}")).await.is_file());
            assert!(!self.is_cut().await, "{name} is wider than the {suffix}");
        }
        self.look_with(DESKTOP).await;
    }

    /// Whether the page has to be scrolled sideways.
    async fn is_cut(&self) -> bool {
        let script = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
        in_time("its width", self.client.execute(script, vec![])).await == json!(true)
    }

    async fn devtools(&self, command: &str, parameters: &Value) {
        self.command("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
            .await;
    }

    /// Sends a command of Chromium's own; answers its value.
    async fn command(&self, path: &str, body: &Value) -> Value {
        let url = format!("http://127.0.0.1:{}/session/{}/{path}", self.port, self.session);
        let request = reqwest::Client::new().post(url).json(body).timeout(PATIENCE);
        let answer = request.send().await.unwrap();
        let (status, mut body): (_, Value) = (answer.status(), answer.json().await.unwrap());
        assert_eq!(status, 200, "{path}: {body}");
        body["value"].take()
    }

    /// Has the driver end the browser and wait for it.
    fn quit(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(FAREWELL))?;
        let (session, port) = (&self.session, self.port);
        let request = format!(
            "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        // The answer comes once the browser has ended.
        stream.read_exact(&mut [0; 12])
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if self.quit().is_err() {
            // The driver is killed next, which would leave the browser to itself.
            if let Some(pid) = self.pid {
                let _ = std::process::Command::new("kill")
                    .args(["-s", "KILL", &pid.to_string()])
                    .status();
            }
        }
    }
}

fn locator(selector: &str) -> Locator<'_> {
    if selector.starts_with('/') {
        Locator::XPath(selector)
    } else {
        Locator::Css(selector)
    }
}

fn start_driver(port: u16, directory: &Path) -> Process {
    let variables = BTreeMap::from([("TMPDIR".to_owned(), directory.display().to_string())]);
    Process::start(
        Path::new(&which("chromedriver")),
        &[&format!("--port={port}")],
        &variables,
        directory,
        directory.join("chromedriver.log"),
    )
}

fn capabilities(directory: &Path) -> Value {
    let mut arguments = vec![
        "--headless=new".to_owned(),
        format!("--user-data-dir={}", directory.join("profile").display()),
        "--window-size=1280,800".to_owned(),
        // Small machines have little shared memory.
        "--disable-dev-shm-usage".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--no-first-run".to_owned(),
        "--no-proxy-server".to_owned(),
        "--lang=en".to_owned(),
    ];
    if is_root() {
        // Chromium refuses to start its sandbox for root.
        arguments.push("--no-sandbox".to_owned());
    }
    // As browsers do that send cookies along from other sites: who is let in must not rest on one that does not.
    let allows_cookies_of_other_sites = json!({ "profile.cookie_controls_mode": 0 });
    let limit = u64::try_from(PATIENCE.as_millis()).unwrap();
    json!({
        "browserName": "chrome",
        "goog:chromeOptions": {"binary": which("chromium"), "args": arguments, "prefs": allows_cookies_of_other_sites},
        "goog:loggingPrefs": {"browser": "ALL"},
        "timeouts": {"pageLoad": limit, "script": limit, "implicit": 0},
    })
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// What a command answers; fails when it fails, or takes too long.
async fn in_time<T, E: Debug>(what: &str, command: impl Future<Output = Result<T, E>>) -> T {
    let answer = tokio::time::timeout(2 * PATIENCE, command).await;
    let answer = answer.unwrap_or_else(|_| panic!("the browser did not answer: {what}"));
    answer.unwrap_or_else(|error| panic!("{what}: {error:?}"))
}
