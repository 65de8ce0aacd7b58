//! Files that are generated from the code: a test keeps each equal, and rewrites it when `ARBION_BLESS` is set.

use std::path::PathBuf;

/// Fails where the file `path` (relative to the repository) is not `expected`.
pub(crate) fn check(path: &str, expected: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if is_blessed() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, expected).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = found
        .lines()
        .zip(expected.lines())
        .position(|(one, other)| one != other);
    assert!(
        found == expected,
        "{path} is not what the code says (first difference in line {:?}): run ARBION_BLESS=1 cargo test -p arbion-api",
        differs.map(|line| line + 1),
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "a switch of this test, no configuration of the product"
)]
fn is_blessed() -> bool {
    std::env::var_os("ARBION_BLESS").is_some()
}
