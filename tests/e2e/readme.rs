//! The README is true: its tour is run line by line, and its tables are what the program says.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::first_trade::{Newcomer, address};
use crate::support::process::Process;
use crate::support::{repository, wait};

/// What a newcomer does with a line of the tour.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Starts Arbion in another terminal, with these variables.
    Start(BTreeMap<String, String>),
    /// Types a line, and finds these fragments in the answer.
    Type { command: String, fragments: Vec<String> },
}

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).unwrap()
}

/// The lines of the blocks that are marked `console`, and of those that start Arbion.
fn tour(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block = None;
    for line in readme.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            block = Some(kind).filter(|kind| !kind.is_empty());
        } else if block == Some("sh") {
            steps.extend(start(line));
        } else if block != Some("console") {
            // Prose, and blocks in other languages.
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step::Type {
                command: command.to_owned(),
                fragments: Vec::new(),
            });
        } else {
            let told = line
                .split('…')
                .map(str::trim)
                .filter(|fragment| !fragment.is_empty());
            let Some(Step::Type { fragments, .. }) = steps.last_mut() else {
                panic!("an answer to nothing: {line}")
            };
            fragments.extend(told.map(str::to_owned));
        }
    }
    steps
}

/// The variables of a line that starts Arbion.
fn start(line: &str) -> Option<Step> {
    let words = line
        .split(" #")
        .next()
        .unwrap()
        .trim()
        .strip_suffix("cargo run")?
        .split_whitespace();
    let variables = words.map(|word| {
        word.split_once('=')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    });
    variables.collect::<Option<_>>().map(Step::Start)
}

/// Runs a command in a shell that knows the tour's aliases; answers what it prints.
fn run(prelude: &str, command: &str, directory: &Path) -> String {
    let script = format!("shopt -s expand_aliases\n{prelude}\n{command}\n");
    let mut bash = Command::new("bash");
    let output = bash
        .args(["-c", &script])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The first fragment that `answer` lacks.
fn missing<'a>(answer: &str, fragments: &'a [String]) -> Option<&'a str> {
    fragments
        .iter()
        .map(String::as_str)
        .find(|fragment| !answer.contains(fragment))
}

/// A newcomer on their way through the tour.
struct Walk {
    newcomer: Newcomer,
    servers: Vec<Process>,
    /// The addresses that the README names, and those that the servers have here.
    addresses: Vec<(String, String)>,
    prelude: String,
}

impl Walk {
    async fn start(&mut self, variables: &BTreeMap<String, String>) {
        let port = variables.get("PORT").map_or("5000", String::as_str);
        let log = format!("tour-{port}.log");
        let process = self.newcomer.start_with(&log, variables.clone()).await;
        let here = address(&process).strip_prefix("http://").unwrap().to_owned();
        self.addresses.push((format!("localhost:{port}"), here));
        self.servers.push(process);
    }

    async fn type_in(&mut self, command: &str, fragments: &[String]) {
        let mut here = command.to_owned();
        for (named, address) in &self.addresses {
            here = here.replace(named, address);
        }
        if here.starts_with("alias ") {
            writeln!(self.prelude, "{here}").unwrap();
            return;
        }
        // A person who looks again a moment later may do so; a person who orders twice may not.
        let is_look = ![" -d ", " -X ", "echo "].iter().any(|word| here.contains(word));
        let deadline = Instant::now() + Duration::from_secs(if is_look { 15 } else { 0 });
        loop {
            let answer = run(&self.prelude, &here, self.newcomer.path());
            let Some(fragment) = missing(&answer, fragments) else {
                return;
            };
            assert!(
                Instant::now() < deadline,
                "$ {command}\n{answer}\nlacks {fragment}"
            );
            wait::pause().await;
        }
    }
}

#[tokio::test]
async fn every_line_of_the_tour_does_what_the_readme_says() {
    let steps = tour(&readme());
    let typed = steps.iter().filter(|step| matches!(step, Step::Type { .. }));
    assert!(
        typed.count() >= 10 && steps.contains(&Step::Start(BTreeMap::new())),
        "{steps:?}"
    );
    let mut walk = Walk {
        newcomer: Newcomer::new(),
        servers: Vec::new(),
        addresses: Vec::new(),
        prelude: String::new(),
    };
    for step in &steps {
        match step {
            Step::Start(variables) => walk.start(variables).await,
            Step::Type { command, fragments } => walk.type_in(command, fragments).await,
        }
    }
}

#[test]
fn a_step_starts_arbion_or_is_a_command_with_the_fragments_of_its_answer() {
    let text = "text\n```sh\nA=1 PORT=5001 cargo run    # start\ncargo build\n```\n\
                ```console\n$ one\n… \"a\":1 … \"b\" …\n$ two\n```\n$ three\n";
    let typed = |command: &str, fragments: &[&str]| Step::Type {
        command: command.to_owned(),
        fragments: fragments.iter().map(|fragment| (*fragment).to_owned()).collect(),
    };
    let variables = [("A", "1"), ("PORT", "5001")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let expected = [
        Step::Start(variables.into()),
        typed("one", &["\"a\":1", "\"b\""]),
        typed("two", &[]),
    ];
    assert_eq!(tour(text), expected);
    assert_eq!(
        missing("{\"a\":1}", &["\"a\":1".to_owned(), "\"b\"".to_owned()]),
        Some("\"b\"")
    );
}

#[test]
fn the_readme_s_table_and_the_sample_are_the_configuration() {
    let table = platform::config::markdown_table();
    assert!(
        readme().contains(&table),
        "README.md lacks the table of variables: `arbion config` prints it"
    );
    let sample = std::fs::read_to_string(repository().join(".env.sample")).unwrap();
    assert!(
        sample == platform::config::env_sample(),
        ".env.sample is not current: `arbion config --sample` prints it"
    );
}

#[test]
fn the_list_of_errors_is_the_program_s() {
    let document = std::fs::read_to_string(repository().join("docs/errors.md")).unwrap();
    assert!(document == api::errors_md(), "docs/errors.md is not current");
}
