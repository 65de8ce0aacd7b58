//! What `./test` tells the tests: where servers and programs are.

use std::path::PathBuf;

/// The variable `name`; a test without it fails and says how to get it.
pub(crate) fn variable(name: &str) -> String {
    optional(name)
        .unwrap_or_else(|| panic!("{name} is not set: run ./test, or eval \"$(./test --env)\" first"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the environment tells the tests where their servers are"
)]
fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The built program `name`.
pub(crate) fn program(name: &str) -> PathBuf {
    let directory = optional("TEST_BIN_DIR").map_or_else(beside_this_test, PathBuf::from);
    let program = directory.join(name);
    assert!(
        program.is_file(),
        "{} is missing: cargo build --workspace --bins --features fault-points",
        program.display()
    );
    program
}

/// The directory above the one in which cargo puts test binaries.
fn beside_this_test() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent()
        .and_then(std::path::Path::parent)
        .unwrap()
        .to_owned()
}
