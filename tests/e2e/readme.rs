//! The README is true: its tour is run line by line, and its tables are what the program says.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::first_trade::Newcomer;
use crate::support::{repository, wait};

/// A line that a newcomer types, and what must be in the answer, in this order.
#[derive(Debug)]
struct Step {
    command: String,
    fragments: Vec<String>,
}

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).unwrap()
}

/// The lines of the blocks that are marked `console`.
fn tour(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_inside = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            is_inside = line == "```console";
        } else if let (true, Some(command)) = (is_inside, line.strip_prefix("$ ")) {
            steps.push(Step {
                command: command.to_owned(),
                fragments: Vec::new(),
            });
        } else if is_inside {
            let fragments = line
                .split('…')
                .map(str::trim)
                .filter(|fragment| !fragment.is_empty());
            let step = steps.last_mut().expect("an answer before any command");
            step.fragments.extend(fragments.map(str::to_owned));
        }
    }
    steps
}

/// Runs a command in a shell that knows the tour's aliases; answers what it prints.
fn run(prelude: &str, command: &str, directory: &std::path::Path) -> String {
    let script = format!("shopt -s expand_aliases\n{prelude}\n{command}\n");
    let output = Command::new("bash")
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
    let mut rest = answer;
    for fragment in fragments {
        match rest.split_once(fragment.as_str()) {
            Some((_, after)) => rest = after,
            None => return Some(fragment),
        }
    }
    None
}

#[tokio::test]
async fn every_line_of_the_tour_does_what_the_readme_says() {
    let steps = tour(&readme());
    assert!(steps.len() >= 5, "the tour has {} lines", steps.len());
    let newcomer = Newcomer::new();
    let process = newcomer.start("tour.log").await;
    let address = newcomer
        .client(&process)
        .base()
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    let mut prelude = String::new();
    for Step { command, fragments } in steps {
        let here = command
            .replace("localhost:5000", &address)
            .replace("127.0.0.1:5000", &address);
        if here.starts_with("alias ") || here.starts_with("cd ") {
            writeln!(prelude, "{here}").unwrap();
            continue;
        }
        // A person who looks again a moment later may do so; a person who orders twice may not.
        let is_look = !here.contains(" -d ") && !here.contains(" -X ");
        let deadline = Instant::now() + Duration::from_secs(if is_look { 15 } else { 0 });
        loop {
            let answer = run(&prelude, &here, newcomer.path());
            let Some(fragment) = missing(&answer, &fragments) else {
                break;
            };
            assert!(
                Instant::now() < deadline,
                "$ {command}\n{answer}\nlacks {fragment}"
            );
            wait::pause().await;
        }
    }
}

#[test]
fn a_step_is_a_command_and_the_fragments_of_its_answer() {
    let steps = tour("text\n```console\n$ one\n… \"a\":1 … \"b\" …\n$ two\n```\n```sh\n$ three\n```\n");
    assert_eq!(steps.len(), 2);
    assert_eq!((steps[0].command.as_str(), steps[0].fragments.len()), ("one", 2));
    assert_eq!(missing("{\"a\":1,\"b\":2}", &steps[0].fragments), None);
    assert_eq!(missing("{\"b\":2,\"a\":1}", &steps[0].fragments), Some("\"b\""));
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
