//! What a reader may count on in every file of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::repository;

/// Lines of a file of the product, without its tests.
const FILE_LINES_MAX: usize = 400;

/// The folders with the product's code.
const PRODUCT: [&str; 6] = ["api", "worker", "scheduler", "shared", "migrations", "src"];

/// What the domain may depend on: nothing that does IO.
const PURE: [&str; 6] = [
    "chrono",
    "chrono-tz",
    "rust_decimal",
    "serde",
    "thiserror",
    "uuid",
];

/// Every file that is committed, or would be.
fn files() -> Vec<PathBuf> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git")
        .args(arguments)
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let names = String::from_utf8(output.stdout).unwrap();
    names
        .lines()
        .map(|name| repository().join(name))
        .filter(|path| path.is_file())
        .collect()
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

fn name(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap().display().to_string()
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

/// The product's own Rust files; those that hold only tests are left out.
fn product() -> Vec<PathBuf> {
    let is_product = |path: &PathBuf| {
        let name = name(path);
        let is_test = name.contains("/tests/") || name.ends_with("/tests.rs") || name.contains("/testing/");
        let is_ours = PRODUCT
            .iter()
            .any(|folder| name.starts_with(&format!("{folder}/")));
        is_ours && is_rust(path) && !is_test
    };
    files().into_iter().filter(is_product).collect()
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let mut long = Vec::new();
    let product = product();
    assert!(product.len() > 100, "{} files were found", product.len());
    for path in product {
        let text = text(&path);
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().count();
        // A table is as long as what it lists.
        if lines > FILE_LINES_MAX && !code.contains("one table, one row a") {
            long.push(format!("{}: {lines}", name(&path)));
        }
    }
    assert!(long.is_empty(), "longer than {FILE_LINES_MAX} lines: {long:#?}");
}

#[test]
fn nothing_is_left_to_be_done_later() {
    let words = [
        format!("FIX{}", "ME"),
        format!("TO{}", "DO"),
        format!("to{}!(", "do"),
    ];
    let mut found = Vec::new();
    for path in files().iter().filter(|path| !path.ends_with("Cargo.lock")) {
        for (number, line) in text(path).lines().enumerate() {
            if words.iter().any(|word| line.contains(word.as_str())) {
                found.push(format!("{}:{}: {}", name(path), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_path_of_a_machine_is_committed() {
    let here = repository().display().to_string();
    let homes = [
        format!("/ho{}/", "me"),
        format!("/ro{}/", "ot"),
        format!("/Us{}/", "ers"),
    ];
    let mut found = Vec::new();
    for path in files() {
        for (number, line) in text(&path).lines().enumerate() {
            let is_home = homes.iter().any(|home| line.contains(home.as_str()));
            if line.contains(&here) || is_home {
                found.push(format!("{}:{}: {}", name(&path), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let model = text(&repository().join("docs/threat-model.md"));
    let sources: String = files()
        .iter()
        .filter(|path| is_rust(path))
        .map(|path| text(path))
        .collect();
    let is_name = |word: &&str| word.matches('_').count() > 2 && word.bytes().all(is_of_a_name);
    let named: Vec<&str> = model.split('`').skip(1).step_by(2).filter(is_name).collect();
    assert!(named.len() > 50, "{} names were found", named.len());
    // A word of the protocol looks like a name, too: it stands in the sources as a text.
    let is_there =
        |name: &str| sources.contains(&format!("fn {name}(")) || sources.contains(&format!("\"{name}\""));
    let missing: Vec<_> = named.into_iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

#[test]
fn the_domain_depends_on_nothing_that_does_io() {
    let manifest = text(&repository().join("shared/domain/Cargo.toml"));
    let section = manifest
        .split("[dependencies]\n")
        .nth(1)
        .unwrap()
        .split("\n[")
        .next()
        .unwrap();
    let lines = section
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let mut named: Vec<_> = lines
        .map(|line| line.split(['.', ' ', '=']).next().unwrap())
        .collect();
    named.sort_unstable();
    assert_eq!(named, PURE);
}

#[test]
fn no_test_sleeps_a_fixed_time() {
    let sleep = format!("time::sl{}(", "eep");
    let mut found = Vec::new();
    for path in files() {
        let name = name(&path);
        // The one pause between two looks.
        if name.starts_with("tests/e2e") && is_rust(&path) && !name.ends_with("support/wait.rs") {
            let text = text(&path);
            found.extend(
                text.lines()
                    .filter(|line| line.contains(&sleep))
                    .map(|line| format!("{name}: {line}")),
            );
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn fault_points_are_absent_unless_they_are_asked_for() {
    let mut default = Vec::new();
    for path in files().iter().filter(|path| path.ends_with("Cargo.toml")) {
        let text = text(path);
        let features = text.split("[features]\n").nth(1).unwrap_or_default();
        default.extend(
            features
                .lines()
                .filter(|line| line.starts_with("default"))
                .map(str::to_owned),
        );
    }
    assert!(
        default.iter().all(|line| !line.contains("fault-points")),
        "{default:?}"
    );
}
